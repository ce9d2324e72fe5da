"""Trains one job on a device."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

import einmix
from einmix.layers import FastMix
from nas.data.dataset import Dataset
from nas.data.sources import Arrays
from nas.errors import is_out_of_memory
from nas.runs.bits import packed
from nas.runs.job import HALVED, METRIC, TESTED, GoOn, Job, Kind, Outcome
from nas.runs.own import Own
from nas.runs.settings import versions
from nas.runs.storage import Storage
from nas.training.curves import Curves
from nas.training.engine.engine import Engine, Parts
from nas.training.engine.examples import Examples
from nas.training.engine.graph import Graph
from nas.training.engine.recorded import Recorded
from nas.training.fit import evaluation_batch, fit, judged, plain
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
    curves: bool = False
    engine: str = "auto"
    precision: str = "auto"
    own: Own | None = None

    def start(self) -> None:
        """Prepares the process for this trainer: the number of threads, a GPU's precision, the data on the device."""
        torch.set_num_threads(self.threads)
        if self._on_gpu and self.kind.precision != "bfloat16":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.kind.precision == "tf32"
        self.data  # noqa: B018 - computed here, not within the first job

    @cached_property
    def kind(self) -> Kind:
        return kind_on(torch.device(self.device).type, self.precision)

    @cached_property
    def data(self) -> tuple[Examples, Examples]:
        """Training and validation part on the device."""
        train, validation = map(self._placed, (self.dataset.train, self.dataset.validation))
        return train, validation

    @cached_property
    def test(self) -> Examples:
        """The test part on the device, once it is used."""
        return self._placed(self.dataset.test)

    @cached_property
    def judge(self) -> Examples | None:
        """The part that judges on the device, once it is used; None where the data have none."""
        return None if self.dataset.judge is None else self._placed(self.dataset.judge)

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What a result's line says of where it was trained."""
        device, precision = self.kind
        gpu = {"gpu": torch.cuda.get_device_name(self.device)} if device == "cuda" else {}
        return {"device": device, "precision": precision, "versions": versions()} | gpu

    def __call__(self, job: Job, report: GoOn) -> Outcome:
        """Trains the job's architecture; a complete one brings its weights along, and is tested where its phase is.

        With `latency` its forward pass is measured too, afterwards: that is no part of the training's seconds, nor are
        `curves` on all parts of the data.
        """
        try:
            return _only(self._train([job], self.recipe, {}, report=report, storage=self.storage))
        except Exception as error:
            if not is_out_of_memory(error) or not job.alone or self.recipe.batch < 2:
                raise
        # with another batch than the run's it is not kept for a restart, which has that
        recipe = replace(self.recipe, batch=self.recipe.batch // 2)
        return _only(self._train([job], recipe, {HALVED: recipe.batch}, report=report))

    def together(self, bundle: Sequence[Job]) -> list[Outcome | Exception]:
        """Trains jobs that are like one another as one model (`nas.runs.job.Bundler`): each took the time of all."""
        return self._train(bundle, self.recipe, {"together": len(bundle)})

    def _train(
        self, jobs: Sequence[Job], recipe: Recipe, notes: dict[str, Any], **how: Any
    ) -> list[Outcome | Exception]:
        """One try, whose outcomes have the `notes`; `how` is for `fit`. Of what diverged there is the error."""
        if self._on_gpu:  # memory is measured from here on
            torch.cuda.reset_peak_memory_stats(self.device)
        start = time.perf_counter()
        build, engine = partial(self.build, jobs[0].architecture), partial(self._engine, notes)
        try:
            watch = self._curves(jobs[0]) if self.curves and len(jobs) == 1 else None
            found = fit(build, self.data, recipe, jobs=jobs, engine=engine, watch=watch, own=self.own, **how)
            if watch is not None:
                start, notes = start + watch.seconds, notes | watch.extra
            return [
                each if isinstance(each, Exception) else self._told(job, *each, start, notes)
                for job, each in zip(jobs, found, strict=True)
            ]
        except Exception as error:
            if is_out_of_memory(error):
                traceback.clear_frames(error.__traceback__)  # they hold the tensors; the traceback stays readable
                if self._on_gpu:
                    torch.cuda.empty_cache()
            raise

    def _told(
        self, job: Job, model: nn.Module, outcome: Outcome, start: float, extra: dict[str, Any]
    ) -> Outcome | Exception:
        """What is told of a training that has ended: its test and its weights, how long it took, where, and `extra`."""
        tested = job.phase in TESTED
        examples = self.test if tested else self.judge if job.phase == "final" else None
        if outcome.state == "complete" and examples is not None:
            batch = evaluation_batch(torch.device(self.device), extra.get(HALVED, self.recipe.batch))
            try:
                score, right = judged(model, examples, epoch=job.epochs, batch=batch, own=self.own)
            except FloatingPointError as error:
                return error.with_traceback(None)
            met = replace(outcome, test=score) if tested else replace(outcome, judge=score)
            outcome = replace(met, right="" if right is None else packed(right.numpy()))
        if outcome.state == "complete" and job.weights:
            outcome = replace(outcome, weights=weights_of(model))
        seconds, extra = outcome.seconds + time.perf_counter() - start, outcome.extra | self.origin | extra
        if self.own is not None and self.own.metric is not None:
            extra |= {METRIC: self.own.metric.name}
        if self._on_gpu:  # `nas.executors.packing` goes by it; the CUDA context is not in it
            memory = torch.cuda.get_device_properties(self.device).total_memory
            extra |= {"gpu_bytes": torch.cuda.max_memory_allocated(self.device), "gpu_memory": memory}
        if outcome.state == "complete" and self.latency:
            from nas.training.latency import Conditions, measure

            (ms,) = measure([einmix.Architecture.from_json(job.architecture)], Conditions(self.device)).values()
            extra |= {"latency_ms": ms}
        return replace(outcome, seconds=seconds, extra=extra)

    def _placed(self, arrays: Arrays) -> Examples:
        return Examples.of(arrays, self.dataset, self.device, self.kind.precision)

    def _curves(self, job: Job) -> Curves:
        """What watches a training on all parts of the data."""
        parts = {"train": self.data[0], "validation": self.data[1], "test": self.test}
        batch = evaluation_batch(torch.device(self.device), self.recipe.batch)
        return Curves(parts | ({"judge": self.judge} if self.judge else {}), epochs=job.epochs, batch=batch)

    @property
    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    def _engine(self, notes: dict[str, Any], parts: Sequence[Parts]) -> Engine:
        """What makes the steps of a training, or of several as one."""
        usual = plain(parts)
        # a text keeps nothing in Python; a loss of somebody's own may
        if self.engine == "eager" or self.build is not build_architecture or (self.own and self.own.loss):
            return usual
        if self._on_gpu:
            return Graph(usual, [each.generator for each in parts], notes)
        return Recorded(parts[0]) if self.device == "cpu" and len(parts) == 1 else usual


def _only(ended: Sequence[Outcome | Exception]) -> Outcome:
    """The one outcome. Raises what is there in its place."""
    (found,) = ended
    if isinstance(found, Exception):
        raise found
    return found
