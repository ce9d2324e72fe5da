"""Whether a cell that was trained again is the one of the table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import sqrt

from nas.runs.job import Key
from nas.tabular.table import Cell, Table

DEVIATIONS = 4
"""Standard deviations between two seeds within which another machine may come."""


@dataclass(frozen=True)
class Verified:
    """A cell trained again: whether it is the table's, whether bit for bit was asked of it, and what differs."""

    key: Key
    mixer: str
    passed: bool
    exact: bool
    told: str


def compared(table: Table, kept: Cell, again: Cell, *, exact: bool) -> Verified:
    """A cell with the same one trained again; `exact` asks for every bit of its curves, and of what was right."""
    if bool(kept.reason) != bool(again.reason):
        told = f"failed ({again.reason})" if again.reason else f"came to its end, and had failed ({kept.reason})"
        return Verified(kept.key, kept.mixer, False, exact, told)
    if kept.reason:
        return Verified(kept.key, kept.mixer, True, exact, "failed as before")
    if exact:
        off = [name for name, (mine, theirs) in _curves(kept, again).items() if mine != theirs]
        return Verified(kept.key, kept.mixer, not off, True, f"differs in {', '.join(off)}" if off else "the same bits")
    size = table.sizes["test"]
    change = (int(again.right["test"][-1]) - int(kept.right["test"][-1])) / size
    limit = max(DEVIATIONS * sqrt(2) * seed_deviation(table), 1 / size)
    told = f"test accuracy {100 * change:+.1f} points, within {100 * limit:.1f} are expected"
    return Verified(kept.key, kept.mixer, abs(change) <= limit, False, told)


def seed_deviation(table: Table) -> float:
    """The standard deviation of final test accuracies (shares) between seeds, pooled over networks and rates."""
    by_way: dict[tuple[str, float], list[float]] = defaultdict(list)
    for key, cell in table.cells.items():
        if not cell.reason:
            by_way[key.id, key.lr].append(float(cell.right["test"][-1]) / table.sizes["test"])
    squares = freedom = 0.0
    for each in by_way.values():
        mean = sum(each) / len(each)
        squares += sum((value - mean) ** 2 for value in each)
        freedom += len(each) - 1
    return sqrt(squares / freedom) if freedom else 0.0


def _curves(kept: Cell, again: Cell) -> dict[str, tuple[bytes, bytes]]:
    """What has to be the same, as bytes, by what it is called."""
    found = {"training losses": (kept.training.tobytes(), again.training.tobytes())}
    for part in kept.losses:
        for name, one, other in (
            ("losses", kept.losses, again.losses),
            ("accuracies", kept.right, again.right),
            ("bits", kept.bits, again.bits),
        ):
            found[f"{name} of {part}"] = one[part].tobytes(), other[part].tobytes()
    return found
