"""Audits of made-up runs whose truth is known, and of what a run has too little of to say anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from known_truth import BASE, Examples, seed_share
from scipy.stats import spearmanr
from searches import tiny
from stubs import accuracy as chance

from einmix import Architecture
from nas.audit.audit import Audit
from nas.audit.checklist import Facts
from nas.audit.words import audit_lines, short_lines
from nas.errors import NasError
from nas.ranking.objectives import parse_objectives
from nas.ranking.run_ranking import along_front
from nas.ranking.standings import rank, sizes_of
from nas.runs.bits import packed
from nas.runs.job import Job, Outcome, Score, record
from nas.runs.result import Result
from search_spaces import Budget

VALIDATION, JUDGE, EPOCHS = 230, 288, 8
FACTS = Facts(VALIDATION, JUDGE, (), 40, 40, 2, None, (5, 5))
VERSIONS = {"versions": {"torch": "2"}, "device": "cpu", "precision": "float32"}


@cache
def networks(count: int) -> tuple[Architecture, ...]:
    """So many different networks of one size of everything, the last one full token mixing."""
    space, drawn, found = tiny("mixed", depth=(2,)), Random(0), {}
    reference = space.references(space.middle)["full token mixing"]
    while len(found) < count - 1:
        each = space.sample(drawn, Budget())
        if each.id != reference.id:
            found[each.id] = each
    return (*found.values(), reference)


def line(architecture: Architecture, phase: str, seed: int, outcome: Outcome, number: int = 0, **job: Any) -> Result:
    wanted = Job(json.loads(architecture.to_json()), architecture.id, 0.01, seed, EPOCHS, phase)  # type: ignore[arg-type]
    told = record(replace(wanted, **job), outcome, params=architecture.params, macs=architecture.macs, number=number)
    return Result.from_line(told)


def run_of(truth: Sequence[float], std: float, seed: int = 0, n: int = 5) -> list[Result]:
    """The results of a search without rungs whose candidates have these true accuracies; the last is the reference."""
    random, v = np.random.default_rng(seed), seed_share(std)
    chosen_by, judge = Examples(random, VALIDATION, v), Examples(random, JUDGE, v)
    every, results = networks(len(truth)), []

    def outcome(part: Examples, i: int) -> Outcome:
        right = part.right(i, truth[i], 1)[0]
        score = Score(EPOCHS, 1 - right.mean(), float(right.mean()))
        return Outcome("complete", (score,), (1 - score.accuracy,) * EPOCHS, 2.0, extra=VERSIONS, right=packed(right))

    for i, each in enumerate(every[:-1]):
        results.append(line(each, "search", 0, outcome(chosen_by, i), i))
    best = sorted(range(len(truth) - 1), key=lambda i: -results[i].score.accuracy)[:3]  # type: ignore[union-attr]
    for i in (*best, len(truth) - 1):
        for one in range(1, n + 1):
            found, judged = outcome(chosen_by, i), outcome(judge, i)
            told = replace(found, judge=judged.scores[0], right=judged.right)
            label = "full token mixing" if i == len(truth) - 1 else ""
            results.append(line(every[i], "final", one, told, 100 + i, label=label))
    return results


def audit_of(results: Sequence[Result], facts: Facts = FACTS, **more: Any) -> Audit:
    return Audit(results, rank(results, sizes_of, judge=facts.judge), facts, **more)


def test_the_noise_of_a_run_is_the_true_one():
    found = [audit_of(run_of([BASE] * 41, 0.008, seed)).noise for seed in range(20)]
    assert np.mean([each.seeds**2 for each in found if each]) ** 0.5 == pytest.approx(0.008, rel=0.25)


def test_what_noise_allows_is_what_is_reached():
    found = []
    for seed in range(40):
        random = np.random.default_rng(1000 + seed)
        truth = [*np.clip(BASE + 0.015 * random.standard_normal(40), 0.85, 0.995), BASE]
        audit = audit_of(run_of(truth, 0.008, seed))
        searched = [result.score.accuracy for result in audit.searched]  # type: ignore[union-attr]
        found.append((audit.ceiling or 0.0, spearmanr(searched, truth[:-1]).statistic))
    told, true = np.mean(found, axis=0)
    assert told == pytest.approx(true, abs=0.08)


def test_probabilities_are_as_often_right_as_they_say():
    """Of claims made with 80% or more about others, in the mean, no fewer are true than they say, within noise."""
    said: dict[str, list[tuple[float, bool]]] = {}
    for seed in range(60):
        random = np.random.default_rng(2000 + seed)
        truth = [*np.clip(BASE + 0.01 * random.standard_normal(40), 0.85, 0.995), BASE]
        audit = audit_of(run_of(truth, 0.005, seed))
        ids = {each.id: mu for each, mu in zip(networks(41), truth, strict=True)}
        first, *_ = [s for s in audit.standings if s.finals and not s.is_reference]
        others: dict[str, float] = {s.title: ids[s.id] for s in audit.standings if s.is_reference}
        found = [s for s in audit.standings if not s.is_reference]
        others |= {f"rank {place}": ids[found[place - 1].id] for place in (2, 5)}
        others["the mean random network"] = float(np.mean(truth[:-1]))
        for name, other in others.items():
            said.setdefault(name, []).append((audit.better[name].p, ids[first.id] > other))
    for name, claims in said.items():
        sure = [claim for claim in claims if claim[0] >= 0.8]
        told, true = np.mean(sure, axis=0)
        assert len(sure) >= 5 and true >= told - 3 * (0.2 * 0.8 / len(sure)) ** 0.5, name


def test_a_random_search_is_no_better_than_one_of_as_many():
    """Its rank 1 is that search's choice, after finals of three: its lead over that is little."""
    found = []
    for seed in range(40):
        random = np.random.default_rng(3000 + seed)
        truth = [*np.clip(BASE + 0.01 * random.standard_normal(40), 0.85, 0.995), BASE]
        found.append(audit_of(run_of(truth, 0.005, seed)).better["the choice of 40 random ones"])
    assert abs(np.mean([each.mean for each in found])) < 0.004
    assert 0.3 < np.mean([each.p for each in found]) < 0.75


def test_of_networks_that_are_equal_it_is_said():
    told = [audit_of(run_of([BASE] * 41, 0.008, seed)) for seed in range(20)]
    assert sum("no larger than the noise" in " ".join(audit_lines(each)) for each in told) >= 5
    assert np.median([each.ceiling or 0.0 for each in told]) < 0.5
    assert all(each.cheap["parameters"].low < 0.15 and each.cheap["parameters"].high > -0.15 for each in told[:5])


def test_cheap_figures_that_know_and_that_do_not():
    truth = [*(BASE + 0.015 * np.random.default_rng(1).standard_normal(40)), BASE]
    results = run_of(truth, 0.003)
    proxies = {
        "knows": {each.id: mu for each, mu in zip(networks(41), truth, strict=True)},
        "guesses": {each.id: chance(each.id, 3) for each in networks(41)},
        "few": {each.id: 1.0 for each in networks(41)[:19]},
    }
    found = audit_of(results, proxies=proxies)
    assert found.cheap["knows"].low > 0.3 and found.ceiling is not None
    assert found.cheap["knows"].value == pytest.approx(found.ceiling, abs=0.25)
    assert found.cheap["guesses"].low < 0 < found.cheap["guesses"].high and "few" not in found.cheap
    assert found.cheap["training losses to epoch 2"].value > 0.9  # made of the accuracy itself
    json.dumps(found.row(), allow_nan=False)


def test_the_best_of_so_many_is_expected_without_bias():
    results = run_of([BASE] * 41, 0.003)
    found = audit_of(results).best_of
    reached = sorted(result.score.accuracy for result in results if result.phase == "search")  # type: ignore[union-attr]
    assert list(found) == [1, 2, 4, 8, 16, 32, 40]
    assert (found[1], found[40]) == (pytest.approx(np.mean(reached)), reached[-1])
    pairs = [max(a, b) for i, a in enumerate(reached) for b in reached[:i]]
    assert found[2] == pytest.approx(np.mean(pairs))


def test_a_run_of_nothing_says_so():
    found = Audit([], [], FACTS)
    words = "\n".join(audit_lines(found))
    assert "too few seeds" in words and "there are no finals yet" in words
    json.dumps(found.row(), allow_nan=False)
    assert len(short_lines(found)) == 4


def test_bits_of_candidates_that_are_damaged_are_named():
    results = [replace(RESULTS[0], right=packed(np.ones(9, bool))), *RESULTS[1:]]
    with pytest.raises(NasError, match="of what candidates were right on: bits of 16 examples or fewer, not of 230"):
        audit_lines(audit_of(results))


NEWER = {"versions": {"torch": "3"}}
SPREAD = [*(0.9 + 0.04 * np.random.default_rng(1).standard_normal(40)), 0.7]
RESULTS = run_of([0.9] * 24 + [0.7], 0.005)


def failed(result: Result) -> Result:
    return replace(result, state="failed", judge=None, right="", reason="ValueError: no luck")


@pytest.mark.parametrize(
    ("results", "changes", "name", "passed", "told"),
    [
        (RESULTS, {}, "splits", True, "230 images choose, 288 others judge"),
        (RESULTS, {"judge": 0}, "splits", False, "judged on the 230 images that chose them"),
        (RESULTS, {}, "seeds", True, "at least 5 seeds"),
        (
            run_of([0.9] * 24 + [0.7], 0.005, n=3),
            {},
            "seeds",
            False,
            "finalist and reference, 5 are wanted",
        ),
        ([*RESULTS[:-1], failed(RESULTS[-1])], {}, "seeds", False, "1 network of the finals lack seeds"),
        (RESULTS[:24], {}, "seeds", False, "no finals yet"),
        (RESULTS, {}, "looks", True, "once"),
        (RESULTS, {"asked": (5, 10)}, "looks", False, "5, then 10 seeds"),
        (RESULTS, {"asked": (5, 20), "until_sure": 0.9}, "looks", True, "each look has its share"),
        (RESULTS, {}, "test data", True, "none of its networks"),
        (RESULTS, {"compared": frozenset({"a"})}, "test data", True, "one of its networks"),
        (RESULTS, {"compared": frozenset({"a", "b"})}, "test data", False, "2 of its networks"),
        (RESULTS, {}, "references", True, "held against full token mixing"),
        (RESULTS[:-5], {}, "references", False, "no reference of its sizes"),
        (RESULTS, {}, "random search", None, "all 24 candidates"),
        (RESULTS, {"random": 10}, "random search", True, "10 of 24 candidates"),
        (RESULTS, {"random": 2}, "random search", False, "2 of 24 candidates were drawn at random: too few"),
        (RESULTS, {}, "failures", True, "no training failed"),
        ([*RESULTS[:-1], failed(RESULTS[-1])], {}, "failures", False, "1 training failed, the last with ValueError"),
        (RESULTS, {}, "tuning", True, "found in the run; rates took 0 s"),
        (RESULTS, {"lr": 0.01}, "tuning", False, "0.01 was given"),
        ([], {}, "tuning", None, "no learning rate has been found yet"),
        ([], {}, "random search", None, "no candidate has been tried yet"),
        (RESULTS, {}, "code", True, "torch 2"),
        (
            [*RESULTS[:-1], replace(RESULTS[-1], extra=VERSIONS | {"versions": {"torch": "3"}})],
            {},
            "code",
            False,
            "2 diff",
        ),
        ([*RESULTS[:-1], replace(RESULTS[-1], extra=VERSIONS | {"device": "cuda"})], {}, "code", False, "2 kinds"),
        ([*RESULTS[:-1], replace(RESULTS[-1], extra={})], {}, "code", False, "not every training"),
    ],
)
def test_the_checklist(results, changes: Mapping[str, Any], name, passed, told):
    facts = replace(FACTS, **changes)
    found = audit_of(results, facts) if facts.judge else Audit(results, rank(results, sizes_of), facts)
    (check,) = [check for check in found.checks if check.name == name]
    assert (check.passed, told in check.told) == (passed, True), check


def tuned(losses: Mapping[float, float]) -> list[Result]:
    """All that took part in the finals, with one of their seeds at other rates."""
    there = {result.id: result for result in RESULTS if result.phase == "final" and result.seed == 1}
    return [
        replace(each, phase="tune", lr=lr, scores=(Score(EPOCHS, loss, each.score.accuracy),), judge=None, right="")  # type: ignore[union-attr]
        for each in there.values()
        for lr, loss in losses.items()
    ]


@pytest.mark.parametrize(
    ("results", "what", "why"),
    [
        (RESULTS[:24], "the same command again", "no finals yet"),
        ([*RESULTS[:-1], failed(RESULTS[-1])], "the same command again", "1 of the finals lack"),
        ([*RESULTS, *tuned({0.003: 0.001, 0.03: 0.9})], "another search with --lr 0.003", "loss 0.001"),
        (RESULTS, "`nas compare`", "0.0 points are expected"),
        (run_of([0.9] * 25, 0.0004), "more images that judge", "with any number of seeds"),
        (run_of([0.97] * 3 + [0.9] * 20 + [0.94], 0.02, 1, n=3), "more seeds: --until-sure 0.9", "would be known to"),
        (run_of([0.97] * 3 + [0.9] * 4 + [0.945], 0.02, 1, n=20), "more images that judge", "has no more"),
        (run_of([0.9] * 24 + [0.7], 0.005, n=1), "more seeds: --until-sure 0.9", "too few to tell"),
        (
            run_of([*(0.9 + 0.04 * np.random.default_rng(1).standard_normal(40)), 0.7], 0.003),
            "more candidates",
            "points",
        ),
    ],
)
def test_the_next_minutes(results, what, why):
    found = audit_of(results, replace(FACTS, rungs=(), trials=24)).next
    assert found.what.startswith(what) and why in found.why, found


def test_what_has_been_compared_is_not_to_be_compared_again():
    first = audit_of(RESULTS).told.first  # type: ignore[union-attr]
    found = audit_of(RESULTS, replace(FACTS, compared=frozenset({first}))).next
    assert found.what.startswith("nothing here, but ") and found.why.endswith("it has been compared")


def test_until_sure_is_not_advised_for_several_objectives():
    results = run_of([0.97] * 3 + [0.9] * 20 + [0.94], 0.02, 1, n=3)
    objectives = parse_objectives("accuracy,macs")
    standings = along_front(rank(results, sizes_of, judge=JUDGE), objectives)
    assert Audit(results, standings, FACTS).next.what == "more seeds: --seeds 20"


def test_the_order_at_other_rates_is_held_against_the_seeds_that_all_have():
    """Also where only some finalists went on until it was sure."""
    results = [*RESULTS, *tuned({0.003: 0.5})]
    first = next(result for result in results if result.phase == "final")
    further = [replace(first, seed=seed) for seed in range(6, 11)]
    found = audit_of([*results, *further], replace(FACTS, until_sure=0.9)).rates
    assert found is not None and found == audit_of(results).rates


def test_an_order_that_a_rate_turns_around_is_told():
    """Three networks whose seeds agree, and which another rate turns around."""
    results = run_of([0.97, 0.95, 0.93, *[0.5] * 20, 0.8], 0.0004, n=9)
    there = {result.id: result for result in results if result.phase == "final" and result.seed == 1}
    turned = [
        replace(each, phase="tune", lr=0.1, scores=(Score(EPOCHS, 0.5, 1 - each.score.accuracy),), judge=None, right="")  # type: ignore[union-attr]
        for each in there.values()
    ]
    same = [replace(each, phase="tune", lr=0.001, judge=None, right="") for each in there.values()]
    rates = audit_of([*results, *turned, *same]).rates
    assert rates is not None and rates.rates[0.1] < -0.9 and rates.p(0.1) == pytest.approx(0.1)
    assert rates.rates[0.001] > 0.9 and rates.p(0.001) == 1 and rates.typical > 0.9
    assert "the rate may decide the order" in " ".join(audit_lines(audit_of([*results, *turned, *same])))
    assert audit_of(results).rates is None
