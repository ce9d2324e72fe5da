"""What the page's template is given of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from einmix import Architecture, source
from einmix.networks.architecture import Slotted
from einmix.networks.summary import describe
from einmix.pictures.blocks import draw_blocks
from nas.audit.words import MARKS, better_lines, figure_lines, noise_lines, order_line, rate_lines
from nas.claims.words import gain_cell
from nas.errors import counted, one_line
from nas.ranking.words import accuracy, sizes
from nas.report import verdict
from nas.report.drawn import Drawn
from nas.report.figures import series
from nas.report.figures.facts import KINDS, Comparison, Network, RunFacts
from nas.report.figures.importance import Importance
from nas.report.figures.series import Ranks
from nas.report.plots import paths, rows
from nas.report.plots.icons import Icons, pictured
from nas.report.texts import data, highlighted, packed, packed_results

PICTURED = 20
"""Networks whose blocks are in the page as pictures: 6 kB each."""

CAUSES = 50
"""Reasons of failures that are told, the most frequent ones."""


def view(run: RunFacts, icons: Icons, shown: int) -> dict[str, Any]:
    """What the template is given of a run."""
    best = run.leader
    leader = best.id if best else ""
    told = run.networks
    kept = [each for at, each in enumerate(told) if at < shown or each.kind in ("final", "reference")]
    examples, chosen, ranks = run.audit.facts.validation, series.choices(run), series.ranks(run)
    spark = rows.Spark.over([each.standing.accuracy for each in kept], examples)
    curves = series.curves(run)
    results, left_out = packed_results(run.audit.results)
    return {
        "run": run,
        "headline": verdict.headline(run),
        "deck": verdict.deck(run),
        "terms": terms(run, icons),
        "plots": Drawn.of(run),
        "winner": winner(best.architecture, run) if best else None,
        "spark": spark,
        "rows": [row(each, spark, icons, leader) for each in kept],
        "total": len(told),
        "kinds": [kind for kind in KINDS if any(each.kind == kind for each in kept)],
        "columns": columns(run),
        "curves": len(curves),
        "drawn": len(paths.drawn_curves(curves)),
        "choices": chosen,
        "strips": [strip(each, chosen.epoch, examples) for each in chosen.found],
        "rank_words": rank_words(run, ranks) if ranks else [],
        "audit": audit(run),
        "causes": run.causes[:CAUSES],
        "compared": [compared(each) for each in run.compared],
        "facts": facts(run),
        "results": results,
        "left_out": left_out,
        "sources": packed(json.dumps({each.id: text_of(each.standing.architecture) for each in kept})),
        "pictures": packed(json.dumps(pictures(kept))),
        "networks": data({each.id: told_of(each, run) for each in kept}),
    }


def pictures(kept: Sequence[Network]) -> dict[str, list[str]]:
    """The blocks of the first networks, of finalists and of references, which their rows show; others show icons."""
    first = [each for at, each in enumerate(kept) if at < PICTURED or each.kind in ("final", "reference")]
    return {each.id: [picture.markup() for picture in draw_blocks(each.standing.architecture)] for each in first}


def terms(run: RunFacts, icons: Icons) -> list[dict[str, Any]]:
    """The paragraphs beside the headline: how each is called, its sentences, whether the first of them is the point."""
    best = run.leader
    found = []
    if best:
        what = {"id": best.title, "lines": [verdict.what(run)], "icons": icons.row(best.architecture), "bold": False}
        found.append({"term": verdict.won(run)} | what)
    told = (
        ("By how much", verdict.how_much(run)),
        ("How sure", verdict.how_sure(run)),
        ("What it costs", verdict.what_it_costs(run)),
        ("What is open", verdict.what_is_open(run)),
    )
    others = [
        {"term": term, "id": "", "lines": lines, "icons": "", "bold": term == "By how much"}
        for term, lines in told
        if lines
    ]
    return found + others


def winner(architecture: Architecture, run: RunFacts) -> dict[str, Any]:
    """The network in pictures and as its text: its last function alone, which makes it, and the whole module."""
    text = text_of(architecture)
    body = text[text.rindex("\ndef ") + 1 :].partition('\nif __name__ == "__main__"')[0].rstrip() + "\n"
    return {
        "blocks": [Markup(picture.markup()) for picture in draw_blocks(architecture)],
        "parts": rows.parameters(series.parameters(architecture)),
        "params": architecture.params,
        "model": highlighted(body),
        "module": highlighted(text),
        "lines": text.count("\n"),
        "part": "slot" if isinstance(architecture, Slotted) else "block",
        "export": f"nas export {run.name} {architecture.id}{run.where}",
    }


def text_of(architecture: Architecture) -> str:
    return source(architecture, {"title": architecture.id})


def columns(run: RunFacts) -> dict[str, bool]:
    """Which columns the leaderboard has beside those that it always has."""
    return {
        "front": any(standing.on_front is not None for standing in run.standings),
        "latency": any(standing.latency is not None for standing in run.standings),
        "gain": any(standing.gain is not None for standing in run.standings),
    }


def row(network: Network, spark: rows.Spark, icons: Icons, leader: str) -> dict[str, Any]:
    """A row of the leaderboard: what is shown, and what it is sorted by."""
    standing, architecture = network.standing, network.standing.architecture
    words = " | ".join(str(mixer).removesuffix(" +b") for mixer in pictured(architecture))
    return {
        "id": network.id,
        "title": network.title,
        "place": network.place,
        "kind": network.kind,
        "is_leader": network.id == leader,
        "icons": icons.row(architecture),
        "mixers": words or "no mixer",
        "sizes": sizes(architecture),
        "accuracy": accuracy(standing),
        "spark": spark.of(standing.accuracy, network.kind),
        "share": standing.accuracy if standing.accuracy is not None else -1,
        "gain": gain_cell(standing.gain) if standing.gain else "",
        "gained": standing.gain.mean if standing.gain else -9,
        "verdict": standing.gain.verdict if standing.gain and standing.gain.low is not None else "",
        "n": standing.n,
        "params": architecture.params,
        "macs": architecture.macs,
        "latency": standing.latency,
        "seconds": standing.seconds,
        "front": standing.on_front,
        "reason": standing.reason if network.kind == "failed" else "",
    }


def told_of(network: Network, run: RunFacts) -> dict[str, Any]:
    """What the script tells of a network: a sentence for pointers, its mixers in two forms, its curve."""
    standing, architecture, trained = network.standing, network.standing.architecture, network.searched
    place = f"rank {network.place}" if network.place else "reference"
    figure = f"{accuracy(standing)} (n={standing.n}), {architecture.params:,} parameters, {sizes(architecture)}"
    mixers = {str(mixer).removesuffix(" +b"): mixer for mixer in pictured(architecture)}  # as icons are told apart
    return {
        "say": f"{one_line(network.title)}, {place}: {figure}, {network.kind}",
        "mixers": [[str(mixer), describe(mixer)] for mixer in mixers.values()],
        "scores": [[score.epoch, round(score.accuracy, 4)] for score in trained.scores] if trained else [],
        "losses": [round(loss, 3) for loss in trained.train_loss] if trained else [],
        "commands": [f"nas {name} {run.name} {network.id}{run.where}" for name in ("show", "export", "train")],
    }


def strip(found: Importance, epoch: int, examples: int) -> dict[str, Any]:
    """A choice: its share in figures and as a bar, and what was reached at each of its levels."""
    values = [value for level in found.levels for value in level.values]
    axis = rows.share_axis(values, examples, f"validation accuracy after epoch {epoch}, %")
    return {"found": found, "meter": rows.meter(found), "strip": rows.strip(found.levels, axis, found.name)}


def rank_words(run: RunFacts, ranks: Ranks) -> list[str]:
    """What the audit says of rungs, and which ranks the finalists had on their way."""
    found = [verdict.sentence(order_line(run.audit))]
    for standing in run.finalists[:5]:
        way = zip(ranks.epochs, ranks.counts, ranks.lines.get(standing.id, ()), strict=False)
        had = [f"{place} of {count} at epoch {epoch}" for epoch, count, place in way if place is not None]
        if had:
            had.append(f"{ranks.ends[standing.id]} in the finals")
            found.append(f"{one_line(standing.title)} had rank {', '.join(had[:-1])}, and {had[-1]}.")
    return found


def audit(run: RunFacts) -> dict[str, Any]:
    """What the figures are worth, in the audit's words."""
    found = run.audit
    return {
        "lines": verdict.sentences([*noise_lines(found), order_line(found), *rate_lines(found)]),
        "figures": [line.strip() for line in figure_lines(found)],
        "better": [line.strip() for line in better_lines(found)],
        "checks": [(check.name, MARKS[check.passed], check.told, check.passed) for check in found.checks],
    }


def compared(found: Comparison) -> dict[str, Any]:
    """A comparison with networks of the literature, on test data."""
    mine, *others = found.networks
    claims = [(each.name, each.architecture.id, each.difference) for each in others if each.difference]
    return {
        "found": found,
        "mine": mine,
        "others": [
            {
                "name": each.title if each.is_found else each.name,
                "sizes": sizes(each.architecture),
                "params": each.architecture.params,
                "macs": each.architecture.macs,
                "lr": each.lr,
                "accuracy": sum(each.accuracies.values()) / len(each.accuracies) if each.accuracies else None,
                "n": len(each.accuracies),
                "ms": each.ms,
                "difference": gain_cell(each.difference) if each.difference else "",
                "verdict": each.difference.verdict if each.difference else each.undecided,
            }
            for each in found.networks
        ],
        "intervals": rows.intervals(
            claims, f"points of test accuracy by which {one_line(mine.title)} is better", is_code=False
        ),
    }


def facts(run: RunFacts) -> list[tuple[str, str]]:
    """Data, recipe, environment: how each is called and what it was; what settings do not say is left out."""
    settings, found = run.settings, run.audit.facts
    data, recipe, space, budget = (object_in(settings, name) for name in ("data", "recipe", "space", "budget"))
    told: list[tuple[str, str]] = []
    if data:
        shape = " x ".join(str(n) for n in object_in(data, "shape").values())
        judging = f", {found.judge:,} judge" if found.judge else ""
        parts = f"{data.get('train')} training, {found.validation:,} validation{judging}, {data.get('test')} test"
        what = f"{found.noun} of {shape}, {data.get('channels')} channels, {data.get('classes')} classes"
        told.append(("data", f"{data.get('name')}: {parts} {what}"))
        told.append(("fingerprint", str(data.get("fingerprint", ""))[:16]))
    if recipe:
        told.append(("recipe", in_words({**recipe, "lr": f"{run.lr:g}" if run.lr is not None else "not found yet"})))
    if space:
        sizes_of: dict[str, Any] = {name: space[name] for name in ("patch", "width", "depth", "ratio") if name in space}
        told.append(("space", f"{space.get('name')}: {in_words(sizes_of)}"))
    if budget:
        told.append(("limits", in_words(budget)))
    many = "s" * (len(found.rungs) > 1)
    rungs = f"rung{many} at epoch{many} {', '.join(map(str, found.rungs))}" if found.rungs else "no rungs"
    how = f"{settings.get('strategy')}, {counted(found.trials, 'candidate')}, {rungs}, seed {settings.get('seed')}"
    told.append(("search", f"{how}; objective {settings.get('objective')}"))
    kinds = {(each.extra.get("device"), each.extra.get("precision")) for each in run.audit.results}
    on = [f"{device} in {precision}" for device, precision in sorted(kinds, key=str) if device]
    told.append(("trained on", "; ".join(on) or str(settings.get("device", "unknown"))))
    versions = {tuple(sorted(result.versions.items())) for result in run.audit.results if result.versions}
    told += [("versions", ", ".join(f"{name} {version}" for name, version in each)) for each in sorted(versions)]
    return [(name, one_line(words)) for name, words in told]


def object_in(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A setting that is an object; an empty one where there is none: pages show what runs of all versions have."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def in_words(values: Mapping[str, Any]) -> str:
    """Settings in a line; large numbers with commas, several values with or.

    >>> in_words({"max_params": 25898, "patch": [1, 2], "lr": None})
    'max params 25,898, patch 1 or 2'
    """

    def shown(value: object) -> str:
        if isinstance(value, list):
            return " or ".join(map(shown, value))
        return f"{value:,}" if type(value) is int else str(value)

    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in values.items() if value is not None)
