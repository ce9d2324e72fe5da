"""Trains one candidate, with the data on the device and nothing read back inside an epoch."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from einmix import Architecture
from nas.runs.job import GoOn, Job, Outcome, Score
from nas.runs.storage import Storage
from nas.training.checkpoints import TrainingState
from nas.training.engine.eager import Eager, autocast
from nas.training.engine.engine import Engine, Parts
from nas.training.engine.examples import Examples
from nas.training.engine.optimizer import AdamW
from nas.training.groups import grouped, scales
from nas.training.recipe import Recipe

EVALUATION = 4  # times the batch of training on a GPU: nothing is kept for a backward pass; on a CPU caches count


def fit(
    build: Callable[[], nn.Module],
    data: tuple[Examples, Examples],
    recipe: Recipe,
    *,
    job: Job,
    report: GoOn,
    storage: Storage | None = None,
    engine: Callable[[Parts], Engine] = Eager,
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
    (parts,) = begun(build, train, recipe, jobs=[job])
    model, generator = parts.model, parts.generator
    batches = max(1, len(train) // recipe.batch)
    steps = engine(parts)
    state = TrainingState(job, model, parts.optimizer, generator, storage)
    state.resume()
    for score in state.scores:
        if not report(score):
            return model, state.outcome("pruned", score.epoch)
    for epoch in range(len(state.losses) + 1, job.epochs + 1):
        model.train()
        total = torch.zeros((), device=device)
        order = torch.randperm(len(train), generator=generator, device=device)[: batches * recipe.batch]
        for step, index in enumerate(order.split(recipe.batch), start=(epoch - 1) * batches):
            total += steps.step(index, job.lr * schedule((step + 0.5) / (job.epochs * batches), recipe.warmup))
        state.losses.append(finite(total.item() / batches, loss_of(job, epoch)))
        if epoch in job.rungs or epoch == job.epochs:
            score = evaluate(model, validation, epoch=epoch, batch=evaluation_batch(device, recipe.batch))
            state.scores.append(score)
            if epoch < job.epochs and not report(score):
                return model, state.outcome("pruned", epoch)
        if epoch < job.epochs:
            state.keep()
    return model, state.outcome("complete", job.epochs)


def begun(build: Callable[[], nn.Module], train: Examples, recipe: Recipe, *, jobs: Sequence[Job]) -> list[Parts]:
    """New models for jobs of one architecture, each as its seed has it; one optimiser has all, at the first's rate."""
    device, groups, made = train.x.device, [], []
    for job in jobs:
        torch.manual_seed(job.seed)
        generator = torch.Generator(device).manual_seed(job.seed)
        model = build().to(device)
        made.append((model, generator))
        shares = scales(model, Architecture.from_json(job.architecture)) if recipe.scaling == "fan-in" else {}
        for group in grouped(model, recipe.weight_decay, shares):
            groups.append(group | {"scale": group["scale"] * (job.lr / jobs[0].lr)})
    optimizer = AdamW(groups)
    return [Parts(model, optimizer, train, drawn, recipe.augment, recipe.label_smoothing) for model, drawn in made]


@torch.inference_mode()
def evaluate(model: nn.Module, part: Examples, *, epoch: int, batch: int) -> Score:
    """Mean cross-entropy (without smoothing) and accuracy over a part, `batch` examples at a time."""
    model.eval()
    totals = torch.zeros(2, device=part.x.device)
    for start in range(0, len(part), batch):
        x, y = part.batch(slice(start, start + batch))
        with autocast(part):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), y, reduction="sum")
        totals += torch.stack([loss, (logits.argmax(1) == y).sum()])
    loss_sum, correct = totals.tolist()
    return Score(epoch, finite(loss_sum / len(part), f"loss of an evaluation in epoch {epoch}"), correct / len(part))


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


def loss_of(job: Job, epoch: int) -> str:
    """An epoch's loss, in words."""
    return f"training loss in epoch {epoch} of {job.epochs}, lr {job.lr:g}"


def finite(loss: float, what: str) -> float:
    """The loss. Raises FloatingPointError where it is no number."""
    if not math.isfinite(loss):
        raise FloatingPointError(f"{what} is {loss}")
    return loss
