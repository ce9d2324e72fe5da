"""Networks in numbers: held against what einops' digits say of each position."""

from __future__ import annotations

from itertools import product
from math import log2
from random import Random

import pytest
from searches import tiny

from einmix import Architecture
from nas.surrogate.features import features

SPACES = [
    tiny("roles", depth=(1, 2, 3), width=(4, 8), patch=(1, 2)),
    tiny("roles", {"t": 12}, depth=(2,), patch=(1,)),
    tiny("macro", depth=(2, 3), patch=(1, 2)),
]


def digits(factors, at: int) -> list[int]:
    """The position's digits, one a factor, outer to inner."""
    found = []
    for factor in reversed(factors):
        found.insert(0, at % factor.size)
        at //= factor.size
    return found


def seen(network: Architecture, axis: str, n: int) -> int:
    """The most positions that one is reached from, by walking from each: a step changes the digits that are mixed."""
    reached = {at: {at} for at in range(n)}
    for mixer in network.mixers:
        factors = dict(mixer.axes)[axis]
        fixed = [at for at, factor in enumerate(factors) if factor.role != "m"]
        written = [digits(factors, at) for at in range(n)]
        alike = {
            at: [other for other in range(n) if all(written[at][d] == written[other][d] for d in fixed)]
            for at in range(n)
        }
        reached = {at: set().union(*(reached[other] for other in alike[at])) for at in range(n)}
    return max(map(len, reached.values()))


@pytest.mark.parametrize("space", SPACES[:2], ids=lambda space: " ".join(space.shape))
def test_what_an_output_sees(space):
    rng = Random(0)
    for _ in range(30):
        network = space.sample(rng)
        found, grid = features(network), network.grids[0]
        each = {axis: seen(network, axis, grid[axis]) for axis in space.shape}
        assert {axis: found[f"{axis} seen"] for axis in each} == {axis: log2(n) for axis, n in each.items()}
        assert found["positions seen"] == pytest.approx(sum(map(log2, each.values())))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name} {' '.join(space.shape)}")
def test_sizes_add_up(space):
    rng = Random(1)
    for _ in range(30):
        network = space.sample(rng)
        found, grid = features(network), network.grids[0]
        assert found["parameters"] == log2(network.params) and found["macs"] == log2(network.macs)
        assert found["mixers"] == len(network.mixers) and found["depth"] == len(network.blocks)
        if space.name == "roles":
            for axis in grid:
                parts = sum(found[f"{axis} {role}"] for role in ("mixed", "grouped", "shared"))
                assert parts == pytest.approx(log2(grid[axis]))
        assert all(isinstance(value, float) for value in found.values())


def test_strides_tell_subgrids_from_patches():
    space = tiny("roles", {"h": 4, "w": 4}, patch=(1,), width=(4,))
    strides = {}
    for network in space.enumerate():
        (mixer,) = network.mixers
        strides[str(mixer).split()[0]] = features(network)["h stride"]
    assert (strides["h=m2.s2"], strides["h=s2.m2"], strides["h=m4"]) == (1.0, 0.0, 0.0)


def test_trends_tell_in_which_order_mixers_stand():
    space = tiny("roles", {"t": 8}, patch=(1,), width=(4,), depth=(3,))
    rng = Random(2)
    for _ in range(20):
        network = space.sample(rng)
        (skeleton, mixers) = space.read(network)
        forward, back = (features(space.assemble(skeleton, each)) for each in (mixers, mixers[::-1]))
        for name in forward:
            assert back[name] == pytest.approx(-forward[name] if name.endswith("trend") else forward[name])
        mixed = [features(space.assemble(skeleton, [each] * 3))["t mixed"] for each in mixers]
        assert forward["t mixed trend"] == pytest.approx((mixed[2] - mixed[0]) / 2)


def test_networks_of_other_roles_are_other_numbers():
    """But for the order in which groups and shares stand, which nothing is said about."""
    space = tiny("roles", {"h": 4, "w": 2}, patch=(1,), width=(4,))
    found = {tuple(sorted(features(network).items())) for network in space.enumerate()}
    merged = {
        tuple(
            (axis, tuple((f.size, f.role) for f in factors if f.role == "m"), *sums(factors))
            for axis, factors in network.mixers[0].axes
        )
        for network in space.enumerate()
    }
    assert len(found) >= 0.95 * len(merged)


def sums(factors) -> tuple[int, ...]:
    sizes = dict.fromkeys("mgs", 1)
    for factor, role in product(factors, "mgs"):
        sizes[role] *= factor.size if factor.role == role else 1
    return tuple(sizes.values())
