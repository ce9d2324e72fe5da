"""Regularised evolution: one step at a time, from whom, and how far it gets."""

from __future__ import annotations

from statistics import fmean

from searches import result_of, tiny

from einmix import Architecture
from nas.ranking.objectives import parse_objectives
from nas.strategies import make_strategy
from nas.strategies.evolution import Evolution
from search_spaces import Budget

SPACE = tiny("mixed", depth=(2,))
TARGET = next(SPACE.enumerate())


def merit(architecture: Architecture) -> float:
    """The share of characters that its mixers have in common with the first one's, in their places."""
    pairs = [zip(str(a), str(b), strict=False) for a, b in zip(architecture.mixers, TARGET.mixers, strict=False)]
    return fmean(a == b for pair in pairs for a, b in pair)


def search(name: str, trials: int, seed: int) -> list[tuple[Architecture, float]]:
    strategy = make_strategy(name, SPACE, Budget(), seed=seed, objectives=parse_objectives("accuracy"))
    found = []
    for _ in range(trials):
        architecture = strategy.ask()
        assert architecture is not None
        found.append((architecture, merit(architecture)))
        strategy.tell(architecture, result_of(architecture, found[-1][1]))
    return found


def evolution(objective: str = "accuracy") -> Evolution:
    return Evolution(SPACE, Budget(), 0, parse_objectives(objective))


def parents(strategy: Evolution, draws: int = 60) -> set[str]:
    return {strategy.parent().id for _ in range(draws)}


def test_it_gets_further_than_chance():
    mine, chance = (
        fmean(max(m for _, m in search(name, 60, seed)) for seed in range(6)) for name in ("evolution", "random")
    )
    assert mine > chance + 0.02


def test_after_the_start_each_is_one_step_from_one_that_is_known():
    found = search("evolution", 20, 0)
    known = [architecture for architecture, _ in found]
    for at in range(10, 20):
        assert any(known[at] in SPACE.neighbours(other) for other in known[:at])


def test_the_oldest_have_no_children_however_good_they_are():
    strategy = evolution()
    every = [architecture for architecture, _ in search("random", 40, 2)]
    for number, architecture in enumerate(every):
        strategy.tell(architecture, result_of(architecture, 1 - number / 100))
    living = every[-strategy.population :]
    assert living[0].id in parents(strategy) <= {architecture.id for architecture in living}


def test_what_failed_is_no_parent_and_what_was_stopped_is_behind():
    strategy = evolution()
    failed, stopped, whole = (architecture for architecture, _ in search("random", 3, 3))
    strategy.tell(failed, result_of(failed, None, "failed"))
    strategy.tell(stopped, result_of(stopped, 0.9, "pruned"))
    assert parents(strategy) == {stopped.id}
    strategy.tell(whole, result_of(whole, 0.1))
    assert parents(strategy) == {whole.id}


def test_of_several_objectives_the_least_beaten_have_children():
    strategy = evolution("accuracy,params")
    every = sorted((architecture for architecture, _ in search("random", 5, 4)), key=lambda each: each.params)
    assert every[0].params < every[-1].params
    for architecture in every:
        strategy.tell(architecture, result_of(architecture, 0.9 if architecture is every[0] else 0.5))
    assert parents(strategy) == {every[0].id}
