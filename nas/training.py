"""Trains one candidate, with the data on the device and nothing read back inside an epoch."""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from nas.checkpoints import Progress
from nas.data import Dataset
from nas.executors import is_out_of_memory
from nas.formats import Arrays
from nas.optimizer import AdamW
from nas.recipe import Augment, Recipe
from nas.storage import Storage
from nas.trial import HALVED, TESTED, Job, Outcome, Report, Score
from nas.versions import versions
from nas.worker import kind_on

EVALUATION = 4  # times the batch of training on a GPU: nothing is kept for a backward pass; on a CPU caches count


@dataclass(frozen=True, eq=False)
class Part:
    """Examples `x` (`n c *axes`, uint8 where the source is) and labels `y` (`n`), on a device."""

    x: Tensor
    y: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, arrays: Arrays, dataset: Dataset, device: str) -> Part:
        """Puts one part of a data set on a device, with the moments of the training part."""
        shape = dataset.channels, *[1] * len(dataset.axes)
        moments = [torch.tensor(values, device=device).view(shape) for values in (dataset.mean, dataset.std)]
        return cls(torch.from_numpy(arrays.x).to(device), torch.from_numpy(arrays.y).to(device), *moments)

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Normalised examples and their labels; by batch, so that uint8 takes a quarter of the memory at no cost."""
        return (self.x[index] - self.mean) / self.std, self.y[index]


def fit(
    build: Callable[[], nn.Module],
    data: tuple[Part, Part],
    recipe: Recipe,
    *,
    job: Job,
    report: Report,
    storage: Storage | None = None,
) -> tuple[nn.Module, Outcome]:
    """Trains a new model on the first part, judges it on the second one at the job's rungs and at the end.

    The job's seed fixes the first weights (torch's global generator is seeded before `build` is called), the order
    and the augmentation. The last batch of an epoch is dropped where it is not full, unless it is the only one.
    With a storage it is kept there at ends of epochs, and goes on where an earlier try was kept: the scores of rungs
    that were passed are reported again, and what follows is, on the CPU, bit by bit what it would have been.

    Raises: FloatingPointError when a loss is not finite.
    """
    train, validation = data
    device = train.x.device
    torch.manual_seed(job.seed)
    generator = torch.Generator(device).manual_seed(job.seed)
    model = build().to(device)
    optimizer = _adamw(model, recipe.weight_decay)
    batches = max(1, len(train) // recipe.batch)
    progress = Progress(job, model, optimizer, generator, storage)
    progress.resume()
    for score in progress.scores:
        if not report(score):
            return model, progress.outcome("pruned", score.epoch)
    for epoch in range(len(progress.losses) + 1, job.epochs + 1):
        model.train()
        total = torch.zeros((), device=device)
        order = torch.randperm(len(train), generator=generator, device=device)[: batches * recipe.batch]
        for step, index in enumerate(order.split(recipe.batch), start=(epoch - 1) * batches):
            for group in optimizer.param_groups:
                group["lr"] = job.lr * schedule((step + 0.5) / (job.epochs * batches), recipe.warmup)
            x, y = train.batch(index)
            with _autocast(device):
                logits = model(augment(x, recipe.augment, generator))
                loss = F.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        what = f"training loss in epoch {epoch} of {job.epochs}, lr {job.lr:g}"
        progress.losses.append(_finite(total.item() / batches, what))
        if epoch in job.rungs or epoch == job.epochs:
            score = evaluate(model, validation, epoch=epoch, batch=evaluation_batch(device, recipe.batch))
            progress.scores.append(score)
            if epoch < job.epochs and not report(score):
                return model, progress.outcome("pruned", epoch)
        if epoch < job.epochs:
            progress.keep()
    return model, progress.outcome("complete", job.epochs)


@torch.inference_mode()
def evaluate(model: nn.Module, part: Part, *, epoch: int, batch: int) -> Score:
    """Mean cross-entropy (without smoothing) and accuracy over a part, `batch` examples at a time."""
    model.eval()
    totals = torch.zeros(2, device=part.x.device)
    for start in range(0, len(part), batch):
        x, y = part.batch(slice(start, start + batch))
        with _autocast(x.device):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), y, reduction="sum")
        totals += torch.stack([loss, (logits.argmax(1) == y).sum()])
    loss_sum, correct = totals.tolist()
    return Score(epoch, _finite(loss_sum / len(part), f"loss of an evaluation in epoch {epoch}"), correct / len(part))


def evaluation_batch(device: torch.device, batch: int) -> int:
    """Examples that are evaluated at once, where so many are a batch of training."""
    return batch if device.type == "cpu" else EVALUATION * batch


def schedule(done: float, warmup: float) -> float:
    """The share of the learning rate when a share `done` of all steps is done: linear up, then a cosine to zero.

    >>> [round(schedule(done, 0.2), 2) for done in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < warmup:
        return done / warmup
    return (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2


def augment(x: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Moves and mirrors examples (`b c *axes`, normalised) at random, all of a batch at once."""
    if how == "none":
        return x
    x = shift(x, generator)
    return flip(x, generator) if how == "shift+flip" else x


def shift(x: Tensor, generator: torch.Generator) -> Tensor:
    """Moves each example by up to an eighth of each side; zeros, which are the mean, come in from outside."""
    sides = x.shape[2:]
    pads = [side // 8 for side in sides]  # 4 pixels of 32
    windows = F.pad(x, [pad for pad in reversed(pads) for _ in range(2)])
    for axis, side in enumerate(sides, start=2):
        windows = windows.unfold(axis, side, 1)  # a view: every position that the crop can start at
    starts = [torch.randint(2 * pad + 1, (len(x),), generator=generator, device=x.device) for pad in pads]
    index: tuple[Any, ...] = torch.arange(len(x), device=x.device), slice(None), *starts
    return windows[index]


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors every example along its last axis with probability 1/2."""
    mirrored = torch.rand(len(x), generator=generator, device=x.device) < 0.5
    return torch.where(mirrored.view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)


def weights_of(model: nn.Module) -> bytes:
    """The model's state as safetensors: float32 on the CPU, under the module's own keys."""
    state = {
        key: (value.float() if value.is_floating_point() else value).cpu().clone(memory_format=torch.contiguous_format)
        for key, value in model.state_dict().items()
    }  # cloned, since safetensors refuses weights that two layers share
    return save(state)


def build_architecture(architecture: dict[str, Any]) -> nn.Module:
    """The model of an architecture in its JSON form: its own text, with the faster layer under the name `Mix`."""
    import einmix
    from einmix.layers import FastMix

    model: nn.Module = einmix.build(einmix.Architecture.from_json(architecture), mix=FastMix)
    return model


@dataclass
class ArchitectureTrainer:
    """A `nas.trial.Trainer` that is sent to a worker process once and called there for every job.

    It is pickled without anything that lies on a device: `start` puts the data there, in the worker.
    """

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
    def data(self) -> tuple[Part, Part]:
        """Training and validation part on the device."""
        parts = self.dataset.train, self.dataset.validation
        train, validation = (Part.of(part, self.dataset, self.device) for part in parts)
        return train, validation

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What a result's line says of where it was trained."""
        device, precision = kind_on(torch.device(self.device).type)
        gpu = {"gpu": torch.cuda.get_device_name(self.device)} if device == "cuda" else {}
        return {"device": device, "precision": precision, "versions": versions()} | gpu

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("data", "origin")}

    def __call__(self, job: Job, report: Report) -> Outcome:
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

    def _train(self, job: Job, report: Report, recipe: Recipe) -> Outcome:
        """One try; with another batch than the run's it says so, and is not kept for a restart, which has the run's."""
        start = time.perf_counter()
        on_gpu = self.device.startswith("cuda")
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        usual = recipe == self.recipe
        build, storage = partial(self.build, job.architecture), self.storage if usual else None
        model, outcome = fit(build, self.data, recipe, job=job, report=report, storage=storage)
        if outcome.state == "complete" and job.phase in TESTED:
            test = Part.of(self.dataset.test, self.dataset, self.device)
            batch = evaluation_batch(test.x.device, recipe.batch)
            outcome = replace(outcome, test=evaluate(model, test, epoch=job.epochs, batch=batch))
        if outcome.state == "complete" and job.weights:
            outcome = replace(outcome, weights=weights_of(model))
        seconds, extra = outcome.seconds + time.perf_counter() - start, outcome.extra | self.origin
        extra |= {} if usual else {HALVED: recipe.batch}
        if on_gpu:  # `nas.packing` goes by it; the CUDA context is not in it
            extra |= {"gpu_bytes": torch.cuda.max_memory_allocated(self.device)}
        if outcome.state == "complete" and self.latency:
            extra |= {"latency_ms": self._latency(job)}
        return replace(outcome, seconds=seconds, extra=extra)

    def _latency(self, job: Job) -> float:
        """Milliseconds of a forward pass of a batch, on the device of the training."""
        import einmix
        from nas.latency import Conditions, measure

        (ms,) = measure([einmix.Architecture.from_json(job.architecture)], Conditions(self.device)).values()
        return ms


def _adamw(model: nn.Module, weight_decay: float) -> AdamW:
    """AdamW; weight decay is for weights of two axes or more, not for biases (EinMix gives those many axes)."""
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_weight = parameter.ndim >= 2 and not name.endswith("bias")
        (decayed if is_weight else others).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]])


def _autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """What `nas.worker.kind_on` says of the device."""
    _, precision = kind_on(device.type)
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def _finite(loss: float, what: str) -> float:
    if not math.isfinite(loss):
        raise FloatingPointError(f"{what} is {loss}")
    return loss
