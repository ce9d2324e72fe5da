"""One-step moves: on the factors of an axis, and from a network to its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from einmix import Mixer
from einmix.factors import ROLES, Factor, Factors, canonical, divisors
from search_spaces.networks import Macro

if TYPE_CHECKING:
    from search_spaces.search_space import SearchSpace


def moves(factors: Factors) -> list[Factors]:
    """Canonical factors one step away: a factor, or a part of one, takes another role.

    Where it meets a neighbour of that role they merge, so that this is also how factors are split and merged, and how
    a size moves from one to the next. Every move has its reverse.

    >>> sorted(".".join(map(str, moved)) for moved in moves((Factor("m", 2, 2), Factor("s", 2, 2))))
    ['g2.s2', 'm2.g2', 'm4', 's4']
    """
    found: dict[Factors, None] = {}
    for i, (role, size, _) in enumerate(factors):
        for outer, other in product(divisors(size)[:-1], ROLES):
            for part in divisors(size // outer)[1:] if other != role else ():
                parts = _square(role, outer), _square(other, part), _square(role, size // outer // part)
                found[canonical((*factors[:i], *parts, *factors[i + 1 :]))] = None
    return list(found)


def mixer_moves(mixers: Sequence[Mixer]) -> Iterator[Sequence[Mixer]]:
    """One axis of one mixer moved."""
    for block, mixer in enumerate(mixers):
        for i, (axis, factors) in enumerate(mixer.axes):
            for moved in moves(factors):
                changed = Mixer((*mixer.axes[:i], (axis, moved), *mixer.axes[i + 1 :]), mixer.bias)
                yield (*mixers[:block], changed, *mixers[block + 1 :])


def macro_moves(space: SearchSpace, macro: Macro, mixers: Sequence[Mixer]) -> Iterator[tuple[Macro, Sequence[Mixer]]]:
    """The next smaller or larger of one size, with the mixers carried over as far as they fit."""
    for name, sizes in space.sizes.items():
        ordered = sorted(sizes)
        at = ordered.index(getattr(macro, name))
        for size in ordered[max(at - 1, 0) : at] + ordered[at + 1 : at + 2]:
            moved = replace(macro, **{name: size})
            for chosen in _deeper(mixers, size) if name == "depth" else _refitted(mixers, space.grid(moved)):
                yield moved, chosen


def _deeper(mixers: Sequence[Mixer], depth: int) -> Iterator[Sequence[Mixer]]:
    """A block repeated in its place, or a run of blocks left out."""
    more = depth - len(mixers)
    for i in range(len(mixers) if more > 0 else depth + 1):
        yield (*mixers[:i], *[mixers[i]] * more, *mixers[i:]) if more > 0 else (*mixers[:i], *mixers[i - more :])


def _refitted(mixers: Sequence[Mixer], grid: Mapping[str, int]) -> Iterator[list[Mixer]]:
    """All mixers on axes of other lengths, scaled in their outermost factors that allow it, or in their innermost."""
    for order in (1, -1):
        yield [
            Mixer(tuple((axis, _scaled(factors, grid[axis], order)) for axis, factors in mixer.axes), mixer.bias)
            for mixer in mixers
        ]


def _scaled(factors: Factors, new: int, order: int) -> Factors:
    old = prod(factor.size for factor in factors)
    if new == old:
        return factors
    for i in range(len(factors))[::order]:
        role, size, _ = factors[i]
        if size * new % old == 0:
            return (*factors[:i], _square(role, size * new // old), *factors[i + 1 :])
    role = max(factors, key=lambda factor: factor.size).role if factors else "s"
    return (_square(role, new),)


def _square(role: str, size: int) -> Factor:
    return Factor(role, size, size)
