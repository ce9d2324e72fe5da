"""Comparisons: equal sizes, each network at its own learning rate, tested once, and nothing trained twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from searches import Noting, notes, result_of, tiny
from stubs import accuracy
from torch import nn

from einmix import Architecture
from nas.api.compare import Comparison
from nas.api.saved import SavedRun
from nas.api.search import search
from nas.claims import claims
from nas.claims.claims import UNKEPT, Claim, Entry
from nas.claims.contrasts import Judged
from nas.cli.comparisons import comparison_json, comparison_notes, verdict
from nas.errors import NasError
from nas.executors.executor import Done, Event, OnRung, Unfinished
from nas.executors.serial import Serial
from nas.loop.rates import MOST
from nas.loop.status import Quiet, Status
from nas.options.compare import Compare
from nas.ranking.gains import Compared
from nas.runs.bits import packed
from nas.runs.folder import RunFolder
from nas.runs.job import GoOn, Job, Outcome, Score
from nas.training.latency import Conditions, latencies, measure
from nas.training.recipe import Recipe
from search_spaces import SpaceError
from search_spaces.sizing.scaling import NEAR, Target


@dataclass(frozen=True)
class Trainer(Noting):
    """The stub trainer with a validation accuracy for every learning rate, a test one for every seed; `stop` of them.

    Raises KeyboardInterrupt at the end of the training after so many, before it is kept. Of so many `examples` it tells
    which it was right on in its test.
    """

    stop: int = 10**6
    examples: int = 0

    def train(self, job: Job, report: GoOn) -> Outcome:
        outcome = Noting.train(self, job, report)
        if len(notes(self.log, "end")) > self.stop:
            raise KeyboardInterrupt
        if outcome.state != "complete":
            return outcome
        reached = accuracy(f"{job.id} {job.lr}", job.seed)
        scores = (Score(job.epochs, 1 - reached, reached),)
        if job.phase != "compare":
            return replace(outcome, scores=scores)
        share, right = accuracy(job.id, job.seed), ""
        if self.examples:
            found = right_of(job.id, job.seed, self.examples)
            share, right = float(found.mean()), packed(found)
        return replace(outcome, scores=scores, test=Score(job.epochs, 0.5, share), right=right)


def right_of(id: str, seed: int, examples: int) -> np.ndarray:
    """What the stub is right on in its test: three in four examples, others with every seed."""
    return np.random.default_rng(int(1e6 * accuracy(id, seed))).random(examples) < 0.75


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A run in a folder, and a function that compares its best network with stub trainings."""
    monkeypatch.setattr("nas.api.search.local_executor", lambda *_: Serial(Noting(tmp_path / "search")))
    monkeypatch.setattr("nas.training.latency.measure", lambda networks, _: {each.id: 2.0 for each in networks})
    asked = {"space": "local", "strategy": "random", "epochs": 3, "trials": 4, "top": 1, "seeds": 2, "device": "cpu"}
    search(**asked, lr=0.005, patch=(2,), width=(32,), depth=(3,), run="x", runs_dir=tmp_path)

    def compare(
        trainer: Trainer | None = None, executor: Serial | None = None, **changes
    ) -> tuple[Comparison, list[Compared]]:
        executor = executor or Serial(trainer or Trainer(tmp_path / "log"))
        monkeypatch.setattr("nas.api.compare.local_executor", lambda *_: executor)
        defaults = {"against": ("mixer", "convmixer"), "seeds": 2, "device": "cpu"}
        comparison = Comparison(SavedRun.open(tmp_path, "x"), Compare(**defaults | changes))
        with comparison.open_run() as run:
            return comparison, comparison.compare(Quiet(), run)

    return compare


def test_each_network_is_tested_once_at_its_own_best_learning_rate(prepared, tmp_path):
    comparison, compared = prepared(lrs=(0.01, 0.002, 0.005))
    assert [each.name for each in compared] == [comparison.standing.id, "mixer", "convmixer"]
    assert comparison.lrs == (0.002, 0.005, 0.01)
    for each in compared:
        id = each.architecture.id
        assert Target("params", compared[0].architecture.params).off(each.architecture) <= NEAR
        choose = {lr: accuracy(f"{id} {lr}", 1000) for lr in comparison.lrs}
        assert each.lr == max(choose, key=choose.__getitem__)
        assert {result.lr: result.score.accuracy for result in each.tuned} == choose
        assert not any(result.test for result in each.tuned)
        assert each.accuracies == {seed: accuracy(id, seed) for seed in (1001, 1002)}
        assert {result.lr for result in each.tested} == {each.lr}
        assert {result.epochs for result in (*each.tuned, *each.tested)} == {3}
    keys = [note.key for note in notes(tmp_path / "log", "start")]
    assert len(keys) == len(set(keys)) == 3 * (3 + 2)
    found, mixer, _ = compared
    differences = [found.accuracies[seed] - mixer.accuracies[seed] for seed in (1001, 1002)]
    assert mixer.difference and mixer.difference.mean == pytest.approx(fmean(differences))
    assert (found.difference, mixer.difference.verdict, mixer.ms) == (None, UNKEPT, 2.0)


def test_learning_rates_go_on_until_the_best_one_has_worse_neighbours(prepared):
    _, compared = prepared()
    for each in compared:
        rates = sorted(result.lr for result in each.tuned)
        assert {0.005, 0.015} <= set(rates) and 3 <= len(rates) <= MOST
        assert all(2.8 < after / before < 3.2 for before, after in pairwise(rates))
        assert len(rates) == MOST or not each.at_edge
        best = max(each.tuned, key=lambda result: result.score.accuracy)
        assert each.lr == best.lr


@dataclass(frozen=True)
class Sloping(Trainer):
    """The larger the learning rate the better, or the worse; the fewer parameters the longer it takes."""

    up: bool = True

    def train(self, job: Job, report: GoOn) -> Outcome:
        outcome, better = Trainer.train(self, job, report), job.lr / (1 + job.lr)
        score = Score(job.epochs, 1 - better if self.up else better, 0.5)
        return replace(outcome, scores=(score,), seconds=1e6 / Architecture.from_json(job.architecture).params)


@pytest.mark.parametrize(
    ("up", "rates"),
    [
        (True, [0.005, 0.015, 0.045, 0.14, 0.42, 1.3]),
        (False, [6.3e-5, 0.00019, 0.00057, 0.0017, 0.005, 0.015]),
    ],
)
def test_six_learning_rates_are_enough_and_who_takes_longest_is_tested_first(up, rates, prepared, tmp_path):
    _, compared = prepared(Sloping(tmp_path / "log", up=up))
    assert [sorted(result.lr for result in each.tuned) for each in compared] == [rates] * 3
    assert [(each.lr, each.at_edge) for each in compared] == [(rates[-1] if up else rates[0], True)] * 3
    by_size = [each.architecture.id for each in sorted(compared, key=lambda each: each.architecture.params)]
    assert [note.key[0] for note in notes(tmp_path / "log", "start")][-6:] == 2 * by_size


@dataclass(frozen=True)
class Diverging(Sloping):
    """Fails at all learning rates but small ones."""

    def train(self, job: Job, report: GoOn) -> Outcome:
        if job.lr > 0.002:
            raise FloatingPointError("loss is nan")
        return Sloping.train(self, job, report)


def test_where_all_learning_rates_failed_lower_ones_are_tried(prepared, tmp_path):
    _, compared = prepared(Diverging(tmp_path / "log"))
    assert [sorted(result.lr for result in each.tuned) for each in compared] == [[0.00057, 0.0017, 0.005, 0.015]] * 3
    assert [(each.lr, each.at_edge, len(each.accuracies)) for each in compared] == [(0.0017, False, 2)] * 3


def test_on_large_data_learning_rates_are_tried_for_a_third_of_the_epochs_and_the_best_two_for_all(
    prepared, monkeypatch
):
    for module in ("nas.api.compare", "nas.api.defaults"):
        monkeypatch.setattr(f"{module}.LARGE", 900)
    begun: list[Status] = []
    monkeypatch.setattr(
        "nas.api.compare.Status", lambda *given, **more: begun.append(Status(*given, **more)) or begun[-1]
    )
    comparison, compared = prepared(epochs=6, lrs=(0.005, 0.01, 0.02))
    later = [("tune", (3 * 2 + 3 * 2) * 6 / 2), ("tune", 3 * 2), ("compare", 0.0)]
    assert [(each.phase, each.later) for each in begun] == later
    comparison.device = "mps"
    assert comparison.conditions == Conditions("mps")
    assert (comparison.tuning_epochs, len(comparison.seeds)) == (2, 2)
    assert [{result.epochs for result in each.tuned} for each in compared] == [{2}] * 3
    assert [{result.epochs for result in each.decided} for each in compared] == [{6}] * 3
    for each in compared:
        *worst, second, best = sorted(each.tuned, key=lambda result: -result.score.loss)
        assert {result.lr for result in each.decided} == {second.lr, best.lr} and len(worst) == 1
        assert each.lr == min(each.decided, key=lambda result: result.score.loss).lr
        assert comparison_json(each, compared[0])["decided"].keys() == {f"{lr:g}" for lr in (second.lr, best.lr)}
    assert "on validation data after 2 epochs, the best two again after 6" in " ".join(
        comparison_notes(comparison, compared)
    )
    assert len(Comparison(comparison.saved, Compare(against=("convmixer",), device="cpu")).seeds) == 3


def test_one_learning_rate_is_not_tried(prepared, tmp_path):
    _, compared = prepared(lrs=(0.005,))
    assert [(each.lr, each.tuned, len(each.tested)) for each in compared] == [(0.005, (), 2)] * 3
    assert len(notes(tmp_path / "log", "start")) == 6


@pytest.mark.parametrize("stop", [0, 4, 9, 12])
def test_what_was_stopped_goes_on_and_trains_nothing_twice(stop, prepared, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prepared(Trainer(tmp_path / "log", stop=stop))
    _, compared = prepared()
    keys = [note.key for note in notes(tmp_path / "log", "start")]
    assert len(keys) == len(set(keys)) + 1  # the one that was under way
    assert [len(each.tested) for each in compared] == [2, 2, 2]
    _, again = prepared()
    assert len(notes(tmp_path / "log", "start")) == len(keys)
    assert again == compared


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"seeds": 4}, 3 * 2),
        ({"against": ("mixer", "convmixer", "fnet")}, 2 + 2),
        ({"against": ("mixer",), "workers": 1}, 0),
        ({"lrs": (0.005,)}, 3 * 2),  # another comparison
        ({"epochs": 1}, 3 * 4),
        ({"images": 500}, 3 * 4),
        ({"match": "macs"}, 3 * 4),
    ],
)
def test_more_of_the_same_trains_what_is_missing(changes, more, prepared, tmp_path):
    first, _ = prepared(lrs=(0.005, 0.01))
    second, compared = prepared(**{"lrs": (0.005, 0.01)} | changes)
    assert len(notes(tmp_path / "log", "start")) == 12 + more
    assert (first.name == second.name) == (not changes.keys() & {"lrs", "epochs", "images", "match"})
    assert all(len(each.tested) == len(second.seeds) for each in compared)


def test_what_is_tested_on_another_device_is_tested_anew(prepared, tmp_path, monkeypatch):
    """Unless nothing is missing."""
    prepared(lrs=(0.005,))
    monkeypatch.setattr("nas.api.saved.kind_on", lambda *_: ("cuda", "bfloat16"))
    elsewhere = Trainer(tmp_path / "log", extra={"device": "cuda", "precision": "bfloat16"})
    for seeds, devices in ((2, {None}), (3, {"cuda"})):
        _, compared = prepared(elsewhere, lrs=(0.005,), seeds=seeds)
        assert [len(each.tested) for each in compared] == [seeds] * 3
        assert {result.extra.get("device") for each in compared for result in each.tested} == devices


def test_a_budget_scales_all_of_them(prepared):
    comparison, compared = prepared(budget=30_000)
    assert all(Target("params", 30_000).off(each.architecture) <= NEAR for each in compared)
    assert compared[0].architecture.id != comparison.standing.id == compared[0].name
    assert "the found network was carried to this size" in " ".join(comparison_notes(comparison, compared))
    near = round(1.03 * comparison.standing.architecture.params)
    assert prepared(budget=near)[0].found == comparison.standing.architecture, "it is within a twentieth already"


def test_other_data_gets_the_network_on_its_own_grid(prepared, tmp_path, monkeypatch):
    x = np.random.default_rng(0).random((60, 16, 16), np.float32)
    np.savez(tmp_path / "larger.npz", x=x, y=np.arange(60) % 3)
    comparison, compared = prepared(data=str(tmp_path / "larger.npz"), patch=4)
    found = compared[0].architecture
    assert found.inputs == (("h", 16), ("w", 16), ("c", 1)) and found.classes == 3
    assert found.mixers == comparison.standing.architecture.mixers  # on the same 4 x 4 patches
    assert "chosen on digits, other data" in " ".join(comparison_notes(comparison, compared))
    fitting = Recipe.for_dataset(comparison.dataset)
    assert comparison.recipe.epochs == fitting.epochs == 20 and comparison.recipe.lr == 5e-3
    monkeypatch.setattr(
        Recipe, "for_dataset", lambda dataset: Recipe(11, 17, lr=1.0, weight_decay=1.0, augment="shift")
    )
    own = comparison.saved.recipe
    elsewhere = Comparison(comparison.saved, comparison.asked).recipe  # what is chosen stays, what fits is fitted
    assert elsewhere == replace(own, epochs=11, batch=17, augment="shift") != own
    with pytest.raises(NasError, match=r"is for axes h w, not t$"):
        prepared(data="mnist1d")
    np.savez(tmp_path / "odd.npz", x=x[:, :14, :14], y=np.arange(60) % 3)
    with pytest.raises(NasError, match=r"cannot be carried to 7 positions: --patch [0-9 or]+ goes$"):
        prepared(data=str(tmp_path / "odd.npz"), patch=2)
    _, compared = prepared(data="digits")  # its own
    assert compared[0].name == compared[0].architecture.id


def test_failed_trainings_are_told(prepared, tmp_path):
    comparison, compared = prepared()
    found, mixer, _ = compared
    raising = Trainer(tmp_path / "log2", {mixer.architecture.id: "raise"})
    comparison, compared = prepared(raising, epochs=1)
    assert (compared[1].lr, compared[1].accuracies, compared[1].ms) == (None, {}, None)
    assert "mixer failed: ValueError: the sizes do not divide" in comparison_notes(comparison, compared)
    assert verdict("a", compared[1]) == "a is not compared with mixer: no seed was tested of both"
    row = comparison_json(compared[1], compared[0])
    assert (row["lr"], row["test"]["n"], row["ratio"], row["difference"]) == (None, 0, None, None)
    failing = Trainer(tmp_path / "log3", {found.architecture.id: "raise"})
    _, compared = prepared(failing, epochs=2)
    assert [each.difference for each in compared] == [None] * 3
    json.dumps([comparison_json(each, compared[0]) for each in compared], allow_nan=False)


def test_nobody_is_compared_with_the_survivors_among_its_seeds(prepared, tmp_path):
    """What failed may be the worst; the same command tries it again."""
    _, (found, mixer, _) = prepared(lrs=(0.005,))
    mixer_id = mixer.architecture.id
    _, compared = prepared(Trainer(tmp_path / "log2", {f"{mixer_id} 1003": "raise"}), lrs=(0.005,), seeds=4)
    assert [bool(each.difference) for each in compared] == [False, False, True]
    assert [len(each.accuracies) for each in compared] == [4, 3, 4]
    assert verdict("a", compared[1]) == (
        "a is not compared with mixer: mixer was tested with 3 of 4 seeds, and the same command tries the others again"
    )
    assert comparison_json(compared[1], compared[0])["difference"] is None
    failing = Trainer(tmp_path / "log3", {f"{found.architecture.id} 1005": "raise"})
    _, compared = prepared(failing, lrs=(0.005,), seeds=5)
    assert [note.key for note in notes(tmp_path / "log3", "start")].count((mixer_id, 0.005, 1003, 3)) == 1
    assert [each.difference for each in compared] == [None] * 3  # though the mixer has all of its seeds now
    assert f"{found.name} was tested with 4 of 5 seeds" in verdict("a", compared[2])
    _, compared = prepared(lrs=(0.005,), seeds=5)
    assert [bool(each.difference) for each in compared] == [False, True, True]


TESTED = 359  # images of digits


def test_intervals_are_of_the_examples_that_tests_were_right_on(prepared, tmp_path):
    comparison, compared = prepared(Trainer(tmp_path / "log", examples=TESTED), lrs=(0.005,), seeds=3)
    entries = [
        Entry(
            each.architecture.id,
            each.name,
            None,
            Judged.of(np.stack([right_of(each.architecture.id, seed, TESTED) for seed in (1001, 1002, 1003)])),
        )
        for each in compared
    ]
    assert [each.difference for each in compared] == [None, *claims.compared(entries[0], entries[1:])]
    assert all(each.difference.low < each.difference.mean < each.difference.high for each in compared[1:])
    words = "tested on 359 images; the intervals (95% together) cover seeds, images and 2 rivals, not other training"
    assert words in " ".join(comparison_notes(comparison, compared))
    row = comparison_json(compared[1], compared[0])
    assert row["difference"] == compared[1].difference.row() and row["difference"]["against"] == "mixer"
    assert row["verdict"] == verdict(compared[0].title, compared[1])


def test_tests_of_before_have_no_interval(prepared, tmp_path):
    """Nor has who was tested with some seeds before, and with others since."""
    prepared(lrs=(0.005,), against=("mixer",), seeds=2)
    since = Trainer(tmp_path / "log2", examples=TESTED)
    comparison, compared = prepared(since, lrs=(0.005,), against=("mixer",), seeds=4)
    found, mixer = compared
    mean = fmean(found.accuracies.values()) - fmean(mixer.accuracies.values())
    assert mixer.difference == Claim(pytest.approx(mean), "mixer", mixer.architecture.id, UNKEPT)
    (words,) = (note for note in comparison_notes(comparison, compared) if note.startswith("found - it"))
    assert words == "found - it: points of test accuracy, tested on 359 images"


def test_what_a_test_was_right_on_has_to_fit(prepared, tmp_path):
    with pytest.raises(
        NasError,
        match=r"^run 'x-compare-[0-9a-f]{6}': network [0-9a-f]{10}, tested with seed 1001: bits of .* not of 359$",
    ):
        prepared(Trainer(tmp_path / "log", examples=300), lrs=(0.005,))


class Losing(Serial):
    """Trains in this process, but loses these jobs."""

    def __init__(self, make: Trainer, lost: set[int]):
        super().__init__(make)
        self.lost = lost

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        return [
            Unfinished(each.number, "its node is gone", 0)
            if isinstance(each, Done) and each.number in self.lost
            else each
            for each in super().wait(on_rung, timeout)
        ]


@pytest.mark.parametrize(
    ("lost", "large", "left_out"),
    [
        ({1}, False, [1]),
        ({0, 5}, False, [0, 2]),
        ({1}, True, [1]),
        ({7}, True, [1]),  # of the best two rates with all epochs
        ({6}, False, []),  # a test
    ],
)
def test_who_lacks_an_answer_to_a_learning_rate_is_not_tested(lost, large, left_out, prepared, tmp_path, monkeypatch):
    if large:
        monkeypatch.setattr("nas.api.compare.LARGE", 900)
    asked, make = {"lrs": (0.005, 0.01), "epochs": 6}, Trainer(tmp_path / "log")
    comparison, compared = prepared(executor=Losing(make, lost), **asked)
    assert comparison.complaint.startswith(f"{len(lost)} training")
    assert [n for n, each in enumerate(compared) if not each.tested] == left_out
    assert all((each.lr is None) == (n in left_out) for n, each in enumerate(compared))
    for n, each in enumerate(compared[1:], 1):
        who = compared[0 if 0 in left_out else n]
        words = f"{who.name} is not tested: not all of its learning rates could be tried, and the same command goes on"
        assert (words in each.undecided) == (0 in left_out or n in left_out)
    comparison, again = prepared(make, **asked)
    assert comparison.complaint == "" and [len(each.tested) for each in again] == [2] * 3
    assert [max(each.decided or each.tuned, key=lambda one: one.score.accuracy).lr for each in again] == [
        each.lr for each in again
    ]


WITHIN = (
    r"^resmlp has no size within 5% of 3,000 parameters: 9,642 are the nearest that it has at a patch of 1 and "
    r"about [0-9] blocks \(--budget, --patch and --depth change that\)$"
)
REFUSED = [
    ({"match": "parms"}, "no --match 'parms': did you mean 'params'"),
    ({"against": ()}, "--against names nobody"),
    ({"against": ("mixr",)}, "no network 'mixr' in the zoo: did you mean 'mixer'"),
    ({"seeds": 0}, "--seeds is 0; 1 to 1000 is expected"),
    ({"budget": 0}, "--budget is 0"),
    ({"depth": 65}, "--depth is 65"),
    ({"patch": 3}, "mixer cannot be built here: a patch of 3 does not divide axis h=8; nor has convmixer"),
    (
        {"budget": 300},
        "at about 3 blocks with its mixers carried over: --budget 2464 is",
    ),
    ({"budget": 3_000, "patch": 1, "against": ("resmlp",)}, WITHIN),
    ({"patch": 8, "against": ("mixer", "convmixer", "fnet"), "budget": 1_000}, "network .* has no size|cannot be"),
    ({"lrs": (0.0,)}, "recipe: lr is 0.0; expected"),
    ({"epochs": 0}, "--epochs is 0"),
    ({"id": "zzzz"}, "no architecture 'zzzz' in run 'x'"),
    ({"data": "digit"}, "unknown data 'digit'; did you mean 'digits'"),
    ({"device": "gpu"}, "no device 'gpu'"),
]


@pytest.mark.parametrize(("changes", "pattern"), REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_written(changes, pattern, prepared, tmp_path):
    with pytest.raises((NasError, SpaceError), match=pattern):
        prepared(**changes)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["x"]


def test_a_run_without_a_training_has_nothing_to_compare(tmp_path, prepared):
    (tmp_path / "x" / "results.jsonl").write_text("")
    with pytest.raises(NasError, match="run 'x' has no finished training yet: go on with its search"):
        prepared()


def told(mean: float, verdict: str, low: float | None = None, high: float | None = None) -> Claim:
    return Claim(mean, "b", "1", verdict, low, high)


VERDICTS = [
    (told(0.0124, "ahead", 0.0083, 0.0164), "a is ahead of b: +1.2 points (+0.8 to +1.6)"),
    (told(-0.008, "behind", -0.013, -0.003), "a is behind b: -0.8 points (-1.3 to -0.3)"),
    (told(0.002, "not told apart", -0.007, 0.011), "a cannot be told from b: +0.2 points (-0.7 to +1.1)"),
    (told(0.02, "too few seeds to tell"), "a and b: +2.0 points, too few seeds to tell (--seeds)"),
    (told(0.02, UNKEPT), "a and b: +2.0 points, no interval: tested before it was kept which images were right"),
    (None, "a is not compared with b: nobody knows why"),
]


@pytest.mark.parametrize(("claim", "words"), VERDICTS)
def test_a_difference_is_told_in_plain_words(claim, words):
    space = tiny()
    network = space.sample(Random(0))
    assert (
        verdict("a", Compared("b", network, False, (), (), 0.01, difference=claim, undecided="nobody knows why"))
        == words
    )


def test_a_best_learning_rate_at_the_end_is_known_as_such():
    network = tiny().sample(Random(0))
    tuned = tuple(result_of(network, 0.5, lr=lr, phase="tune") for lr in (0.001, 0.003, 0.01))
    ends = [Compared("b", network, False, tuned, (), lr).at_edge for lr in (0.001, 0.003, 0.01)]
    assert ends == [True, False, True]
    assert not Compared("b", network, False, tuned[:1], (), 0.001).at_edge


class Passing(nn.Module):
    """A network whose forward passes take the seconds that it is told, by a clock of its own."""

    def __init__(self, clock: list[float], seconds: list[float], seen: list[tuple[object, ...]]):
        super().__init__()
        self.clock, self.seconds, self.seen = clock, iter(seconds), seen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.clock[0] += next(self.seconds)
        self.seen.append((id(self), tuple(x.shape), self.training, torch.is_grad_enabled(), torch.get_num_threads()))
        return x.flatten(1)


def test_a_latency_is_the_median_of_passes_taken_in_turns_by_networks_as_they_are_used(monkeypatch):
    first, second = (tiny(shape={"h": 8, "w": 4}).sample(Random(seed)) for seed in (0, 1))
    clock, seen = [0.0], []
    seconds = {first.id: [9.0, 9.0, 0.5, 0.1, 0.2], second.id: [9.0, 9.0, 0.3, 0.4, 8.0]}
    nets = {id: Passing(clock, each, seen) for id, each in seconds.items()}
    monkeypatch.setattr("nas.training.latency.build", lambda architecture: nets[architecture.id].train())
    monkeypatch.setattr("nas.training.latency.time", SimpleNamespace(perf_counter=lambda: clock[0]))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = measure([first, second], Conditions("cpu", batch=5, repeats=3, threads=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert found == pytest.approx({first.id: 200.0, second.id: 400.0})  # milliseconds; the first two passes are none
    one, other = (id(nets[each.id]) for each in (first, second))
    assert [each[0] for each in seen] == [one, one, other, other] + 3 * [one, other]
    assert {each[1:] for each in seen} == {((5, 1, 8, 4), False, False, 1)}


def test_of_latencies_that_are_kept_all_have_to_be_there(tmp_path, monkeypatch):
    """Those of one time are not set beside those of another."""
    networks = list(tiny("mixed").enumerate())[:3]
    asked = []
    monkeypatch.setattr(
        "nas.training.latency.measure", lambda each, _: asked.append(len(each)) or {a.id: len(asked) for a in each}
    )
    conditions = Conditions("cpu", batch=4, repeats=3)
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        assert latencies(run, networks[:2], conditions) == {each.id: 1 for each in networks[:2]}
        assert latencies(run, networks, conditions) == {each.id: 2 for each in networks}
        assert latencies(run, networks[1:2], conditions) == {networks[1].id: 2}
        assert asked == [2, 3]
        assert latencies(run, networks[1:], replace(conditions, threads=2)).keys() == {each.id for each in networks[1:]}
        assert asked == [2, 3, 2]


def test_latencies_are_measured_once_and_again_where_they_cannot_be_read(tmp_path, monkeypatch):
    networks = [tiny().sample(Random(seed)) for seed in (0, 1)]
    conditions = Conditions("cpu", batch=4, repeats=3)
    measured = measure(networks, conditions)
    assert measured.keys() == {each.id for each in networks} and all(0 < ms < 1000 for ms in measured.values())
    calls = []
    monkeypatch.setattr(
        "nas.training.latency.measure", lambda *_: calls.append(1) or {each.id: 1.5 for each in networks}
    )
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        for spoil in (None, None, "{", "[]", '{"conditions": {}, "ms": {}}', '{"conditions": 3}', '{"ms": {"a": 1}}'):
            if spoil:
                (run.path / "latency.json").write_text(spoil)
            assert latencies(run, networks, conditions) == {each.id: 1.5 for each in networks}
        assert len(calls) == 1 + 5
        latencies(run, networks, replace(conditions, batch=8))
        text = json.loads((run.path / "latency.json").read_text())
        text["ms"][networks[0].id] = -1
        (run.path / "latency.json").write_text(json.dumps(text))
        latencies(run, networks, replace(conditions, batch=8))
        assert len(calls) == 1 + 5 + 2


def test_a_file_that_leads_elsewhere_is_not_followed(tmp_path):
    other = tmp_path / "other"
    other.write_text("{}")
    with RunFolder.create_or_open(tmp_path, "x", {}) as run:
        (Path(run.path) / "latency.json").symlink_to(other)
        assert run.kept("latency") is None
        run.keep("latency", {"ms": {}})
        assert run.kept("latency") == {"ms": {}}
    assert other.read_text() == "{}"
