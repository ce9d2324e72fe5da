"""Scales networks to a number of parameters, or of multiply-accumulates: those of the zoo, and found ones."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from math import gcd, log, prod
from typing import Literal

from einmix import Architecture, PatternError
from einmix.algebra.factors import divisors
from search_spaces.blocks.patch import Patch, axis_patches, sides
from search_spaces.errors import SpaceError
from search_spaces.sizing.resizing import resized
from search_spaces.zoo import Inputs, Member

NEAR = 0.05
"""Sizes that differ by no more are compared."""

SAME = 0.01
"""Sizes that differ by no more are as good: between them the number of blocks decides."""

REACH = 24  # steps of width around where the size crosses the target: it need not grow with the width everywhere

NARROWEST, WIDEST = 8, 2**14

Cost = Literal["params", "macs"]

Make = Callable[..., Architecture]
"""A network of a `width` and a `depth`, called so; raises SpaceError or PatternError where there is none."""


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


def nearest_member(found: Member, inputs: Inputs, target: Target, *, patch: Patch, depth: int) -> Architecture:
    """A network of the zoo at this patch, of `depth` to twice as many blocks, as near to the target as there is one.

    Where none of these is near, half to three times as many blocks are tried, then widths between its usual ones.

    >>> from search_spaces.zoo import ZOO
    >>> digits = Inputs({"h": 8, "w": 8}, channels=1, classes=10)
    >>> nearest_member(ZOO["mixer"], digits, Target("params", 20_000), patch=2, depth=4).params
    20058

    Raises SpaceError where none can be built on such inputs.
    """
    make = partial(found.at, inputs, patch=patch)
    best = nearest_size(found.name, make, target, step=found.step, depth=depth)
    for step in reversed(divisors(found.step)[:-1]):
        if target.off(best) > NEAR:
            best = min(best, nearest_size(found.name, make, target, step=step, depth=depth), key=target.off)
    return best


def nearest_anywhere(found: Member, inputs: Inputs, target: Target, *, patch: Patch, depth: int) -> Architecture:
    """The same, where it is not near at the nearest patch where it is, larger ones first; if at none, at this one."""

    @cache
    def at(size: Patch) -> Architecture:
        return nearest_member(found, inputs, target, patch=size, depth=depth)

    every = *divisors(gcd(*inputs.shape.values()))[:-1], *axis_patches(inputs.shape)
    volumes = {size: prod(sides(inputs.shape, size).values()) for size in every if size != patch}
    own = prod(sides(inputs.shape, patch).values())
    for size in (patch, *sorted(volumes, key=lambda size: (abs(log(volumes[size] / own)), -volumes[size]))):
        with suppress(SpaceError):
            if target.off(at(size)) <= NEAR:
                return at(size)
    return at(patch)


def nearest_found(architecture: Architecture, inputs: Inputs, target: Target, *, patch: Patch) -> Architecture:
    """A found network on these inputs, as near to the target as its mixers can be carried to other widths.

    Raises SpaceError where they cannot be.
    """
    width, depth = architecture.grids[0]["c"], depth_of(architecture)
    make = partial(resized, architecture, inputs, patch=patch)
    step = next((step for step in divisors(width) if _can(partial(make, width=width + step, depth=depth))), width)
    return nearest_size(f"network {architecture.id}", make, target, step=step, depth=depth)


def moved(architecture: Architecture, inputs: Inputs, patch: Patch) -> Architecture:
    """A found network on other inputs, cut into such patches, at its own width and depth.

    Raises SpaceError where its mixers cannot be carried to the new grid; they can at `possible_patches`.
    """
    width, depth = architecture.grids[0]["c"], depth_of(architecture)
    return resized(architecture, inputs, patch=patch, width=width, depth=depth)


def possible_patches(architecture: Architecture, inputs: Inputs) -> list[Patch]:
    """The patches at which a found network can be `moved` to other inputs."""
    every = dict.fromkeys((*divisors(min(inputs.shape.values())), *axis_patches(inputs.shape)))
    return [size for size in every if _can(partial(moved, architecture, inputs, size))]


def nearest_size(name: str, make: Make, target: Target, *, step: int, depth: int) -> Architecture:
    """Of networks of about this depth, and of widths that are multiples of `step`, the nearest to the target.

    Depths are taken in turn until one has a network of the target's size: this one to its double, and where none of
    them is near, down to its half and up to three times as many. Raises SpaceError where none can be built.
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
        raise SpaceError(f"{name} cannot be built here: {why}")
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
        return make(width=width, depth=depth)
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
