"""Spaces: one contract for all of them, against plain enumeration, and what bad declarations get."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from random import Random
from time import process_time

import pytest
import torch
from walks import bands, decode, looks_uniform, uniform_within, walk

from einmix import Architecture, Factor, FactorSet, Mixer, Stage, build, enumerate_mixers, source
from einmix.algebra.factors import canonical
from einmix.kinds import Mix, Residual
from nas.ranking.words import sizes
from search_spaces import SPACES, BoundSpace, Budget, Family, Skeleton, Space, SpaceError, load
from search_spaces.bound.neighbours import places_moved

# ------------------------------------------------------------------------------------------ families, said otherwise

WORDS = {
    "grouped": (r"m?", r"g?s?"),
    "local": (r"s?m?", r"g?s?"),
    "subgrid": (r"m?s?", r"g?s?"),
    "per_channel": (r"s?m?s?", r"g?"),
    "roles": (r"[sgm]*", r"[sgm]*"),
    "everything": (r"[sgm]*", r"[sgm]*"),
}
"""By family: the roles of the factors of a spatial axis, and of c, outer to inner."""


def belongs(space: str, mixer: Mixer) -> bool:
    """Whether the mixer is one of the space's, by the roles of its factors alone."""
    if space == "mixed":
        return any(belongs(each, mixer) for each in ("grouped", "local", "subgrid", "per_channel"))
    words = {axis: "".join(factor.role for factor in factors) for axis, factors in mixer.axes}
    if space == "mine":
        spatial = [[(factor.role, factor.size) for factor in factors] for _, factors in mixer.axes[:-1]]
        rows = (words["h"] in ("", "m") or (words["h"] == "ms" and spatial[0][0] == ("m", 2))) and words["w"] in (
            "",
            "s",
        )
        columns = words["h"] in ("", "s") and words["w"] in ("", "s", "m", "sm")
        whole = spatial == [[("m", 4)], [("m", 4)]]
        return ((rows or whole) and words["c"] in ("", "g")) or (columns and words["c"] in ("", "g", "s"))
    if space not in WORDS:
        patterns = [{axis: FactorSet(family.pattern(axis)) for axis in words} for family in SPACES[space].families]
        return any(all(axes[axis].accepting(factors) for axis, factors in mixer.axes) for axes in patterns)
    positions, channels = WORDS[space]
    return all(re.fullmatch(channels if axis == "c" else positions, word) for axis, word in words.items())


def brute_mixers(space: str, grid: dict[str, int]) -> list[Mixer]:
    return [mixer for mixer in enumerate_mixers(bias=space != "mine", **grid) if belongs(space, mixer)]


def touches_all(mixers: Iterable[Mixer], grid: dict[str, int]) -> bool:
    mixed = {axis for mixer in mixers for axis, factors in mixer.axes for factor in factors if factor.role == "m"}
    return all(axis in mixed for axis, n in grid.items() if axis != "c" and n > 1)


# ------------------------------------------------------------------------------------------ the spaces under contract

USER_FILE = """
from search_spaces import Family, Space

SPACE = Space(
    "mine",
    "rows or columns, in halves or whole, or all of just 4 x 4 positions",
    (
        Family("rows", positions="m2.s*|m*", channels="g*", axes={"w": "s*"}),
        Family("columns", positions="s*", channels="g*|s*", axes={"w": "s*.m*"}),
        Family("all", positions="m4", channels="g*"),
    ),
    depth=(1, 2, 3),
    width=(3,),
    ratio=(2,),
    bias=False,
)
"""
"""Sizes depend on each other: behind patches of 2 no single block will do."""

EVERYTHING = """
from search_spaces import Family, Space

SPACE = Space("everything", "also what mixes nothing", (Family("roles", "*", "*"),), mixes_all=False)
"""

USERS = {"user": USER_FILE, "everything": EVERYTHING}


SQUARE, SMALL = {"h": 4, "w": 4}, {"width": (2,), "depth": (1, 2)}


CASES: dict[str, tuple[str, dict[str, int], dict[str, tuple[int, ...]]]] = {
    "grouped": ("grouped", SQUARE, {"width": (4, 2), "depth": (1, 3), "patch": (1, 2), "ratio": (1, 2)}),
    "local": ("local", SQUARE, {**SMALL, "patch": (1, 2)}),
    "subgrid": ("subgrid", {"h": 4, "w": 6}, {**SMALL, "patch": (1, 2)}),
    "per_channel": ("per_channel", SQUARE, {**SMALL, "patch": (2, 1)}),
    "mixed": ("mixed", SQUARE, {**SMALL, "patch": (1, 2), "depth": (1,)}),
    "mixed, two blocks": ("mixed", {"h": 4, "w": 2}, {**SMALL, "patch": (1,)}),
    "roles": ("roles", SQUARE, {**SMALL, "patch": (4, 2)}),
    "roles, one axis": ("roles", {"t": 6}, {"width": (1,), "depth": (1, 2), "patch": (1, 3)}),
    "roles, three axes": ("roles", {"d": 2, "h": 3, "w": 2}, {"width": (1,), "depth": (2,), "patch": (1,)}),
    "subgrid, three axes": ("subgrid", {"d": 4, "h": 2, "w": 2}, {"width": (2,), "depth": (2,), "patch": (2, 1)}),
    "patches of several sides": ("local", {"h": 4, "w": 6}, {**SMALL, "patch": ((2, 3), 1, (1, 3)), "depth": (1,)}),
    "user": ("user", SQUARE, {"patch": (1, 2)}),
    "everything": ("everything", {"h": 2, "w": 2}, {**SMALL, "patch": (1,), "ratio": (1,)}),
}
CASES |= {
    name: (name, SQUARE, {**SMALL, "patch": (1, 2)})
    for name, space in SPACES.items()
    if not space.forms and name not in [case[0] for case in CASES.values()]
}


SLOW = ("mixed, two blocks", "roles, one axis", "subgrid, three axes")
"""Other sizes of spaces that are here anyway."""


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in CASES])
def space(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BoundSpace:
    name, shape, sizes = CASES[request.param]
    if name in USERS:
        text, name = USERS[name], str(tmp_path_factory.mktemp("user") / "my_space.py")
        Path(name).write_text(text)
    return load(name).on(shape, channels=3, classes=5, **sizes)


@pytest.fixture(scope="module")
def listed(space: BoundSpace) -> list[Architecture]:
    return list(space.enumerate())


def test_every_architecture_is_listed_once_and_counted(space: BoundSpace, listed: list[Architecture]) -> None:
    assert space.count() == len(listed) == len({arch.id for arch in listed}) == len(set(listed)) > 10
    assert all(arch in space for arch in listed)


def test_architectures_mix_along_every_axis(space: BoundSpace, listed: list[Architecture]) -> None:
    assert any(arch.untouched() for arch in listed) == (space.name == "everything")


def test_sequences_of_brute_force_mixers_are_the_space(space: BoundSpace, listed: list[Architecture]) -> None:
    every = {
        space.assemble(skeleton, chosen)
        for skeleton in (Skeleton(*sizes) for sizes in product(*space.sizes.values()))
        for chosen in product(brute_mixers(space.name, space.grid(skeleton)), repeat=skeleton.depth)
        if space.name == "everything" or touches_all(chosen, space.grid(skeleton))
    }
    assert set(listed) == every


def test_bounds_are_exact(space: BoundSpace, listed: list[Architecture]) -> None:
    params, macs = [arch.params for arch in listed], [arch.macs for arch in listed]
    assert space.bounds() == (min(params), max(params), min(macs), max(macs))


def test_macro_reads_the_sizes_back(space: BoundSpace, listed: list[Architecture]) -> None:
    for arch in listed[:: len(listed) // 50 + 1]:
        skeleton = space.skeleton(arch)
        assert skeleton is not None and space.assemble(skeleton, arch.mixers) == arch
        assert arch.grids[0] == space.grid(skeleton)
        assert len(arch.stages[0].blocks) == skeleton.depth
    assert {space.skeleton(arch) for arch in listed} == set(space.skeletons)


def test_sampling_is_uniform(space: BoundSpace, listed: list[Architecture]) -> None:
    rng = Random(0)
    found = Counter(space.sample(rng).id for _ in range(5 * len(listed)))
    assert set(found) <= {arch.id for arch in listed}
    assert looks_uniform(found, len(listed))


def test_sampling_within_a_budget_is_uniform(space: BoundSpace, listed: list[Architecture]) -> None:
    assert list(uniform_within(space, listed, 100))


def test_the_uniformity_test_notices_a_lopsided_sample(listed: list[Architecture]) -> None:
    ids = [arch.id for arch in listed[:100]]
    rng = Random(0)
    fair = Counter(rng.choice(ids) for _ in range(20 * len(ids)))
    lopsided = Counter(rng.choice(ids + ids[: len(ids) // 2]) for _ in range(20 * len(ids)))
    assert looks_uniform(fair, len(ids)) and not looks_uniform(lopsided, len(ids))


def test_share_is_near_the_exact_share(space: BoundSpace, listed: list[Architecture]) -> None:
    for budget in bands(listed):
        exact = sum(budget.admits(arch.params, arch.macs) for arch in listed) / len(listed)
        assert space.share(budget, Random(0), tries=10_000) == pytest.approx(exact, rel=0.15, abs=0.001), budget
    assert space.share(Budget(), Random(0)) == 1
    assert space.share(Budget(max_params=1), Random(0)) == 0


def test_encode_and_decode_are_each_others_reverse(space: BoundSpace, listed: list[Architecture]) -> None:
    for arch in listed[:: len(listed) // 100 + 1]:
        answers = space.encode(arch)
        assert decode(space, answers) == arch
        assert space.encode(decode(space, answers)) == answers


def test_random_answers_make_members_or_miss_an_axis(space: BoundSpace, listed: list[Architecture]) -> None:
    rng = Random(0)
    outcomes: Counter[bool] = Counter()
    options: dict[str, tuple[str, ...]] = {}
    for _ in range(400):
        arch, asked = walk(space, rng)
        skeleton = space.skeleton(arch)
        assert skeleton is not None
        assert (arch in space) == (space.name == "everything" or touches_all(arch.mixers, space.grid(skeleton)))
        outcomes[arch in space] += 1
        for name, seen in asked.items():
            assert options.setdefault(name, seen) == seen, "a question came with other options than before"
    assert outcomes[True] > 50


def test_every_architecture_can_be_chosen(space: BoundSpace, listed: list[Architecture]) -> None:
    """All combinations of answers, depth first."""

    class OpenQuestion(Exception):
        pass

    def outcomes(answers: dict[str, str]) -> Iterator[Architecture]:
        def answer(name: str, options: Sequence[str]) -> str:
            if name not in answers:
                raise OpenQuestion(name, tuple(options))
            return answers[name]

        try:
            yield space.choose(answer)
        except OpenQuestion as question:
            name, options = question.args
            for option in options:
                yield from outcomes({**answers, name: option})

    assert {arch for arch in outcomes({}) if arch in space} == set(listed)


def test_neighbours_are_other_members(space: BoundSpace, listed: list[Architecture]) -> None:
    members = set(listed)
    for arch in Random(0).sample(listed, 15):
        found = space.neighbours(arch)
        assert len(set(found)) == len(found) and arch not in found
        assert set(found) <= members


def test_moves_of_mixers_go_both_ways(space: BoundSpace, listed: list[Architecture]) -> None:
    seen = 0
    for arch in Random(1).sample(listed, 8):
        skeleton = space.skeleton(arch)
        assert skeleton is not None
        for moved in {
            space.assemble(skeleton, mixers) for mixers in places_moved(space.networks[skeleton].alphabets, arch.mixers)
        } & set(space.neighbours(arch)):
            assert arch in space.neighbours(moved)
            seen += 1
    assert seen > 10


@pytest.mark.parametrize("name", [name for name in CASES if name not in USERS])
def test_neighbours_connect_the_space(name: str) -> None:
    declared, shape, sizes = CASES[name]
    space = load(declared).on(shape, channels=1, classes=2, **{**sizes, "depth": sizes["depth"][:1]})
    start = space.sample(Random(0))
    seen, ahead = {start}, [start]
    while ahead:
        for moved in space.neighbours(ahead.pop()):
            if moved not in seen:
                seen.add(moved)
                ahead.append(moved)
    assert len(seen) == space.count()


def test_references_have_the_sizes_asked_for(space: BoundSpace) -> None:
    for skeleton in space.skeletons:
        references = space.references(skeleton)
        grid = space.grid(skeleton)
        assert all(space.skeleton(arch) == skeleton for arch in references.values())
        assert all(mixer.bias == space.facts()["bias"] for arch in references.values() for mixer in arch.mixers)
        assert list(references)[:2] == ["full token mixing", "channels only"]
        full, without = references["full token mixing"], references["channels only"]
        assert touches_all(full.mixers, grid) and not without.mixers
        assert all(factors == canonical((Factor("m", grid[a], grid[a]),)) for a, factors in full.mixers[0].axes[:-1])
        factorable = any(any(n % k == 0 for k in range(2, n)) for axis, n in grid.items() if axis != "c")
        assert ("shared local" in references) == factorable
        assert without.params < full.params


def test_all_of_a_walk_is_deterministic(space: BoundSpace) -> None:
    budget = Budget(max_params=sum(space.bounds()[:2]) // 2)
    for limits in (None, budget):
        first, second = ([space.sample(rng, limits).id for _ in range(5)] for rng in (Random(7), Random(7)))
        assert first == second


def test_samples_are_the_same_in_every_process() -> None:
    """Whatever the seed of Python's string hashes: a search with its seed can be repeated."""
    code = (
        "from random import Random; from search_spaces import load, Budget\n"
        "space = load('mixed').on({'h': 12, 'w': 12}, channels=1, classes=10)\n"
        "rng = Random(0)\n"
        "print([space.sample(rng, budget).id for budget in (None, Budget(max_params=30000)) for _ in range(10)])\n"
        "print([arch.id for arch in space.neighbours(space.sample(rng))])\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] and len(outputs[0]) > 500


# ------------------------------------------------------------------------------------------ counts on all small grids


SIMPLE = [name for name, space in SPACES.items() if not space.forms]


def check_counts(name: str, grids: Iterable[tuple[dict[str, int], int]], *, pairs_below: int) -> None:
    """Mixers and networks of one block, and of two where there are few enough mixers to list all pairs."""
    for positions, width in grids:
        expected = brute_mixers(name, {**positions, "c": width})
        sizes = {"patch": (1,), "width": (width,), "depth": (1, 2)}
        space = load(name).on(positions, channels=1, classes=2, **sizes)
        one, two = Skeleton(1, width, 1, 2), Skeleton(1, width, 2, 2)
        mixers = list(space.letters(one))
        assert len(mixers) == len(expected) and set(mixers) == set(expected), (name, positions, width)
        assert sum(each.number for each in space.networks[one].alphabets[0].classes) == len(expected)
        grid = {**positions, "c": width}
        assert space.networks[one].count == sum(touches_all([mixer], grid) for mixer in expected)
        if len(expected) < pairs_below:
            pairs = sum(touches_all(pair, grid) for pair in product(expected, repeat=2))
            assert space.networks[two].count == pairs, (name, positions, width)


@pytest.mark.parametrize("name", SIMPLE)
def test_counts_on_small_grids(name: str) -> None:
    grids = [({"t": n}, width) for n, width in product((1, 2, 4, 6, 7, 9, 12), (1, 4, 6, 12))]
    check_counts(name, grids, pairs_below=40)
    grids = [({"h": h, "w": w}, width) for h, w, width in product((1, 2, 4, 6), (1, 3, 6), (1, 4))]
    check_counts(name, grids, pairs_below=40)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIMPLE)
def test_counts_on_all_grids_of_two_axes_up_to_12_and_of_three_up_to_6(name: str) -> None:
    check_counts(name, [({"t": n}, width) for n, width in product(range(1, 13), repeat=2)], pairs_below=400)
    check_counts(name, [({"h": h, "w": w}, width) for h, w, width in product(range(1, 7), repeat=3)], pairs_below=400)


def test_the_documented_counts() -> None:
    """One block on 8 x 8: the forms of an axis that mix, squared, times the forms of c."""
    grid = {"h": 8, "w": 8}
    sizes = {"width": (32,), "depth": (1,), "patch": (1,)}
    # c is s32, g2.s16, ..., g32: six forms
    assert load("grouped").on(grid, channels=1, classes=10, **sizes).count() == 6
    # an axis is m2.s4, m4.s2 or m8
    assert load("subgrid").on(grid, channels=1, classes=10, **sizes).count() == 3 * 3 * 6
    # m8, m4 at either end, m2 at either end or in the middle
    assert load("per_channel").on(grid, channels=1, classes=10, **sizes).count() == 6 * 6
    # of the 27 forms of 8, 8 have only shared and grouped factors
    assert load("roles").on(grid, channels=1, classes=10, **sizes).count() == 19 * 19 * 243


def test_networks_of_long_axes_are_counted_not_listed() -> None:
    start = process_time()
    space = load("roles").on({"t": 4096}, channels=3, classes=10, patch=(1,), width=(4096,), depth=(24,))
    assert space.count() == (3**12 * 3**12) ** 24 - (2**12 * 3**12) ** 24
    assert space.sample(Random(0)) in space
    assert process_time() - start < 10


# ------------------------------------------------------------------------------------------ laziness, small budgets


LARGE = {"patch": (1,), "width": (384,), "depth": (4,)}


@pytest.mark.parametrize("name", SPACES)
def test_the_first_of_the_largest_come_at_once(name: str) -> None:
    start = process_time()
    space = load(name).on({"h": 64, "w": 64}, channels=3, classes=10, **LARGE)
    first = list(islice(space.enumerate(), 20))
    assert len(set(first)) == 20 and all(arch in space for arch in first)
    assert process_time() - start < 5


def test_beginnings_that_cannot_be_completed_are_left() -> None:
    """Three blocks for three axes, each of which can mix along one or along none: each has to."""
    along = {axis: {other: "s*" for other in "dhw" if other != axis} for axis in "dhw"}
    families = tuple(Family(f"along_{axis}", "s*|m*", "*", axes=apart) for axis, apart in along.items())
    shape = dict.fromkeys("dhw", 8)
    space = Space("crossed", "", families, patch=(1,), depth=(3,)).on(shape, channels=1, classes=2, width=(64,))
    assert space.count() == 6 * 729**3
    start = process_time()
    assert touches_all(next(space.enumerate()).mixers, shape)
    assert process_time() - start < 5


def test_networks_that_cover_all_axes_are_found_where_hardly_any_do() -> None:
    """A million mixers that leave positions apart beside one that mixes them: one pair in a million mixes at all."""
    families = Family("still", "s*", "*"), Family("full", "m*", "s*")
    space = Space("rare", "", families, patch=(1,), width=(2**13,), depth=(2, 3)).on({"t": 8}, channels=1, classes=2)
    still, start = 3**13, process_time()
    assert space.count() == (still + 1) ** 2 - still**2 + (still + 1) ** 3 - still**3
    found = [space.sample(Random(seed)) for seed in range(40)]
    assert all(arch in space for arch in found) and {len(arch.mixers) for arch in found} == {3}
    assert space.share(Budget(), Random(0)) == 1
    assert process_time() - start < 10


def test_tight_budgets_are_sampled_fast() -> None:
    """Shares below one in a million: all four blocks have to be near the smallest, or near the largest."""
    space = load("roles").on({"h": 64, "w": 64}, channels=3, classes=10, **LARGE)
    least, most, fewest, _ = space.bounds()
    rng, start = Random(0), process_time()
    for budget in (
        Budget(max_params=least),
        Budget(max_params=least + 1000),
        Budget(most // 100 * 99),
        Budget(max_macs=fewest * 1001 // 1000),
    ):
        assert space.share(budget, rng) < 1e-6
        for _ in range(20):
            arch = space.sample(rng, budget)
            assert budget.admits(arch.params, arch.macs) and arch in space
    assert process_time() - start < 10


def test_a_budget_between_two_sizes_ends_soon() -> None:
    space = load("roles").on({"h": 64, "w": 64}, channels=3, classes=10, **LARGE)
    least, most, _, _ = space.bounds()
    start = process_time()
    with pytest.raises(SpaceError) as error:
        space.sample(Random(0), Budget(most // 2, most // 2))
    limits = f"{most // 2:,} to {most // 2:,} parameters"
    assert str(error.value) == f"next to no architecture of space 'roles' has {limits}: widen the budget"
    with pytest.raises(SpaceError):
        space.sample(Random(0), Budget(max_params=least - 1))
    assert process_time() - start < 10
    assert space.share(Budget(most // 2, most // 2), Random(0)) == 0


# ------------------------------------------------------------------------------------------ neighbours, membership


def mixer_texts(found: Iterable[Architecture], skeleton: Skeleton, space: BoundSpace) -> set[tuple[str, ...]]:
    return {tuple(map(str, arch.mixers)) for arch in found if space.skeleton(arch) == skeleton}


def test_depth_changes_by_repeated_or_left_out_blocks() -> None:
    space = load("local").on({"t": 8}, channels=1, classes=2, patch=(1,), width=(4,), depth=(1, 2, 3, 5), ratio=(2,))
    a, b, c = (f"t={term} c=s4 +b" for term in ("m8", "s2.m4", "s4.m2"))
    two, three, five = (Skeleton(1, 4, depth, 2) for depth in (2, 3, 5))
    found = space.neighbours(space.assemble(three, [Mixer.parse(text) for text in (a, b, c)]))
    assert mixer_texts(found, two, space) == {(a, b), (a, c), (b, c)}
    assert mixer_texts(found, five, space) == {(a, a, a, b, c), (a, b, b, b, c), (a, b, c, c, c)}
    assert {len(arch.mixers) for arch in found} == {2, 3, 5}


def test_the_next_size_is_the_next_in_size_however_they_are_declared() -> None:
    sizes = {"patch": (2, 1), "width": (4, 16, 8), "depth": (3, 1, 2)}
    space = load("local").on({"t": 8}, channels=1, classes=2, **sizes, ratio=(2,))
    for skeleton in space.skeletons:
        mixer = Mixer.parse(f"t=m{8 // skeleton.patch} c=s{skeleton.width} +b")
        arch = space.assemble(skeleton, [mixer] * skeleton.depth)
        found = {space.skeleton(each) for each in space.neighbours(arch)}
        for name, known in sizes.items():
            ordered, own = sorted(known), getattr(skeleton, name)
            beside = {n for n in ordered if abs(ordered.index(n) - ordered.index(own)) == 1}
            assert {getattr(other, name) for other in found if other} - {own} == beside


def test_deep_networks_have_few_neighbours_of_another_depth() -> None:
    """Of the 2,704,156 ways to leave 12 blocks of 24 out, the 13 that leave out a run."""
    space = load("roles").on({"t": 8}, channels=1, classes=2, patch=(1,), width=(4,), depth=(12, 24))
    skeleton = space.skeletons[-1]
    mixing = (mixer for mixer in space.letters(skeleton) if "t" in mixer.mixed)
    deep = space.assemble(skeleton, list(islice(mixing, 24)))
    start = process_time()
    assert sum(len(arch.mixers) == 12 for arch in space.neighbours(deep)) == 13
    assert process_time() - start < 10


def test_mixers_are_carried_over_to_other_sizes() -> None:
    space = load("mixed").on(
        {"h": 8, "w": 8}, channels=1, classes=2, patch=(1, 2), width=(4, 6), depth=(1,), ratio=(2,)
    )
    here, coarser, wider = Skeleton(1, 4, 1, 2), Skeleton(2, 4, 1, 2), Skeleton(1, 6, 1, 2)
    found = space.neighbours(space.assemble(here, [Mixer.parse("h=s2.m4 w=s2.m4 c=g2.s2 +b")]))
    assert mixer_texts(found, coarser, space) == {("h=m4 w=m4 c=g2.s2 +b",), ("h=s2.m2 w=s2.m2 c=g2.s2 +b",)}
    assert mixer_texts(found, wider, space) == {("h=s2.m4 w=s2.m4 c=g3.s2 +b",), ("h=s2.m4 w=s2.m4 c=g2.s3 +b",)}
    # 4 channels each with weights of its own do not become 6 in a factor of 4, but all of them may
    found = space.neighbours(space.assemble(here, [Mixer.parse("h=m8 w=m8 c=g4 +b")]))
    assert mixer_texts(found, wider, space) == {("h=m8 w=m8 c=g6 +b",)}


def test_an_axis_that_no_factor_fits_keeps_its_largest_role() -> None:
    space = load("roles").on({"t": 4}, channels=1, classes=2, patch=(1,), width=(4, 9), depth=(1,), ratio=(2,))
    found = space.neighbours(space.assemble(Skeleton(1, 4, 1, 2), [Mixer.parse("t=m4 c=g2.s2 +b")]))
    assert mixer_texts(found, Skeleton(1, 9, 1, 2), space) == {("t=m4 c=g9 +b",)}


def test_a_single_position_leaves_nothing_to_mix_but_channels() -> None:
    space = load("roles").on({"h": 8, "w": 8}, channels=1, classes=2, patch=(8,), width=(4,), depth=(2,))
    assert space.count() == 9**2 == len(set(space.enumerate()))
    assert space.sample(Random(0)) in space
    assert space.references(space.skeletons[0])["channels only"] not in space


def mixed_space() -> BoundSpace:
    return load("mixed").on({"h": 8, "w": 8}, channels=1, classes=10, patch=(1, 2), width=(8, 16), depth=(2,))


def test_what_a_space_does_not_hold() -> None:
    space = mixed_space()
    arch = space.sample(Random(0))
    skeleton = space.skeleton(arch)
    assert skeleton is not None
    stage, other = arch.stages[0], "h=m2.s2.m2 w=m8 c=s8 +b" if skeleton.patch == 1 else "h=m4 w=g4 c=s8 +b"
    grid = space.grid(skeleton)
    foreign = Mixer.parse(other.replace("s8 +b", f"s{skeleton.width} +b"))
    full = space.references(skeleton)["full token mixing"].mixers[0]
    unbiased = Mixer(full.axes)
    there, back = (
        Mixer.parse(" ".join(f"{axis}=s{n}" for axis, n in grid.items() if axis != "c") + f" c=m{sizes}")
        for sizes in (f"{skeleton.width}:3", f"3:{skeleton.width}")
    )
    expanding = Residual((Mix(there), Mix(back))), stage.blocks[0][1]
    outside = [
        Architecture(arch.inputs, (Stage(stage.embed, (expanding,) * 2),), 10),
        Architecture((("h", 8), ("w", 8), ("c", 3)), (Stage((Mix(Mixer.parse("h=s8 w=s8 c=m3:8 +b")),), ()),), 10),
        Architecture(arch.inputs, (Stage(stage.embed, ()),), 10),
        Architecture(arch.inputs, (Stage(stage.embed, stage.blocks[:1]),), 10),
        Architecture(arch.inputs, (Stage(stage.embed, stage.blocks),), 11),
        Architecture(
            arch.inputs,
            (stage, Stage((Mix(Mixer(tuple((a, (Factor("s", n, n),)) for a, n in grid.items()))),), ())),
            10,
        ),
        space.assemble(skeleton, [foreign, foreign]),
        space.assemble(skeleton, [unbiased, unbiased]),
        space.references(skeleton)["channels only"],
        load("mixed").on({"w": 8, "h": 8}, channels=1, classes=10).sample(Random(0)),
        load("mixed").on({"t": 8}, channels=1, classes=10).sample(Random(0)),
    ]
    assert arch in space and foreign.inputs == grid and space.assemble(skeleton, [full, full]) in space
    for each in outside:
        assert each not in space
        assert set(space.neighbours(each)) <= {n for n in space.neighbours(each) if n in space}
        with pytest.raises(SpaceError, match=f"architecture {each.id} is not in space 'mixed'"):
            space.encode(each)


def test_neighbours_of_a_network_outside_lead_in() -> None:
    space = load("roles").on({"h": 4, "w": 4}, channels=1, classes=2, patch=(1,), width=(4,), depth=(1,))
    still = space.assemble(space.skeletons[0], [Mixer.parse("h=s4 w=m4 c=s4 +b")])
    assert still not in space
    assert space.neighbours(still) and all(arch in space for arch in space.neighbours(still))


def test_axis_names_may_end_in_digits() -> None:
    space = load("mixed").on({"x1": 4, "x12": 4}, channels=1, classes=2, patch=(1,), width=(4,), depth=(2,))
    for arch in (space.sample(Random(seed)) for seed in range(20)):
        assert decode(space, space.encode(arch)) == arch


# ------------------------------------------------------------------------------------------ sizes


def test_patches_have_a_side_for_every_axis_in_all_that_is_said_of_a_network() -> None:
    shape = {"t": 5, "h": 32, "w": 32}
    space = load("subgrid").on(shape, channels=1, classes=3, patch=((1, 4, 4), (5, 8, 8), (1, 8, 8)), width=(8,))
    assert space.middle.patch == (1, 8, 8) and space.grid(space.middle) == {"t": 5, "h": 4, "w": 4, "c": 8}
    for name, arch in space.references(space.middle).items():
        assert space.skeleton(arch) == space.middle and arch.grids[0] == space.grid(space.middle), name
        assert sizes(arch) == "p1x8x8 w8 d3" and "patches of 1 x 8 x 8" in source(arch)
    arch = next(a for a in map(space.sample, map(Random, range(99))) if space.skeleton(a).patch == (1, 8, 8))
    answers = space.encode(arch)
    assert answers["patch"] == "1x8x8" and decode(space, answers) == arch == Architecture.from_json(arch.to_json())
    patches = {space.skeleton(each).patch for each in space.neighbours(arch)}
    assert (1, 4, 4) in patches, "the next smaller patch"
    assert build(arch)(torch.rand(2, 1, 5, 32, 32)).shape == (2, 3)


def test_sides_that_are_alike_are_one_number() -> None:
    """So ids, questions and settings are those of before."""
    shape = {"h": 8, "w": 8}
    plain, apart = (
        load("local").on(shape, channels=1, classes=2, patch=patch, width=(8,), depth=(1,))
        for patch in ((2, 1), ((2, 2), 1, (1, 1)))
    )
    assert plain.sizes == apart.sizes == {"patch": (2, 1), "width": (8,), "depth": (1,), "ratio": (2,)}
    assert [arch.id for arch in plain.enumerate()] == [arch.id for arch in apart.enumerate()]
    assert json.dumps([*plain.sizes["patch"]]) == "[2, 1]"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ((1, 2), "a patch of 1x2 has 2 sides, the data have axes t h w"),
        ((1, 3, 4), "a patch of 1x3x4 does not divide axis h=32; sizes that divide: 1, 2, 4, 8, 16, 32"),
        (4, "a patch of 4 does not divide axis t=5; sizes that divide: 1"),
    ],
    ids=str,
)
def test_patches_that_do_not_fit_the_axes(patch: int | tuple[int, ...], message: str) -> None:
    with pytest.raises(SpaceError) as error:
        load("local").on({"t": 5, "h": 32, "w": 32}, channels=1, classes=2, patch=(1, patch))
    assert one_line(error) == message
    declared = Space("mine", "", (Family("any", "*", "s*"),), patch=(patch, (1, 8, 8)))
    bound = declared.on({"t": 5, "h": 32, "w": 32}, channels=1, classes=2)
    assert bound.sizes["patch"] == ((1, 8, 8),), "of those declared the ones that fit"


def test_the_middle_has_about_64_positions() -> None:
    space = load("local").on({"h": 32, "w": 32}, channels=3, classes=10)
    assert space.middle == Skeleton(patch=4, width=32, depth=3, ratio=2)


def test_declared_patches_that_do_not_divide_are_left_out() -> None:
    space = Space("mine", "", (Family("any", "*", "s*"),), patch=(3, 4, 7))
    assert space.on({"h": 28, "w": 28}, channels=1, classes=2).sizes["patch"] == (4, 7)
    assert space.on({"h": 28, "w": 56}, channels=1, classes=2).sizes["patch"] == (4, 7)
    with pytest.raises(SpaceError, match="a patch of 3 does not divide axis t=25; sizes that divide: 1, 5, 25"):
        space.on({"t": 25}, channels=1, classes=2)


def test_sizes_asked_for_replace_those_declared() -> None:
    space = load("local").on({"h": 8, "w": 8}, channels=1, classes=2, width=(12,), ratio=(3, 1), depth=(1,))
    assert space.sizes == {"patch": (1, 2), "width": (12,), "depth": (1,), "ratio": (3, 1)}


def test_sizes_at_which_there_is_nothing_are_not_offered() -> None:
    """A grid of 6 x 6 has a half of 2 and a third of 3; one of 3 x 3 has no half, and one block mixes one axis."""
    families = Family("halves", "m2.s*", "s*"), Family("rows", "m*", "s*", axes={"w": "s*"})
    space = Space("mine", "", families, patch=(1, 2), depth=(1, 2), width=(4,)).on(
        {"h": 6, "w": 6}, channels=1, classes=2
    )
    assert [(skeleton.patch, skeleton.depth) for skeleton in space.skeletons] == [(1, 1), (1, 2)]
    assert space.count() == len(set(space.enumerate())) == 1 + 3
    for seed in range(30):
        arch, asked = walk(space, Random(seed))
        assert "patch" not in asked and asked["depth"] == ("1", "2")
        assert "depth" in asked and len(arch.inputs) == 3
    assert {space.sample(Random(seed)) for seed in range(100)} == set(space.enumerate())


# ------------------------------------------------------------------------------------------ bad input


def one_line(error: pytest.ExceptionInfo[SpaceError]) -> str:
    message = str(error.value)
    assert message and "\n" not in message
    return message


def test_a_patch_that_does_not_divide() -> None:
    with pytest.raises(SpaceError) as error:
        load("local").on({"h": 12, "w": 16}, channels=1, classes=2, patch=(2, 3))
    assert one_line(error) == "a patch of 3 does not divide axis w=16; sizes that divide: 1, 2, 4"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("subgrids", "no space 'subgrids': did you mean 'subgrid'? known: "),
        ("LOCAL", "no space 'LOCAL': did you mean 'local'? known: "),
        ("per-channel", "no space 'per-channel': did you mean 'per_channel'? known: "),
        ("", "no space '': known: "),
        ("nothing like it", "no space 'nothing like it': known: "),
    ],
)
def test_unknown_spaces(name: str, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        load(name)
    known = "grouped, local, subgrid, per_channel, mixed, roles, macro, or the path of a .py file"
    assert one_line(error) == message + known


DECLARATION = 'from search_spaces import Family, Space\nF = Family("f", "m*", "s*")\n'


FILES = {
    "SPACE = ": "failed: SyntaxError: invalid syntax (space.py, line 3)",
    "1 / 0": "failed, line 3: ZeroDivisionError: division by zero",
    "\n\ndef f():\n  raise RuntimeError('two\\nlines')\nf()": "failed, line 6: RuntimeError: two lines",
    "import no_such_module": "failed, line 3: ModuleNotFoundError: No module named 'no_such_module'",
    "open('/nowhere')": "failed, line 3: FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'",
    "raise SystemExit('bye')": "failed, line 3: SystemExit: bye",
    "": "declares no space: write SPACE = Space(...), not None",
    "class A:\n  def __repr__(self): return 'a\\nb' * 99\nSPACE = A()": "write SPACE = Space(...), not a ba ba b",
    "SPACE = 3": "declares no space: write SPACE = Space(...), not 3",
    "SPACE = Family('f', 'm*', 's*')": "declares no space: write SPACE = Space(...), not Family(",
    "Family('f', 'm*.', 's*')": "SpaceError: family 'f': 'm*.' is no pattern of factors (write roles s, g, m with",
    "Family('f', 'm*', 'k*')": "SpaceError: family 'f': 'k*' is no pattern of factors (",
    "Family('f', 'm*', 's*', axes={'w': 'm'})": "SpaceError: family 'f': 'm' is no pattern of factors (",
    "Family('f', 'm*', 's*', axes='w')": "SpaceError: family 'f': axes is a dict from axis to pattern, not 'w'",
    "Family('f', 'm*', 5)": "SpaceError: family 'f': a pattern is a text such as 'm*.s*', not 5",
    "Family('my.f', 'm*', 's*')": "'my.f' cannot name a family: lower-case letters, digits and underscores",
    "Family(3, 'm*', 's*')": "3 cannot name a family: lower-case letters, digits and underscores",
    "Space('My space', '', (F,))": "'My space' cannot name a space: lower-case letters, digits and underscores",
    "Space('../s', '', (F,))": "'../s' cannot name a space: lower-case letters, digits and underscores",
    "Space('s', '', ())": "space 's' needs a tuple of at least one Family, not ()",
    "Space('s', '', F)": "space 's' needs a tuple of at least one Family, not Family(",
    "Space('s', '', ('local',))": "space 's' needs a tuple of at least one Family, not ('local',)",
    "Space('s', '', (F, F))": "space 's' has two families of one name",
    "Space('s', '', (F,), width=())": "space 's': width is a tuple of different whole numbers from 1 to 65536, not ()",
    "Space('s', '', (F,), depth=(2, 2))": "depth is a tuple of different whole numbers from 1 to 256, not (2, 2)",
    "Space('s', '', (F,), depth=2)": "depth is a tuple of different whole numbers from 1 to 256, not 2",
    "Space('s', '', (F,), depth=(10**9,))": "whole numbers from 1 to 256, not (1000000000,)",
    "Space('s', '', (F,), width=(8, 0))": "width is a tuple of different whole numbers from 1 to 65536, not (8, 0)",
    "Space('s', '', (F,), ratio=(0.5,))": "ratio is a tuple of different whole numbers from 1 to 256, not (0.5,)",
    "Space('s', '', (F,), patch=(True,))": "(or of tuples, one for each axis), not (True,)",
    "Space('s', '', (F,), bias='no')": "space 's': bias is True or False, not 'no'",
    "Space('s', '', (F,), heads=2)": "TypeError: Space.__init__() got an unexpected keyword argument 'heads'",
}


@pytest.mark.parametrize("code", FILES)
def test_space_files_that_declare_nothing_usable(code: str, tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_text(DECLARATION + code)
    with pytest.raises(SpaceError) as error:
        load(str(path))
    message = one_line(error)
    assert repr(str(path)) in message and FILES[code] in message


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"SPACE = '\x00'", b"x = '\xe9'"])
def test_space_files_that_are_no_text(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    path.write_bytes(content)
    with pytest.raises(SpaceError) as error:
        load(str(path))
    assert one_line(error).startswith(f"space {str(path)!r} failed")


def test_a_space_file_that_is_missing_or_a_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "none.py", tmp_path / "folder.py"):
        if path.name == "folder.py":
            path.mkdir()
        with pytest.raises(SpaceError) as error:
            load(str(path))
        assert one_line(error) == f"cannot read space {str(path)!r}: there is no such file"


def test_a_space_file_may_use_what_python_has(tmp_path: Path) -> None:
    path = tmp_path / "space.py"
    first = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    more = "@dataclass\nclass A:\n    x: int = 0\n\nif __name__ == '__main__':\n    1 / 0\n"
    path.write_text(first + DECLARATION + more + "SPACE = Space('s', '', (F,))\n")
    assert load(str(path)) == Space("s", "", (Family("f", "m*", "s*"),))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"depth": (2, 2)}, "space 'local': depth is a tuple of different whole numbers from 1 to 256, not (2, 2)"),
        ({"width": (0,)}, "space 'local': width is a tuple of different whole numbers from 1 to 65536, not (0,)"),
        (
            {"patch": (-1,)},
            "space 'local': patch is a tuple of different whole numbers from 1 to 16777216 (or of tuples, one for each "
            "axis), not (-1,)",
        ),
        (
            {"patch": ((1, 0),)},
            "space 'local': patch is a tuple of different whole numbers from 1 to 16777216 (or of tuples, one for each "
            "axis), not ((1, 0),)",
        ),
        ({"ratio": (1.5,)}, "space 'local': ratio is a tuple of different whole numbers from 1 to 256, not (1.5,)"),
    ],
)
def test_sizes_asked_for_are_checked(sizes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(SpaceError) as error:
        load("local").on({"h": 8, "w": 8}, channels=1, classes=2, **sizes)
    assert one_line(error) == message


@pytest.mark.parametrize(
    ("shape", "channels", "classes"),
    [
        *(({}, 1, 2), ({"c": 8}, 1, 2), ({"t": 0}, 1, 2), ({"t": 8}, 0, 2), ({"t": 8}, 1, 0), ({"t": 8.0}, 1, 2)),
        (dict.fromkeys("dehwx", 2), 1, 2),
    ],
    ids=str,
)
def test_shapes_are_checked(shape: dict[str, int], channels: int, classes: int) -> None:
    with pytest.raises(SpaceError) as error:
        load("local").on(shape, channels=channels, classes=classes)
    fact = "data have 1 to 4 spatial axes, channels and classes, all of at least 1"
    assert one_line(error) == f"{fact}, not {shape}, {channels} and {classes}"


def test_a_family_that_names_an_axis_the_data_lack() -> None:
    space = Space("s", "", (Family("rows", "m*", "s*", axes={"w": "s*"}),))
    with pytest.raises(SpaceError) as error:
        space.on({"t": 16}, channels=1, classes=2)
    assert one_line(error) == "family 'rows' names an axis 'w'; the data have t c"


@pytest.mark.parametrize(
    ("family", "depth"),
    [
        (Family("still", "g*.s*", "m*"), (1, 3)),
        (Family("thirds", "m3.s*", "s*"), (1,)),
        (Family("w", "s5.m*", "*"), (2,)),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_an_empty_space(family: Family, depth: tuple[int, ...]) -> None:
    space = Space("empty", "", (family,), depth=depth).on({"h": 8, "w": 8}, channels=1, classes=2)
    assert space.count() == 0 and list(space.enumerate()) == []
    assert space.grid(space.middle)["h"] == 8 and all("h" not in mixer.mixed for mixer in space.letters(space.middle))
    for ask in (
        space.bounds,
        lambda: space.sample(Random(0)),
        lambda: space.sample(Random(0), Budget(max_params=10)),
        lambda: space.check(None),
        lambda: space.check(Budget()),
        lambda: space.choose(lambda name, options: options[0]),
    ):
        with pytest.raises(SpaceError) as error:
            ask()
        assert one_line(error) == "space 'empty' holds no network that mixes along all of h w"
    assert space.share(Budget(), Random(0)) == 0


@pytest.mark.parametrize("which", ["params below", "params above", "macs below"])
def test_a_budget_that_nothing_meets(which: str) -> None:
    space = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10)
    least, most, fewest, largest = space.bounds()
    budget, limits = {
        "params below": (Budget(max_params=least - 1), f"0 to {least - 1:,} parameters"),
        "params above": (Budget(most + 1), f"at least {most + 1:,} parameters"),
        "macs below": (Budget(max_macs=fewest - 1), f"at least 0 parameters, at most {fewest - 1:,} MACs"),
    }[which]
    for ask in (space.check, lambda limit: space.sample(Random(0), limit)):
        with pytest.raises(SpaceError) as error:
            ask(budget)
        assert one_line(error) == (
            f"no architecture of space 'subgrid' has {limits}: "
            f"they have {least:,} to {most:,} parameters and {fewest:,} to {largest:,} MACs"
        )


def test_a_budget_that_is_empty() -> None:
    with pytest.raises(SpaceError, match=r"^no network has 200 to 100 parameters$"):
        Budget(200, 100)
    assert str(Budget(max_params=0, max_macs=0)) == "0 to 0 parameters, at most 0 MACs"


LOCAL_REFERENCES = [
    # of a length and the patches that are nearest to its root, two of them unless it is a square
    ({"h": 12, "w": 20}, "h=m12 w=m20 c=s8", r"h=(s4.m3|s3.m4) w=(s5.m4|s4.m5) c=s8"),
    ({"h": 16, "w": 6}, "h=m16 w=m6 c=s8", r"h=s4.m4 w=(s3.m2|s2.m3) c=s8"),
    ({"t": 50}, "t=m50 c=s8", r"t=(s10.m5|s5.m10) c=s8"),
    ({"d": 9, "h": 7, "w": 18}, "d=m9 h=m7 w=m18 c=s8", r"d=s3.m3 h=s7 w=(s6.m3|s3.m6) c=s8"),
]


@pytest.mark.parametrize("name", ["mixed", "macro"])
@pytest.mark.parametrize(("shape", "full", "local"), LOCAL_REFERENCES)
def test_references_are_what_they_are_called(name: str, shape: dict[str, int], full: str, local: str) -> None:
    """Where no axis is as long as another, and no patch as long as there are patches."""
    space = load(name).on(shape, channels=1, classes=2, patch=(1,), width=(8,), depth=(2,))
    references = space.references(space.middle)
    assert [str(mixer) for mixer in references["full token mixing"].mixers] == [f"{full} +b"] * 2
    first, second = map(str, references["shared local"].mixers)
    assert first == second and re.fullmatch(local + r" \+b", first)
    assert references["channels only"].mixers == () and references["channels only"].untouched() == tuple(shape)
    parts = [part for part in references["channels only"].parts if part.role == "block"]
    assert len(parts) == 2 and all(len(part.steps) == 1 for part in parts)


def test_both_ends_of_a_budget_are_in_it() -> None:
    limits = Budget(100, 200, 50)
    inside = [(100, 50), (200, 50), (150, 0)]
    outside = [(99, 50), (201, 50), (150, 51), (100, 51)]
    assert all(limits.admits(*each) for each in inside) and not any(limits.admits(*each) for each in outside)
    assert Budget(max_params=200).admits(200, 10**9) and not Budget(100).admits(99, 0) and Budget(100).admits(10**9, 0)
    for bounds, meets, holds in (
        # least and most parameters, fewest and most multiply-accumulates
        ((200, 300, 50, 60), True, False),
        ((50, 100, 0, 50), True, False),
        ((201, 300, 0, 10), False, False),
        ((50, 99, 0, 10), False, False),
        ((100, 200, 51, 60), False, False),
        ((100, 200, 10, 50), True, True),
        ((100, 201, 10, 50), True, False),
        ((99, 200, 10, 50), True, False),
        ((100, 200, 10, 51), True, False),
    ):
        assert (limits.meets(bounds), limits.holds(bounds)) == (meets, holds)


def test_a_mixer_of_several_families_is_said_as_one_of_the_first() -> None:
    """So that a sampler sees one network under one name."""
    space = load("mixed").on({"h": 4, "w": 2}, channels=1, classes=2, patch=(1,), width=(8,), depth=(1,), ratio=(2,))
    names = list(space.facts()["families"])
    for text, first in (("h=m4 w=m2 c=g8", 0), ("h=s2.m2 w=m2 c=g8", 1), ("h=m2.s2 w=m2 c=g8", 2)):
        arch = space.assemble(space.skeletons[0], [Mixer.parse(f"{text} +b")])
        (family,) = (answer for question, answer in space.encode(arch).items() if ".family" in question)
        assert family == names[first] and decode(space, space.encode(arch)) == arch
