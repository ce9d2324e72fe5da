"""Rankings and spaces as tables for a terminal, and the same as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table

from einmix import Architecture, Mixer
from nas.ranking import CONFIDENCE, Standing


def ranking(standings: Sequence[Standing], *, title: str, most: int) -> Table:
    """Finalists and references, then the others as far as the search took them, at most `most` of these."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    gained = any(standing.gain for standing in standings)
    for name in ("rank", "architecture", "accuracy", *(["gain"] if gained else []), "n", "params", "MACs", "seconds"):
        table.add_column(name, justify="left" if name == "architecture" else "right", no_wrap=True)
    table.add_column("mixers", overflow="fold")
    place = 0
    for position, standing in enumerate(standings):
        if standing.is_reference:
            rank = "–"
        else:
            place += 1
            rank = str(place)
            if place > most and not standing.finals:
                break
        following = standings[position + 1] if position + 1 < len(standings) else None
        table.add_row(
            rank,
            standing.label or standing.id,
            accuracy(standing),
            *([gain(standing)] if gained else []),
            str(standing.n),
            f"{standing.architecture.params:,}",
            short(standing.architecture.macs),
            f"{standing.seconds:.1f}",
            mixers(standing.architecture),
            style="dim" if standing.is_reference else None,
            end_section=bool(standing.finals and following and not following.finals),
        )
    return table


def accuracy(standing: Standing) -> str:
    """Mean ± standard deviation in percent; of a candidate that did not finish, how far it got."""
    if standing.state == "failed":
        return "failed"
    value = f"{standing.accuracy:.1%}"
    if standing.std is not None:
        return f"{value[:-1]} ± {100 * standing.std:.1f}%"
    if standing.state == "pruned" and standing.search and standing.search.score:
        return f"{value} @ {standing.search.score.epoch}"
    return value


def gain(standing: Standing) -> str:
    """The paired difference to the best reference in points, with its interval."""
    if standing.gain is None:
        return ""
    half = "" if standing.gain.half_width is None else f" ± {100 * standing.gain.half_width:.1f}"
    return f"{100 * standing.gain.mean:+.1f}{half}"


def mixers(architecture: Architecture) -> str:
    """The mixers' texts, runs of equal ones counted."""
    runs = [(text, len(list(same))) for text, same in groupby(str(m).removesuffix(" +b") for m in architecture.mixers)]
    return " | ".join(text if times == 1 else f"{times} x {text}" for text, times in runs) or "none"


def footnotes(standings: Sequence[Standing], candidates: int) -> list[str]:
    """What the reader of a ranking has to know about its figures."""
    notes = [f"accuracy: validation, best of {candidates} candidates, so that of the leaders is optimistic"]
    if gains := [s.gain for s in standings if s.gain]:
        against = " or ".join(sorted({gain.against for gain in gains}))
        notes.append(
            f"gain: points over the best reference of the same sizes ({against}), mean of the differences over "
            f"{gains[0].n} seeds, {CONFIDENCE:.0%} interval (t)"
        )
    if any(s.state == "pruned" for s in standings):
        notes.append("@ 5: pruned after 5 epochs")
    return notes


def as_json(standing: Standing, place: int | None) -> dict[str, Any]:
    """A standing as JSON values; `place` is None for a reference."""
    architecture, gained = standing.architecture, standing.gain
    return {
        "rank": place,
        "id": standing.id,
        "label": standing.label,
        "state": standing.state,
        "accuracy": standing.accuracy if standing.n and standing.accuracy == standing.accuracy else None,
        "std": standing.std,
        "n": standing.n,
        "loss": standing.loss if standing.loss == standing.loss else None,
        "gain": gained and {"mean": gained.mean, "half_width": gained.half_width, "against": gained.against},
        "params": architecture.params,
        "macs": architecture.macs,
        "seconds": standing.seconds,
        "reason": standing.search.reason if standing.search else "",
        "mixers": [str(mixer) for mixer in architecture.mixers],
    }


def ranked_json(standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """All standings as JSON values, places counted as in the table."""
    place, rows = 0, []
    for standing in standings:
        place += not standing.is_reference
        rows.append(as_json(standing, None if standing.is_reference else place))
    return rows


def einmix_line(mixer: Mixer) -> str:
    """The EinMix call of a mixer, as it would stand in code.

    >>> einmix_line(Mixer.parse("t=m8 c=s4"))
    "Mix('b ti c -> b to c', weight_shape='ti to', ti=8, to=8, c=4)"
    """
    call = mixer.einmix()
    pattern = call.pop("pattern")
    return f"Mix({pattern!r}, " + ", ".join(f"{name}={value!r}" for name, value in call.items()) + ")"


def short(n: int) -> str:
    """A large number in a few characters.

    >>> short(1888576), short(960), short(10**14)
    ('1.9M', '960', '1e+14')
    """
    for size, unit in ((10**12, ""), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n:.0e}" if not unit else f"{n / size:.1f}{unit}"
    return str(n)


def count(n: int) -> str:
    """An exact count where it can be read, else its magnitude."""
    return f"{n:,}" if n < 10**12 else f"{n:.2e}"
