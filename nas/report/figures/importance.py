"""Which choices mattered: how much of the differences among candidates goes with each, by marginal means.

The figure is a candidate's accuracy where all can be compared, as a logit, since that spreads evenly. What a choice
explains *alone* is omega squared of its levels (Hays 1963), which has no bias by their number; what it explains
*beyond* the others is by how much the adjusted R squared of an additive model of all choices falls without it.
Intervals are of bootstrap samples of candidates. A search proposes more of what did well, so these are associations,
not effects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from einmix import Architecture, Mixer
from einmix.networks.summary import block_mixers, title
from nas.ranking.words import sizes

if TYPE_CHECKING:
    import numpy as np

FEWEST = 20
"""Candidates below which nothing is said."""

SAMPLES = 300
"""Bootstrap samples behind an interval."""

NONE = "no mixer of positions"

CHANNELS = {"": "shared", "s": "shared", "g": "per channel", "gs": "per group", "m": "mixed"}
"""What roles of c are called."""


@dataclass(frozen=True)
class Level:
    """One of the options of a choice, and the accuracies (shares) of the candidates that have it."""

    name: str
    ids: tuple[str, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Importance:
    """A choice: which share of the differences it explains alone, in an interval (95%), and beyond the others."""

    name: str
    alone: float
    low: float
    high: float
    beyond: float
    levels: tuple[Level, ...]


def choices_of(architecture: Architecture) -> dict[str, str]:
    """What was chosen in a network, by the name of the choice."""
    patch, width, depth = sizes(architecture).split()
    blocks = [block_mixers(block) for block in architecture.blocks]
    mixers = [mixer for block in blocks for mixer in block]
    found = {"patch": patch[1:], "width": width[1:], "depth": depth[1:]}
    found["weights over c, in most blocks"] = most([CHANNELS.get(roles(mixer, "c"), "another way") for mixer in mixers])
    found["step of a subgrid, the largest"] = str(max([step(mixer) for mixer in mixers], default=1))
    found["axes that the last block mixes"] = mixed_words(blocks[-1] if blocks else [], architecture)
    for axis, _ in architecture.inputs[:-1]:
        count = sum(any(axis in mixer.mixed for mixer in block) for block in blocks)
        found[f"blocks that mix along {axis}"] = str(count)
    return found


def families_of(architecture: Architecture) -> list[str]:
    """Which kinds of mixers of positions its blocks have: subgrid, local, everywhere…"""
    named = [family(mixer) for block in architecture.blocks for mixer in block_mixers(block)]
    return list(dict.fromkeys(named)) or [NONE]


def family(mixer: Mixer) -> str:
    """What kind of mixer it is, in words.

    >>> family(Mixer.parse("h=m4.s2 w=m4.s2 c=g8")), family(Mixer.parse("h=m4.s2 w=m8 c=g8"))
    ('subgrid', 'along h and w')
    """
    first, *axes = title(mixer).split("_")
    return f"along {' and '.join(axes)}" if first == "along" and axes[0] else " ".join([first, *axes]).strip()


def roles(mixer: Mixer, axis: str) -> str:
    """The roles of an axis' factors, outer to inner: `gs` of c=g4.s8."""
    return "".join(factor.role for factor in dict(mixer.axes).get(axis, ()))


def step(mixer: Mixer) -> int:
    """The largest step between positions that are mixed: 2 of h=m4.s2, 1 where neighbours are."""
    steps = [1]
    for axis, factors in mixer.axes:
        if axis != "c" and [factor.role for factor in factors] == ["m", "s"]:
            steps.append(factors[1].size)
    return max(steps)


def mixed_words(mixers: Sequence[Mixer], architecture: Architecture) -> str:
    """Which axes of positions some mixers mix: `h and w`, `h alone`, `none`."""
    axes = [axis for axis, _ in architecture.inputs[:-1]]
    found = [axis for axis in axes if any(axis in mixer.mixed for mixer in mixers)]
    return " and ".join(found) + " alone" * (len(found) == 1 < len(axes)) if found else "none"


def most(words: Sequence[str]) -> str:
    """The word of more than half of them."""
    word, times = Counter(words).most_common(1)[0] if words else (NONE, 1)
    return word if 2 * times > len(words) else "various"


def importance(
    chosen: Mapping[str, Sequence[str]], accuracies: Sequence[float], ids: Sequence[str], examples: int
) -> list[Importance]:
    """Of choices (each a level a candidate) that differ, those that explain most first; none of too few candidates.

    Accuracies are on so many examples, which limits how large a logit can be.
    """
    import numpy as np

    n = len(accuracies)
    names = [name for name, levels in chosen.items() if len(set(levels)) > 1]
    y = logits(np.array(accuracies), examples)
    if n < FEWEST or not names or not np.ptp(y):
        return []
    designs = [indicators(chosen[name]) for name in names]
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), SAMPLES)
    found = []
    whole = adjusted(np.column_stack([np.ones(n), *designs]), y)
    for name, design in zip(names, designs, strict=True):
        value, *samples = omega_squared(
            np.column_stack([design, 1 - design.sum(1)]), y, np.vstack([np.ones(n), counts])
        )
        low, high = np.quantile(samples, (0.025, 0.975))
        others = [other for other in designs if other is not design]
        beyond = whole - adjusted(np.column_stack([np.ones(n), *others]), y)
        value, low, high, beyond = (float(min(max(each, 0.0), 1.0)) for each in (value, low, high, beyond))
        found.append(Importance(name, value, low, high, beyond, levels_of(chosen[name], accuracies, ids)))
    return sorted(found, key=lambda each: -each.alone)


def levels_of(chosen: Sequence[str], accuracies: Sequence[float], ids: Sequence[str]) -> tuple[Level, ...]:
    """The levels in their order, with what was reached at each."""
    grouped: dict[str, list[tuple[str, float]]] = {}
    for level, accuracy, id in zip(chosen, accuracies, ids, strict=True):
        grouped.setdefault(level, []).append((id, accuracy))
    return tuple(
        Level(name, tuple(id for id, _ in found), tuple(value for _, value in found))
        for name, found in sorted(grouped.items(), key=lambda item: in_order(item[0]))
    )


def in_order(level: str) -> tuple[float, str]:
    """Numbers by size, words by the alphabet after them."""
    first = level.split("x")[0]
    return (float(first), level) if first.isdigit() else (float("inf"), level)


def logits(shares: np.ndarray, examples: int) -> np.ndarray:
    """Of accuracies; none is nearer to 0 or 1 than half an example."""
    import numpy as np

    least = 0.5 / max(examples, 1)
    kept = np.clip(shares, least, 1 - least)
    found: np.ndarray = np.log(kept / (1 - kept))
    return found


def indicators(levels: Sequence[str]) -> np.ndarray:
    """A column of 0 and 1 for every level but the last."""
    import numpy as np

    known = sorted(set(levels))
    return np.array([[level == name for name in known[:-1]] for level in levels], float)


def omega_squared(groups: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of groups (`n g`, one of g is 1) in samples that have each candidate so often (`s n`): `s`, below 0 by chance."""
    import numpy as np

    y = y - y.mean()
    size = counts @ groups
    sums, squares, n = counts * y @ groups, counts @ y**2, counts.sum(1)
    mean = counts @ y / n
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(size > 0, sums**2 / size, 0.0).sum(1) - n * mean**2
        total = squares - n * mean**2
        used = (size > 0).sum(1)
        within = (total - between) / np.maximum(n - used, 1)
        found: np.ndarray = (between - (used - 1) * within) / (total + within)
    return np.where(total > 1e-9 * counts.sum(1) * y.var(), np.nan_to_num(found), 0.0)


def adjusted(design: np.ndarray, y: np.ndarray) -> float:
    """The adjusted R squared of a linear model."""
    import numpy as np

    weights, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    left, total = float(((y - design @ weights) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
    free = len(y) - int(rank)
    return 1 - (left / free) / (total / (len(y) - 1)) if free > 0 and total > 0 else 0.0
