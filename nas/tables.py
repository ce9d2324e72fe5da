"""Rankings and spaces as tables for a terminal, and the same as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from einmix import Architecture, Mixer
from nas.errors import one_line
from nas.ranking import CONFIDENCE, Standing

WIDE, NARROW = 120, 100
"""Columns of a terminal: from WIDE on mixers stand in the table, below NARROW costs beyond parameters do not."""


def ranking(standings: Sequence[Standing], *, title: str, most: int, width: int = WIDE) -> Table:
    """Finalists and references, then the others as far as the search took them: at most `most` ranks beyond finals."""
    shown = [row for row in ranked(standings) if row[1].finals or row[0] is None or row[0] <= most]
    columns = {
        "rank": [_place(place) for place, _ in shown],
        "architecture": [one_line(s.label) or s.id for _, s in shown],
        "sizes": [sizes(s.architecture) for _, s in shown],
        "accuracy": [accuracy(s) for _, s in shown],
        "gain": [gain(s) for _, s in shown],
        "n": [str(s.n) for _, s in shown],
        "params": [f"{s.architecture.params:,}" for _, s in shown],
        "MACs": [short(s.architecture.macs) for _, s in shown],
        "seconds": [f"{s.seconds:.1f}" for _, s in shown],
        "mixers": [mixers(s.architecture) for _, s in shown],
    }
    left_out = {"mixers"} if width < WIDE else set()
    left_out |= {"MACs", "seconds"} if width < NARROW else set()
    left_out |= {"sizes"} if len(set(columns["sizes"])) == 1 else set()
    left_out |= {"gain"} if not any(columns["gain"]) else set()
    columns = {name: cells for name, cells in columns.items() if name not in left_out}
    table = new_table(title)
    for name in columns:
        left = name in ("architecture", "sizes", "mixers")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "mixers", overflow="fold")
    last_final = max((i for i, (_, standing) in enumerate(shown) if standing.finals), default=None)
    for position, cells in enumerate(zip(*columns.values(), strict=True)):
        style = "dim" if shown[position][1].is_reference else None
        table.add_row(*map(Text, cells), style=style, end_section=position == last_final)
    return table


def mixers_below(standings: Sequence[Standing], *, most: int, width: int) -> list[str]:
    """The mixers of a ranking's found architectures, a line each, where the table is too narrow to hold them."""
    rows = ranked(standings) if width < WIDE else []
    return [
        f"{place:>3} {standing.id}  {mixers(standing.architecture)}"
        for place, standing in rows
        if place is not None and (standing.finals or place <= most)
    ]


def sizes(architecture: Architecture) -> str:
    """Patch, width and depth in a few characters: `p1 w32 d4`."""
    axis, length = architecture.inputs[0]
    grid = architecture.grids[0]
    depth = sum(len(stage.blocks) for stage in architecture.stages)
    return f"p{length // grid[axis]} w{grid['c']} d{depth}"


def _place(place: int | None) -> str:
    return "–" if place is None else str(place)


def new_table(title: str | None = None) -> Table:
    """The look of all tables."""
    text = None if title is None else Text(one_line(title))
    return Table(title=text, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def ranked(standings: Iterable[Standing]) -> list[tuple[int | None, Standing]]:
    """Every standing with its place; references have none."""
    place, rows = 0, []
    for standing in standings:
        place += not standing.is_reference
        rows.append((None if standing.is_reference else place, standing))
    return rows


def accuracy(standing: Standing) -> str:
    """Mean ± standard deviation in percent; of a candidate that did not finish, how far it got."""
    if standing.accuracy is None:
        return "failed"
    value = f"{standing.accuracy:.1%}"
    if standing.std is not None:
        return f"{value[:-1]} ± {100 * standing.std:.1f}%"
    if standing.state == "pruned":
        return f"{value} @ {standing.scores[0].epoch}"
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


def footnotes(standings: Sequence[Standing], *, most: int = 3) -> list[str]:
    """What the reader of a ranking has to know about its figures, and why what failed did (of the first few)."""
    tried = sum(standing.search is not None for standing in standings)
    notes = [f"accuracy: validation, best of {tried} candidates, so that of the leaders is optimistic"]
    if gains := [standing.gain for standing in standings if standing.gain]:
        against = " or ".join(sorted({one_line(gain.against) for gain in gains}))
        seeds = " or ".join(map(str, sorted({gain.n for gain in gains})))
        notes.append(
            f"gain: points over the best reference of the same sizes ({against}), mean of the differences over "
            f"{seeds} seeds, {CONFIDENCE:.0%} interval (t)"
        )
    if any(standing.state == "pruned" for standing in standings):
        notes.append("@ e: pruned after e epochs")
    failed = [standing for standing in standings if standing.reason]
    notes += [f"{one_line(s.label) or s.id} failed: {one_line(s.reason)}" for s in failed[:most]]
    if len(failed) > most:
        notes.append(f"and {len(failed) - most} more failed: --json tells why")
    return notes


def as_json(place: int | None, standing: Standing) -> dict[str, Any]:
    """A standing as JSON values; `place` is None for a reference."""
    gained = standing.gain
    return {
        "rank": place,
        "id": standing.id,
        "label": standing.label,
        "state": standing.state,
        "accuracy": standing.accuracy,
        "std": standing.std,
        "n": standing.n,
        "loss": standing.loss,
        "gain": gained and {"mean": gained.mean, "half_width": gained.half_width, "against": gained.against},
        "params": standing.architecture.params,
        "macs": standing.architecture.macs,
        "seconds": standing.seconds,
        "reason": standing.reason,
        "mixers": [str(mixer) for mixer in standing.architecture.mixers],
    }


def architecture_json(architecture: Architecture) -> dict[str, Any]:
    """An architecture as JSON values: its costs, its mixers in both forms."""
    return {
        "id": architecture.id,
        "params": architecture.params,
        "macs": architecture.macs,
        "mixers": [str(mixer) for mixer in architecture.mixers],
        "einmix": [einmix_line(mixer) for mixer in architecture.mixers],
    }


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
    """An exact count where it can be read, else its magnitude.

    >>> count(9_303), count(10**22), count(10**400)
    ('9,303', '1.00e+22', '1.00e+400')
    """
    return f"{n:,}" if n < 10**12 else f"{Decimal(n):.2e}"
