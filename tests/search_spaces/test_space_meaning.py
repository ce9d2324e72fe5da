"""Spaces mean what they are called: the derivatives of their mixers' layers, and no family of maps twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from math import prod
from random import Random

import algebra
import numpy as np
import pytest
import torch
from einops.layers.torch import EinMix

from einmix import Mixer
from search_spaces import SPACES, load

GRIDS = {"image": {"h": 4, "w": 6, "c": 4}, "sequence": {"t": 12, "c": 6}, "volume": {"d": 2, "h": 3, "w": 4, "c": 4}}


def drawn(name: str, grid: dict[str, int], n: int = 12) -> Iterator[Mixer]:
    """Mixers of networks sampled from the space on blocks of these sizes, with the trivial ones that come along."""
    shape = {axis: size for axis, size in grid.items() if axis != "c"}
    space = load(name).on(shape, channels=1, classes=2, patch=(1,), width=(grid["c"],), depth=(2,))
    rng = Random(0)
    for _ in range(n // 2):
        yield from space.sample(rng).mixers


def jacobian(mixer: Mixer) -> np.ndarray:
    """The derivatives of all outputs by all inputs, of the layer with random weights (no two alike)."""
    torch.manual_seed(0)
    layer = EinMix(**mixer.einmix()).double()
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, 1, 2)
    features = torch.randn(1, *mixer.inputs.values(), dtype=torch.float64)
    derivatives = torch.autograd.functional.jacobian(layer, features)
    return derivatives.reshape(prod(mixer.outputs.values()), prod(mixer.inputs.values())).numpy()


def by_channel(mixer: Mixer) -> np.ndarray:
    """The derivatives as channels out x channels in x positions out x positions in."""
    positions, channels = prod(list(mixer.inputs.values())[:-1]), mixer.inputs["c"]
    return jacobian(mixer).reshape(positions, channels, positions, channels).transpose(1, 3, 0, 2)


def positions_connected(mixer: Mixer) -> np.ndarray:
    return (by_channel(mixer) != 0).any(axis=(0, 1))


def blockwise(mixer: Mixer, place: str) -> np.ndarray:
    """The pairs of positions that lie in one patch (`place` is "patch") or in one subgrid, axis by axis."""
    total = np.ones((1, 1), dtype=bool)
    for axis, factors in mixer.axes[:-1]:
        n, size = mixer.inputs[axis], prod(factor.size for factor in factors if factor.role == "m")
        index = np.arange(n)
        key = index // size if place == "patch" else index % (n // size)
        total = np.kron(total, key[:, None] == key[None, :])
    return total


SIMPLE = [name for name, space in SPACES.items() if not space.forms]


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("name", SIMPLE)
def test_derivatives_are_where_roles_say(name: str, kind: str) -> None:
    connected = []
    for mixer in drawn(name, GRIDS[kind]):
        derivatives = jacobian(mixer)
        assert np.array_equal(derivatives != 0, mixer.reach().matrix()), str(mixer)
        assert len(np.unique(derivatives[derivatives != 0])) == algebra.labels(mixer).max() + 1, str(mixer)
        connected.append((derivatives != 0).mean())
    assert len(set(connected)) > 1 or name == "grouped"


@pytest.mark.parametrize("kind", GRIDS)
def test_local_mixes_within_patches(kind: str) -> None:
    proper = 0
    for mixer in drawn("local", GRIDS[kind], 20):
        connected = positions_connected(mixer)
        assert np.array_equal(connected, blockwise(mixer, "patch")), str(mixer)
        proper += not np.array_equal(connected, blockwise(mixer, "subgrid"))
    assert proper > 2, "no mixer told patches from subgrids"


@pytest.mark.parametrize("kind", GRIDS)
def test_subgrid_mixes_positions_of_one_residue(kind: str) -> None:
    proper = 0
    for mixer in drawn("subgrid", GRIDS[kind], 20):
        connected = positions_connected(mixer)
        assert np.array_equal(connected, blockwise(mixer, "subgrid")), str(mixer)
        proper += not np.array_equal(connected, blockwise(mixer, "patch"))
    assert proper > 2, "no mixer told subgrids from patches"


@pytest.mark.parametrize("kind", GRIDS)
def test_per_channel_has_weights_of_its_own_for_every_channel(kind: str) -> None:
    for mixer in drawn("per_channel", GRIDS[kind]):
        blocks = by_channel(mixer)
        for out, into in product(range(len(blocks)), repeat=2):
            assert (blocks[out, into] != 0).any() == (out == into)
            if out != into:
                used = blocks[out, out] != 0
                assert np.array_equal(used, blocks[into, into] != 0)
                assert not np.isin(blocks[out, out][used], blocks[into, into][used]).any(), str(mixer)


@pytest.mark.parametrize("kind", GRIDS)
def test_grouped_mixes_all_positions_alike_within_a_group(kind: str) -> None:
    sizes = set()
    for mixer in drawn("grouped", GRIDS[kind]):
        blocks, channels = by_channel(mixer), mixer.inputs["c"]
        groups = prod(factor.size for factor in mixer.axes[-1][1] if factor.role == "g")
        for out, into in product(range(channels), repeat=2):
            assert (blocks[out, into] != 0).all() if out == into else not blocks[out, into].any()
            alike = np.array_equal(blocks[out, out], blocks[into, into])
            assert alike == (out * groups // channels == into * groups // channels), str(mixer)
        sizes.add(groups)
    assert len(sizes) > 1


@pytest.mark.parametrize("name", ["local", "subgrid", "mixed"])
def test_channels_are_not_mixed(name: str) -> None:
    for mixer in (mixer for grid in GRIDS.values() for mixer in drawn(name, grid, 4)):
        across = (by_channel(mixer) != 0).any(axis=(2, 3))
        assert np.array_equal(across, np.eye(len(across), dtype=bool)), str(mixer)


def test_roles_mixes_channels_too() -> None:
    mixed = [(by_channel(mixer) != 0).any(axis=(2, 3)).sum(axis=1).max() for mixer in drawn("roles", GRIDS["image"])]
    assert max(mixed) > 1


@pytest.mark.parametrize("grid", [{"h": 4, "w": 4, "c": 4}, {"t": 12, "c": 4}, {"h": 2, "w": 6, "c": 2}], ids=str)
@pytest.mark.parametrize("name", SIMPLE)
def test_no_family_of_maps_is_in_a_space_twice(name: str, grid: dict[str, int]) -> None:
    """Weights numbered in the order in which they first appear: equal numbers everywhere, equal families."""
    shape = {axis: size for axis, size in grid.items() if axis != "c"}
    space = load(name).on(shape, channels=1, classes=2, patch=(1,), width=(grid["c"],), depth=(1,))
    seen, count = set(), 0
    for mixer in space.letters(space.skeletons[0]):
        labels = algebra.labels(mixer).ravel()
        _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
        ranks = np.argsort(np.argsort(first))[numbers.ravel()]
        seen.add(np.where(labels < 0, -1, ranks).astype(np.int16).tobytes())
        count += 1
    assert len(seen) == count > 1


def split(mixer: Mixer) -> dict[str, object] | None:
    """The EinMix call of the mixer with every factor of composite size written as two."""
    call = mixer.einmix()
    texts = {key: call[key] for key in ("pattern", "weight_shape", "bias_shape") if call.get(key) is not None}
    sizes: dict[str, int] = {}
    for axis, n in ((k, v) for k, v in call.items() if isinstance(v, int)):
        outer = next((d for d in range(2, n) if n % d == 0), 1)
        if outer == 1:
            sizes[axis] = n
            continue
        sizes |= {f"{axis}x": outer, f"{axis}y": n // outer}
        for key, text in texts.items():
            grouped = re.sub(rf"(\([^)]*)\b{axis}\b", rf"\1{axis}x {axis}y", text)
            alone = f"{axis}x {axis}y" if key != "pattern" else f"({axis}x {axis}y)"
            texts[key] = re.sub(rf"\b{axis}\b", alone, grouped)
    return None if len(sizes) == sum(isinstance(v, int) for v in call.values()) else {**texts, **sizes}


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("name", SIMPLE)
def test_neighbouring_factors_of_one_role_are_one_factor(name: str, kind: str) -> None:
    """The layer with every factor written as two computes what the canonical one does, with the same numbers."""
    compared = 0
    for mixer in drawn(name, GRIDS[kind]):
        call = split(mixer)
        if call is None:
            continue
        merged, parted = EinMix(**mixer.einmix()).double(), EinMix(**call).double()
        with torch.no_grad():
            for target, source in zip(parted.parameters(), merged.parameters(), strict=True):
                torch.nn.init.normal_(source)
                target.copy_(source.reshape(target.shape))
            features = torch.randn(2, *mixer.inputs.values(), dtype=torch.float64)
            assert torch.allclose(merged(features), parted(features)), f"{mixer}: {call}"
        compared += 1
    assert compared > 3
