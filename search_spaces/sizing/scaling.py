"""Scales networks to a number of parameters, or of multiply-accumulates: those of the zoo, and found ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import gcd, log, prod
from typing import Literal

from einmix import Architecture, PatternError
from einmix.algebra.factors import divisors
from nas.errors import NasError
from search_spaces import SpaceError
from search_spaces.blocks.patch import Patch, axis_patches, sides
from search_spaces.sizing.resizing import patch_of, resized
from search_spaces.zoo import Inputs, member

NEAR = 0.05
"""Sizes that differ by no more are compared."""


SAME = 0.01
"""Sizes that differ by no more are as good: between them the number of blocks decides."""


REACH = 24  # steps of width around where the size crosses the target: it need not grow with the width everywhere


NARROWEST, WIDEST = 8, 2**14


Cost = Literal["params", "macs"]


Make = Callable[[int, int], Architecture]
"""A network of a width and a depth; raises SpaceError or PatternError where there is none."""


@dataclass(frozen=True)
class Target:
    """A size to come near to: so many parameters, or multiply-accumulates an image."""

    cost: Cost
    amount: int

    def off(self, architecture: Architecture) -> float:
        """The share by which a network misses the target."""
        return abs(getattr(architecture, self.cost) / self.amount - 1)

    def __str__(self) -> str:
        return f"{self.amount:,} {'parameters' if self.cost == 'params' else 'MACs'}"


def depth_of(architecture: Architecture) -> int:
    """The blocks of all stages."""
    return sum(len(stage.blocks) for stage in architecture.stages)


def scaled_member(name: str, inputs: Inputs, target: Target, *, patch: Patch, depth: int) -> Architecture:
    """A network of the zoo at this patch, of `depth` to twice as many blocks, as near to the target as there is one.

    Where none of these is near, half to three times as many blocks are tried, then widths between its usual ones.

    >>> digits = Inputs({"h": 8, "w": 8}, channels=1, classes=10)
    >>> scaled_member("mixer", digits, Target("params", 20_000), patch=2, depth=4).params
    20058

    Raises NasError where none can be built on such inputs, or none is within a twentieth of the target; SpaceError for
    an unknown name.
    """
    best = nearest_member(name, inputs, target, patch=patch, depth=depth)
    if target.off(best) > NEAR:
        words = _nearest_words(name, best, target, f"a patch of {patch} and about {depth} blocks")
        raise NasError(f"{words} (--budget, --patch and --depth change that)")
    return best


def scaled_anywhere(name: str, inputs: Inputs, target: Target, *, patch: Patch, depth: int) -> Architecture:
    """The same at this patch, or where that has no such size at the nearest patch that has one, larger ones first.

    Raises what `scaled_member` does at this patch where no other one is of help.
    """
    own, volumes = prod(sides(inputs.shape, patch).values()), {}
    for size in (*divisors(gcd(*inputs.shape.values()))[:-1], *axis_patches(inputs.shape)):
        if size != patch:
            volumes[size] = prod(sides(inputs.shape, size).values())
    others = sorted(volumes, key=lambda size: (abs(log(volumes[size] / own)), -volumes[size]))
    try:
        return scaled_member(name, inputs, target, patch=patch, depth=depth)
    except NasError:
        for other in others:
            with suppress(NasError):
                return scaled_member(name, inputs, target, patch=other, depth=depth)
        raise


def nearest_member(name: str, inputs: Inputs, target: Target, *, patch: Patch, depth: int) -> Architecture:
    """The same, however near it comes."""
    found = member(name)

    def make(width: int, depth: int) -> Architecture:
        return found.at(inputs, patch=patch, width=width, depth=depth)

    best = nearest_size(name, make, target, step=found.step, depth=depth)
    for step in reversed(divisors(found.step)[:-1]):
        if target.off(best) > NEAR:
            best = min(best, nearest_size(name, make, target, step=step, depth=depth), key=target.off)
    return best


def scaled_found(architecture: Architecture, inputs: Inputs, target: Target, *, patch: Patch) -> Architecture:
    """A found network on these inputs, as near to the target as its mixers can be carried to other widths.

    Raises NasError where they cannot be, or not to within a twentieth of the target.
    """
    width, depth, name = architecture.grids[0]["c"], depth_of(architecture), f"network {architecture.id}"

    def make(width: int, depth: int) -> Architecture:
        return resized(architecture, inputs, patch=patch, width=width, depth=depth)

    step = next((step for step in divisors(width) if _can(partial(make, width + step, depth))), width)
    best = nearest_size(name, make, target, step=step, depth=depth)
    if target.off(best) > NEAR:
        words = _nearest_words(name, best, target, f"about {depth} blocks with its mixers carried over")
        raise NasError(f"{words}: --budget {getattr(best, target.cost)} is a size that it has")
    return best


def moved(architecture: Architecture, inputs: Inputs, *, patch: Patch | None) -> Architecture:
    """A found network on other inputs, at its own width and depth, and its own patch unless another is given.

    Raises NasError where its mixers cannot be carried to the new grid; the message has the patches at which they can.
    """
    width, depth = architecture.grids[0]["c"], depth_of(architecture)

    def make(patch: Patch) -> Architecture:
        return resized(architecture, inputs, patch=patch, width=width, depth=depth)

    try:
        return make(patch or patch_of(architecture))
    except SpaceError as error:
        every = dict.fromkeys((*divisors(min(inputs.shape.values())), *axis_patches(inputs.shape)))
        others = [size for size in every if _can(partial(make, size))]
        hint = f": --patch {' or '.join(map(str, others))} goes" if others else ""
        raise NasError(f"{error}{hint}") from None


def nearest_size(name: str, make: Make, target: Target, *, step: int, depth: int) -> Architecture:
    """Of networks of about this depth, and of widths that are multiples of `step`, the nearest to the target.

    Depths are taken in turn until one has a network of the target's size: this one to its double, and where none of
    them is near, down to its half and up to three times as many. Raises NasError where none can be built.
    """
    best, why = None, ""
    usual, fewer = range(depth, 2 * depth + 1), range(depth - 1, (depth - 1) // 2, -1)
    for number in (*usual, *fewer, *range(usual.stop, 3 * depth + 1)):
        if best is not None and target.off(best) <= (SAME if number in usual else NEAR):
            break
        for found in _around(partial(_made, make, number), target, step):
            if isinstance(found, str):
                why = found
            elif best is None or target.off(found) < target.off(best):
                best = found
    if best is None:
        raise NasError(f"{name} cannot be built here: {why}")
    return best


def _around(make: Callable[[int], Architecture | str], target: Target, step: int) -> Iterator[Architecture | str]:
    """The networks of some widths below and above the one where the target is crossed, and why some are not there."""

    def small(count: int) -> bool:
        found = make(count * step)
        return isinstance(found, str) or getattr(found, target.cost) < target.amount

    least = -(-NARROWEST // step)
    low, high = least - 1, least
    while small(high) and high * step < WIDEST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if small(middle) else (low, middle)
    for count in range(max(least, high - REACH), high + REACH):
        yield make(count * step)


def _made(make: Make, depth: int, width: int) -> Architecture | str:
    """A network, or why there is none."""
    try:
        return make(width, depth)
    except SpaceError as error:
        return str(error)
    except PatternError as error:
        return error.summary


def _can(make: Callable[[], object]) -> bool:
    try:
        make()
    except (SpaceError, PatternError):
        return False
    return True


def _nearest_words(name: str, best: Architecture, target: Target, where: str) -> str:
    missed = f"{getattr(best, target.cost):,} are the nearest that it has at {where}"
    return f"{name} has no size within {NEAR:.0%} of {target}: {missed}"
