"""A ranking as flat rows, for frames and CSV files, and as HTML, for notebooks."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

from einmix import Architecture
from einmix.networks.summary import mixers
from einmix.pictures.network import draw_network
from nas.errors import one_line
from nas.ranking.standings import Standing, ranked
from nas.ranking.words import accuracy, gain, gain_verdict, leader, patch_width_depth
from nas.runs.own import Metric
from nas.runs.result import Result

SHOWN = 10
"""Candidates beside all finalists that a notebook shows."""

COLUMNS = ("rank", "id", "name", "state", "gain", "n", "patch", "width", "depth", "params", "mixers")
"""What a notebook shows of a network, after its figure."""


def rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """A flat row a network, as tables have them: finalists, references (which have no rank), then the others.

    Its figure is under the name of the run's metric; `gain` is a share of accuracy, or in the metric's own unit, the
    larger the better; its interval, `gain_low` and `gain_high`, is None where none is known.
    """
    return [_row(place, standing) for place, standing in ranked(standings)]


def _row(place: int | None, standing: Standing) -> dict[str, Any]:
    held = standing.gain
    return {
        "rank": place,
        "id": standing.id,
        "label": standing.label,
        "name": standing.name,
        "front": standing.on_front,
        "state": standing.state,
        standing.metric.name: standing.figure,
        "std": standing.std,
        "n": standing.n,
        "loss": standing.loss,
        "gain": held and held.mean,
        "gain_low": held and held.low,
        "gain_high": held and held.high,
        "verdict": held.verdict if held else "",
        "against": held.against if held else "",
        "params": standing.architecture.params,
        "macs": standing.architecture.macs,
        "seconds": standing.seconds,
        "latency_ms": standing.latency,
        **patch_width_depth(standing.architecture),
        "mixers": mixers(standing.architecture),
        "reason": one_line(standing.reason),
    }


def training_rows(results: Sequence[Result], metric: Metric) -> list[dict[str, Any]]:
    """A flat row a training: what was trained, how it ended, and on what."""
    return [_training(result, metric) for result in results]


def _training(result: Result, metric: Metric) -> dict[str, Any]:
    row = {name: getattr(result, name) for name in ("phase", "id", "label", "state", "seed", "lr", "epochs")}
    for name, score in (("", result.score), ("judge_", result.judge), ("test_", result.test)):
        row[f"{name}{metric.name}"] = metric.figure(score.accuracy) if score else None
        row[f"{name}loss"] = score.loss if score else None
    row |= {name: getattr(result, name) for name in ("params", "macs", "seconds", "latency", "reason")}
    row |= {name: result.extra.get(name) for name in ("device", "precision")}
    return row | {"mixers": mixers(Architecture.from_json(result.architecture))}


def csv_text(found: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header; None is nothing between its commas."""
    text = StringIO()
    if found:
        writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    return text.getvalue()


def html(name: str, standings: Sequence[Standing], metric: Metric) -> str:
    """A ranking for a notebook: a table, what the leader's gain says, the leader drawn. All of it is escaped."""
    figures = [row for row in ranked(standings) if row[1].finals or row[0] is None or row[0] <= SHOWN]
    head = [*COLUMNS[:4], metric.name, *COLUMNS[4:]]
    lines = [f"<table><caption>{escape(name)}</caption>", f"<tr>{_cells('th', head)}</tr>"]
    for place, standing in figures:
        row = _row(place, standing) | {"rank": "–" if place is None else place, "gain": gain(standing)}
        row |= {"name": standing.label or standing.name, metric.name: accuracy(standing)}
        row["params"] = f"{standing.architecture.params:,}"
        lines.append(f"<tr>{_cells('td', [row[column] for column in head])}</tr>")
    lines.append("</table>")
    if best := leader(standings):
        lines += [f"<p>{escape(gain_verdict(best))}</p>", draw_network(best.architecture, best.title).svg]
    return "\n".join(lines)


def _cells(tag: str, values: Sequence[object]) -> str:
    return "".join(f"<{tag}>{escape(one_line(str(value)))}</{tag}>" for value in values)
