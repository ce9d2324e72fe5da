"""Weighted draws: exactly what the weights' definition says, read from plain lists of what a space holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from math import prod
from random import Random
from typing import Any

import pytest
from walks import bands, tiny

from einmix import Architecture, Mixer
from einmix.algebra.factor_sets import Urn
from nas.api.search import Session
from nas.options.search import Search
from nas.ranking.objectives import parse_objectives
from nas.strategies.fast_tpe import FastTpe
from nas.strategies.random_search import RandomSearch
from nas.strategies.tpe import Tpe
from search_spaces import SPACES, BoundSpace, Budget, Family, Space, SpaceError, load
from search_spaces.blocks.filled import Filled
from search_spaces.blocks.forms import FORMS

FAMILIES: dict[str, Callable[[Mixer], bool]] = {
    "whole": lambda mixer: all(word(mixer, axis) in ("", "m") for axis in "hw") and word(mixer, "c") in ("", "s", "g"),
    "rows": lambda mixer: word(mixer, "h") in ("", "s") and word(mixer, "w") in ("", "s", "m", "ms"),
    "patches": lambda mixer: (
        all(word(mixer, a) in ("", "s", "m", "sm") for a in "hw") and word(mixer, "c") in ("", "g")
    ),
}
"""Which mixers a family holds, by the roles of their factors; some are in two of them, or in all."""

DECLARED = (
    Family("whole", "m*", "s*|g*"),
    Family("rows", "s*", "*", axes={"w": "m*.s*"}),
    Family("patches", "s*.m*", "g*"),
)


def word(mixer: Mixer, axis: str) -> str:
    return "".join(factor.role for factor in dict(mixer.axes)[axis])


def families(weights: dict[str, int], **sizes: tuple[int, ...]) -> BoundSpace:
    sizes = {"patch": (1, 2), "width": (2, 3), "depth": (1, 2)} | sizes
    return Space("three", "", DECLARED, weights=weights, **sizes).on({"h": 4, "w": 2}, channels=1, classes=2)


CASES: dict[str, BoundSpace] = {
    "families": families({"rows": 5}),
    "families alike": families(dict.fromkeys(FAMILIES, 1), depth=(1,)),
    "forms": tiny({"h": 2, "w": 2}, forms=("linear", "shift", "gate"), depth=(1, 2), width=(2,), weights={"gate": 3}),
    "all forms": tiny({"t": 4}, weights=dict.fromkeys(FORMS, 1), width=(2, 4)),
    "two stages": tiny(
        {"h": 4, "w": 2}, forms=("linear", "conv"), depth=(1, 2), stages=(1, 2), width=(1,), weights={"conv": 2}
    ),
}


@pytest.fixture(scope="module", params=CASES)
def space(request: pytest.FixtureRequest) -> BoundSpace:
    return CASES[request.param]


@pytest.fixture(scope="module")
def listed(space: BoundSpace) -> list[Architecture]:
    return list(space.enumerate())


def ideas_of(letter: Any) -> list[str]:
    """The form of a block, or the families of a mixer."""
    return [letter.form] if isinstance(letter, Filled) else [name for name, holds in FAMILIES.items() if holds(letter)]


def defined(space: BoundSpace) -> Iterator[tuple[Architecture, Fraction, Hashable]]:
    """Every network with its chance before any is refused, and the ideas of its blocks.

    Sizes uniformly, then for each block an idea by its weight among those that have any letter, then a letter.
    """
    for skeleton in space.skeletons:
        places = [list(alphabet.enumerate()) for alphabet in space.networks[skeleton].alphabets]
        numbers = [Counter(name for letter in letters for name in ideas_of(letter)) for letters in places]
        weights = [{name: space.facts()["weights"].get(name, 1) for name in number} for number in numbers]
        for letters in product(*places):
            arch = space.assemble(skeleton, letters)
            chance = Fraction(1, len(space.skeletons))
            for letter, number, weight in zip(letters, numbers, weights, strict=True):
                chance *= sum(Fraction(weight[name], sum(weight.values()) * number[name]) for name in ideas_of(letter))
            if arch in space:
                yield arch, chance, (skeleton, tuple(tuple(ideas_of(letter)) for letter in letters))


def odds(urn: Urn[Any]) -> dict[Any, Fraction]:
    cumulative = [0, *urn._cumulative]
    return {key: Fraction(b - a, urn.sum) for key, (a, b) in zip(urn._keys, pairwise(cumulative), strict=True) if b > a}


def proposed(space: BoundSpace, budget: Budget) -> dict[Hashable, Fraction]:
    """How likely every draw is: its sizes, the ideas of its blocks, its cost; those within the budget together 1."""
    proposals = space._proposals(budget, weighted=True)
    found: dict[Hashable, Fraction] = defaultdict(Fraction)
    for skeleton, first in odds(proposals._skeletons).items():
        sequences, networks = proposals._of(skeleton), space.networks[skeleton]
        ways = [(first, frozenset[str](), (), *networks.base)]
        for step, classes, alphabet in zip(sequences._steps, sequences._classes, networks.alphabets, strict=True):
            ways = [
                (
                    chance * more * each,
                    (covered | axes) & networks.axes,
                    (*ideas, tuple(alphabet.ideas_of(counted.key))),
                    params + counted.params,
                    macs + counted.macs,
                )
                for chance, covered, ideas, params, macs in ways
                for axes, more in odds(step[covered]).items()
                for counted, each in odds(classes[axes]).items()
            ]
        for chance, _, ideas, params, macs in ways:
            if budget.admits(params, macs):
                found[skeleton, ideas, params, macs] += chance
    total = sum(found.values())
    return {key: chance / total for key, chance in found.items()}


def test_draws_are_as_likely_as_the_weights_say(space: BoundSpace, listed: list[Architecture]) -> None:
    """To the last digit: by sizes, ideas and cost, whatever the budget."""
    every, checked = list(defined(space)), 0
    assert {arch for arch, _, _ in every} == set(listed)
    for budget in (Budget(), *bands(listed)):
        expected: dict[Hashable, Fraction] = defaultdict(Fraction)
        for arch, chance, ideas in every:
            if budget.admits(arch.params, arch.macs):
                expected[(*ideas, arch.params, arch.macs)] += chance
        if not expected:
            continue
        total = sum(expected.values())
        assert proposed(space, budget) == {key: chance / total for key, chance in expected.items()}, budget
        checked += len(expected) > 1
    assert checked >= 3


def test_samples_follow_the_weights(space: BoundSpace, listed: list[Architecture]) -> None:
    """Network by network: chi-square against the definition, and far from it against uniform draws."""
    budget = next(bands(listed))
    within = {a.id: chance for a, chance, _ in defined(space) if budget.admits(a.params, a.macs)}
    chances = {id: float(chance / sum(within.values())) for id, chance in within.items()}
    rng, n = Random(0), 2 * len(chances) + 400
    found = Counter(space.sample(rng, budget).id for _ in range(n))
    assert set(found) <= set(chances)

    def distance(expected: dict[str, float]) -> float:
        """In standard deviations of what uniform or weighted draws would come to."""
        terms = [(found[id] - n * chance) ** 2 / (n * chance) for id, chance in expected.items()]
        spread = sum(1 / (n * chance) for chance in expected.values()) + 2 * len(expected)
        return (sum(terms) - len(expected) + 1) / spread**0.5

    assert distance(chances) < 4 < distance(dict.fromkeys(chances, 1 / len(chances)))


def test_counts_do_not_depend_on_weights(space: BoundSpace, listed: list[Architecture]) -> None:
    plain = BoundSpace(space.facts() | {"weights": {}}, space._assembly)
    assert plain.count() == space.count() == len(listed)
    assert plain.bounds() == space.bounds() and list(plain.enumerate()) == listed
    budget = next(bands(listed))
    assert plain.share(budget, Random(0)) == space.share(budget, Random(0))


def test_macro_is_drawn_by_ideas_and_on_request_by_networks() -> None:
    macro = SPACES["macro"]
    assert macro.weights == dict.fromkeys(FORMS, 1) and not any(s.weights for s in SPACES.values() if s is not macro)
    forms: dict[str, Counter[str]] = {}
    for over in ("ideas", "networks"):
        sizes = {"patch": (2,), "width": (32,), "depth": (4,), "ratio": (2,)}
        bound, rng = macro.drawn(over).on({"h": 8, "w": 8}, channels=1, classes=10, **sizes), Random(0)
        drawn = [bound.read(bound.sample(rng)) for _ in range(60)]
        forms[over] = Counter(letter.form for read in drawn if read for letter in read[1])
    assert len(forms["ideas"]) == len(FORMS) and max(forms["ideas"].values()) < 0.2 * forms["ideas"].total()
    assert forms["networks"].most_common(1)[0][1] > 0.15 * forms["networks"].total()
    assert sum(forms["networks"][form] for form in ("serial", "rafts", "concat", "reweight", "sum")) > 0.8 * (
        forms["networks"].total()
    )


@pytest.mark.parametrize("make", [RandomSearch, Tpe, FastTpe], ids=lambda each: each.__name__)
def test_strategies_begin_with_weighted_draws(make: Any) -> None:
    """A gate in a thousand by number, and nearly every one by weight."""
    families = Family("many", "s*.m*.s*|*", "*"), Family("one", "m*", "s*")
    space = Space("rare", "", families, patch=(1,), width=(16,), depth=(1,), weights={"one": 50}).on(
        {"t": 16}, channels=1, classes=2
    )
    assert space.count() > 1000
    one = next(each for each in space.enumerate() if str(each.mixers[0]) == "t=m16 c=s16 +b")
    arguments = () if make is RandomSearch else (parse_objectives("accuracy"),)
    first = sum(make(space, Budget(), seed, *arguments).ask() == one for seed in range(20))
    assert first > 15


def test_a_search_draws_as_its_space_or_its_user_says() -> None:
    """What stands in run.json, and what is proposed."""
    ids: dict[str | None, list[str]] = {}
    for draw in (None, "ideas", "networks"):
        session = Session(Search(space="macro", strategy="random", draw=draw, patch=(2,), width=(16,), ratio=(2,)))
        assert session.settings["space"].get("weights") == (None if draw == "networks" else dict.fromkeys(FORMS, 1))
        ids[draw] = [each.id for _ in range(3) if (each := session.strategy.ask())]
    assert ids[None] == ids["ideas"] != ids["networks"]
    assert "weights" not in Session(Search(space="local")).settings["space"]
    assert Session(Search(space="mixed", draw="ideas")).settings["space"]["weights"]["local"] == 1


@pytest.mark.parametrize(
    ("weights", "shown"),
    [
        ({"gate": 0}, "{'gate': 0}"),
        ({"gate": 0.5}, "{'gate': 0.5}"),
        ({"mlp": 2}, "{'mlp': 2}"),
        ({"gate": True}, "{'gate': True}"),
        (("gate",), "('gate',)"),
    ],
    ids=str,
)
def test_weights_are_checked(weights: Any, shown: str) -> None:
    with pytest.raises(SpaceError) as error:
        Space("s", "", (), forms=("gate", "sum"), weights=weights)
    fact = "weights is a dict from gate, sum to whole numbers from 1 to 65536"
    assert str(error.value) == f"space 's': {fact}, not {shown}"


def test_draws_over_anything_else() -> None:
    with pytest.raises(SpaceError, match=r"^draws are over networks or ideas, not 'forms'$"):
        load("macro").drawn("forms")


def test_an_urn_takes_fractions() -> None:
    urn = Urn({"a": Fraction(1, 3), "b": Fraction(1, 6), "c": 1})
    assert Fraction(urn.sum, urn.scale) == Fraction(3, 2)
    assert odds(urn) == {
        "a": Fraction(2, 9),
        "b": Fraction(1, 9),
        "c": Fraction(2, 3),
    }
    assert prod(odds(urn).values()) == Fraction(4, 243)


def test_over_ideas_a_space_keeps_the_weights_that_it_has() -> None:
    declared = replace(load("macro"), weights={"gate": 5})
    assert declared.drawn("ideas").weights == {"gate": 5} and not declared.drawn("networks").weights
    assert load("mixed").drawn("ideas").weights == dict.fromkeys(load("mixed").ideas, 1)
