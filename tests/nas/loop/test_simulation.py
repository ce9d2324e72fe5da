"""Many simulated workers: none idles while a job waits, whatever is slow or lost, and every candidate ends once."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

import pytest
from searches import plan, tiny
from stub_trainer import accuracy, grown
from stubs import stub_job

from nas.executors.executor import Done, Executor, OnRung, Ready
from nas.loop.loop import Loop
from nas.loop.past import check_result
from nas.loop.status import Quiet
from nas.ranking.objectives import parse_objectives
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Score
from nas.runs.result import Result
from nas.strategies import make_strategy
from nas.tabular.simulated import RETRIES, Cluster, Simulated, Utilisation, utilisation
from search_spaces import Budget

SPACE = tiny("roles", {"t": 12}, patch=(1,), width=(8,), depth=(2,))
SHORTEST, LONGEST = 5.0, 65.0

CLUSTERS = {
    "plain": Cluster(40),
    "stragglers": Cluster(40, stragglers=4),
    "stragglers and losses": Cluster(40, stragglers=4, loss=300.0, seed=1),
}


def seconds(job: Job) -> float:
    """A fixed number for every id."""
    return SHORTEST + (LONGEST - SHORTEST) * accuracy(job.id, -1)


def simulate(
    tmp_path: Path, cluster: Cluster, strategy: str = "random", candidates: int = 600
) -> tuple[Simulated, list[Result]]:
    """A search with rungs over simulated workers; the results as another process reads them."""
    executor = Simulated(cluster, seconds, grown)
    proposing = make_strategy(strategy, SPACE, Budget(), seed=0, objectives=parse_objectives("accuracy"))
    with RunFolder.create_or_open(tmp_path, "x", {}) as run, executor:
        Loop(SPACE, proposing, executor, run, plan(trials=candidates, epochs=4, rungs=(1, 2))).explore(Quiet())
    return executor, RunFolder.open(tmp_path, "x").results(validate=check_result)


def check(used: Utilisation) -> None:
    assert used.busy >= 0.95
    assert used.makespan <= used.bound * (1 + 1e-9)


@pytest.mark.parametrize("name", CLUSTERS)
def test_workers_are_busy_and_every_candidate_ends_once(name, tmp_path):
    executor, results = simulate(tmp_path, CLUSTERS[name])
    check(utilisation(executor))
    assert len(results) == len({result.id for result in results}) == 600
    states = Counter(result.state for result in results)
    assert states["pruned"] > 200 and states["complete"] > 50
    assert (executor.lost > 20) == ("losses" in name)


@pytest.mark.parametrize("strategy", ["surrogate", "tpe", "fast-tpe"])
def test_a_strategy_that_waits_for_results_keeps_them_busy_too(strategy, tmp_path):
    executor, results = simulate(tmp_path, CLUSTERS["stragglers and losses"], strategy, 90)
    check(utilisation(executor))
    assert len(results) == len({result.id for result in results}) == 90


def test_the_same_simulation_gives_the_same_search(tmp_path):
    first, second = (simulate(tmp_path / name, CLUSTERS["stragglers and losses"], candidates=100) for name in "ab")
    assert first[0].spans == second[0].spans
    assert first[1] == second[1]


def test_waiting_for_the_driver_is_no_work():
    jobs = [stub_job(str(number), epochs=1, rungs=()) for number in range(200)]
    free, slow = (
        Simulated(Cluster(40), seconds, grown),
        Simulated(Cluster(40), seconds, grown, map(float, count(0, 2)).__next__),
    )
    for executor in (free, slow):
        assert {done.outcome.state for done in run_all(executor, jobs)} == {"complete"}
    assert utilisation(free).busy == pytest.approx(1)
    assert utilisation(slow).busy < 0.99
    assert utilisation(slow).makespan > utilisation(free).makespan


def test_a_job_lost_too_often_fails():
    executor = Simulated(Cluster(2, loss=1.0), lambda job: 1000.0, grown)
    ended = run_all(executor, [stub_job("a"), stub_job("b")])
    assert [done.outcome.state for done in ended] == ["failed"] * 2
    assert executor.lost == 2 * (RETRIES + 1)
    assert ended[0].outcome.reason == "lost with its worker 3 times"


def test_a_job_that_failed_takes_all_the_seconds_that_it_took():
    """Though it has rungs, none of which it came to."""
    executor = Simulated(Cluster(1, stragglers=1, slowdown=5.0), lambda job: 30.0, lambda job, epoch: None)
    ended = run_all(executor, [stub_job("a", rungs=(1, 2))])
    assert [(done.outcome.state, done.outcome.seconds) for done in ended] == [("failed", 150.0)]
    assert executor.now == 150.0


def test_a_job_that_begins_anew_is_not_asked_about_again():
    executor, asked = Simulated(Cluster(2, loss=30.0), lambda job: 30.0, grown), Counter[tuple[int, int]]()

    def on_rung(number: int, score: Score) -> bool:
        asked[number, score.epoch] += 1
        return True

    ended = run_all(executor, [stub_job(str(number), rungs=(1, 2)) for number in range(40)], on_rung)
    complete = [done.outcome for done in ended if done.outcome.state == "complete"]
    assert executor.lost > 10 and len(complete) > 10
    assert all([score.epoch for score in outcome.scores] == [1, 2, 3] for outcome in complete)
    assert set(asked.values()) == {1}


def run_all(executor: Executor, jobs: list[Job], on_rung: OnRung = lambda number, score: True) -> list[Done]:
    """How the jobs ended."""
    for number, job in enumerate(jobs):
        executor.submit(number, job)
    assert executor.wait(on_rung) == [Ready(worker) for worker in range(executor.capacity)]
    ended: list[Done] = []
    while len(ended) < len(jobs):
        ended += [event for event in executor.wait(on_rung) if isinstance(event, Done)]
    return ended
