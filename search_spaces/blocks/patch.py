"""Patches: how many positions of every axis go into one, and which of them fit a shape."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from math import gcd, log, prod

from einmix.algebra.factor_sets import count_factorizations
from einmix.algebra.factors import divisors
from search_spaces.errors import SpaceError

POSITIONS = (16, 256)
"""How many positions the patch sizes of a space that names none leave: 4 x 4 to 16 x 16."""

Grid = dict[str, int]
"""Lengths of the spatial axes at which blocks stand."""


class Sides(tuple[int, ...]):
    """A patch's positions along every axis, in the axes' order, where one number does not fit all: `1x4x4` as text."""

    def __str__(self) -> str:
        return "x".join(map(str, self))


Patch = int | Sides
"""Positions of a patch: along all axes alike, or for each."""


def patch_from(sides: Iterable[int]) -> Patch:
    """A patch of these sides: one number where they are alike.

    >>> print(patch_from((1, 4, 4)), patch_from((4, 4)))
    1x4x4 4
    """
    found = Sides(sides)
    return found[0] if len(set(found)) == 1 else found


def sides(grid: Mapping[str, int], patch: int | Sequence[int]) -> Grid:
    """A patch's positions along every axis. Raises SpaceError where it has not one side for each."""
    if isinstance(patch, int):
        return dict.fromkeys(grid, patch)
    if len(patch) != len(grid):
        raise SpaceError(f"a patch of {Sides(patch)} has {len(patch)} sides, the data have axes {' '.join(grid)}")
    return dict(zip(grid, patch, strict=True))


def patch_grid(grid: Mapping[str, int], patch: Patch) -> Grid:
    """The grid of patches. Raises SpaceError where an axis does not divide into them."""
    each = sides(grid, patch)
    for axis, n in grid.items():
        if n % each[axis]:
            words = patch if isinstance(patch, int) else Sides(patch)
            raise SpaceError(f"a patch of {words} does not divide axis {axis}={n}")
    return {axis: n // each[axis] for axis, n in grid.items()}


def check_patch(patch: Patch, shape: Mapping[str, int]) -> None:
    for (axis, n), side in zip(shape.items(), sides(shape, patch).values(), strict=True):
        if n % side:
            fitting = ", ".join(map(str, divisors(gcd(*shape.values())) if isinstance(patch, int) else divisors(n)))
            raise SpaceError(f"a patch of {patch} does not divide axis {axis}={n}; sizes that divide: {fitting}")


def patch_on(size: int | tuple[int, ...], axes: Sized) -> Patch:
    """A patch on these axes: one number for sides that are alike, where there is one for each axis."""
    if isinstance(size, int):
        return size
    return patch_from(size) if len(size) == len(axes) else Sides(size)


def fits(patch: Patch, shape: Mapping[str, int]) -> bool:
    try:
        check_patch(patch, shape)
    except SpaceError:
        return False
    return True


def default_patches(shape: Mapping[str, int]) -> tuple[Patch, ...]:
    """The patches that leave 16 to 256 positions, but for those that leave none to factor where others do.

    One size for all axes where that is possible, else of every axis its divisors, near to each other; of no axis all.

    >>> default_patches({"h": 28, "w": 28}), default_patches({"h": 8, "w": 8}), default_patches({"t": 40})
    ((2, 7), (1, 2), (1, 2))
    >>> print(*default_patches({"t": 5, "h": 32, "w": 32}))
    1x8x8
    """
    common: list[Patch] = list(divisors(gcd(*shape.values())))
    fitting = _fitting(shape, common) or _fitting(shape, axis_patches(shape))
    if not fitting:  # then the nearest to 64, but not a single one, where there is nothing to mix
        every = list(dict.fromkeys((*common, *axis_patches(shape))))
        several = [p for p in every if _positions(shape, p) > 1] or [1]
        fitting = [min(several, key=lambda p: far(shape, p))]
    able = [axis for axis, n in shape.items() if count_factorizations(n) > 3]
    rich = [p for p in fitting if all(count_factorizations(patch_grid(shape, p)[axis]) > 3 for axis in able)]
    return tuple(rich or fitting)


def default_patch(shape: Mapping[str, int]) -> Patch:
    """The patch that cuts an input into the number of patches nearest to 64: of one size, where one comes near to it.

    >>> default_patch({"h": 28, "w": 28}), default_patch({"t": 40})
    (4, 1)
    >>> print(default_patch({"t": 5, "h": 32, "w": 32}))
    1x8x8
    """
    common: list[Patch] = list(divisors(gcd(*shape.values())))
    found = min(common, key=lambda patch: far(shape, patch))
    return found if far(shape, found) <= log(4) else min((found, *axis_patches(shape)), key=lambda p: far(shape, p))


def axis_patches(shape: Mapping[str, int]) -> list[Patch]:
    """For every side that a patch can have the patch nearest to a cube of it: divisors that leave some of each axis."""
    options = {axis: divisors(n)[:-1] or (1,) for axis, n in shape.items()}
    wanted = sorted({side for each in options.values() for side in each})
    nearest = (patch_from(min(each, key=lambda d: abs(log(d / side))) for each in options.values()) for side in wanted)
    return list(dict.fromkeys(nearest))


def _fitting(shape: Mapping[str, int], patches: Sequence[Patch]) -> list[Patch]:
    """Those that leave a number of positions in the usual range, and some of every axis."""
    return [
        patch
        for patch in patches
        if POSITIONS[0] <= _positions(shape, patch) <= POSITIONS[1]
        and all(left > 1 or shape[axis] == 1 for axis, left in patch_grid(shape, patch).items())
    ]


def _positions(shape: Mapping[str, int], patch: Patch) -> int:
    return prod(patch_grid(shape, patch).values())


def far(shape: Mapping[str, int], patch: Patch) -> float:
    """How many times more or fewer patches than 64 there are, as a logarithm."""
    return abs(log(_positions(shape, patch) / 64))
