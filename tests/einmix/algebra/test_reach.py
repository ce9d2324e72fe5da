"""Reach: where it says that an input reaches an output, and nowhere else, the Jacobian is not zero."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from random import Random

import algebra
import numpy as np
import pytest
import torch
from einops.layers.torch import EinMix
from hypothesis import given
from hypothesis import strategies as st

from einmix import Architecture, Mixer, PatternError, build, enumerate_mixers, sample_mixer
from einmix.algebra.reach import Reach

SIZES = [{"h": 4, "w": 2, "c": 3}, {"t": 6, "c": 4}, {"d": 2, "h": 2, "w": 3, "c": 2}, {"t": 12, "c": 2}]


def jacobian(function: Callable[[torch.Tensor], torch.Tensor], sizes: dict[str, int]) -> np.ndarray:
    """Where the derivatives of the outputs (rows) with respect to the inputs (columns) are not zero."""
    x = torch.randn(1, *sizes.values(), dtype=torch.float64)
    found = torch.autograd.functional.jacobian(function, x)
    return found.reshape(-1, prod(sizes.values())).numpy() != 0


def layer(mixer: Mixer) -> torch.nn.Module:
    return algebra.randomised(EinMix(**mixer.einmix()))


@given(algebra.mixers())
def test_one_mixer(mixer: Mixer) -> None:
    reach = mixer.reach()
    assert (jacobian(layer(mixer), mixer.inputs) == reach.matrix()).all()
    assert (reach.matrix() == (algebra.labels(mixer) >= 0)).all()
    assert (reach.inputs, reach.outputs) == (mixer.inputs, mixer.outputs)


def test_every_small_mixer() -> None:
    for mixer in enumerate_mixers(h=4, c=3):
        assert (jacobian(layer(mixer), mixer.inputs) == mixer.reach().matrix()).all(), str(mixer)


@given(
    st.sampled_from(SIZES), st.lists(st.lists(st.integers(0, 2**32), min_size=1, max_size=3), min_size=1, max_size=3)
)
def test_chains_of_sums_of_mixers(sizes: dict[str, int], seeds: list[list[int]]) -> None:
    """Each list of seeds is a sum of branches, and the sums follow one another."""
    sums = [[sample_mixer(Random(seed), **sizes) for seed in branch] for branch in seeds]
    layers = [[layer(mixer) for mixer in branch] for branch in sums]

    def network(x: torch.Tensor) -> torch.Tensor:
        for branch in layers:
            x = sum(mix(x) for mix in branch)
        return x

    reach = Reach.full(sizes)
    for branch in sums:
        step = branch[0].reach()
        for mixer in branch[1:]:
            step = step | mixer.reach()
        reach = reach.then(step)
    assert (jacobian(network, sizes) == reach.matrix()).all()
    joint = reach.matrix().reshape(*sizes.values(), *sizes.values())
    for position, name in enumerate(sizes):
        others = tuple(axis for axis in range(joint.ndim) if axis % len(sizes) != position)
        assert (reach.along(name) == joint.any(axis=others)).all()


def test_rectangular_chain() -> None:
    first, second = Mixer.parse("h=m4:2.s3 w=s4 c=m2:6"), Mixer.parse("h=s2.m3:1 w=m2:5.s2 c=g2.m3:2")
    layers = torch.nn.Sequential(layer(first), layer(second))
    reach = first.reach().then(second.reach())
    assert (jacobian(layers, first.inputs) == reach.matrix()).all()
    assert (reach.inputs, reach.outputs) == (first.inputs, second.outputs)


def test_rows_and_columns_summed_do_not_reach_the_grid_but_in_a_row_they_do() -> None:
    rows, columns = Mixer.parse("h=s4 w=m4").reach(), Mixer.parse("h=m4 w=s4").reach()
    assert (rows | columns).matrix().sum() == 16 * 7
    assert rows.then(columns).matrix().all() and (rows | columns).then(rows | columns).matrix().all()


def test_what_is_covered_is_kept_once() -> None:
    all_mixed, rows = Mixer.parse("h=m4 w=m4").reach(), Mixer.parse("h=s4 w=m4").reach()
    assert len((rows | all_mixed).terms) == len((all_mixed | rows).terms) == len((rows | rows).terms) == 1


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("h=m4 w=s4 c=g2", {"h"}),
        ("h=s2.m2 w=s4 c=m2", {"h", "c"}),
        ("h=s4 w=g4 c=s2", set()),
        ("h=m4:1 w=m1:4 c=s2", {"h"}),
    ],
)
def test_along_tells_what_moves(text: str, touched: set[str]) -> None:
    reach = Mixer.parse(text).reach()
    assert {name for name in ("h", "w", "c") if reach.along(name).sum(axis=1).max() > 1} == touched


def test_what_does_not_meet_is_refused() -> None:
    small, large = Mixer.parse("h=m4 c=s2").reach(), Mixer.parse("h=m8:4 c=s2").reach()
    with pytest.raises(PatternError, match="a layer gives h=4 c=2 and the next takes h=8 c=2"):
        small.then(large)
    with pytest.raises(PatternError, match="branches of a sum differ: h=4 c=2 from h=4 c=2 and h=4 c=2 from h=8 c=2"):
        small | large


# ---------------------------------------------------------------------------------------------------- architectures


EMBED = "h=s4.m2:1 w=s2.m2:1 c=m2:3 +b"
ROWS = ("norm", "h=s4 w=m2 c=g3 +b", "gelu", "h=s4 w=m2 c=g3 +b")
SUBGRID = ("norm", "h=m2.s2 w=s2 c=s3 +b")
CHANNELS = ("norm", "6", "gelu", "3")
UP_DOWN = ("h=m4:2 w=s2 c=m3:6 +b", "gelu", "h=m2:4 w=s2 c=m6:3 +b")

NETWORKS = {
    "nothing": (algebra.network(EMBED), ("h", "w")),
    "scales": (algebra.network(EMBED, (algebra.nodes("h=s4 w=g2 c=g3 +b"),)), ("h", "w")),
    "without a norm": (algebra.network(EMBED, (algebra.nodes("h=s4 w=m2 c=s3"),)), ("h",)),
    "channels": (algebra.network(EMBED, (algebra.nodes(*CHANNELS),)), ("h", "w")),
    "rows": (algebra.network(EMBED, (algebra.nodes(*ROWS), algebra.nodes(*CHANNELS))), ("h",)),
    "rows, subgrid": (algebra.network(EMBED, (algebra.nodes(*ROWS),), (algebra.nodes(*SUBGRID),)), ()),
    "up and down": (algebra.network(EMBED, (algebra.nodes(*UP_DOWN),)), ("w",)),
    "a sequence": (algebra.network("t=s4.m2:1 c=m1:3", (algebra.nodes("t=s2.m2 c=g3"),)), ()),
    "a volume": (
        algebra.network("d=m4:2 h=s2 w=s2 c=m1:3 +b", (algebra.nodes("d=s2 h=s2 w=m2 c=g3"),)),
        ("d", "h"),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_architectures(name: str) -> None:
    arch, untouched = NETWORKS[name]
    net = algebra.randomised(build(arch))
    before_pooling = net[:-3]  # without the last norm, the mean and the head
    found = jacobian(lambda x: before_pooling(x.movedim(-1, 1)), dict(arch.inputs))
    assert (found == arch.reach().matrix()).all()
    assert arch.untouched() == untouched


def test_two_stages() -> None:
    first, second = algebra.network(EMBED, (algebra.nodes(*SUBGRID),)), "h=s2.m2:1 w=s2 c=m3:4"
    stage = algebra.network(second, (algebra.nodes("norm", "h=s2 w=m2 c=s4"),)).stages[0]
    arch = Architecture(first.inputs, (*first.stages, stage), 3)
    net = algebra.randomised(build(arch))
    assert (jacobian(lambda x: net[:-3](x.movedim(-1, 1)), dict(arch.inputs)) == arch.reach().matrix()).all()
    assert arch.untouched() == ()


def test_an_axis_of_length_one_is_not_missed() -> None:
    arch = algebra.network("h=m4:1 w=s4 c=m1:3", (algebra.nodes("h=s1 w=m4 c=s3"),))
    assert arch.untouched() == ()
