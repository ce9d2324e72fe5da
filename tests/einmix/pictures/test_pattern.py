"""The facts of a mixer's picture, against the matrix of its weights written out."""

from __future__ import annotations

from itertools import pairwise, product
from math import prod

import algebra
import numpy as np
import pytest
from hypothesis import assume, example, given, settings

from einmix import Mixer
from einmix.pictures.pattern import LETTERS, TINTED, Grid, Pattern, angle


def position_labels(mixer: Mixer) -> np.ndarray:
    """Weights as `*output positions, output channels, *input positions, input channels`; -1 is no connection."""
    names = [name for name in mixer.outputs if name != "c"]
    labels = algebra.labels(mixer).reshape(*mixer.outputs.values(), *mixer.inputs.values())
    count = len(mixer.axes)
    order = [list(mixer.outputs).index(name) for name in names]
    inner = [list(mixer.outputs).index("c")] if "c" in mixer.outputs else []
    wide = labels.transpose(*order, *inner, *(axis + count for axis in (*order, *inner)))
    return wide if inner else wide[(*[slice(None)] * len(order), None, *[slice(None)] * len(order), None)]


def everywhere(grid: Grid) -> list[tuple[int, ...]]:
    """All positions, where all are shown."""
    assume(grid.shown == grid.lengths)
    return list(grid)


@given(algebra.mixers())
@settings(max_examples=50)
def test_positions_are_in_one_set_exactly_where_something_goes_from_one_to_the_other(mixer: Mixer) -> None:
    pattern, labels = Pattern(mixer), position_labels(mixer)
    axes = len(pattern.positions)
    connected = (labels >= 0).any(axis=(axes, 2 * axes + 1))
    for output, source in product(everywhere(pattern.outputs), everywhere(pattern.inputs)):
        same = pattern.outputs.set(output) == pattern.inputs.set(source)
        assert same == connected[(*output, *source)]
    read = {tuple(map(int, place)) for place in np.argwhere(connected[pattern.example])}
    assert pattern.read == read
    assert len(read) == pattern.set_size
    assert len(set(map(pattern.outputs.set, pattern.outputs))) == pattern.sets


@given(algebra.mixers())
@settings(max_examples=50)
def test_places_and_channels_of_one_number_and_no_others_share_weights(mixer: Mixer) -> None:
    pattern, labels = Pattern(mixer), position_labels(mixer)
    groups: dict[tuple[int, int], set[int]] = {}
    inner = [f for f in pattern.channels or () if f.role == "g"]
    for output in everywhere(pattern.outputs):
        for channel in range(labels.shape[len(output)]):
            own = labels[(*output, channel)]
            members = {tuple(each) for each in np.argwhere(own >= 0)}
            assert len(members) == pattern.matrix[0]
            number = -1 if not inner else _class(pattern, channel)
            found = groups.setdefault((pattern.place(pattern.outputs, output), number), set())
            found |= set(own[own >= 0].tolist())
    assert len(groups) == pattern.own_places * pattern.own_channels
    assert all(len(weights) == prod(pattern.matrix) for weights in groups.values())
    assert len(set().union(*groups.values())) == sum(map(len, groups.values()))


def _class(pattern: Pattern, channel: int) -> int:
    """The number of a channel's weights, from its digits written out by NumPy."""
    factors = pattern.channels or ()
    digits = np.unravel_index(channel, tuple(f.out for f in factors))
    own = [(f.size, int(digit)) for f, digit in zip(factors, digits, strict=True) if f.role == "g"]
    return int(np.ravel_multi_index([digit for _, digit in own], [size for size, _ in own]))


def test_a_room_is_what_stands_left_of_the_first_mixed_factor() -> None:
    grid = Pattern(Mixer.parse("t=s2.m2.s2 c=s1")).outputs
    assert [grid.room((place,)) for place in range(8)] == [(0,)] * 4 + [(1,)] * 4
    apart = Pattern(Mixer.parse("h=m2 w=s3 c=s1")).outputs
    assert [apart.room((0, place)) for place in range(3)] == [(0, 0), (0, 1), (0, 2)]


@given(algebra.mixers())
@example(Mixer.parse("h=s3.m16 w=s1 c=s1"))  # of 48 positions 32 are shown, of three sets two
@settings(max_examples=50)
def test_letters_are_one_a_set_and_tints_never_the_example_s(mixer: Mixer) -> None:
    pattern = Pattern(mixer)
    assert len(set(pattern.letters.values())) == len(pattern.letters)
    assert bool(pattern.letters) == (pattern.mixes and pattern.sets <= len(LETTERS))
    assert pattern.outputs.set(pattern.example) not in pattern.tints
    shown = {*map(pattern.inputs.set, pattern.inputs), *map(pattern.outputs.set, pattern.outputs)}
    if pattern.outputs.lengths == pattern.outputs.shown:
        assert len(shown) == pattern.sets
    if pattern.sets <= TINTED and pattern.mixes:
        assert len(pattern.tints) == len(shown) - 1


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 16, 17, 31, 64, 512])
def test_angles_differ_and_those_of_neighbours_far(count: int) -> None:
    found = [angle(number, count) for number in range(count)]
    assert len(set(found)) == count and all(0 <= each < 180 for each in found)
    between = [abs(one - other) for one, other in pairwise(found)]
    assert all(min(each, 180 - each) >= (180 / count if count <= 8 else 45) - 1e-9 for each in between)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("h=m64 w=s64 c=s1", (32, 32)), ("t=m512", (64,)), ("d=s9 h=m20 w=m20 c=s1", (8, 16, 16)), ("c=m8", ())],
)
def test_of_long_axes_the_beginning_is_shown(text: str, shown: tuple[int, ...]) -> None:
    pattern = Pattern(Mixer.parse(text))
    assert pattern.outputs.shown == shown == pattern.inputs.shown
    assert all(index < n for index, n in zip(pattern.example, shown, strict=True))
    assert pattern.example in pattern.read
