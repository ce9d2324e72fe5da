"""What a worker process is given: data, recipe and device, or a trainer of somebody's own, to make its trainer of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from nas.errors import NasError, one_line
from nas.runs.job import METRIC, GoOn, Job, Outcome, Score, State, Trainer
from nas.runs.own import Metric, Own, OwnTrainer

if TYPE_CHECKING:  # `warm_up` comes before all that takes time
    from nas.data.dataset import Dataset
    from nas.runs.storage import Storage
    from nas.training.recipe import Recipe

PRELOAD = ("nas.training.trainer", "einmix.networks.source", "einmix.layers")
"""Modules that a server of worker processes imports once for all of them."""


HOW = "engine", "precision"
"""What a run keeps of how its trainings are computed."""


@dataclass(frozen=True)
class MakeTrainer:
    """Makes a worker's trainer; with several GPUs worker i trains on GPU i modulo their number."""

    dataset: Dataset
    recipe: Recipe
    device: str
    devices: int = 1
    threads: int = 1
    storage: Storage | None = None
    latency: bool = False
    curves: bool = False
    engine: str = "auto"
    precision: str = "auto"
    own: Own | None = None

    @property
    def bundles(self) -> bool:
        """Whether trainings that are like one another may be one model: a loss of somebody's own may forbid it."""
        return self.device == "cuda" and self.engine == "auto" and self.own is None

    def __call__(self, worker: int) -> Trainer:
        from nas.training.trainer import ArchitectureTrainer

        device = f"cuda:{worker % self.devices}" if self.device == "cuda" else self.device
        shared = {
            name: getattr(self, name)
            for name in ("threads", "storage", "latency", "curves", "engine", "precision", "own")
        }
        if self.own is not None and self.own.model is not None:
            shared["build"] = partial(_filled, self.own.model)
        trainer = ArchitectureTrainer(self.dataset, self.recipe, device, **shared)
        trainer.start()
        return trainer


def _filled(model: Callable[[], Any], architecture: dict[str, Any]) -> Any:
    """A new model of somebody's own, its slots filled as an architecture in its JSON form says."""
    from einmix.slots import fill

    return fill(model(), architecture)


def check_pass(model: Callable[[], Any], dataset: Dataset, outputs: int | None) -> None:
    """Raises NasError where a model does not take examples, leaves a slot out, or has a slot of other sizes.

    `outputs` are how many numbers it is to give for an example, None for any.
    """
    import torch

    from einmix.slots import fill, slots
    from nas.training.engine.examples import Examples

    x, _ = Examples.of(dataset.train, dataset, "cpu", "float32").batch(slice(0, 2))
    made, used = model(), set[str]()
    found = slots(made)
    for name, places in found.items():
        for slot in places:
            slot.register_forward_hook(lambda *_, name=name: used.add(name))
    try:
        with torch.no_grad():
            made.eval()(x)
            given = fill(model(), {name: each[0].unmixed for name, each in found.items()}).eval()(x)
    except Exception as error:
        told = f"{type(error).__name__}: {one_line(str(error))[:200]}"
        raise NasError(f"model: a forward pass of examples of shape {tuple(x.shape[1:])} fails: {told}") from error
    if unused := [name for name in found if name not in used]:
        raise NasError(f"model: its forward pass does not use slot {', '.join(unused)}")
    if outputs is not None and tuple(getattr(given, "shape", ())) != (len(x), outputs):
        shape = tuple(getattr(given, "shape", ())) or type(given).__name__
        raise NasError(f"model: of {len(x)} examples it gives {shape}; expected {(len(x), outputs)}: a logit a class")


@dataclass(frozen=True)
class MakeOwnTrainer:
    """Makes a worker's trainer of a function of somebody's own; with several GPUs as `MakeTrainer` does."""

    dataset: Dataset
    trainer: OwnTrainer
    metric: Metric
    device: str
    devices: int = 1
    threads: int = 1
    bundles = False
    """It trains one job at a time."""

    def __call__(self, worker: int) -> Trainer:
        import torch

        torch.set_num_threads(self.threads)
        if self.device == "cuda":
            torch.cuda.set_device(worker % self.devices)
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        """One training, with its figures as scores keep them."""
        begun = time.perf_counter()
        outcome = self.trainer(job, lambda score: report(self._kept(score)), self.dataset)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"the trainer gave {type(outcome).__name__}, not nas.Outcome")
        if outcome.state not in get_args(State):
            raise ValueError(
                f"the trainer gave state {outcome.state!r}; one of {', '.join(get_args(State))} is expected"
            )
        if outcome.state == "complete" and not outcome.scores:
            raise ValueError("the trainer gave a complete outcome without a score")
        from nas.training.recipe import kind_on

        device, precision = kind_on(self.device)
        extra = {"device": device, "precision": precision} | outcome.extra | {METRIC: self.metric.name}
        scores = tuple(map(self._kept, outcome.scores))
        test, judge = (score and self._kept(score) for score in (outcome.test, outcome.judge))
        seconds = outcome.seconds or time.perf_counter() - begun
        return replace(outcome, scores=scores, seconds=seconds, extra=extra, right="", test=test, judge=judge)

    def _kept(self, score: Score) -> Score:
        return replace(score, accuracy=self.metric.kept(score.accuracy))
