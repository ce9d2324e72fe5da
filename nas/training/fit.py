"""Trains one candidate, or replicas of it as one, with the data on the device and nothing read back in an epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from einmix import Architecture
from nas.runs.bits import packed
from nas.runs.job import GoOn, Job, Outcome, Score
from nas.runs.own import Own
from nas.runs.storage import Storage
from nas.training.checkpoints import TrainingState
from nas.training.engine.eager import Eager, autocast
from nas.training.engine.engine import Engine, Parts
from nas.training.engine.examples import Examples
from nas.training.engine.optimizer import AdamW
from nas.training.engine.seeds import Seeds
from nas.training.groups import grouped, scales
from nas.training.recipe import Recipe

Ended = tuple[nn.Module, Outcome] | FloatingPointError
"""A model and how its training went, or what came of it where a loss was no number."""

EVALUATION = 16  # times the batch of training on a GPU: nothing is kept for a backward pass; on a CPU caches count


def plain(parts: Sequence[Parts]) -> Engine:
    """The engine for every model and device: of one training, or of several as one."""
    return Eager(parts[0]) if len(parts) == 1 else Seeds(parts)


def fit(
    build: Callable[[], nn.Module],
    data: tuple[Examples, Examples],
    recipe: Recipe,
    *,
    jobs: Sequence[Job],
    report: GoOn = lambda score: True,
    storage: Storage | None = None,
    engine: Callable[[Sequence[Parts]], Engine] = plain,
    watch: Callable[[nn.Module, int], object] | None = None,
    own: Own | None = None,
) -> list[Ended]:
    """Trains a new model on the first part, judges it on the second one at the job's rungs and at the end.

    The job's seed fixes the first weights (torch's global generator is seeded before `build` is called), the order
    and the augmentation. The last batch of an epoch is dropped where it is not full, unless it is the only one.
    With a storage it is kept there at ends of epochs, and goes on where an earlier try was kept: the scores of rungs
    that were passed are reported again, and what follows is, on the CPU, bit by bit what it would have been.

    Several jobs, which are like one another (`Job.is_like`) and have no storage, are trained as one: each ends as by
    itself, to rounding. Where a loss is not finite there is that error in place of a model, and no other is touched.
    The model of a single job can be watched at the end of every epoch. A loss and a metric may be somebody's own.
    Raises RuntimeError for models that cannot be trained as one: those that draw random numbers.
    """
    train, validation = data
    device, epochs = train.x.device, jobs[0].epochs
    parts = begun(build, train, recipe, jobs=jobs)
    if own is not None and own.loss is not None:
        parts = [replace(each, loss=own.loss) for each in parts]
    steps, batches = engine(parts), max(1, len(train) // recipe.batch)
    states = [TrainingState(job, each, storage) for job, each in zip(jobs, parts, strict=True)]
    states[0].resume()
    for score in states[0].scores:
        if not report(score):
            return [(parts[0].model, states[0].outcome("pruned", score.epoch))]
    ended: dict[int, Ended] = {}
    for epoch in range(len(states[0].losses) + 1, epochs + 1):
        for each in parts:
            each.model.train()
        total = torch.zeros(len(jobs), device=device)
        orders = torch.stack([torch.randperm(len(train), generator=each.generator, device=device) for each in parts])
        rows = orders[:, : batches * recipe.batch].squeeze(0)
        for step, index in enumerate(rows.split(recipe.batch, dim=-1), start=(epoch - 1) * batches):
            total += steps.step(index, jobs[0].lr * schedule((step + 0.5) / (epochs * batches), recipe.warmup))
        for place, (state, loss) in enumerate(zip(states, total, strict=True)):
            if watch is not None and place not in ended:
                watch(state.parts.model, epoch)
            if place not in ended and (
                end := end_of(state, loss.item() / batches, validation, recipe.batch, report, own)
            ):
                ended[place] = end
        if len(ended) == len(jobs):
            break
    return [ended[place] for place in range(len(jobs))]


def end_of(
    state: TrainingState, loss: float, validation: Examples, batch: int, report: GoOn, own: Own | None
) -> Ended | None:
    """How a training has ended with an epoch of this loss; None where it goes on."""
    job, epoch = state.job, len(state.losses) + 1
    try:
        state.losses.append(finite(loss, f"training loss in epoch {epoch} of {job.epochs}, lr {job.lr:g}"))
        if epoch in job.rungs or epoch == job.epochs:
            model = state.parts.model
            at_once = evaluation_batch(validation.x.device, batch)
            score, right = judged(model, validation, epoch=epoch, batch=at_once, own=own)
            state.scores.append(score)
            if epoch == job.epochs:
                bits = packed(right.numpy()) if job.phase == "search" and right is not None else ""
                return model, replace(state.outcome("complete", epoch), right=bits)
            if not report(score):
                return model, state.outcome("pruned", epoch)
    except FloatingPointError as error:
        return error.with_traceback(None)  # its frames hold the model
    state.keep()
    return None


def begun(build: Callable[[], nn.Module], train: Examples, recipe: Recipe, *, jobs: Sequence[Job]) -> list[Parts]:
    """New models for jobs of one architecture, each as its seed has it; one optimiser has all, at the first's rate."""
    device, made, groups = train.x.device, [], []
    for job in jobs:
        torch.manual_seed(job.seed)
        generator = torch.Generator(device).manual_seed(job.seed)
        model = build().to(device)
        made.append((model, generator))
        shares = scales(model, Architecture.from_json(job.architecture)) if recipe.scaling == "fan-in" else {}
        own = [
            group | {"scale": group["scale"] * (job.lr / jobs[0].lr)}
            for group in grouped(model, recipe.weight_decay, shares)
        ]
        groups.append([group | {"params": [each]} for group in own for each in group["params"]])
    optimizer = AdamW([group for same in zip(*groups, strict=True) for group in same])  # replicas side by side
    return [Parts(model, optimizer, train, drawn, recipe.augment, recipe.label_smoothing) for model, drawn in made]


def evaluate(model: nn.Module, part: Examples, *, epoch: int, batch: int) -> Score:
    """Mean cross-entropy (without smoothing) and accuracy over a part, `batch` examples at a time."""
    return judged(model, part, epoch=epoch, batch=batch)[0]


@torch.inference_mode()
def judged(
    model: nn.Module, part: Examples, *, epoch: int, batch: int, own: Own | None = None
) -> tuple[Score, Tensor | None]:
    """The same, and which examples were right (`n`, booleans); None where the metric is somebody's own."""
    model.eval()
    if own is not None and own.metric is not None:
        return _judged_by(own, model, part, epoch=epoch, batch=batch), None
    total, right = torch.zeros((), device=part.x.device), []
    for start in range(0, len(part), batch):
        x, y = part.batch(slice(start, start + batch))
        with autocast(part):
            logits = model(x)
        total += F.cross_entropy(logits.float(), y, reduction="sum")
        right.append(logits.argmax(1) == y)
    found = torch.cat(right).cpu()
    loss = finite(total.item() / len(part), f"loss of an evaluation in epoch {epoch}")
    return Score(epoch, loss, int(found.sum()) / len(part)), found


def _judged_by(own: Own, model: nn.Module, part: Examples, *, epoch: int, batch: int) -> Score:
    """Loss and metric of a whole part, of which one or both are somebody's own."""
    assert own.metric is not None and own.metric.of is not None
    found, targets = [], []
    for start in range(0, len(part), batch):
        x, y = part.batch(slice(start, start + batch))
        with autocast(part):
            found.append(model(x).float().cpu())
        targets.append(y.cpu())
    outputs, y = torch.cat(found), torch.cat(targets)
    loss = finite(float((own.loss or F.cross_entropy)(outputs, y)), f"loss of an evaluation in epoch {epoch}")
    figure = finite(float(own.metric.of(outputs, y)), f"{own.metric.name} in epoch {epoch}")
    return Score(epoch, loss, own.metric.kept(figure))


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


def finite(loss: float, what: str) -> float:
    """The loss. Raises FloatingPointError where it is no number."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"{what} is {loss}")
    return loss
