"""Training: deterministic, judged where it should be, and silent towards the host inside an epoch."""

import json
import math
import multiprocessing
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from einops.layers.torch import EinMix
from fitting import fit_one
from safetensors.torch import load as load_weights
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from einmix.layers import FastMix
from nas.data.dataset import Dataset
from nas.data.known import load
from nas.data.sources import Arrays
from nas.errors import NasError
from nas.runs.bits import unpacked
from nas.runs.job import HALVED, Job, Outcome, Score
from nas.runs.settings import versions
from nas.runs.storage import Storage
from nas.training import trainer as trainers
from nas.training.checkpoints import TrainingState
from nas.training.engine import examples
from nas.training.engine.examples import Examples, augment, flip, shift
from nas.training.fit import evaluate, evaluation_batch, schedule
from nas.training.groups import grouped
from nas.training.latency import Conditions, measure
from nas.training.recipe import Recipe
from nas.training.trainer import ArchitectureTrainer, weights_of
from search_spaces import load as load_space


def build(architecture: dict[str, Any]) -> nn.Module:
    width = architecture.get("width", 32)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, 10))


def go_on(score: Score) -> bool:
    return True


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", data_dir=Path(), seed=0, limit=600)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def job(**changes: Any) -> Job:
    return replace(Job({}, "a1", lr=1e-2, seed=0, epochs=4), **changes)


def train(dataset: Dataset, recipe: Recipe | None = None, **changes: Any) -> Outcome:
    return ArchitectureTrainer(dataset, recipe or Recipe(), build=build)(job(**changes), go_on)


def test_a_result_says_where_it_was_trained_and_with_what(digits):
    extra = train(digits).extra
    assert (extra["device"], extra["precision"]) == ("cpu", "float32")
    assert extra["versions"] == versions() and "torch" in extra["versions"]
    assert "latency_ms" not in extra


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_latency_is_measured_as_for_a_comparison_and_is_no_time_of_training(device, digits, monkeypatch):
    """On the training's device, of complete trainings only."""
    asked = []

    def measure(architectures, conditions):
        asked.append((architectures, conditions))
        time.perf_counter()
        return {each.id: 1.25 for each in architectures}

    architecture = next(load_space("local").on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,)).enumerate())
    monkeypatch.setattr("nas.training.latency.measure", measure)
    trainer = ArchitectureTrainer(digits, Recipe(), device, latency=True)
    work = job(architecture=json.loads(architecture.to_json()), epochs=1)
    outcome = trainer(work, go_on)
    assert outcome.extra["latency_ms"] == 1.25
    assert asked == [([architecture], Conditions(device))]
    assert trainer(replace(work, epochs=2, rungs=(1,)), lambda score: False).state == "pruned" and len(asked) == 1
    monkeypatch.setattr(trainers, "fit", lambda *_, **__: [(None, Outcome("complete"))])
    monkeypatch.setattr(time, "perf_counter", iter(range(100)).__next__)
    assert trainer(work, go_on).seconds == 1  # a tick of that clock, not the one of the measurement


def fitted(
    model: nn.Module, data: tuple[Examples, Examples], recipe: Recipe | None = None, **changes: Any
) -> tuple[nn.Module, Outcome]:
    return fit_one(lambda: model, data, recipe or Recipe(), job=job(**changes), report=go_on)


def metrics(outcome: Outcome) -> tuple[object, ...]:
    return outcome.state, outcome.scores, outcome.train_loss


# learning


def test_it_learns(digits: Dataset) -> None:
    outcome = train(digits, epochs=8)
    assert outcome.state == "complete" and outcome.seconds > 0
    assert len(outcome.train_loss) == 8
    assert outcome.train_loss[-1] < outcome.train_loss[0]
    (score,) = outcome.scores
    assert score.epoch == 8 and score.accuracy > 0.85 and score.loss < 0.8


def test_it_does_not_learn_from_labels_that_say_nothing(digits: Dataset) -> None:
    shuffled = Arrays(digits.train.x, np.random.default_rng(0).permutation(digits.train.y))
    assert train(replace(digits, train=shuffled), epochs=8).scores[-1].accuracy < 0.3


def test_the_same_job_gives_the_same_metrics(digits: Dataset) -> None:
    trainer = ArchitectureTrainer(digits, Recipe(augment="shift+flip"), build=build)
    first = trainer(job(), go_on)
    torch.rand(7)  # whatever else draws numbers in between
    assert metrics(trainer(job(), go_on)) == metrics(first)
    assert metrics(trainer(job(seed=1), go_on)) != metrics(first)
    assert metrics(trainer(job(lr=2e-2), go_on)) != metrics(first)


def run_job(trainer: ArchitectureTrainer) -> Outcome:
    trainer.start()
    return trainer(job(), go_on)


@pytest.mark.outside
def test_another_process_gives_the_same_metrics(digits: Dataset) -> None:
    trainer = ArchitectureTrainer(digits, Recipe(augment="shift+flip"), build=build)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        elsewhere = pool.apply(run_job, (trainer,))
    assert metrics(elsewhere) == metrics(run_job(trainer))


def test_start_puts_data_there(digits: Dataset) -> None:
    trainer = ArchitectureTrainer(digits, Recipe(), threads=2, build=build)
    trainer.start()
    assert torch.get_num_threads() == 2
    assert "data" in vars(trainer)


# rungs


def test_reports_at_rungs_and_scores_the_end(digits: Dataset) -> None:
    seen: list[Score] = []
    trainer = ArchitectureTrainer(digits, Recipe(), build=build)
    outcome = trainer(job(rungs=(1, 3)), lambda score: not seen.append(score))
    assert [score.epoch for score in seen] == [1, 3]
    assert [score.epoch for score in outcome.scores] == [1, 3, 4]
    assert outcome.scores[:2] == tuple(seen)


def test_a_report_does_not_change_what_is_trained(digits: Dataset) -> None:
    assert train(digits, rungs=(1, 2, 3)).train_loss == train(digits).train_loss


def test_a_pruned_candidate_stops_and_brings_no_weights(digits: Dataset) -> None:
    trainer = ArchitectureTrainer(digits, Recipe(), build=build)
    pruned = trainer(job(rungs=(1, 2), phase="train", weights=True), lambda score: score.epoch < 2)
    assert pruned.state == "pruned" and pruned.test is None
    assert [score.epoch for score in pruned.scores] == [1, 2]
    assert len(pruned.train_loss) == 2
    assert pruned.weights == b""


def test_only_phase_train_looks_at_test_data(digits: Dataset) -> None:
    unreadable = replace(digits, test=None)
    for phase in ("search", "final"):
        assert train(unreadable, phase=phase, epochs=1).test is None
    tested = train(digits, phase="train", epochs=1)
    assert tested.test is not None and tested.test.epoch == 1
    assert round(tested.test.accuracy * len(digits.test), 6).is_integer()
    with pytest.raises(AttributeError):
        train(unreadable, phase="train", epochs=1)


# the loop


class Watch(nn.Module):
    """A linear model that keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.batches: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.batches.append(x)
        return self.linear(x.flatten(1))


def placed(dataset: Dataset) -> tuple[Examples, Examples]:
    return Examples.of(dataset.train, dataset, "cpu"), Examples.of(dataset.validation, dataset, "cpu")


@pytest.mark.parametrize(
    ("batch", "sizes"), [(64, [64] * 9), (600, [600]), (500, [500]), (601, [600]), (4096, [600]), (100, [100] * 6)]
)
def test_the_last_batch_is_dropped_unless_it_is_the_only_one(batch: int, sizes: list[int], digits: Dataset) -> None:
    model = Watch()
    fitted(model, placed(digits), Recipe(batch=batch), epochs=2, rungs=(1,))
    assert [len(x) for x in model.batches] == sizes * 2


def test_an_epoch_sees_every_image_once_in_its_own_order(digits: Dataset) -> None:
    model = Watch()
    data = placed(digits)
    fitted(model, data, Recipe(batch=600), epochs=2)
    whole, _ = data[0].batch(slice(None))
    fitted(model, data, Recipe(batch=600), epochs=1, seed=1)
    first, second, other_seed = model.batches
    assert not torch.equal(first, second) and not torch.equal(first, other_seed)
    for epoch in model.batches:
        assert torch.equal(*(torch.unique(x.flatten(1), dim=0, return_counts=True)[1] for x in (epoch, whole)))
        torch.testing.assert_close(epoch.sum(), whole.sum(), rtol=0, atol=0.1)


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        (Recipe(batch=130, weight_decay=0.5, label_smoothing=0.3, warmup=0.4, augment="shift+flip"), {"rungs": (1,)}),
        (Recipe(batch=250, weight_decay=0.0, label_smoothing=0.0, warmup=0.0, augment="shift"), {"lr": 3e-2}),
    ],
    ids=["all of it", "next to nothing"],
)
def test_a_training_is_its_recipe_written_out(recipe: Recipe, changes: dict[str, Any], digits: Dataset) -> None:
    """Every line of `fit` against plain torch: what is a helper's there is one here only where it draws numbers."""
    todo = job(seed=3, epochs=3, **changes)
    trained, outcome = fit_one(lambda: build({}), placed(digits), recipe, job=todo, report=go_on)
    mean, std = digits.mean[0], digits.std[0]
    x, y = (torch.from_numpy(array) for array in (digits.train.x, digits.train.y))
    torch.manual_seed(3)
    model, generator = build({}), torch.Generator().manual_seed(3)
    weights = [model[1].weight, model[4].weight]
    others = [model[1].bias, model[3].weight, model[3].bias, model[4].bias]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    steps = len(y) // recipe.batch
    losses = []
    for epoch in range(3):
        order = torch.randperm(len(y), generator=generator)
        losses.append(0.0)
        for step in range(steps):
            done = (epoch * steps + step + 0.5) / (3 * steps)
            rising, falling = done < recipe.warmup, (done - recipe.warmup) / (1 - recipe.warmup)
            for group in optimizer.param_groups:
                group["lr"] = todo.lr * (done / recipe.warmup if rising else 0.5 + 0.5 * math.cos(math.pi * falling))
            batch = order[step * recipe.batch : (step + 1) * recipe.batch]
            moved = shift((x[batch].float() - mean) / std, generator)
            logits = model(flip(moved, generator) if recipe.augment == "shift+flip" else moved)
            wanted = torch.full_like(logits, recipe.label_smoothing / 10)
            wanted[torch.arange(len(batch)), y[batch]] += 1 - recipe.label_smoothing
            loss = -(wanted * logits.log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1] += loss.item() / steps
    assert outcome.train_loss == pytest.approx(losses, rel=1e-4)
    for ours, plain in zip(trained.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4)


def test_it_is_judged_as_it_will_be_used_and_trained_as_before_afterwards(digits: Dataset) -> None:
    """Dropout is off and batch norm's means are those kept, on all of the validation part; then both are on again."""

    def unsteady() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), Watch())

    data = placed(digits)
    model, outcome = fit_one(unsteady, data, Recipe(batch=100), job=job(epochs=2, rungs=(1,)), report=go_on)
    batches = model[3].batches
    assert len(batches) == 12 and all((batch == 0).float().mean() > 0.4 for batch in batches)
    assert int(model[1].num_batches_tracked) == 12
    x, y = data[1].batch(slice(None))
    logits = model.eval()(x)
    assert outcome.scores[-1].accuracy == pytest.approx((logits.argmax(1) == y).float().mean().item())
    assert outcome.scores[-1].loss == pytest.approx(nn.functional.cross_entropy(logits, y).item(), rel=1e-4)


def test_test_figures_are_those_of_the_weights_on_the_test_part(digits: Dataset) -> None:
    outcome = train(digits, phase="train", epochs=2, weights=True)
    model = build({})
    model.load_state_dict(load_weights(outcome.weights))
    there = evaluate(model, Examples.of(digits.test, digits, "cpu"), epoch=2, batch=100)
    assert outcome.test is not None and outcome.test.epoch == 2
    assert outcome.test.accuracy == pytest.approx(there.accuracy)
    assert outcome.test.loss == pytest.approx(there.loss, rel=1e-5) != outcome.scores[-1].loss


def test_candidates_are_trained_with_the_fast_layer_and_evaluated_in_batches_that_fit_the_device() -> None:
    space = load_space("grouped").on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,), depth=(1,))
    architecture = next(space.enumerate())
    trainer = ArchitectureTrainer(None, Recipe())  # type: ignore[arg-type]
    layers = list(trainer.build(json.loads(architecture.to_json())).modules())
    assert sum(isinstance(layer, FastMix) for layer in layers) == sum(isinstance(layer, EinMix) for layer in layers) > 1
    sizes = [evaluation_batch(torch.device(device), 60) for device in ("cpu", "cuda")]
    assert sizes == [60, 960]


def test_seconds_are_of_all_tries(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier try's count, too; none of a training that was not cut off."""
    monkeypatch.setattr(TrainingState, "outcome", lambda self, state, epoch: Outcome(state, seconds=1000.0))
    assert train(digits, epochs=1).seconds > 1000


class CountReads(TorchDispatchMode):
    """Counts how often a number is taken from the device to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", ["none", "shift+flip"])
def test_nothing_is_read_back_inside_an_epoch(how: Any, digits: Dataset) -> None:
    data = placed(digits)
    reads = []
    for batch in (10, 300):
        with CountReads() as counter:
            fitted(Watch(), data, Recipe(batch=batch, augment=how), epochs=3)
        reads.append(counter.count)
    assert reads[0] == reads[1] >= 3  # the training loss of three epochs, however many steps they have


@pytest.mark.parametrize("lr", [1e30, 1e38])
def test_a_loss_that_is_not_finite_is_an_error(lr: float, digits: Dataset) -> None:
    with pytest.raises(FloatingPointError, match=r"in epoch 1( of 4, lr 1e\+3[08])? is (nan|inf)"):
        train(digits, lr=lr)


def test_a_validation_loss_that_is_not_finite_is_an_error(digits: Dataset) -> None:
    class Overflows(Watch):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1 if self.training else math.inf)

    with pytest.raises(FloatingPointError, match="loss of an evaluation in epoch 2 is nan"):
        fitted(Overflows(), placed(digits), rungs=(2,))


@pytest.mark.parametrize(
    ("scales", "groups"),
    [
        ({}, {(0.3, 1): "1.weight 4.weight", (0, 1): "bias 1.bias 3.weight 3.bias 4.bias"}),
        (
            {"1.weight": 0.5, "3.bias": 0.5, "1.bias": 1.0},
            {(0.3, 0.5): "1.weight", (0.3, 1): "4.weight", (0, 1): "bias 1.bias 3.weight 4.bias", (0, 0.5): "3.bias"},
        ),
    ],
)
def test_weight_decay_is_for_weights_only_and_rates_are_scaled(scales: dict[str, float], groups: dict) -> None:
    model = build({})
    model.register_parameter("bias", nn.Parameter(torch.zeros(1, 4, 4)))  # EinMix's shape of a bias
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = grouped(model, 0.3, scales)
    assert {
        (each["weight_decay"], each["scale"]): " ".join(names[parameter] for parameter in each["params"])
        for each in found
    } == groups


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_the_schedule_rises_to_one_and_falls_to_zero(warmup: float) -> None:
    values = [schedule(step / 1000, warmup) for step in range(1001)]
    peak = round(warmup * 1000)
    assert values[peak] == max(values) == 1.0
    assert values[-1] == pytest.approx(0, abs=1e-12)
    assert sorted(values[:peak]) == values[:peak]
    assert sorted(values[peak:], reverse=True) == values[peak:]


def test_an_evaluation_does_not_depend_on_its_batches(digits: Dataset) -> None:
    torch.manual_seed(0)
    model, (_, validation) = build({}), placed(digits)
    x, y = validation.batch(slice(None))
    logits = model.eval()(x)
    for batch in (7, 288, 1000):
        score = evaluate(model, validation, epoch=5, batch=batch)
        assert score.epoch == 5
        assert score.accuracy == pytest.approx((logits.argmax(1) == y).float().mean().item())
        assert score.loss == pytest.approx(nn.functional.cross_entropy(logits, y).item(), rel=1e-5)


# data on the device


def test_a_part_is_normalised_by_the_training_part(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once where that is small, else batch by batch: to the same numbers."""
    part, validation = placed(digits)
    monkeypatch.setattr(examples, "SMALL", 4 * digits.train.x.size - 1)
    bytes_, _ = placed(digits)
    assert (part.x.dtype, part.moments, bytes_.x.dtype) == (torch.float32, None, torch.uint8)
    for index in (slice(3, 9), torch.tensor([5, 5, 0])):
        assert all(torch.equal(one, other) for one, other in zip(part.batch(index), bytes_.batch(index), strict=True))
    x, y = part.batch(slice(None))
    assert (x.shape, x.dtype, y.dtype) == ((600, 1, 8, 8), torch.float32, torch.int64)
    torch.testing.assert_close(x.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(), torch.tensor(1.0), atol=1e-4, rtol=0)
    assert validation.batch(slice(None))[0].mean().abs() > 1e-5


def test_large_numbers_stay_in_the_memory_that_workers_share(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = Arrays(digits.train.x.astype(np.float32), digits.train.y)
    for small, shared in ((arrays.x.nbytes - 1, True), (arrays.x.nbytes, False)):
        monkeypatch.setattr(examples, "SMALL", small)
        placed_ = Examples.of(arrays, digits, "cpu")
        assert np.shares_memory(placed_.x.numpy(), arrays.x) == shared == (placed_.moments is not None)


@pytest.mark.parametrize(
    ("phase", "part"),
    [("search", "validation"), ("final", "judge"), ("train", "test"), ("compare", "test"), ("tune", None)],
)
def test_what_a_training_was_right_on_is_kept(phase: Any, part: str | None, digits: Dataset) -> None:
    """Read off the weights, one example at a time."""
    outcome = train(digits, phase=phase, epochs=2, weights=True)
    assert [outcome.test is not None, outcome.judge is not None] == [part == "test", part == "judge"]
    if part is None:
        assert outcome.right == ""
        return
    score = {"validation": outcome.scores[-1], "judge": outcome.judge, "test": outcome.test}[part]
    model, arrays = build({}), getattr(digits, part)
    model.load_state_dict(load_weights(outcome.weights))
    examples = Examples.of(arrays, digits, "cpu")
    with torch.no_grad():
        found = [model.eval()(x[None]).argmax().item() for x in examples.x]
    right = unpacked(outcome.right, len(arrays), score.accuracy)
    assert right.tolist() == [one == other for one, other in zip(found, arrays.y.tolist(), strict=True)]


def test_data_without_a_part_that_judges_leave_no_bits(digits: Dataset) -> None:
    outcome = train(replace(digits, judge=None), phase="final", epochs=1)
    assert (outcome.judge, outcome.right, outcome.state) == (None, "", "complete")


def test_a_latency_is_in_float32_whatever_is_trained_in(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = SimpleNamespace(allow_tf32=True), SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends, "cuda", SimpleNamespace(matmul=flags[0]))
    monkeypatch.setattr(torch.backends, "cudnn", flags[1])
    seen: list[bool] = []
    monkeypatch.setattr("nas.training.latency._step", lambda *_: lambda: seen.extend(f.allow_tf32 for f in flags))
    architecture = next(load_space("local").on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,)).enumerate())
    measure([architecture], Conditions("cpu", repeats=1))
    assert seen and not any(seen) and all(each.allow_tf32 for each in flags)


@pytest.mark.parametrize("axes", ["n c t", "n c h w", "n c d h w"])
def test_channels_have_their_own_moments_in_any_number_of_axes(axes: str, tmp_path: Path) -> None:
    shape = 40, 2, *[8] * (len(axes.split()) - 2)
    x = np.random.default_rng(0).normal(size=shape)
    x[:, 1] = 100 + 10 * x[:, 1]
    np.savez(tmp_path / "mine.npz", x=x, y=np.arange(40) % 4, axes=axes)
    dataset = load(str(tmp_path / "mine.npz"), data_dir=tmp_path, seed=0)
    normalised, _ = Examples.of(dataset.train, dataset, "cpu").batch(slice(None))
    by_channel = normalised.transpose(0, 1).flatten(1)
    torch.testing.assert_close(by_channel.mean(1), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(by_channel.std(1), torch.ones(2), atol=1e-2, rtol=0)


# augmentation


@pytest.mark.parametrize("sides", [(16,), (16, 8), (8, 16, 9), (4, 16)])
def test_a_shift_is_a_window_of_the_padded_example(sides: tuple[int, ...]) -> None:
    x = torch.randn(24, 2, *sides)
    shifted = shift(x, torch.Generator().manual_seed(0))
    assert shifted.shape == x.shape
    pads = [side // 8 for side in sides]
    seen = set()
    for example, result in zip(x.numpy(), shifted.numpy(), strict=True):
        padded = np.pad(example, [(0, 0), *((pad, pad) for pad in pads)])
        starts = [
            start
            for start in np.ndindex(*(2 * pad + 1 for pad in pads))
            if np.array_equal(padded[(..., *(slice(s, s + n) for s, n in zip(start, sides, strict=True)))], result)
        ]
        assert len(starts) == 1
        seen.add(starts[0])
    for axis, pad in enumerate(pads):
        assert {start[axis] for start in seen} == set(range(2 * pad + 1))


def test_a_flip_mirrors_the_last_axis_of_some() -> None:
    x = torch.randn(64, 2, 3, 5)
    flipped = flip(x, torch.Generator().manual_seed(0))
    mirrored = (flipped == x.flip(-1)).flatten(1).all(1)
    assert torch.equal(mirrored, ~(flipped == x).flatten(1).all(1))
    assert 16 < mirrored.sum() < 48


def test_augment_does_what_its_name_says() -> None:
    x = torch.randn(32, 1, 8, 8)
    assert augment(x, "none", torch.Generator()) is x
    shifted, both = (augment(x, how, torch.Generator().manual_seed(0)) for how in ("shift", "shift+flip"))
    assert torch.equal(shifted, shift(x, torch.Generator().manual_seed(0)))
    assert not torch.equal(both, shifted)
    as_it_was, mirrored = ((both == other).flatten(1).all(1) for other in (shifted, shifted.flip(-1)))
    assert (as_it_was | mirrored).all()


# weights


def test_weights_are_those_of_the_trained_model(digits: Dataset) -> None:
    assert train(digits).weights == b""
    outcome = train(digits, weights=True)
    model = build({})
    model.load_state_dict(load_weights(outcome.weights), strict=True)
    score, last = evaluate(model, placed(digits)[1], epoch=4, batch=32), outcome.scores[-1]
    # in batches as in training; sums of float32 may still come in another order where memory is aligned otherwise
    assert score.loss == pytest.approx(last.loss, rel=1e-5)
    assert score.accuracy == pytest.approx(last.accuracy, abs=1 / len(digits.validation))
    assert score.epoch == last.epoch


def test_weights_are_float32_whatever_the_model_holds() -> None:
    model = nn.Sequential(nn.Linear(3, 4).bfloat16(), nn.BatchNorm1d(4))
    model.append(model[1])  # shared
    model[0].weight.data = model[0].weight.data.T.contiguous().T  # not contiguous
    saved = load_weights(weights_of(model))
    assert saved.keys() == model.state_dict().keys()
    assert {str(value.dtype) for value in saved.values()} == {"torch.float32", "torch.int64"}
    assert torch.equal(saved["0.weight"], model[0].weight.float())


# failures


class Exhausting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        large = torch.zeros(1000)
        raise torch.OutOfMemoryError(f"no room beside {large.numel()} numbers")


def build_exhausting(architecture: dict[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), Exhausting())


def test_out_of_memory_is_raised_with_its_traceback_but_without_its_tensors(digits: Dataset) -> None:
    trainer = ArchitectureTrainer(digits, Recipe(), build=build_exhausting)
    with pytest.raises(torch.OutOfMemoryError, match="no room beside 1000 numbers") as error:
        trainer(job(), go_on)
    assert "in forward" in "".join(traceback.format_tb(error.tb))
    frames = [frame for frame, _ in traceback.walk_tb(error.tb) if frame.f_code.co_name in ("forward", "fit")]
    assert frames and not any(isinstance(value, Tensor) for frame in frames for value in frame.f_locals.values())


class Narrow(nn.Module):
    """Has no room for batches of more than 24 images, as torch says it on a GPU and on a CPU."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.linear, self.words = nn.Linear(64, 10), words

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) > 24:
            raise RuntimeError(self.words)
        return self.linear(x.flatten(1))


@pytest.mark.parametrize(
    "words", ["CUDA out of memory. Tried to allocate", "DefaultCPUAllocator: can't allocate memory"]
)
def test_where_memory_is_short_though_it_is_alone_a_network_is_trained_with_half_the_batch(words, digits, tmp_path):
    def trainer(batch: int) -> ArchitectureTrainer:
        storage = Storage(str(tmp_path / "unfinished"), run="x", every=0)
        return ArchitectureTrainer(digits, Recipe(batch=batch), build=lambda _: Narrow(words), storage=storage)

    halved = trainer(40)(job(alone=True, phase="train", weights=True), go_on)
    usual = trainer(20)(job(alone=True, phase="train", weights=True), go_on)
    assert (halved.state, halved.extra[HALVED]) == ("complete", 20) and HALVED not in usual.extra
    assert (halved.scores, halved.test, halved.weights) == (usual.scores, usual.test, usual.weights)
    for batch, alone in ((40, False), (50, True)):  # others may be in its way; a quarter is too little
        with pytest.raises(RuntimeError, match=words[:20]):
            trainer(batch)(job(alone=alone), go_on)


def test_an_error_of_the_model_is_left_to_the_executor(digits: Dataset) -> None:
    def broken(architecture: dict[str, Any]) -> nn.Module:
        raise NasError("no such block")

    with pytest.raises(NasError, match="no such block"):
        ArchitectureTrainer(digits, Recipe(), build=broken)(job(), go_on)


@pytest.mark.gpu
@pytest.mark.parametrize("how", ["none", "shift+flip"])
def test_on_a_gpu(how: Any, digits: Dataset) -> None:
    trainer = ArchitectureTrainer(digits, Recipe(augment=how), device="cuda", build=build)
    trainer.start()
    outcome = trainer(job(epochs=12, rungs=(4,), phase="train", weights=True), go_on)
    assert outcome.test is not None and outcome.test.accuracy > (0.85 if how == "none" else 0.3)
    assert all(value.dtype == torch.float32 for value in load_weights(outcome.weights).values())
    assert metrics(trainer(job(epochs=12, rungs=(4,), phase="train"), go_on)) == metrics(outcome)
    on_cpu = build({})
    on_cpu.load_state_dict(load_weights(outcome.weights))
    score = evaluate(on_cpu, placed(digits)[1], epoch=12, batch=256)
    assert score.loss == pytest.approx(outcome.scores[-1].loss, abs=0.02)  # TF32 there, float32 here
