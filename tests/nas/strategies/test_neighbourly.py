"""Strategies that go one step at a time: from whom, and how far they get."""

from __future__ import annotations

from statistics import fmean

import pytest
from searches import result_of, tiny

from einmix import Architecture
from nas.ranking.objectives import parse_objectives
from nas.strategies import make_strategy
from nas.strategies.evolution import Evolution
from nas.strategies.local_search import LocalSearch
from search_spaces import Budget

SPACE = tiny("mixed", depth=(2,))
TARGET = next(SPACE.enumerate())


def merit(architecture: Architecture) -> float:
    """The share of characters that its mixers have in common with the first one's, in their places."""
    pairs = [zip(str(a), str(b), strict=False) for a, b in zip(architecture.mixers, TARGET.mixers, strict=False)]
    return fmean(a == b for pair in pairs for a, b in pair)


def search(name: str, trials: int, seed: int, objective: str = "accuracy") -> list[tuple[Architecture, float]]:
    strategy = make_strategy(name, SPACE, Budget(), seed=seed, objectives=parse_objectives(objective))
    found = []
    for _ in range(trials):
        architecture = strategy.ask()
        assert architecture is not None
        found.append((architecture, merit(architecture)))
        strategy.tell(architecture, result_of(architecture, found[-1][1]))
    return found


@pytest.mark.parametrize("name", ["evolution", "local-search"])
def test_it_gets_further_than_chance(name):
    mine, chance = (fmean(max(m for _, m in search(each, 60, seed)) for seed in range(6)) for each in (name, "random"))
    assert mine > chance + 0.02


@pytest.mark.parametrize("name", ["evolution", "local-search"])
def test_after_the_start_each_is_one_step_from_one_that_is_known(name):
    found = search(name, 20, 0)
    known = [architecture for architecture, _ in found]
    for at in range(10, 20):
        assert any(known[at] in SPACE.neighbours(other) for other in known[:at])


def test_local_search_goes_from_the_best_and_evolution_from_the_living():
    found = search("local-search", 20, 1)
    for at in range(10, 20):
        best = max(m for _, m in found[:at])
        leaders = [architecture for architecture, m in found[:at] if m == best]
        assert any(found[at][0] in SPACE.neighbours(leader) for leader in leaders)
    strategy = Evolution(SPACE, Budget(), 0, parse_objectives("accuracy"))
    every = [architecture for architecture, _ in search("random", 40, 2)]
    for number, architecture in enumerate(every):
        strategy.tell(architecture, result_of(architecture, 1 - number / 100))
    assert not {parent.id for parent in strategy.parents()} & {architecture.id for architecture in every[:15]}


def test_what_failed_is_no_parent_and_what_was_stopped_is_behind():
    strategy = LocalSearch(SPACE, Budget(), 0, parse_objectives("accuracy"))
    failed, stopped, whole = (architecture for architecture, _ in search("random", 3, 3))
    strategy.tell(failed, result_of(failed, None, "failed"))
    strategy.tell(stopped, result_of(stopped, 0.9, "pruned"))
    strategy.tell(whole, result_of(whole, 0.1))
    assert [parent.id for parent in strategy.parents()] == [whole.id, stopped.id]


def test_of_several_objectives_the_least_beaten_come_first():
    strategy = LocalSearch(SPACE, Budget(), 0, parse_objectives("accuracy,params"))
    every = sorted((architecture for architecture, _ in search("random", 12, 4)), key=lambda each: each.params)
    light, *_, heavy = every
    for architecture in every:
        strategy.tell(architecture, result_of(architecture, 0.9 if architecture is light else 0.5))
    assert next(iter(strategy.parents())).id == light.id
    assert [parent.id for parent in strategy.parents()][-1] != light.id and heavy.params > light.params
