"""Steps as one graph, and replicas as one model: the same as the plain step of separate trainings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import kinds
import pytest
import torch
from fitting import fit_one
from replays import Replays
from safetensors.torch import load as load_weights
from torch import Tensor, nn

from einmix import Architecture, build
from einmix.layers import FastMix
from nas.data.dataset import Dataset
from nas.data.known import load
from nas.executors.executor import run_jobs
from nas.runs.job import Job, Key, Outcome, Score
from nas.runs.storage import Storage
from nas.training.engine.eager import Eager
from nas.training.engine.engine import Engine, Parts
from nas.training.engine.examples import Examples
from nas.training.engine.graph import FIRST, CudaRecorder, Graph
from nas.training.engine.optimizer import AdamW
from nas.training.engine.seeds import Seeds
from nas.training.fit import evaluate, fit
from nas.training.groups import grouped
from nas.training.recipe import Recipe
from nas.training.trainer import ArchitectureTrainer, build_architecture
from search_spaces import load as load_space
from search_spaces.sizing.scaling import Target, nearest_member
from search_spaces.zoo import ZOO, Inputs, member

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
RECORDERS = {"cpu": Replays, "cuda": CudaRecorder}
BATCH, CLASSES, REPLICAS = 5, 3, 3
RATES = (0.0078125, 0.03125, 0.0078125)  # which float32 holds as they are


def examples_of(architecture: Architecture, device: str, *, seed: int = 0) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    *axes, channels = (size for _, size in architecture.inputs)
    x = torch.randn(20, channels, *axes, dtype=torch.float64, generator=generator)
    return Examples(x.to(device), torch.randint(CLASSES, (20,), generator=generator).to(device))


def replicas(
    make: Callable[[], nn.Module], examples: Examples, seeds: range, *, apart: bool, augment: str = "none"
) -> list[Parts]:
    """Parts of trainings in float64, where rounding decides nothing; an optimiser for each, or one for all."""
    device, made, groups = examples.x.device, [], []
    for seed in seeds:
        torch.manual_seed(seed)
        model = make().to(device, torch.float64).train()
        made.append((model, torch.Generator(device).manual_seed(seed)))
        groups.append([each | {"scale": RATES[seed] / RATES[seeds[0]]} for each in grouped(model, 0.1, {})])
    if apart:
        optimizers = [AdamW([group | {"scale": 1.0} for group in own]) for own in groups]
    else:
        optimizers = [AdamW([group for own in groups for group in own])] * len(made)
    return [
        Parts(model, optimizer, examples, generator, augment, 0.1)
        for (model, generator), optimizer in zip(made, optimizers, strict=True)
    ]


def indices(steps: int, device: str) -> list[Tensor]:
    """Of every step, `r b`."""
    generator = torch.Generator().manual_seed(9)
    orders = [torch.randperm(20, generator=generator)[:BATCH] for _ in range(steps * REPLICAS)]
    return list(torch.stack(orders).view(steps, REPLICAS, BATCH).to(device))


def assert_same(parts: list[Parts], others: list[Parts], exact: bool = False) -> None:
    tolerance = {"rtol": 0.0, "atol": 0.0} if exact else {"rtol": 1e-6, "atol": 1e-9}
    for one, other in zip(parts, others, strict=True):
        torch.testing.assert_close(dict(one.model.state_dict()), dict(other.model.state_dict()), **tolerance)


def nodes(grid: dict[str, int]) -> dict[str, Callable[[], Architecture]]:
    return {name: partial(kinds.network, case, grid) for name, case in kinds.cases(grid).items()}


def of_zoo(name: str) -> Architecture:
    return nearest_member(member(name), Inputs({"h": 8, "w": 8}, 1, CLASSES), Target("params", 8_000), patch=2, depth=1)


ALL = {
    f"{name} on {''.join(grid)}": make
    for grid in (kinds.LINE, kinds.IMAGE, kinds.VOLUME)
    for name, make in nodes(grid).items()
}
ALL |= {name: partial(of_zoo, name) for name in ZOO}
DRAWING = [name for name in ALL if name.startswith("drop")]


def cases(names: Iterable[str], *more: str) -> list[Any]:
    """Networks by name, what else a test takes, and a device; on CPUs nodes on sequences and volumes are slow."""
    others = tuple(f" on {''.join(grid)}" for grid in (kinds.LINE, kinds.VOLUME))
    found = []
    for name in names:
        on_cpu = [pytest.mark.slow] * name.endswith(others)
        found.append(pytest.param(name, *more, "cpu", marks=on_cpu))
        found.append(pytest.param(name, *more, "cuda", marks=pytest.mark.gpu))
    return found


@pytest.mark.parametrize(("name", "device"), cases(name for name in ALL if name not in DRAWING))
def test_replicas_as_one_model_are_separate_trainings(name: str, device: str) -> None:
    """All kinds of nodes, all networks of the literature: losses of every step, weights and buffers at the end."""
    architecture = ALL[name]()
    make, examples = partial(build, architecture, FastMix), examples_of(architecture, device)
    singles = [replicas(make, examples, range(seed, seed + 1), apart=True)[0] for seed in range(REPLICAS)]
    parts = replicas(make, examples, range(REPLICAS), apart=False)
    together = Seeds(parts)
    engines = [Eager(each) for each in singles]
    for step, index in enumerate(indices(3, device)):
        share = 2.0**-step
        try:
            losses = together.step(index, RATES[0] * share)
        except RuntimeError as error:
            if "NYI" not in str(error):
                raise
            pytest.skip(f"torch {torch.__version__} cannot, so that they are trained one by one: {error}")
        apart = [engine.step(own, rate * share) for engine, own, rate in zip(engines, index, RATES, strict=True)]
        torch.testing.assert_close(losses, torch.stack(apart), rtol=1e-7, atol=1e-9)
    assert_same(parts, singles)


@pytest.mark.parametrize("name", DRAWING)
def test_models_that_draw_random_numbers_are_not_trained_as_one(name: str) -> None:
    architecture = ALL[name]()
    parts = replicas(partial(build, architecture, FastMix), examples_of(architecture, "cpu"), range(2), apart=False)
    with pytest.raises(RuntimeError, match="random"):
        Seeds(parts).step(torch.zeros(2, BATCH, dtype=torch.long), 0.1)


def test_what_is_no_number_in_one_replica_touches_no_other() -> None:
    make = lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, CLASSES))  # noqa: E731
    examples = Examples(torch.randn(20, 1, 4, 4, dtype=torch.float64), torch.randint(CLASSES, (20,)))
    singles = [replicas(make, examples, range(seed, seed + 1), apart=True)[0] for seed in range(REPLICAS)]
    parts = replicas(make, examples, range(REPLICAS), apart=False)
    for each in (parts, singles):
        with torch.no_grad():
            each[1].model[1].weight[0, 0] = torch.nan
    together = Seeds(parts)
    for index in indices(4, "cpu"):
        losses = together.step(index, RATES[0])
        apart = [Eager(each).step(own, rate) for each, own, rate in zip(singles, index, RATES, strict=True)]
        assert losses.isnan().tolist() == [False, True, False]
        torch.testing.assert_close(losses, torch.stack(apart), rtol=1e-7, atol=1e-9, equal_nan=True)
    assert_same(parts[::2], singles[::2])
    assert int(parts[0].model[2].num_batches_tracked) == 4


def test_replicas_elsewhere_in_memory_are_refused() -> None:
    examples = Examples(torch.randn(20, 4, dtype=torch.float64), torch.randint(CLASSES, (20,)))
    parts = replicas(partial(nn.Linear, 4, CLASSES), examples, range(2), apart=True)
    with pytest.raises(ValueError, match="different memory"):
        Seeds(parts)


# a step as a graph


@pytest.mark.parametrize(("name", "augment", "device"), cases(ALL, "none") + cases(DRAWING, "shift+flip"))
def test_a_graph_does_what_the_plain_step_does(name: str, augment: str, device: str) -> None:
    """Weights, buffers and what generators draw next, where a model draws numbers, too; nothing asks the device."""
    architecture = ALL[name]()
    make, examples = partial(build, architecture, FastMix), examples_of(architecture, device)
    notes: dict[str, Any] = {}
    found = []
    for graphed in (False, True):
        (parts,) = replicas(make, examples, range(1), apart=True, augment=augment)
        engine: Engine = Eager(parts)
        if graphed:
            recorder = RECORDERS[device](torch.device(device))
            engine = Graph(engine, [parts.generator], notes, recorder=recorder)
        torch.manual_seed(5)
        losses = []
        for step, index in enumerate(indices(FIRST + 4, device)):
            losses.append(engine.step(index[0], RATES[0] * 2.0**-step).clone())
        drawn = torch.rand(3, device=device), torch.rand(3, generator=parts.generator, device=device)
        found.append((parts, losses, drawn))
    assert notes == {"engine": "graph"}
    (plain, losses, drawn), (graph, again, drawn_again) = found
    tolerance = {"rtol": 0, "atol": 0} if device == "cpu" else {"rtol": 1e-6, "atol": 1e-9}
    torch.testing.assert_close(losses, again, **tolerance)
    torch.testing.assert_close(drawn, drawn_again, rtol=0, atol=0)
    assert_same([graph], [plain], exact=device == "cpu")
    if device == "cpu":
        assert (recorder.asides, recorder.recorded, recorder.played) == (FIRST, 1, 4)


@pytest.mark.parametrize("device", DEVICES)
def test_replicas_as_one_graph(device: str) -> None:
    architecture = ALL["all together on hw"]()
    make, examples = partial(build, architecture, FastMix), examples_of(architecture, device)
    notes: dict[str, Any] = {}
    parts, others = (replicas(make, examples, range(3), apart=False, augment="shift") for _ in range(2))
    recorder = RECORDERS[device](torch.device(device))
    graph = Graph(Seeds(parts), [each.generator for each in parts], notes, recorder=recorder)
    plain = Seeds(others)
    for index in indices(FIRST + 3, device):
        torch.testing.assert_close(graph.step(index, 0.0625), plain.step(index, 0.0625), rtol=1e-7, atol=1e-9)
    assert_same(parts, others)
    assert notes == {"engine": "graph"}


class Asking(nn.Module):
    """A model that waits for its device."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if x.mean().item() < 1e9 else x


@pytest.mark.parametrize(
    ("device", "make", "fails", "why"),
    [
        ("cpu", partial(nn.Linear, 4, CLASSES), "out of\nluck", "out of luck"),
        ("cpu", Asking, "", "operation not permitted when stream is capturing"),
        pytest.param("cuda", Asking, "", "captur", marks=pytest.mark.gpu),
    ],
)
def test_where_there_is_no_graph_steps_are_the_plain_ones(device, make, fails, why) -> None:
    examples = Examples(torch.randn(20, 4, dtype=torch.float64, device=device), torch.randint(3, (20,), device=device))
    (parts,), (others,) = (replicas(make, examples, range(1), apart=True) for _ in range(2))
    recorder = Replays(fails=fails) if device == "cpu" else CudaRecorder(torch.device(device))
    notes: dict[str, Any] = {}
    graph, plain = Graph(Eager(parts), [], notes, recorder=recorder), Eager(others)
    for index in indices(FIRST + 3, device):
        torch.testing.assert_close(graph.step(index[0], 0.1), plain.step(index[0], 0.1), rtol=1e-7, atol=1e-9)
    assert_same([parts], [others], exact=device == "cpu")
    assert notes["engine"].startswith("eager, for there is no graph: ") and why in notes["engine"]


# whole trainings


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", data_dir=Path(), seed=0, limit=600)


def network(**changes: Any) -> Job:
    space = load_space("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,), depth=(2,), patch=(2,))
    architecture = space.sample(Random(1))
    return replace(Job(json.loads(architecture.to_json()), architecture.id, 0.01, 0, 3, phase="final"), **changes)


def go_on(score: Score) -> bool:
    return True


def assert_close(one: Outcome, other: Outcome) -> None:
    assert (one.state, len(one.scores)) == (other.state, len(other.scores))
    assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
    for mine, theirs in zip((*one.scores, one.test), (*other.scores, other.test), strict=True):
        assert (mine is None) == (theirs is None)
        if mine and theirs:
            assert mine.loss == pytest.approx(theirs.loss, rel=1e-3)
            assert mine.accuracy == pytest.approx(theirs.accuracy, abs=0.02)


@pytest.mark.parametrize(
    "recipe", [Recipe(), Recipe(augment="shift+flip", scaling="fan-in", batch=90), Recipe(batch=4096)], ids=str
)
@pytest.mark.parametrize("graphed", [False, True])
def test_jobs_trained_as_one_end_as_each_by_itself(recipe: Recipe, graphed: bool, digits: Dataset) -> None:
    """Seeds and rates, order and augmentation, one whose loss is no number; with weights and test."""
    jobs = [network(seed=seed, lr=lr) for seed, lr in ((0, 0.01), (1, 0.01), (1, 0.03), (2, 1e30))]
    data = tuple(Examples.of(part, digits, "cpu") for part in (digits.train, digits.validation))
    make = partial(build_architecture, jobs[0].architecture)
    notes: dict[str, Any] = {}

    def graph(parts: Sequence[Parts]) -> Graph:
        return Graph(Seeds(parts), [each.generator for each in parts], notes, recorder=Replays())

    found = fit(make, data, recipe, jobs=jobs, engine=graph if graphed else Seeds)
    assert (notes == {"engine": "graph"}) == (graphed and recipe.batch < 4096)
    for job, each in zip(jobs[:3], found, strict=False):
        assert not isinstance(each, Exception)
        model, outcome = fit_one(make, data, recipe, job=job, report=go_on)
        assert_close(each[1], outcome)
        with torch.no_grad():
            mine, theirs = (one.eval()(data[1].batch(slice(None))[0]).softmax(1) for one in (each[0], model))
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-3)
    with pytest.raises(FloatingPointError) as raised:
        fit_one(make, data, recipe, job=jobs[3], report=go_on)
    assert isinstance(found[3], FloatingPointError) and str(found[3]) == str(raised.value)


@pytest.mark.parametrize("device", DEVICES)
def test_a_trainer_tells_of_a_bundle_what_it_tells_of_single_jobs(device: str, digits: Dataset) -> None:
    """Test data where the phase is tested, weights where they are asked for; how many they were."""
    trainer = ArchitectureTrainer(digits, Recipe(), device, precision="float32")
    jobs = [network(seed=seed, phase="compare", weights=True) for seed in range(3)]
    outcomes = run_jobs(trainer, jobs, go_on)
    for job, outcome in zip(jobs, outcomes, strict=True):
        single = trainer(job, go_on)
        assert_close(outcome, single)
        assert outcome.extra.pop("together") == 3 and outcome.extra.keys() == single.extra.keys()
        assert outcome.seconds > 0 and outcome.test is not None
        kept, others = load_weights(outcome.weights), load_weights(single.weights)
        assert {name: each.shape for name, each in kept.items()} == {name: each.shape for name, each in others.items()}
        model = build_architecture(job.architecture)
        model.load_state_dict(kept)
        test = Examples.of(digits.test, digits, "cpu")
        assert evaluate(model, test, epoch=3, batch=100).loss == pytest.approx(outcome.test.loss, rel=1e-3)


def test_networks_that_cannot_be_trained_as_one_are_trained_one_by_one(digits: Dataset) -> None:
    def make(architecture: dict[str, Any]) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.2), nn.Linear(16, 10))

    trainer = ArchitectureTrainer(digits, Recipe(), build=make)
    jobs = [network(seed=seed) for seed in range(2)]
    for job, outcome in zip(jobs, run_jobs(trainer, jobs, go_on), strict=True):
        assert "random" in outcome.extra.pop("not_together")
        assert replace(outcome, seconds=0) == replace(trainer(job, go_on), seconds=0)


class Keeping(Storage):
    """Keeps all that was ever kept, beside."""

    kept: list[tuple[int, bytes]] = []  # noqa: RUF012 - of one test

    def save(self, key: Key, data: bytes) -> None:
        self.kept.append((len(self.kept) + 1, data))
        super().save(key, data)


def test_a_training_in_graphs_is_judged_kept_and_goes_on_as_any(digits: Dataset, tmp_path: Path) -> None:
    data = tuple(Examples.of(part, digits, "cpu") for part in (digits.train, digits.validation))
    job = network(rungs=(1, 2), epochs=4, phase="search")
    make, recipe = partial(build_architecture, job.architecture), Recipe(augment="shift")
    _, plain = fit_one(make, data, recipe, job=job, report=go_on)
    notes: dict[str, Any] = {}

    def graph(parts: Parts) -> Graph:
        return Graph(Eager(parts), [parts.generator], notes, recorder=Replays())

    kept = Keeping(str(tmp_path), "x", every=0.0)
    _, graphed = fit_one(make, data, recipe, job=job, report=go_on, storage=kept, engine=graph)
    assert_close(graphed, plain)
    assert (notes, [epoch for epoch, _ in kept.kept]) == ({"engine": "graph"}, [1, 2, 3])
    kept.save(job.key, kept.kept[1][1])
    _, resumed = fit_one(make, data, recipe, job=job, report=go_on, storage=kept, engine=graph)
    assert resumed.extra.pop("resumed") == 2
    assert_close(resumed, plain)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_precision_is_what_a_gpu_computes_in(precision: str, digits: Dataset, monkeypatch) -> None:
    cuda, cudnn = SimpleNamespace(matmul=SimpleNamespace(allow_tf32="as it was")), SimpleNamespace(allow_tf32="so too")
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch.backends, "cuda", cuda)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    monkeypatch.setattr(ArchitectureTrainer, "data", None)
    trainer = ArchitectureTrainer(digits, Recipe(), "cuda", precision=precision)
    trainer.start()
    expected = {"float32": (False, False), "tf32": (True, True), "bfloat16": ("as it was", "so too")}[precision]
    assert (cuda.matmul.allow_tf32, cudnn.allow_tf32) == expected and trainer.kind.precision == precision


def test_examples_say_what_models_compute_on_them_in(digits: Dataset) -> None:
    seen = []

    class Noting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x: Tensor) -> Tensor:
            seen.append(self.linear(x.flatten(1)).dtype)
            return self.linear(x.flatten(1))

    for precision, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        data = tuple(Examples.of(part, digits, "cpu", precision) for part in (digits.train, digits.validation))
        fit_one(Noting, data, Recipe(label_smoothing=0.0), job=network(epochs=1), report=go_on)
        assert set(seen) == {dtype}
        seen.clear()
