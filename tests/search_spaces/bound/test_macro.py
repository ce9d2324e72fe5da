"""The space of whole blocks: the contract of all spaces, what forms mean, and which networks of the zoo are in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from random import Random
from typing import Any

import algebra
import numpy as np
import pytest
import torch
from walks import decode, looks_uniform, tiny, uniform_within, walk

from einmix import Architecture, Mixer, Stage, build, enumerate_mixers
from search_spaces import SPACES, BoundSpace, Budget, SpaceError, load
from search_spaces.blocks.filled import ORDERS, Filled, FilledForms
from search_spaces.blocks.forms import FORMS
from search_spaces.blocks.place import Place
from search_spaces.zoo import ZOO, Inputs

CASES: dict[str, BoundSpace] = {
    "all forms, one axis": tiny({"t": 4}, norm=("layer", "affine")),
    "all forms, two axes": tiny({"h": 2, "w": 2}, scale=("none", "0.1")),
    "all forms, three axes": tiny({"d": 2, "h": 2, "w": 2}, ratio=(3,)),
    "four axes": tiny(
        {"t": 2, "d": 2, "h": 2, "w": 2},
        forms=("linear", "mlp", "conv", "shift"),
        width=(8,),
        ratio=(1, 2, 3, 4),
        norm=("layer", "batch"),
    ),
    "two blocks": tiny({"h": 2, "w": 2}, forms=("linear", "shift", "gate"), depth=(1, 2), width=(2, 3)),
    "two stages": tiny({"h": 4, "w": 2}, forms=("linear", "conv"), depth=(1, 2), stages=(1, 2), width=(1,)),
    "two stages, patches of several sides": tiny(
        {"h": 8, "w": 2}, forms=("linear", "conv"), depth=(2,), patch=((2, 1),), stages=(1, 2), width=(1,)
    ),
    "two stages, one axis": tiny({"t": 4}, forms=("mlp", "rafts"), depth=(2,), width=(2,), stages=(1, 2)),
}


SLOW = ("all forms, one axis", "two stages, one axis")
"""Other shapes of what is here anyway."""


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in CASES])
def space(request: pytest.FixtureRequest) -> BoundSpace:
    return CASES[request.param]


@pytest.fixture(scope="module")
def listed(space: BoundSpace) -> list[Architecture]:
    return list(space.enumerate())


# ------------------------------------------------------------------------------------------ forms, said otherwise


def roles(mixer: Mixer, axis: str) -> str:
    return "".join(factor.role for factor in dict(mixer.axes)[axis])


def mixes_once(word: str, *, needed: bool) -> bool:
    """All of an axis, a subgrid of it or patches of it; or nothing, where that is allowed."""
    return word in (("m", "ms", "sm") if needed else ("", "s", "m", "ms", "sm"))


def brute_slots(form: str, grid: dict[str, int], width: int, ratio: int) -> list[list[Mixer]] | None:
    """For each of a form's slots the mixers that may fill it, picked from all there are."""
    long = [axis for axis, n in grid.items() if n > 1]

    def picked(channels: int, words: str, along: dict[str, tuple[str, ...]]) -> list[Mixer]:
        every = enumerate_mixers(bias=True, **grid, c=channels)
        fits = (m for m in every if all(roles(m, axis) in along[axis] for axis in long))
        return [m for m in fits if roles(m, "c") in words.split("/")]

    one, maybe = ("m", "ms", "sm"), ("s", "m", "ms", "sm")
    per_group = "/g/s/gs"
    if form == "linear":
        return [picked(width, per_group, dict.fromkeys(long, maybe))]
    if form == "gate":
        return [picked(ratio * width // 2, per_group, dict.fromkeys(long, maybe))] if ratio * width % 2 == 0 else None
    if form == "mlp":
        return [picked(width, per_group, dict.fromkeys(long, one))] if long else None
    if form in ("rafts", "serial", "sum", "reweight", "concat"):
        channels = {"rafts": "/s/m/ms"}.get(form, "/s/m/sm")
        if form in ("rafts", "serial") and len(long) == 1:  # without channels these are other forms
            channels = channels.removeprefix("/s/")
        slots = [picked(width, channels, {a: one if a == axis else ("s",) for a in long}) for axis in long]
        return slots if long and all(slots) and (form != "reweight" or width >= 4) else None
    if form == "multi_axis":
        return [picked(width, "/s", dict.fromkeys(long, words)) for words in (("m", "ms"), ("m", "sm"))]
    enough = {"dynamic": width >= 4, "shift": shifts_all(len(long), width), "conv": len(grid) <= 3}[form]
    return [] if long and enough else None


def shifts_all(axes: int, width: int) -> bool:
    """Whether each axis has a channel in one of its two runs of channels, as `torch.chunk` cuts them."""
    runs = len(torch.arange(width).chunk(2 * axes)) if axes else 0
    return runs > 2 * (axes - 1)


def brute_choices(space: BoundSpace, grid: dict[str, int], ratio: int) -> list[Filled]:
    *_, width = grid.values()
    positions = {axis: n for axis, n in grid.items() if axis != "c"}
    found = []
    for form in space.facts()["forms"]:
        slots = brute_slots(form, positions, width, ratio)
        for first in (False, True) if form != "gate" else (False,):
            found += [Filled(form, first, mixers) for mixers in product(*slots)] if slots is not None else []
    return found


def brute(space: BoundSpace) -> Iterator[Architecture]:
    """Every sequence of blocks at every size, but for those that leave an axis alone."""
    for skeleton in (space.networks[skeleton].skeleton for skeleton in space.skeletons):
        places = []
        for stage in range(skeleton.stages):
            each = (skeleton.patch,) * len(space.shape) if isinstance(skeleton.patch, int) else skeleton.patch
            grid = {a: n // p // 2**stage for (a, n), p in zip(space.shape.items(), each, strict=True)}
            grid |= {"c": skeleton.width * 2**stage}
            depth = skeleton.depth // skeleton.stages + (stage >= skeleton.stages - skeleton.depth % skeleton.stages)
            places += [brute_choices(space, grid, skeleton.ratio)] * depth
        for letters in product(*places):
            arch = space.assemble(skeleton, letters)
            if not missed(space, arch):
                yield arch


def missed(space: BoundSpace, arch: Architecture) -> set[str]:
    """The axes along which no block moves anything."""
    blocks = [step for part in arch.parts if part.role == "block" for step in part.steps]
    return {axis for axis, n in space.shape.items() if n > 1}.difference(*(step.touched for step in blocks))


# ------------------------------------------------------------------------------------------ the contract


def test_every_architecture_is_listed_once_and_counted(space: BoundSpace, listed: list[Architecture]) -> None:
    assert space.count() == len(listed) == len({arch.id for arch in listed}) == len(set(listed)) > 50
    assert all(arch in space for arch in listed)
    assert not any(arch.untouched() for arch in listed if len(arch.stages) == 1)


def test_the_space_is_what_its_forms_say(space: BoundSpace, listed: list[Architecture]) -> None:
    assert set(listed) == set(brute(space))


@pytest.mark.parametrize("name", SPACES)
def test_all_that_a_space_offers_on_four_axes_can_be_built(name: str) -> None:
    """torch has no convolution and no batch norm for them."""
    shape = {"t": 2, "d": 4, "h": 2, "w": 2}
    space, rng = load(name).on(shape, channels=2, classes=3, patch=(1, 2), width=(8,), depth=(2,)), Random(0)
    for _ in range(12):
        arch = space.sample(rng)
        assert build(arch)(torch.rand(2, 2, *shape.values())).shape == (2, 3)


def test_a_space_of_nothing_but_batch_norms_is_refused_on_four_axes() -> None:
    with pytest.raises(SpaceError, match=r"^space 'tiny': the norm 'batch' is for 1 to 3 axes, not t d h w$"):
        tiny(dict.fromkeys("tdhw", 2), norm=("batch",))
    with pytest.raises(SpaceError, match="space 'tiny' holds no network that mixes along all of t d h w"):
        tiny(dict.fromkeys("tdhw", 2), forms=("conv",)).bounds()


def test_bounds_are_exact(space: BoundSpace, listed: list[Architecture]) -> None:
    params, macs = [arch.params for arch in listed], [arch.macs for arch in listed]
    assert space.bounds() == (min(params), max(params), min(macs), max(macs))


def test_sampling_is_uniform(space: BoundSpace, listed: list[Architecture]) -> None:
    rng = Random(0)
    found = Counter(space.sample(rng).id for _ in range(5 * len(listed)))
    assert set(found) <= {arch.id for arch in listed} and looks_uniform(found, len(listed))


@pytest.mark.slow
def test_sampling_within_a_budget_is_uniform(space: BoundSpace, listed: list[Architecture]) -> None:
    for budget, exact in uniform_within(space, listed, 100):
        assert space.share(budget, Random(0), tries=4000) == pytest.approx(exact, rel=0.2, abs=0.002), budget


def test_encode_and_decode_are_each_others_reverse(space: BoundSpace, listed: list[Architecture]) -> None:
    for arch in listed[:: len(listed) // 60 + 1]:
        answers = space.encode(arch)
        assert decode(space, answers) == arch and space.encode(decode(space, answers)) == answers


def test_random_answers_make_members_or_miss_an_axis(space: BoundSpace, listed: list[Architecture]) -> None:
    rng, members = Random(0), set(listed)
    options: dict[str, Sequence[str]] = {}
    inside = 0
    for _ in range(150):
        arch, asked = walk(space, rng)
        read = space.read(arch)
        assert read is not None and space.assemble(*read) == arch
        assert (arch in space) == (arch in members) == (not missed(space, arch))
        inside += arch in space
        for name, seen in asked.items():
            assert options.setdefault(name, seen) == seen, "a question came with other options than before"
    assert inside > 50
    forms = {option for name, seen in options.items() if ".form" in name for option in seen}
    forms |= {choice.form for arch in listed[::20] for choice in parts_of(space, arch)[1]}
    assert forms == {name for skeleton in space.skeletons for name in blocks_of(space, skeleton).slots}
    assert all(seen == ORDERS for name, seen in options.items() if name.endswith(".order"))


def blocks_of(space: BoundSpace, skeleton: Any) -> FilledForms:
    alphabet = space.networks[skeleton].alphabets[0]
    assert isinstance(alphabet, FilledForms)
    return alphabet


def test_neighbours_are_other_members(space: BoundSpace, listed: list[Architecture]) -> None:
    members = set(listed)
    for arch in Random(0).sample(listed, 6):
        found = space.neighbours(arch)
        assert len(set(found)) == len(found) > 0 and arch not in found and set(found) <= members


def test_references_are_members(space: BoundSpace) -> None:
    if "linear" not in space.facts()["forms"]:
        pytest.skip("they are made of linear blocks")
    for skeleton in space.skeletons:
        references = space.references(skeleton)
        assert list(references)[:2] == ["full token mixing", "channels only"]
        assert all(space.skeleton(arch) == skeleton for arch in references.values())
        for name, arch in references.items():
            moves = name == "full token mixing" or (name == "shared local" and not missed(space, arch))
            assert (arch in space) == moves


# ------------------------------------------------------------------------------------------ steps


def parts_of(space: BoundSpace, arch: Architecture) -> tuple[Any, tuple[Filled, ...]]:
    read = space.read(arch)
    assert read is not None
    return read[0], tuple(read[1])


def test_neighbours_by_example() -> None:
    """Every kind of step there is, from one network."""
    space = tiny(
        {"h": 4, "w": 4},
        forms=("linear", "mlp", "serial"),
        depth=(2, 4),
        width=(4, 8),
        ratio=(2, 3),
        patch=(1, 2),
        stages=(1, 2),
        norm=("layer", "batch"),
        scale=("none", "0.1"),
    )
    skeleton = next(m for m in space.skeletons if (m.patch, m.width, m.depth, m.ratio, m.stages) == (1, 4, 2, 2, 1))
    first, second = (Mixer.parse(f"h={h} w={w} c={c} +b") for h, w, c in (("m4", "m4", "s4"), ("m2.s2", "s4", "g4")))
    letters = Filled("linear", False, (first,)), Filled("linear", True, (second,))
    arch = space.assemble(skeleton, letters)
    found = [parts_of(space, each) for each in space.neighbours(arch)]
    same = [moved for other, moved in found if other == skeleton]
    assert all(sum(a != b for a, b in zip(moved, letters, strict=True)) == 1 for moved in same)
    turned = {(Filled("linear", True, (first,)), letters[1]), (letters[0], Filled("linear", False, (second,)))}
    assert turned <= set(same)
    assert {moved[0].form for moved in same} == {"linear", "mlp", "serial"}
    mixers = {str(each) for moved in same for choice in moved if choice.form == "linear" for each in choice.mixers}
    assert {"h=m2.s2 w=m4 c=s4 +b", "h=m4 w=s2.m2 c=s4 +b"} <= mixers, "g or m to s"
    assert {"h=m4 w=m4 c=g2.s2 +b", "h=m4 w=s4 c=g4 +b", "h=m2.s2 w=m4 c=g4 +b"} <= mixers, "s to g, and to m"
    sizes = {(name, getattr(other, name)) for other, _ in found for name in space.sizes}
    steps = {("width", 8), ("depth", 4), ("ratio", 3), ("patch", 2), ("stages", 2), ("norm", "batch"), ("scale", "0.1")}
    assert steps <= sizes
    assert all(sum(getattr(other, n) != getattr(skeleton, n) for n in space.sizes) <= 1 for other, _ in found)
    wider = next(moved for other, moved in found if other.width == 8)
    assert str(wider[0].mixers[0]) == "h=m4 w=m4 c=s8 +b"
    deeper = {moved for other, moved in found if other.depth == 4}
    assert (letters[0], *[letters[0]] * 2, letters[1]) in deeper


@pytest.mark.parametrize("first", [False, True])
def test_from_a_block_in_either_order_every_other_form_is_a_step(first: bool) -> None:
    """Also those without parts that could be turned."""
    space = CASES["two blocks"]
    skeleton = next(m for m in space.skeletons if (m.depth, m.width) == (1, 2))
    alphabet = blocks_of(space, skeleton)
    every = alphabet.enumerate(frozenset({"h", "w"}))
    letter = next(letter for letter in every if (letter.form, letter.first) == ("linear", first))
    found = (parts_of(space, each) for each in space.neighbours(space.assemble(skeleton, (letter,))))
    reached = {letter.form for other, letters in found if other == skeleton for letter in letters}
    assert reached == set(alphabet.slots) >= {"linear", "gate"}


def test_steps_that_have_a_reverse_go_both_ways() -> None:
    """Mixers and orders; another form is not always left with the mixers that it was entered with."""
    space, rng, seen = CASES["two blocks"], Random(0), 0
    for _ in range(12):
        arch = space.sample(rng)
        skeleton, letters = parts_of(space, arch)
        for each in space.neighbours(arch):
            other, moved = parts_of(space, each)
            same_forms = [a.form for a in letters] == [b.form for b in moved]
            if other == skeleton and same_forms:
                assert arch in space.neighbours(each)
                seen += 1
    assert seen > 30


@pytest.mark.parametrize("name", ["two stages", pytest.param("all forms, two axes", marks=pytest.mark.slow)])
def test_neighbours_connect_the_space(name: str) -> None:
    space = CASES[name]
    start = next(space.enumerate())
    seen, ahead = {start}, [start]
    while ahead:
        for moved in space.neighbours(ahead.pop()):
            if moved not in seen:
                seen.add(moved)
                ahead.append(moved)
    assert len(seen) == space.count()


# ------------------------------------------------------------------------------------------ sharing and stages


def test_linear_blocks_are_those_of_the_other_spaces() -> None:
    """With a layer norm and without LayerScale; so one network has one id, wherever it was found."""
    sizes = {"patch": (1,), "width": (4,), "depth": (2,), "ratio": (2,)}
    macro_space = load("macro").on({"h": 4, "w": 2}, channels=1, classes=3, **sizes)
    for name in ("grouped", "local", "subgrid", "roles"):
        other, shared = load(name).on({"h": 4, "w": 2}, channels=1, classes=3, **sizes), 0
        for arch in (other.sample(Random(seed)) for seed in range(40)):
            words = [(roles(m, "h"), roles(m, "w"), roles(m, "c")) for m in arch.mixers]
            fits = all(
                all(mixes_once(word, needed=False) for word in (h, w)) and c in ("", "g", "s", "gs")
                for h, w, c in words
            )
            assert (arch in macro_space) == fits
            shared += fits
            if fits:
                _, letters = parts_of(macro_space, arch)
                assert {(letter.form, letter.first) for letter in letters} == {("linear", False)}
                assert decode(macro_space, macro_space.encode(arch)).id == arch.id
        assert shared == 40 or name == "roles"


def test_a_second_stage_halves_the_axes_and_doubles_the_channels() -> None:
    space = tiny({"h": 16, "w": 8}, patch=(2,), width=(6,), depth=(3, 4), stages=(1, 2))
    for seed in range(10):
        arch = space.sample(Random(seed))
        skeleton = space.skeleton(arch)
        assert skeleton is not None
        sizes = [{"h": 8, "w": 4, "c": 6}, {"h": 4, "w": 2, "c": 12}][: skeleton.stages]
        assert list(arch.grids) == sizes
        depths = {(3, 1): [3], (4, 1): [4], (3, 2): [1, 2], (4, 2): [2, 2]}[skeleton.depth, skeleton.stages]
        assert [len(stage.blocks) for stage in arch.stages] == depths
    assert {skeleton.stages for skeleton in space.skeletons} == {1, 2}
    odd = tiny({"h": 6, "w": 6}, patch=(1, 2), stages=(1, 2, 3), depth=(1, 2))
    found = {(each.patch, each.stages, each.depth) for each in odd.skeletons}
    assert found == {(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 1, 2), (1, 2, 2)}


# ------------------------------------------------------------------------------------------ every form


GRIDS = {"line": {"t": 6}, "image": {"h": 4, "w": 6}, "volume": {"d": 2, "h": 2, "w": 4}, "flat": {"h": 1, "w": 4}}


PLACES = {
    f"{name}, {words}": Place(tuple(grid.items()), *rest)
    for name, grid in GRIDS.items()
    for words, rest in {
        "plain": (8, 2),
        "affine and scaled": (12, 3, "affine", "0.1"),
        "batch": (6, 4, "batch", "1"),
    }.items()
}


def drawn(blocks: FilledForms, form: str, count: int, seed: int = 0) -> list[Filled]:
    """Blocks of a form, drawn evenly over its cost classes."""
    rng = Random(seed)
    keys = [each.key for each in blocks.classes if each.key.form == form]
    return [blocks.draw(rng.choice(keys), rng) for _ in range(count)]


def as_network(choice: Filled, place: Place) -> Architecture:
    shape = [f"{axis}=s{n}" for axis, n in place.grid]
    embed = algebra.nodes(" ".join([*shape, f"c=m2:{place.width}"]))
    inputs = (*place.grid, ("c", 2))
    return Architecture(inputs, (Stage(embed, (choice.block(place),)),), 3, place.before)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_runs_costs_what_it_says_and_is_read_back(form: str, where: str) -> None:
    place = PLACES[where]
    blocks = FilledForms(place, (form,))
    if form not in blocks.slots:
        assert (form, place.width, len(place.long)) == ("shift", 8, 3), "two channels a run leave the last axis out"
        return
    costs = {each.key: (each.params, each.macs, each.number) for each in blocks.classes}
    assert sum(number for _, _, number in costs.values()) == sum(1 for _ in blocks.enumerate()) < 20_000
    for choice in drawn(blocks, form, 3):
        arch = as_network(choice, place)
        net = build(arch)
        assert sum(p.numel() for p in net.parameters()) == arch.params
        x = torch.randn(2, 2, *place.positions.values())
        assert net(x).shape == (2, 3) and net(x).isfinite().all()
        assert blocks.read(choice.block(place), place) == choice and choice in blocks
        block = next(part for part in arch.parts if part.role == "block")
        cost = tuple(map(sum, zip(*(step.cost for step in block.steps), strict=True)))
        assert cost in {(params, macs) for params, macs, _ in costs.values()}
        assert frozenset(place.long) - set(arch.untouched()) == blocks.mixed(choice)


@pytest.mark.parametrize("where", PLACES)
def test_blocks_are_read_among_all_forms(where: str) -> None:
    """Each block is of one form alone, in one order, with one choice of mixers."""
    place = PLACES[where]
    blocks = FilledForms(place, tuple(FORMS))
    for form in blocks.slots:
        for choice in drawn(blocks, form, 12, seed=1):
            assert blocks.read(choice.block(place), place) == choice
    other = FilledForms(Place(place.grid, place.width, place.ratio + 1, place.norm, place.scale), tuple(FORMS))
    for form in blocks.slots:
        (choice,) = drawn(blocks, form, 1)
        assert other.read(choice.block(place), other.place) is None
    assert blocks.read((), place) is None and blocks.read((place.channels,), place) is None


@pytest.mark.parametrize("form", ["rafts", "sum", "multi_axis", "gate"])
def test_draws_within_a_form_are_uniform(form: str) -> None:
    blocks = FilledForms(Place((("h", 4), ("w", 2)), 4, 2), (form,))
    rng, every = Random(0), list(blocks.enumerate())
    weights = [each.number for each in blocks.classes]
    keys = rng.choices([each.key for each in blocks.classes], weights, k=20 * len(every))
    found = Counter(str(blocks.draw(key, rng)) for key in keys)
    assert set(found) == set(map(str, every)) and looks_uniform(found, len(every))


def derivatives(arch: Architecture, branch: int | None = None) -> np.ndarray:
    """Whether an output at a position depends on an input at another, for the block or one of its residuals alone.

    Norms see all channels, so it is positions that are told apart: out x in.
    """
    net = algebra.randomised(build(arch)).eval()
    blocks = net[1 : len(net) - 3]
    layer = blocks if branch is None else blocks[branch]
    part = next(part for part in arch.parts if part.role == "block")
    *positions, width = part.before.values()
    n, total = prod(positions), np.zeros((prod(positions), prod(positions)), dtype=bool)
    for seed in range(3):  # activations may be flat at a point
        x = torch.randn(1, *positions, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        found = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x, vectorize=True)
        total |= (found.reshape(n, width, n, width).abs() > 1e-12).any(dim=3).any(dim=1).numpy()
    return total


def apart(grid: dict[str, int]) -> dict[str, np.ndarray]:
    """For every axis the differences of indices, out minus in, over pairs of positions."""
    places = np.stack(np.unravel_index(np.arange(prod(grid.values())), tuple(grid.values())))
    return {axis: places[k][:, None] - places[k][None, :] for k, axis in enumerate(grid)}


IMAGE = {"h": 4, "w": 6}


AT = Place(tuple(IMAGE.items()), 8, 2)


def along(*axes: str) -> np.ndarray:
    """Pairs of positions that differ along these axes alone."""
    return np.all([difference == 0 for axis, difference in apart(IMAGE).items() if axis not in axes], axis=0)


def block_of(form: str, *mixers: str, first: bool = False) -> Architecture:
    return as_network(Filled(form, first, tuple(Mixer.parse(f"{mixer} +b") for mixer in mixers)), AT)


ROWS = "h=m4 w=s6 c=s2.m4", "h=s4 w=m6 c=s8"


def test_axes_in_turn_cross() -> None:
    """Each branch goes along one axis; both together everywhere."""
    for form, mixers in (("serial", ROWS), ("rafts", ("h=m4 w=s6 c=m4.s2", ROWS[1]))):
        arch = block_of(form, *mixers)
        assert np.array_equal(derivatives(arch, 0), along("h")) and np.array_equal(derivatives(arch, 1), along("w"))
        assert derivatives(arch).all()
        assert np.array_equal(derivatives(arch, 2), along())


@pytest.mark.parametrize("form", ["sum", "concat"])
def test_axes_side_by_side_make_a_cross(form: str) -> None:
    assert np.array_equal(derivatives(block_of(form, *ROWS)), along("h") | along("w"))
    local = block_of(form, "h=s2.m2 w=s6 c=s8", "h=s4 w=m2.s3 c=s8")
    differences = apart(IMAGE)
    rows, columns = np.arange(24) // 6, np.arange(24) % 6
    pairs = along("h") & (rows[:, None] // 2 == rows[None] // 2)
    grids = along("w") & (differences["w"] % 3 == 0)
    assert columns.max() == 5 and np.array_equal(derivatives(local), pairs | grids)


def test_what_is_weighed_depends_on_everything() -> None:
    assert derivatives(block_of("reweight", *ROWS)).all() and derivatives(block_of("dynamic")).all()


def test_gates_mix_as_their_mixer() -> None:
    arch = as_network(Filled("gate", False, (Mixer.parse("h=s4 w=m6 c=g8 +b"),)), AT)
    assert np.array_equal(derivatives(arch), along("w"))
    assert np.array_equal(derivatives(block_of("linear", "h=m4 w=s6 c=g2.s4"), 0), along("h"))
    assert np.array_equal(derivatives(block_of("mlp", "h=m4 w=m2.s3 c=s8"), 0), apart(IMAGE)["w"] % 3 == 0)


def test_multi_axis_is_a_grid_and_a_block() -> None:
    arch = block_of("multi_axis", "h=m2.s2 w=m3.s2 c=s8", "h=s2.m2 w=s3.m2 c=s8")
    difference, (h, w) = apart(IMAGE), np.unravel_index(np.arange(24), (4, 6))
    grid = (difference["h"] % 2 == 0) & (difference["w"] % 2 == 0)
    block = (h[:, None] // 2 == h[None] // 2) & (w[:, None] // 2 == w[None] // 2)
    assert np.array_equal(derivatives(arch), grid | block)


def test_shifts_and_convolutions_are_local() -> None:
    """One position along one axis, and three by three."""
    h, w = (np.abs(difference) for difference in apart(IMAGE).values())
    shifted = derivatives(block_of("shift"))
    far = h + w > 1
    assert not shifted[far].any() and shifted[h + w == 1].all()
    assert np.array_equal(derivatives(block_of("conv"), 0), (h <= 1) & (w <= 1))


def test_the_order_of_the_parts_of_a_block() -> None:
    for first in (False, True):
        arch = block_of("linear", "h=m4 w=m6 c=s8", first=first)
        assert np.array_equal(derivatives(arch, int(not first)), along()) and derivatives(arch, int(first)).all()


# ------------------------------------------------------------------------------------------ the zoo


MEMBERS: dict[str, str] = {
    "mixer": "mlp h=m8 w=m8 c=s32",
    "resmlp": "linear h=m8 w=m8 c=s32",
    "gmlp": "gate h=m8 w=m8 c=s96",
    "vip": "reweight h=m8 w=s8 c=s8.m4 h=s8 w=m8 c=s8.m4",
    "vip-sum": "sum h=m8 w=s8 c=s8.m4 h=s8 w=m8 c=s8.m4",
    "dynamixer": "dynamic",
    "raft": "rafts h=m8 w=s8 c=m2.s16 h=s8 w=m8 c=m2.s16",
}
"""Networks of the literature that are points of the space, and what stands in each of their blocks."""


OTHERS: dict[str, str] = {
    "resmlp-tutorial": "its scale stands first in a branch, its affine last",
    "convmixer": "a linear layer over channels without a residual, norms after what they belong to",
    "s2mlp": "a norm after the patches, none before the head",
    "fnet": "weights that are not trained, which mix positions with channels",
    "monarch": "every layer is two mixers in a row",
    "smlp": "a convolution and branches in one residual, patches without a bias",
    "hire": "positions that roll from block to block",
    "cycle": "shifts in turns, in branches that are weighed",
    "as": "norms over the whole example",
    "maxim": "its MLP over channels does not widen",
}
"""The others, each with the shortest reason."""


AT_64 = load("macro").on({"h": 8, "w": 8}, channels=1, classes=10, patch=(1,), width=(32,), depth=(2,))


def at_64(name: str, **options: Any) -> tuple[Architecture, BoundSpace]:
    return ZOO[name].make(Inputs(AT_64.shape, 1, 10), patch=1, width=32, depth=2, **options), AT_64


def test_every_network_of_the_zoo_is_in_one_of_the_tables() -> None:
    assert ZOO.keys() == MEMBERS.keys() | OTHERS.keys() and not MEMBERS.keys() & OTHERS.keys()


@pytest.mark.parametrize("name", MEMBERS)
def test_networks_of_the_zoo_that_are_points_of_the_space(name: str) -> None:
    arch, space = at_64(name)
    assert arch in space
    _, letters = parts_of(space, arch)
    assert [str(letter) for letter in letters] == [MEMBERS[name]] * 2
    assert decode(space, space.encode(arch)).id == arch.id and space.neighbours(arch)


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_the_zoo_that_are_not(name: str) -> None:
    arch, space = at_64(name)
    assert arch not in space


def test_what_keeps_networks_out() -> None:
    """A wider MLP lets MAXIM in; patches at two scales, published norms and scales keep others out."""
    arch, space = at_64("maxim", ratio=2)
    assert arch in space
    _, letters = parts_of(space, arch)
    assert str(letters[0]) == "multi_axis h=m4.s2 w=m4.s2 c=s32 h=s2.m4 w=s2.m4 c=s32"
    for name, options in (("mixer", {"eps": 1e-6}), ("gmlp", {"eps": 1e-6}), ("resmlp", {"scale": 1e-4})):
        arch, space = at_64(name, **options)
        assert arch not in space
    shape = {"h": 16, "w": 16}
    scales = ZOO["raft"].at(Inputs(shape, 1, 10), patch=2, width=32, depth=2)
    assert scales not in load("macro").on(shape, channels=1, classes=10, patch=(2,), width=(32,), depth=(2,))


@pytest.mark.parametrize("shape", [{"t": 64}, {"d": 4, "h": 4, "w": 4}], ids=str)
def test_sequences_and_volumes_of_the_zoo(shape: dict[str, int]) -> None:
    space = load("macro").on(shape, channels=1, classes=10, patch=(1,), width=(32,), depth=(2,))
    inside = {name for name in ZOO if ZOO[name].at(Inputs(shape, 1, 10), patch=1, width=32, depth=2) in space}
    assert inside == MEMBERS.keys()


# ------------------------------------------------------------------------------------------ as it is declared


@pytest.mark.parametrize("shape", [{"h": 8, "w": 8}, {"d": 16, "h": 16, "w": 16}, {"t": 40}], ids=str)
def test_the_space_as_declared(shape: dict[str, int]) -> None:
    """Counted by arithmetic, sampled within budgets, its middle with references."""
    space = load("macro").on(shape, channels=3, classes=10)
    least, most, fewest, _ = space.bounds()
    assert space.count() > 10**12
    middle = space.references(space.middle)["full token mixing"]
    assert middle in space
    for budget in (None, Budget(middle.params // 2, middle.params), Budget(max_macs=2 * fewest)):
        for seed in range(2):
            arch = space.sample(Random(seed), budget)
            assert arch in space and least <= arch.params <= most
            assert budget is None or budget.admits(arch.params, arch.macs)
            assert decode(space, space.encode(arch)) == arch


def test_all_sizes_and_words_are_found_by_sampling() -> None:
    """Uniform over architectures: the largest sizes hold most of them, so sizes are drawn with few others around."""
    space = load("macro").on({"h": 8, "w": 8}, channels=3, classes=10)
    rng, found = Random(0), Counter[tuple[str, Any]]()
    for arch in (space.sample(rng, Budget(max_params=60_000)) for _ in range(100)):
        skeleton, letters = parts_of(space, arch)
        found.update((name, getattr(skeleton, name)) for name in ("norm", "scale", "ratio"))
        found.update(("form", letter.form) for letter in letters)
    assert all(("norm", word) in found for word in space.sizes["norm"])
    assert all(("scale", word) in found for word in space.sizes["scale"])
    assert len([key for key in found if key[0] == "form"]) >= 6


@pytest.mark.parametrize(("depth", "lengths"), [(2, [1, 1]), (3, [1, 2]), (4, [2, 2]), (5, [2, 3])])
def test_later_stages_have_the_more_blocks_at_half_the_grid_and_twice_the_width(depth: int, lengths: list[int]) -> None:
    space = load("macro").on({"h": 16, "w": 8}, channels=1, classes=2, patch=(2,), width=(8,), depth=(depth,))
    skeleton = next(skeleton for skeleton in space.skeletons if skeleton.stages == 2)
    drawn = space.assemble(skeleton, next(space.networks[skeleton].enumerate()))
    for network in (*space.references(skeleton).values(), drawn):
        assert [len(stage.blocks) for stage in network.stages] == lengths
        assert list(network.grids) == [{"h": 8, "w": 4, "c": 8}, {"h": 4, "w": 2, "c": 16}]
