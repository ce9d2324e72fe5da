"""Patches that are taken where nobody names any."""

from itertools import product
from math import prod
from random import Random

import pytest

from search_spaces import Skeleton, load
from search_spaces.blocks.patch import default_patch, default_patches


@pytest.mark.parametrize(
    ("shape", "patches"),
    [
        ({"h": 8, "w": 8}, (1, 2)),
        ({"h": 28, "w": 28}, (2, 7)),
        ({"h": 32, "w": 32}, (2, 4, 8)),
        ({"h": 64, "w": 64}, (4, 8, 16)),
        ({"h": 224, "w": 224}, (14, 16, 28, 56)),
        ({"h": 28, "w": 32}, (2,)),
        ({"h": 6, "w": 10}, (1,)),
        ({"t": 5, "h": 32, "w": 32}, ((1, 8, 8),)),
        ({"d": 3, "h": 24, "w": 24}, ((1, 3, 3), (1, 4, 4), (1, 6, 6))),
        ({"h": 29, "w": 32}, ((1, 4), (1, 8))),
        ({"h": 14, "w": 21}, ((2, 3),)),
        ({"h": 8, "w": 1}, (1,)),
        ({"h": 1, "w": 64}, (1,)),
        ({"t": 40}, (1, 2)),
        ({"t": 1}, (1,)),
        ({"d": 16, "h": 16, "w": 16}, (4,)),
        ({"h": 29, "w": 29}, (1,)),
        ({"t": 10007}, (1,)),
    ],
    ids=str,
)
def test_default_patches(shape: dict[str, int], patches: tuple[int, ...]) -> None:
    assert default_patches(shape) == patches
    space = load("subgrid").on(shape, channels=3, classes=10)
    assert space.sizes["patch"] == patches
    assert space.middle in [Skeleton(*sizes) for sizes in product(*space.sizes.values())]


@pytest.mark.parametrize("axes", ["t", "hw", "dhw", "tdhw"])
def test_default_patches_of_all_shapes(axes: str) -> None:
    """They divide, leave some of each axis, are alike on axes that are, and one number wherever one does."""
    rng = Random(0)
    for _ in range(150):
        shape = {axis: rng.choice((1, 2, 3, 5, 8, 12, 16, 29, 32, 48, 60, 64, 97)) for axis in axes}
        usual, found = [], default_patches(shape)
        for patch in range(1, 65):
            left = [n // patch for n in shape.values()]
            kept = all(n % patch == 0 and (n > patch or n == 1) for n in shape.values())
            usual += [patch] if kept and 16 <= prod(left) <= 256 else []
        assert found and len(set(found)) == len(found)
        assert not usual or set(found) <= set(usual), (shape, found)
        for patch in found:
            each = (patch,) * len(shape) if isinstance(patch, int) else patch
            left = {axis: n // side for (axis, n), side in zip(shape.items(), each, strict=True)}
            assert all(n % side == 0 for n, side in zip(shape.values(), each, strict=True)), (shape, found)
            assert prod(left.values()) > 1 or set(shape.values()) == {1}, (shape, found)
            assert len({(n, side) for n, side in zip(shape.values(), each, strict=True)}) == len(set(shape.values()))
            if not isinstance(patch, int):
                assert len(set(patch)) > 1 and all(n > 1 or shape[axis] == 1 for axis, n in left.items())


@pytest.mark.parametrize(
    ("shape", "patch"),
    [
        ((8, 8), 1),
        ((28, 28), 4),
        ((32, 32), 4),
        ((40,), 1),
        ((16,) * 3, 4),
        ((29, 32), (1, 16)),
        ((5, 32, 32), (1, 8, 8)),
    ],
)
def test_the_default_patch_leaves_some_64(shape: tuple[int, ...], patch: int | tuple[int, ...]) -> None:
    assert default_patch(dict(zip("dhw", shape, strict=False))) == patch
