"""`benchmarks/searches.py`: what a search is said to have chosen and spent is what its trainings say."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest
from methods import BEFORE
from stubs import drawn

from nas.runs.folder import RunFolder
from nas.runs.job import GoOn, Job, Outcome, Score
from nas.runs.result import Result

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "searches.py"
METHODS = ("surrogate", BEFORE, "random, no rungs", "one epoch of all, then the best", "largest first")
TRIALS = 16


class Lotteries:
    """Makes a trainer whose losses are drawn: the earlier ones tell a little of the last, seeds differ a little."""

    def __init__(self, *_: object):
        self.trained: list[Job] = []

    def __call__(self, worker: int) -> Callable[[Job, GoOn], Outcome]:
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        self.trained.append(job)
        scores = []
        for epoch in (*job.rungs, job.epochs):
            loss = drawn(job.id) + drawn(job.id, job.seed) / 5 + drawn(job.id, epoch) / epoch
            scores.append(Score(epoch, loss, 1 - loss / 4))
            if epoch < job.epochs and not report(scores[-1]):
                return Outcome("pruned", tuple(scores), (), 1.0)
        judge = Score(job.epochs, drawn(job.id, "judged"), 0.5) if job.phase == "final" else None
        return Outcome("complete", tuple(scores), (), 1.0, judge=judge)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with small numbers and trainings that cost nothing."""
    spec = importlib.util.spec_from_file_location("real_searches", PATH)  # `searches` is in tests/kit
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "real_searches", module)  # as its dataclass asks there
    spec.loader.exec_module(module)
    for name, value in (("RUNS", tmp_path), ("DRAWS", 24), ("LOOKS", (4, 8, TRIALS)), ("MakeTrainer", Lotteries)):
        monkeypatch.setattr(module, name, value)
    return module


def results(folder: Path) -> list[Result]:
    with RunFolder.open(folder.parent, folder.name) as run:
        return run.results()


@pytest.mark.parametrize("method", METHODS)
def test_it_is_told_what_was_chosen_and_spent(bench: ModuleType, tmp_path: Path, method: str) -> None:
    found = bench.search("digits", "mixed", method, 3, TRIALS)
    ordered = method in bench.ORDERED
    assert [each.candidates for each in found] == ([4, 8] if ordered else [4, 8, TRIALS])
    (folder,) = (each for each in tmp_path.iterdir() if not each.name.endswith("-all"))
    every = results(folder)
    tried = sorted((each for each in every if each.phase == "search"), key=lambda each: each.number)
    epochs = max(each.epochs for each in tried)
    for each in found:
        seen = tried[: each.candidates]
        first = bench.DRAWS if method == METHODS[3] else 0  # an epoch of each
        assert each.spent == pytest.approx((sum(r.scores[-1].epoch for r in seen) + first) / epochs)
        done = [r for r in seen if r.state == "complete"]
        by_accuracy = "by accuracy" in method
        done.sort(key=lambda r: -r.scores[-1].accuracy if by_accuracy else r.scores[-1].loss)
        finals = {r.id: [f for f in every if f.phase == "final" and f.id == r.id] for r in done[:3]}
        assert {len(of) for of in finals.values()} == {3}  # seeds
        assert each.loss == pytest.approx(drawn(done[0].id, "judged"))
        least = min(finals, key=lambda id: fmean(f.scores[-1].loss for f in finals[id]))
        assert each.chosen == pytest.approx(drawn(least, "judged"))


def test_seeds_that_judge_are_not_those_that_chose(bench: ModuleType, tmp_path: Path) -> None:
    bench.search("digits", "mixed", "random, no rungs", 0, 8)
    (folder,) = tmp_path.iterdir()
    seeds = {phase: {each.seed for each in results(folder) if each.phase == phase} for phase in ("search", "final")}
    assert len(seeds["final"]) == 3 and not seeds["final"] & seeds["search"]


@pytest.mark.parametrize("method", METHODS[:4])
def test_what_is_there_is_not_trained_again(bench: ModuleType, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    makers: list[Lotteries] = []
    monkeypatch.setattr(bench, "MakeTrainer", lambda *_: makers.append(Lotteries()) or makers[-1])
    assert bench.search("digits", "subgrid", method, 1, 8) == bench.search("digits", "subgrid", method, 1, 8)
    assert makers[0].trained and not makers[1].trained


def test_the_order_is_that_of_its_name(bench: ModuleType, tmp_path: Path) -> None:
    """Of one epoch the least losses go first, else the largest networks: of all that were drawn."""
    bench.search("digits", "mixed", bench.ONE_EPOCH, 0, 8)
    alone, all_of_them = sorted(tmp_path.iterdir(), key=lambda folder: folder.name.endswith("-all"))
    stopped = sorted(results(all_of_them), key=lambda each: each.scores[0].loss)
    assert len(stopped) == bench.DRAWS and {each.scores[-1].epoch for each in stopped} == {1}
    tried = sorted((each for each in results(alone) if each.phase == "search"), key=lambda each: each.number)
    assert [each.id for each in tried] == [each.id for each in stopped[:8]]

    bench.search("digits", "mixed", bench.LARGEST, 0, 8)
    (largest,) = (folder for folder in tmp_path.iterdir() if "largest" in folder.name)
    tried = sorted((each for each in results(largest) if each.phase == "search"), key=lambda each: each.number)
    sizes = [each.params for each in tried]
    assert sizes == sorted(sizes, reverse=True)


def test_regret_is_above_the_least_of_all_searches_with_the_seed(bench: ModuleType) -> None:
    def found(method: str, seed: int, loss: float, chosen: float) -> object:
        return bench.Found("mixed", method, seed, 8, 5.0, loss, chosen, 0.9)

    every = [found("a", 0, 0.5, 0.3), found("b", 0, 0.4, 0.6), found("a", 1, 0.9, 0.8), found("b", 1, 0.7, 0.7)]
    rows = [line.split(" | ") for line in bench.table(every, ["a", "b"]).splitlines()[2:]]
    assert [row[5:7] for row in rows] == [
        ["0.2 (0.2 to 0.2)", "0.05 (0.025 to 0.075)"],  # a: 0.2 and 0.2, of three 0 and 0.1
        ["0.05 (0.025 to 0.075)", "0.15 (0.075 to 0.225)"],  # b: 0.1 and 0, of three 0.3 and 0
    ]
    (line,) = (row for row in bench.paired(every, ["a", "b"]).splitlines() if row.startswith("| 8 | b | 8 |"))
    assert line == "| 8 | b | 8 | -0.1000 ± 0.2000 | 1 of 2 |"
