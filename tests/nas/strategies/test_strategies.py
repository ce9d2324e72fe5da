"""Every strategy keeps one contract: each architecture once, within space and budget, to the last one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from itertools import islice
from math import prod
from random import Random
from statistics import fmean
from typing import Any

import pytest
from scipy.stats import chisquare
from searches import result_of, tiny

from einmix import Architecture
from nas.errors import NasError
from nas.options.search import Search
from nas.ranking.objectives import Objective, parse_objectives
from nas.runs.job import State
from nas.runs.result import Result
from nas.strategies import STRATEGIES, make_strategy
from nas.strategies.random_search import LISTABLE
from nas.strategies.strategy import Started, Strategy
from nas.strategies.tpe import Tpe
from search_spaces import BoundSpace, Budget, SpaceError

every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_model = pytest.mark.parametrize("model", ["surrogate", "tpe", "fast-tpe"])

SPACES: dict[str, tuple[BoundSpace, Budget]] = {
    "local": (tiny("local", depth=(2,)), Budget()),
    "mixed in a budget": (tiny("mixed", patch=(1, 2), width=(4, 8), depth=(1, 2)), Budget(300, 900, 20_000)),
    "roles on a sequence": (tiny("roles", {"t": 12}, patch=(1, 3)), Budget(max_macs=2_000)),
    "roles on a volume": (tiny("roles", {"d": 4, "h": 4, "w": 4}, patch=(1,), width=(4,), depth=(2,)), Budget()),
}
HUGE = tiny("roles", {"h": 32, "w": 32}, patch=(1,), width=(64,), depth=(4,)), Budget(max_params=200_000)
SMALL = {
    "local": (tiny("local"), Budget()),
    "mixed": (tiny("mixed"), Budget(min_params=300)),
    "per_channel in a budget": (tiny("per_channel", width=(2, 4), depth=(1,)), Budget(max_params=400, max_macs=2_000)),
}
every_space = pytest.mark.parametrize("where", SPACES)
every_small_space = pytest.mark.parametrize("where", SMALL)


def make(name: str, space: BoundSpace, budget: Budget | None = None, seed: int = 0, by: str = "accuracy") -> Strategy:
    return make_strategy(name, space, budget or Budget(), seed=seed, objectives=parse_objectives(by))


def merit(architecture: Architecture) -> float:
    """A made-up accuracy: the share of spatial axes that each block mixes from their outermost factor on."""
    firsts = [factors[0] for mixer in architecture.mixers for axis, factors in mixer.axes if axis != "c"]
    return fmean(factor.role == "m" for factor in firsts)


def drive(strategy: Strategy, n: int, state: Callable[[int], State] = lambda number: "complete") -> list[Architecture]:
    """Asks for up to n architectures and tells how each one ended, by its number."""
    asked = []
    for number in range(n):
        architecture = strategy.ask()
        if architecture is None:
            break
        asked.append(architecture)
        score = None if state(number) == "failed" else merit(architecture)
        strategy.tell(architecture, result_of(architecture, score, state(number)))
    return asked


def ids(architectures: list[Architecture]) -> list[str]:
    return [architecture.id for architecture in architectures]


def feasible(space: BoundSpace, budget: Budget) -> set[str]:
    return {arch.id for arch in space.enumerate() if budget.admits(arch.params, arch.macs)}


@every_strategy
@every_space
def test_proposals_are_distinct_in_the_space_and_within_the_budget(name, where):
    check_proposals(name, *SPACES[where])


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_so_they_are_in_a_space_that_nobody_can_list(name):
    check_proposals(name, *HUGE)


@pytest.mark.slow
@every_strategy
def test_so_are_ten_thousand(name):
    space = tiny("mixed", patch=(1, 2), width=(4, 8), depth=(1, 2))
    check_proposals(name, space, Budget(max_macs=40_000), 10_000)


def check_proposals(name: str, space: BoundSpace, budget: Budget, n: int = 20) -> None:
    asked = drive(make(name, space, budget), n)
    assert len(set(ids(asked))) == n
    for architecture in asked:
        assert architecture in space
        assert budget.admits(architecture.params, architecture.macs)


@every_strategy
@every_small_space
def test_a_space_ends_when_all_that_is_within_the_budget_has_been_proposed(name, where):
    space, budget = SMALL[where]
    strategy = make(name, space, budget)
    asked = drive(strategy, space.count() + 1)
    assert len(asked) == len(set(ids(asked)))
    assert set(ids(asked)) == feasible(space, budget)
    assert strategy.ask() is None


@every_strategy
def test_a_search_can_start_with_networks_in_and_outside_the_space(name):
    space, budget = SMALL["local"]
    inside, outside = next(space.enumerate()), tiny("subgrid", width=(2,), depth=(3,)).sample(Random(0))
    assert inside in space and outside not in space
    strategy = Started(make(name, space, budget), [outside, inside])
    asked = drive(strategy, space.count() + 2)
    assert ids(asked)[:2] == [outside.id, inside.id] and len(set(ids(asked))) == len(asked)
    assert set(ids(asked)) == feasible(space, budget) | {outside.id}
    resumed = Started(make(name, space, budget), [outside, inside])
    resumed.tell(outside, result_of(outside, merit(outside)))
    first, second = resumed.ask(), resumed.ask()
    assert first == inside and second is not None and second.id not in (inside.id, outside.id)


@every_strategy
@every_small_space
def test_results_of_an_earlier_session_are_not_proposed_again(name, where):
    space, budget = SMALL[where]
    earlier = make(name, space, budget, seed=1)
    known = drive(earlier, 5)
    later = make(name, space, budget, seed=1)
    for architecture in known:
        later.tell(architecture, result_of(architecture, merit(architecture)))
    rest = drive(later, space.count())
    assert not set(ids(rest)) & set(ids(known))
    assert set(ids(rest + known)) == feasible(space, budget)


@every_strategy
@every_small_space
def test_what_is_trained_for_an_earlier_session_is_not_proposed(name, where):
    space, budget = SMALL[where]
    known = drive(make(name, space, budget, seed=1), 5)
    later = Started(make(name, space, budget, seed=1), [known[3]])
    for architecture in known:
        later.expect(architecture)
    rest = drive(later, 3)
    for architecture in known:
        later.tell(architecture, result_of(architecture, merit(architecture)))
    rest += drive(later, space.count())
    assert not set(ids(rest)) & set(ids(known))
    assert set(ids(rest + known)) == feasible(space, budget)


@every_strategy
def test_proposals_are_determined_by_the_seed(name):
    space = tiny("roles", depth=(1, 2))
    first, second, other = (ids(drive(make(name, space, seed=seed), 25)) for seed in (0, 0, 1))
    assert first == second
    assert (first == other) == (name == "exhaustive")


@every_strategy
@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_failed_and_pruned_results_break_nothing(name, state):
    space = tiny("roles", depth=(1, 2))
    assert len(set(ids(drive(make(name, space), 30, lambda number: state)))) == 30
    mixed = drive(make(name, space), 30, lambda number: state if number % 3 else "complete")
    assert len(set(ids(mixed))) == 30


@every_strategy
def test_results_may_come_late_and_in_any_order(name):
    space = tiny("roles", depth=(1, 2))
    strategy, waiting, seen = make(name, space), [], set()
    for number in range(40):
        architecture = strategy.ask()
        assert architecture.id not in seen
        seen.add(architecture.id)
        waiting.append(architecture)
        if number % 2:
            late = waiting.pop(number % len(waiting))
            strategy.tell(late, result_of(late, merit(late)))


@every_strategy
def test_what_is_not_in_the_space_can_be_told(name):
    space, elsewhere = tiny("local"), tiny("roles", depth=(3,))
    strategy = make(name, space)
    for architecture in islice(elsewhere.enumerate(), 5):
        strategy.tell(architecture, result_of(architecture, 0.5))
    assert len(drive(strategy, 100)) == space.count()


@every_strategy
def test_a_budget_that_nothing_meets_is_told_at_once(name):
    with pytest.raises(SpaceError, match="no architecture of space 'local' has 0 to 5 parameters"):
        make(name, tiny("local"), Budget(max_params=5))


def test_the_help_of_the_option_names_them_all():
    (help,) = (each.metadata["option"].help for each in fields(Search) if each.name == "strategy")
    assert re.findall(r"[a-z-]{3,}", help) == [*STRATEGIES]


def test_an_unknown_strategy_is_told_with_the_nearest_names():
    with pytest.raises(NasError, match="no strategy 'randon': did you mean 'random'"):
        make("randon", tiny())


def test_an_interrupted_random_search_goes_on_as_if_it_had_not_been(monkeypatch):
    monkeypatch.setattr(
        "nas.strategies.random_search.REPEATS", 8
    )  # so that the listing of what is left begins half-way
    space = tiny("roles", {"t": 8}, patch=(1,))
    by_id = {architecture.id: architecture for architecture in space.enumerate()}
    whole = ids(drive(make("random", space), space.count()))
    assert len(whole) == space.count()
    for done in (1, 100, space.count() - 1):
        resumed = make("random", space)
        for id in reversed(whole[:done]):  # results come in any order
            if done % 2:
                resumed.tell(by_id[id], result_of(by_id[id], 0.5))
            else:
                resumed.expect(by_id[id])
        assert ids(drive(resumed, space.count())) == whole[done:]


def test_random_search_is_uniform():
    space = tiny("local")
    firsts = Counter(make("random", space, seed=seed).ask().id for seed in range(100 * space.count()))
    assert firsts.keys() == feasible(space, Budget())
    assert chisquare(list(firsts.values())).pvalue > 0.001


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_the_few_of_a_huge_space_that_are_within_the_budget_are_found_and_end(name):
    space = tiny("roles", width=(64,), depth=(2,))
    least = space.bounds()[0]
    assert space.count() > LISTABLE
    asked = drive(make(name, space, Budget(max_params=least)), 100)
    assert 1 < len(asked) < 100
    assert {architecture.params for architecture in asked} == {least}


@every_model
def test_a_model_learns(model):
    """Where every choice counts by itself the model finds good ones; at random half of the merit is chance."""
    space = tiny("roles", width=(16,), depth=(2,))
    late: dict[str, list[float]] = {model: [], "random": []}
    for name, means in late.items():
        for seed in range(2):
            means.append(fmean(merit(architecture) for architecture in drive(make(name, space, seed=seed), 50)[30:]))
    assert min(late[model]) > max(late["random"])


@every_model
def test_a_model_learns_from_an_earlier_session(model):
    space = tiny("roles", width=(16,), depth=(2,))
    history = drive(make("random", space, seed=7), 50)
    told, untold = make(model, space), make(model, space)
    for architecture in history:
        told.tell(architecture, result_of(architecture, merit(architecture)))
    first_told, first_untold = ([untold_or_told.ask() for _ in range(8)] for untold_or_told in (told, untold))
    assert fmean(map(merit, first_told)) > fmean(map(merit, first_untold)) + 0.2


@pytest.mark.parametrize("tpe", ["tpe", "fast-tpe"])
def test_tpe_keeps_away_from_what_is_pruned(tpe):
    space = tiny("roles", width=(16,), depth=(2,))
    strategy, asked = make(tpe, space), []
    for _ in range(50):
        architecture = strategy.ask()
        asked.append(architecture)
        state = "complete" if merit(architecture) > 0.5 else "pruned"
        strategy.tell(architecture, result_of(architecture, 0.5, state))
    assert fmean(map(merit, asked[30:])) > fmean(map(merit, asked[:10])) + 0.2


@pytest.mark.parametrize(
    ("model", "by"),
    [("surrogate", "accuracy"), ("tpe", "accuracy"), ("fast-tpe", "accuracy"), ("fast-tpe", "accuracy,loss")],
)
def test_a_model_keeps_away_from_what_fails(model, by):
    """Whose answers are bad ones, though nothing is known of their merit; otherwise merit is luck."""
    space, early, late = tiny("roles", width=(16,), depth=(2,)), [], []
    for seed in range(2):
        strategy, failed = make(model, space, seed=seed, by=by), []
        for _ in range(50):
            architecture = strategy.ask()
            answers, luck = space.encode(architecture), int(architecture.id, 16)
            failed.append("m" in (answers["block0.roles.h=4.first"][0], answers["block0.roles.w=4.first"][0]))
            accuracy = None if failed[-1] else luck % 1000 / 1000
            state = "failed" if failed[-1] else "complete"
            strategy.tell(architecture, result_of(architecture, accuracy, state, loss=luck % 997 / 997))
        early.append(fmean(failed[:25]))
        late.append(fmean(failed[25:]))
    assert fmean(late) < 0.7 * fmean(early)


@every_model
@pytest.mark.parametrize("by", ["accuracy", "accuracy,macs"])
def test_failures_are_never_among_the_good_ones(model, by):
    """Not even where there is little else: of several objectives Optuna would miss their values."""
    space = tiny("roles", {"t": 8}, patch=(1,), width=(4,), depth=(2,))
    asked = drive(make(model, space, by=by), 60, lambda number: "complete" if number in range(20, 31) else "failed")
    assert len(set(ids(asked))) == 60


@every_model
def test_a_model_takes_several_objectives(model):
    space = tiny("roles", width=(16,), depth=(2,))
    asked = drive(make(model, space, by="accuracy,macs"), 30, lambda n: {15: "failed", 16: "pruned"}.get(n, "complete"))
    assert len(set(ids(asked))) == 30
    single = drive(make(model, space), 30)
    assert fmean(architecture.macs for architecture in asked[15:]) < fmean(arch.macs for arch in single[15:])


@every_model
def test_a_model_minimises_the_loss(model):
    space = tiny("roles", width=(16,), depth=(2,))
    strategy, asked = make(model, space, by="loss"), []
    for _ in range(50):
        asked.append(strategy.ask())
        strategy.tell(asked[-1], result_of(asked[-1], 0.5, loss=1 - merit(asked[-1])))
    assert fmean(map(merit, asked[30:])) > fmean(map(merit, asked[:10])) + 0.2


@pytest.mark.parametrize("by", ["accuracy", "accuracy,macs"])
def test_fast_tpe_knows_the_best_and_counts_all(by):
    """Though it keeps no more of the results than the best and how often there was which answer."""
    space, objectives = tiny("roles", width=(16,), depth=(2,)), parse_objectives(by)
    strategy, told = make("fast-tpe", space, by=by), []
    for number in range(120):
        architecture = strategy.ask()
        state = "pruned" if number % 3 == 1 else "failed" if number % 11 == 5 else "complete"
        told.append((architecture, result_of(architecture, round(merit(architecture), 1), state)))
        strategy.tell(*told[-1])
        assert len(strategy._best) <= strategy.most
    single = len(objectives) == 1
    informed = [each for each in told if each[1].state == "complete" or (single and each[1].state == "pruned")]
    counted = informed + [each for each in told if each[1].state == "failed"]
    counts = Counter(answer for architecture, _ in counted for answer in space.encode(architecture).items())
    assert counts == {(name, answer): n for name, of in strategy._counts.items() for answer, n in of.items() if n}
    figures = [figures_of(result, objectives) for _, result in informed]
    beaten = sorted(sum(beats(other, mine, single) for other in figures) for mine in figures)
    assert [each.beaten for each in strategy._best] == beaten[: strategy.most]


@pytest.mark.parametrize("tpe", ["tpe", "fast-tpe"])
def test_a_front_that_grows_is_gone_on_learning_from(tpe):
    """Where none of the results beats another, those that are held are the latest, not the first for ever."""
    space, told = tiny("roles", width=(16,), depth=(2,)), []
    strategy = make(tpe, space, by="accuracy,loss")
    for number, architecture in enumerate(islice(space.enumerate(), 40)):
        strategy.expect(architecture)
        told.append(architecture)
        strategy.tell(architecture, result_of(architecture, number / 40, loss=number / 40))
    latest = [space.encode(architecture) for architecture in told[:14:-1]]
    assert [each.params if tpe == "tpe" else each.answers for each in strategy._best] == latest


@every_strategy
def test_what_a_search_starts_with_is_under_way_for_its_strategy(name):
    """And what the strategy proposes is something else, before and after the results come."""
    space, budget = SMALL["local"]
    first = list(islice(space.enumerate(), 3))
    expected: list[str] = []
    inner = make(name, space, budget)
    expect = inner.expect
    inner.expect = lambda architecture: (expected.append(architecture.id), expect(architecture))[1]  # type: ignore
    strategy = Started(inner, first)
    begun = [strategy.ask() for _ in first]
    assert begun == first and expected == ids(first)
    assert not {strategy.ask().id for _ in range(4)} & set(ids(first))


@pytest.mark.parametrize("by", ["accuracy", "accuracy,macs"])
def test_tpe_keeps_no_more_than_the_best_and_the_latest(by, monkeypatch):
    monkeypatch.setattr(Tpe, "best", 3)
    monkeypatch.setattr(Tpe, "latest", 8)
    monkeypatch.setattr(Tpe, "attempts", 2)
    strategy = make("tpe", tiny("roles", width=(16,), depth=(2,)), by=by)
    told = []
    for number in range(60):
        architecture = strategy.ask()
        state = "pruned" if number % 3 == 1 else "failed" if number % 11 == 5 else "complete"
        told.append(result_of(architecture, round(merit(architecture), 2), state))
        strategy.tell(architecture, told[-1])
        assert len(strategy._study.get_trials(deepcopy=False)) <= 2 * (3 + 8) + 2
    objectives = parse_objectives(by)
    figures = [
        figures_of(r, objectives) for r in told if r.state == "complete" or (by == "accuracy" and r.state == "pruned")
    ]
    beaten = sorted(sum(beats(other, mine, len(objectives) == 1) for other in figures) for mine in figures)
    held = [figures_of_trial(trial, objectives) for trial in strategy._best]
    assert [sum(beats(other, mine, len(objectives) == 1) for other in figures) for mine in held] == beaten[:3]
    anew = [trial.params for trial in strategy._new_study().get_trials()]  # made so whenever one has grown too long
    assert all(trial.params in anew for trial in (*strategy._best, *strategy._latest))
    assert len(strategy._latest) == 8 and len(anew) <= 11
    last = strategy.space.encode(Architecture.from_json(told[-1].architecture))
    assert anew[-1].items() <= last.items()


def figures_of_trial(trial: Any, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    signs = {"maximize": 1, "minimize": -1}
    values = (signs[o.direction] * value for o, value in zip(objectives, trial.values, strict=True))
    return (max(trial.intermediate_values, default=3), *values)


def figures_of(result: Result, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    """The larger the better: how far it came, then what it reached."""
    signs = {"maximize": 1, "minimize": -1}
    return (result.scores[-1].epoch, *(signs[o.direction] * o.of(result, result.scores[-1]) for o in objectives))


def beats(one: tuple[float, ...], other: tuple[float, ...], single: bool) -> bool:
    return one > other if single else one != other and all(a >= b for a, b in zip(one, other, strict=True))


def test_a_proposal_of_fast_tpe_draws_no_more_after_many_results(monkeypatch):
    space = tiny("roles", width=(16,), depth=(2,))
    strategy, drawn = make("fast-tpe", space), []
    choose = BoundSpace.choose
    monkeypatch.setattr(BoundSpace, "choose", lambda self, chooser: drawn.append(1) or choose(self, chooser))
    for _ in range(300):
        drive(strategy, 1)
        assert len(drawn) <= strategy.attempts
        drawn.clear()


@pytest.mark.parametrize("seed", range(4))
def test_fast_tpe_proposes_the_most_promising_of_its_draws(seed, monkeypatch):
    """By the definition: how likely its answers are among the best tenth over how likely among all others."""
    space = tiny("roles", width=(16,), depth=(2,))
    strategy, told = make("fast-tpe", space, seed=seed), []
    for number in range(40):
        architecture = strategy.ask()
        pruned = number % 3 == 0  # and had come to more by then: what got further is better all the same
        reached = merit(architecture) / 2 + pruned / 2
        told.append((pruned, -reached, space.encode(architecture)))
        strategy.tell(architecture, result_of(architecture, reached, "pruned" if pruned else "complete"))
    told.sort(key=lambda each: each[:2])  # stable: of equal ones the earlier is the better
    good, rest = [[answers for *_, answers in part] for part in (told[:4], told[4:])]

    def share(among: list[dict[str, str]], question: str, answer: str, options: int) -> float:
        asked = [answers[question] for answers in among if question in answers]
        return (asked.count(answer) + 1 / options) / (len(asked) + 1)

    drawn: dict[str, float] = {}
    choose = BoundSpace.choose

    def noted(self: BoundSpace, chooser: Any) -> Architecture:
        ratios = []

        def answer(question: str, options: Any) -> str:
            given = chooser(question, options)
            ratios.append(share(good, question, given, len(options)) / share(rest, question, given, len(options)))
            return given

        architecture = choose(self, answer)
        if architecture.id not in known:
            drawn[architecture.id] = prod(ratios)
        return architecture

    known = set(strategy.uniform.known)
    monkeypatch.setattr(BoundSpace, "choose", noted)
    proposed = strategy.ask()
    assert len(set(drawn.values())) == strategy.candidates > 1
    assert drawn[proposed.id] == max(drawn.values())


def test_a_proposal_under_way_of_fast_tpe_counts_until_it_fails():
    """So that many workers are not all sent to one place; a failure leaves no trace among the answers."""
    space = tiny("roles", width=(16,), depth=(2,))
    strategy = make("fast-tpe", space)
    drive(strategy, 20)
    before = {question: +counts for question, counts in strategy._counts.items()}
    proposed = strategy.ask()
    answers = space.encode(proposed)
    assert all(strategy._counts[q][a] == before.get(q, Counter())[a] + 1 for q, a in answers.items())


@every_model
def test_what_a_model_proposes_from_the_same_results_is_by_its_seed(model):
    space = tiny("roles", width=(16,), depth=(2,))
    history = drive(make("random", space, seed=7), 30)

    def proposed(seed: int) -> str:
        strategy = make(model, space, seed=seed)
        strategy.uniform.rng = Random(0)  # should it come to that: it is not asked for
        for architecture in history:
            strategy.tell(architecture, result_of(architecture, merit(architecture)))
        return strategy.ask().id

    assert len({proposed(seed) for seed in range(4)}) > 2 and proposed(1) == proposed(1)
