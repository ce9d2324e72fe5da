"""Networks of the zoo, and found ones, at a number of parameters or of multiply-accumulates."""

from __future__ import annotations

from random import Random

import pytest

from einmix import Architecture
from nas.options.compare import AGAINST
from search_spaces import SPACES, SpaceError, load
from search_spaces.sizing.resizing import patch_of, resized
from search_spaces.sizing.scaling import (
    NEAR,
    Target,
    depth_of,
    moved,
    nearest_anywhere,
    nearest_found,
    nearest_member,
    possible_patches,
)
from search_spaces.zoo import ZOO, Inputs, member

DIGITS = Inputs({"h": 8, "w": 8}, 1, 10)
FASHION = Inputs({"h": 28, "w": 28}, 1, 10)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("budget", [100_000, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("inputs", "patch"), [(DIGITS, 2), (FASHION, 4)], ids=["digits", "fashion"])
def test_every_network_of_the_zoo_is_scaled_to_within_a_twentieth(name, budget, inputs, patch):
    target = Target("params", budget)
    found = nearest_member(member(name), inputs, target, patch=patch, depth=4)
    assert target.off(found) <= NEAR
    assert 2 <= depth_of(found) <= 12 and patch_of(found) == patch and found.grids[0]["c"] >= 8


@pytest.mark.parametrize("name", AGAINST)
@pytest.mark.parametrize("inputs", [DIGITS, Inputs({"t": 40}, 1, 10), Inputs({"d": 8, "h": 8, "w": 8}, 1, 8)])
def test_multiply_accumulates_are_matched_on_all_axes(name, inputs):
    target = Target("macs", 2_000_000)
    assert target.off(nearest_member(member(name), inputs, target, patch=2, depth=4)) <= NEAR


def test_another_patch_is_taken_where_one_has_no_such_size():
    target, resmlp, mixer = Target("params", 60_000), member("resmlp"), member("mixer")
    own = nearest_member(resmlp, FASHION, target, patch=2, depth=4)
    assert patch_of(own) == 2 and target.off(own) > NEAR  # it mixes 196 positions by 38,416 weights a block
    found = nearest_anywhere(resmlp, FASHION, target, patch=2, depth=4)
    assert (patch_of(found), target.off(found) <= NEAR) == (4, True)
    assert patch_of(nearest_anywhere(mixer, FASHION, target, patch=2, depth=4)) == 2
    tiny = Target("params", 300)
    assert nearest_anywhere(mixer, DIGITS, tiny, patch=2, depth=4) == nearest_member(
        mixer, DIGITS, tiny, patch=2, depth=4
    )


def test_a_network_that_cannot_be_built_says_why():
    with pytest.raises(SpaceError, match="mixer cannot be built here: a patch of 3 does not divide axis h=8"):
        nearest_member(member("mixer"), DIGITS, Target("params", 20_000), patch=3, depth=4)


def sampled(name: str, count: int) -> list[Architecture]:
    space = load(name).on(DIGITS.shape, channels=1, classes=10)
    rng = Random(0)
    return [space.sample(rng) for _ in range(count)]


def sizes(architecture: Architecture) -> dict[str, int]:
    grid = architecture.grids[0]
    return {"patch": patch_of(architecture), "width": grid["c"], "depth": depth_of(architecture)}


def over_channels(architecture: Architecture) -> list[str]:
    """The factors of c, sorted: branches of a sum stand in an order that the other axes have a say in."""
    return sorted(str(dict(mixer.axes)["c"]) for mixer in architecture.mixers)


@pytest.mark.parametrize("name", SPACES)
def test_a_network_at_its_own_sizes_is_itself_and_at_others_has_those(name):
    for architecture in sampled(name, 20):
        own = sizes(architecture)
        assert resized(architecture, DIGITS, **own) == architecture
        wide = resized(architecture, DIGITS, **own | {"width": 2 * own["width"]})
        assert sizes(wide) == own | {"width": 2 * own["width"]} and wide.params > architecture.params
        assert sizes(resized(architecture, DIGITS, **own | {"depth": 2 * own["depth"]}))["depth"] == 2 * own["depth"]
        large = resized(architecture, Inputs({"h": 16, "w": 16}, 3, 7), **own)
        assert large.inputs == (("h", 16), ("w", 16), ("c", 3)) and large.classes == 7 and sizes(large) == own
        assert over_channels(large) == over_channels(architecture)


def test_a_mixer_that_cannot_be_carried_is_refused_with_what_can():
    architecture = load("local").on(DIGITS.shape, channels=1, classes=10, patch=(2,), width=(32,), depth=(2,))
    local = architecture.references(architecture.middle)["shared local"]
    assert moved(local, FASHION, 7).mixers == local.mixers
    with pytest.raises(SpaceError, match=r"h=s2.m2 cannot be carried to 7 positions$"):
        moved(local, FASHION, 4)
    assert possible_patches(local, FASHION) == [1, 2, 7]
    elsewhere = Inputs({"t": 40}, 1, 10)
    with pytest.raises(SpaceError, match="is for axes h w, not t"):
        moved(local, elsewhere, 2)
    assert not possible_patches(local, elsewhere)


@pytest.mark.parametrize("name", SPACES)
def test_a_found_network_is_scaled_or_its_nearest_is_its_own_size(name):
    for architecture in sampled(name, 3):
        target, patch = Target("params", 60_000), patch_of(architecture)
        found = nearest_found(architecture, DIGITS, target, patch=patch)
        if target.off(found) > NEAR:
            own = Target("params", found.params)
            assert own.off(nearest_found(architecture, DIGITS, own, patch=patch)) <= NEAR
