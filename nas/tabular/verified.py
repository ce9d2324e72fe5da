"""Whether a cell that was trained again is the one of the table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from math import expm1, inf, log, sqrt

from nas.runs.job import Key
from nas.tabular.table import Cell, Table

DEVIATIONS = 4
"""Standard deviations between two seeds within which another machine may come."""

LEAST, MOST = 0.005, 0.1
"""So far it may come in any case, and no farther where a CPU made it, however noisy its table says that seeds are.

Half a point and ten, or percent of a loss: of 96 trainings of the committed tables that were done again with other
instructions or on another maker's CPU none was farther off than 2.5 points and 3.4% (docs/log.md, 2026-11-28).
"""


@dataclass(frozen=True)
class Verified:
    """A cell trained again: whether it is the table's, whether bit for bit was asked of it, and what differs."""

    key: Key
    mixer: str
    passed: bool
    exact: bool
    told: str


def compared(table: Table, kept: Cell, again: Cell, *, exact: bool) -> Verified:
    """A cell with the same one trained again; `exact` asks for every bit of its curves, and of what was right.

    Else all that it ended with is to be within what seeds do. How long it took is never compared.
    """
    if bool(kept.reason) != bool(again.reason):
        told = f"failed ({again.reason})" if again.reason else f"came to its end, and had failed ({kept.reason})"
        return Verified(kept.key, kept.mixer, False, exact, told)
    if kept.reason:
        return Verified(kept.key, kept.mixer, True, exact, "failed as before")
    if exact:
        off = [name for name, (mine, theirs) in _curves(kept, again).items() if mine != theirs]
        return Verified(kept.key, kept.mixer, not off, True, f"differs in {', '.join(off)}" if off else "the same bits")
    mine, theirs, allowed = ends(table, kept), ends(table, again), limits(table)
    worst = max(mine, key=lambda name: abs(theirs[name] - mine[name]) / allowed[name])
    change, limit = theirs[worst] - mine[worst], allowed[worst]
    unit, share = ("percent", expm1) if worst.endswith("loss") else ("points", float)
    told = f"{worst} {100 * share(change):+.1f} {unit}, within {100 * share(limit):.1f} are expected"
    return Verified(kept.key, kept.mixer, abs(change) <= limit, False, told)


def ends(table: Table, cell: Cell) -> dict[str, float]:
    """What a training ended with, by what it is called: shares of right answers, and logarithms of losses."""
    right = {f"{part} accuracy": float(cell.right[part][-1]) / size for part, size in table.sizes.items()}
    losses = {f"{part} loss": cell.losses[part][-1] for part in table.sizes} | {"training loss": cell.training[-1]}
    return right | {name: log(max(float(loss), 1e-9)) for name, loss in losses.items()}


@lru_cache(maxsize=1)
def limits(table: Table) -> dict[str, float]:
    """How far each of these may be off: deviations between two seeds, pooled over networks and rates.

    Two trainings with other seeds are within those in 98% of all cases (docs/log.md, 2026-11-28).
    """
    import numpy as np

    by_way: dict[tuple[str, float], list[list[float]]] = defaultdict(list)
    names: list[str] = []
    for key, cell in table.cells.items():
        if not cell.reason:
            found = ends(table, cell)
            names = [*found]
            by_way[key.id, key.lr].append([*found.values()])
    several = [np.array(each) for each in by_way.values() if len(each) > 1]
    freedom = sum(len(each) - 1 for each in several)
    squares = sum((((each - each.mean(0)) ** 2).sum(0) for each in several), np.zeros(len(names)))
    deviations = np.sqrt(squares / max(freedom, 1))
    most = inf if "device" in table.facts["made"] else MOST
    allowed = (min(max(DEVIATIONS * sqrt(2) * float(each), LEAST), most) for each in deviations)
    return dict(zip(names, allowed, strict=True))


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
