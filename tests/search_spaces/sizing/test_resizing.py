"""Networks at other sizes: no block and nothing that a block mixes is lost on the way, or the sizes are refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from math import prod
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from einmix import Architecture, Mixer
from search_spaces import Space, SpaceError, load
from search_spaces.blocks.patch import patch_from
from search_spaces.sizing.resizing import patch_of, resized
from search_spaces.sizing.scaling import NEAR, Target, depth_of, moved, nearest_anywhere, nearest_found, nearest_size
from search_spaces.zoo import ZOO, Inputs

DIGITS = Inputs({"h": 8, "w": 8}, 1, 10)
SPACE = load("roles").on(DIGITS.shape, channels=1, classes=10, patch=(1,), width=(8,), depth=(2, 4))
ROWS, COLUMNS, LOCAL = "h=s8 w=m8 c=s8", "h=m8 w=s8 c=s8", "h=s4.m2 w=s2.m4 c=g2.s4"
SUBGRID = "h=m2.s4 w=m4.s2 c=s8"


def network(*mixers: str) -> Architecture:
    skeleton = replace(SPACE.skeletons[0], depth=len(mixers))
    return SPACE.assemble(skeleton, [Mixer.parse(f"{mixer} +b") for mixer in mixers])


def at(arch: Architecture, depth: int, *, patch: int = 1, width: int = 8) -> Architecture:
    return resized(arch, DIGITS, patch=patch, width=width, depth=depth)


def texts(arch: Architecture) -> list[str]:
    return [str(mixer).removesuffix(" +b") for mixer in arch.mixers]


A, B, C = ROWS, COLUMNS, LOCAL


@pytest.mark.parametrize(
    ("found", "depth", "expected"),
    [
        ((A, B, A, B), 2, (A, B)),
        ((A, B, A, B), 6, (A, B) * 3),
        ((A, B, B) * 2, 3, (A, B, B)),
        ((A, A, B, C), 3, (A, B, C)),
        ((A, B, B, B, C, C), 4, (A, B, C, C)),
        ((A, B), 4, (A, A, B, B)),
        ((A, B, C), 4, (A, A, B, C)),
        ((A, A, A), 1, (A,)),
        ((A,), 3, (A, A, A)),
    ],
    ids=str,
)
def test_blocks_are_repeated_or_left_out_by_example(
    found: tuple[str, ...], depth: int, expected: tuple[str, ...]
) -> None:
    assert texts(at(network(*found), depth)) == list(expected)


@pytest.mark.parametrize(
    ("found", "depth", "why"),
    [
        ((A, B, A, B), 3, "cannot have 3 blocks: its blocks come in turns of 2"),
        ((A, B, A, B), 1, "cannot have 1 block: its blocks come in turns of 2"),
        ((A, B, C, B), 3, "cannot have 3 blocks: it has 4 that differ from those before them"),
        ((A, B), 1, "cannot have 1 block: it has 2 that differ from those before them"),
    ],
    ids=str,
)
def test_depths_at_which_a_block_would_be_lost_are_refused(found: tuple[str, ...], depth: int, why: str) -> None:
    arch = network(*found)
    with pytest.raises(SpaceError) as error:
        at(arch, depth)
    assert str(error.value) == f"network {arch.id} {why}"


def roles(text: str) -> str:
    """A mixer without its sizes: `h=m.s w=m.s c=s`."""
    return "".join(letter for letter in text if not letter.isdigit())


def sequences(rng: Random) -> Architecture:
    """Random blocks in random turns and runs."""
    drawn = [str(SPACE.sample(rng).mixers[0]).removesuffix(" +b") for _ in range(2)]
    blocks = [rng.choice([*drawn, A, B, C, SUBGRID]) for _ in range(rng.randint(1, 3))]
    blocks = [block for block in blocks for _ in range(rng.choice((1, 1, 2)))] * rng.choice((1, 1, 2, 3))
    return network(*blocks)


@pytest.mark.parametrize("seed", range(4))
def test_no_pattern_and_no_mixed_axis_is_lost_at_any_depth_or_grid(seed: int) -> None:
    """Read from the mixers' texts alone: the roles of every axis, in their order, and the order of different blocks."""
    rng, made = Random(seed), 0
    for _ in range(60):
        arch = sequences(rng)
        depth, patch, width = rng.randint(1, 9), rng.choice((1, 2, 4)), rng.choice((4, 8, 16))
        with suppress(SpaceError):
            other = at(arch, depth, patch=patch, width=width)
            assert depth_of(other) == depth
            before, after = texts(arch), texts(other)
            assert {roles(text) for text in before} == {roles(text) for text in after}, (before, after)
            assert len(set(before)) == len(set(after)), (before, after)
            for each in before, after:
                each[:] = [text for text, _ in groupby(each)]
            short, long = sorted((list(map(roles, before)), list(map(roles, after))), key=len)
            assert long[: len(short)] == short, "blocks in another order"
            assert not other.untouched() or arch.untouched()
            made += 1
    assert made > 15


def test_sizes_at_which_a_factor_would_be_lost_are_refused() -> None:
    """A subgrid of 2 in steps of 4 on half as many positions: in steps of 2, not gone."""
    assert texts(at(network(SUBGRID), 1, patch=2)) == ["h=m2.s2 w=m2.s2 c=s8"]
    assert texts(at(network(LOCAL), 1, width=4)) == ["h=s4.m2 w=s2.m4 c=g2.s2"]
    with pytest.raises(SpaceError, match=r"h=m2\.s4 cannot be carried to 2 positions"):
        at(network(SUBGRID), 1, patch=4)
    with pytest.raises(SpaceError, match="cannot be carried to 1 positions"):
        at(network(ROWS), 1, patch=8)
    with pytest.raises(SpaceError, match="blocks that differ would be alike"):
        at(network("h=m2.s4 w=m8 c=s8", "h=m4.s2 w=m8 c=s8"), 2, patch=2)


def test_a_shift_that_channels_no_longer_reach_is_refused() -> None:
    """Runs of channels move by one along w, both ways, then along h: with two channels h has none."""
    space = Space("moved", "", (), forms=("shift",), patch=(1,), width=(8,), depth=(1,))
    arch = next(space.on(DIGITS.shape, channels=1, classes=10).enumerate())
    assert not at(arch, 2, width=4).untouched()
    with pytest.raises(SpaceError, match="a block that mixes along h would not do so"):
        at(arch, 1, width=2)


def test_patches_of_several_sides_are_carried_along() -> None:
    inputs = Inputs({"t": 5, "h": 32, "w": 32}, 1, 10)
    space = load("local").on(inputs.shape, channels=1, classes=10, patch=((1, 8, 8),), width=(8,), depth=(2,))
    arch = space.references(space.middle)["full token mixing"]
    assert str(patch_of(arch)) == "1x8x8" and resized(arch, inputs, patch=patch_of(arch), width=8, depth=2) == arch
    finer = resized(arch, inputs, patch=patch_from((1, 4, 4)), width=8, depth=2)
    assert texts(finer) == ["t=m5 h=m8 w=m8 c=s8"] * 2 and patch_of(finer) == (1, 4, 4)
    larger = Inputs({"t": 5, "h": 64, "w": 64}, 3, 7)
    assert moved(arch, larger, patch_of(arch)).grids[0] == {"t": 5, "h": 8, "w": 8, "c": 8}
    for name in ("mixer", "vip", "raft", "cycle", "as", "hire"):
        other = nearest_anywhere(ZOO[name], inputs, Target("params", 20_000), patch=patch_of(arch), depth=2)
        assert patch_of(other) == (1, 8, 8), name
    with pytest.raises(SpaceError, match="a patch of 1x3x8 does not divide axis h=32"):
        ZOO["mixer"].at(inputs, patch=(1, 3, 8), width=8, depth=1)
    with pytest.raises(SpaceError, match="windows have one size for all axes, not 1x8x8"):
        ZOO["cycle"].make(inputs, patch=patch_of(arch), width=(8, 16), depth=(1, 1))


def test_scaling_to_a_budget_keeps_the_turns() -> None:
    """Depths that would break them are passed over."""
    arch = network(*(A, B) * 2)
    found = nearest_found(arch, DIGITS, Target("params", 3 * arch.params), patch=1)
    assert {roles(text) for text in texts(found)} == {roles(A), roles(B)} and depth_of(found) % 2 == 0
    assert Target("params", 3 * arch.params).off(found) <= NEAR
    assert prod(found.grids[0].values()) >= prod(arch.grids[0].values())


def test_what_cannot_be_resized_at_all_says_why() -> None:
    arch = network(LOCAL)
    with pytest.raises(
        SpaceError, match=f"network {arch.id} cannot be built here: .* cannot be carried to 1 positions"
    ):
        nearest_found(arch, DIGITS, Target("params", 5000), patch=8)


@pytest.mark.parametrize("name", ZOO)
def test_at_its_own_sizes_a_network_stays_as_it_is(name: str) -> None:
    arch = ZOO[name].at(DIGITS, patch=2, width=16, depth=4)
    assert resized(arch, DIGITS, patch=2, width=16, depth=4) == arch


@pytest.mark.parametrize("name", ["smlp", "gmlp", "hire"])
def test_a_wider_network_of_the_literature_is_the_literatures(name: str) -> None:
    """Among them one whose patches have no bias."""
    arch = ZOO[name].at(DIGITS, patch=2, width=16, depth=4)
    assert resized(arch, DIGITS, patch=2, width=32, depth=4) == ZOO[name].at(DIGITS, patch=2, width=32, depth=4)


def sized(depths: dict[int, int]) -> Architecture:
    """What `nearest` finds where a block of each depth costs so much a channel, for 100,000 parameters and 2 blocks."""

    def make(width: int, depth: int) -> Any:
        if depth not in depths:
            raise SpaceError("no such depth")
        return SimpleNamespace(params=width * depths[depth], depth=depth)

    return nearest_size("x", make, Target("params", 100_000), step=1, depth=2)


@pytest.mark.parametrize(
    ("depths", "expected"),
    [
        ({2: 10_300, 3: 10_000, 4: 10_000}, 3),  # 3% off is near, but not the same
        ({2: 10_090, 3: 10_000}, 2),  # 0.9% off is the same, and nearer to the depth that was asked for
        ({2: 14_000, 4: 10_300, 1: 10_000}, 4),  # among the usual depths one is near: others are not looked at
        ({2: 14_000, 1: 10_000, 5: 10_000}, 1),
        ({2: 14_000, 6: 10_000}, 6),
    ],
    ids=str,
)
def test_depths_are_tried_until_one_has_the_size(depths: dict[int, int], expected: int) -> None:
    found: Any = sized(depths)
    assert found.depth == expected
