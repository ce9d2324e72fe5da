"""Trains one job on a device."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

import einmix
from einmix.layers import FastMix
from nas.data.dataset import Dataset
from nas.errors import is_out_of_memory
from nas.runs.job import HALVED, TESTED, GoOn, Job, Outcome
from nas.runs.settings import versions
from nas.runs.storage import Storage
from nas.training.engine.eager import Eager
from nas.training.engine.examples import Examples
from nas.training.engine.recorded import Recorded
from nas.training.fit import evaluate, evaluation_batch, fit
from nas.training.recipe import Recipe, kind_on


def weights_of(model: nn.Module) -> bytes:
    """The model's state as safetensors: float32 on the CPU, under the module's own keys."""
    state = {
        key: (value.float() if value.is_floating_point() else value).cpu().clone(memory_format=torch.contiguous_format)
        for key, value in model.state_dict().items()
    }  # cloned, since safetensors refuses weights that two layers share
    return save(state)


def build_architecture(architecture: dict[str, Any]) -> nn.Module:
    """The model of an architecture in its JSON form: its own text, with the faster layer under the name `Mix`."""
    model: nn.Module = einmix.build(einmix.Architecture.from_json(architecture), mix=FastMix)
    return model


@dataclass
class ArchitectureTrainer:
    """A `nas.runs.job.Trainer` that is made in a worker process once and called there for every job."""

    dataset: Dataset
    recipe: Recipe
    device: str = "cpu"
    threads: int = 1
    build: Callable[[dict[str, Any]], nn.Module] = build_architecture
    storage: Storage | None = None
    latency: bool = False

    def start(self) -> None:
        """Prepares the process for this trainer: the number of threads, the data on the device."""
        torch.set_num_threads(self.threads)
        self.data  # noqa: B018 - computed here, not within the first job

    @cached_property
    def data(self) -> tuple[Examples, Examples]:
        """Training and validation part on the device."""
        parts = self.dataset.train, self.dataset.validation
        train, validation = (Examples.of(part, self.dataset, self.device) for part in parts)
        return train, validation

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What a result's line says of where it was trained."""
        device, precision = kind_on(torch.device(self.device).type)
        gpu = {"gpu": torch.cuda.get_device_name(self.device)} if device == "cuda" else {}
        return {"device": device, "precision": precision, "versions": versions()} | gpu

    def __call__(self, job: Job, report: GoOn) -> Outcome:
        """Trains the job's architecture; a complete one brings its weights along, and is tested where its phase is.

        With `latency` its forward pass is measured too, afterwards: that is no part of the training's seconds.
        """
        try:
            return self._train(job, report, self.recipe)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold the tensors; the traceback stays readable
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()
            if not job.alone or self.recipe.batch < 2:
                raise
        return self._train(job, report, replace(self.recipe, batch=self.recipe.batch // 2))

    def _train(self, job: Job, report: GoOn, recipe: Recipe) -> Outcome:
        """One try; with another batch than the run's it says so, and is not kept for a restart, which has the run's."""
        start = time.perf_counter()
        on_gpu = self.device.startswith("cuda")
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        usual = recipe == self.recipe
        build, storage = partial(self.build, job.architecture), self.storage if usual else None
        of_text = self.build is build_architecture  # which keeps nothing in Python
        engine = Recorded if of_text and self.device == "cpu" else Eager
        model, outcome = fit(build, self.data, recipe, job=job, report=report, storage=storage, engine=engine)
        if outcome.state == "complete" and job.phase in TESTED:
            test = Examples.of(self.dataset.test, self.dataset, self.device)
            batch = evaluation_batch(test.x.device, recipe.batch)
            outcome = replace(outcome, test=evaluate(model, test, epoch=job.epochs, batch=batch))
        if outcome.state == "complete" and job.weights:
            outcome = replace(outcome, weights=weights_of(model))
        seconds, extra = outcome.seconds + time.perf_counter() - start, outcome.extra | self.origin
        extra |= {} if usual else {HALVED: recipe.batch}
        if on_gpu:  # `nas.executors.packing` goes by it; the CUDA context is not in it
            extra |= {"gpu_bytes": torch.cuda.max_memory_allocated(self.device)}
        if outcome.state == "complete" and self.latency:
            from nas.training.latency import Conditions, measure

            (ms,) = measure([einmix.Architecture.from_json(job.architecture)], Conditions(self.device)).values()
            extra |= {"latency_ms": ms}
        return replace(outcome, seconds=seconds, extra=extra)
