"""Trains replicas of one candidate as one model: jobs that differ in seed or rate alone."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from nas.runs.job import Job, Outcome
from nas.training.engine.engine import Engine, Parts
from nas.training.engine.examples import Examples
from nas.training.engine.seeds import Seeds
from nas.training.fit import begun, evaluate, evaluation_batch, finite, loss_of, schedule
from nas.training.recipe import Recipe


def fit_together(
    build: Callable[[], nn.Module],
    data: tuple[Examples, Examples],
    recipe: Recipe,
    *,
    jobs: Sequence[Job],
    engine: Callable[[Sequence[Parts]], Engine] = Seeds,
) -> list[tuple[nn.Module, Outcome] | Exception]:
    """What `fit` gives for each of some jobs that are like one another, to rounding; meanwhile nothing of them is kept.

    A replica whose loss is not finite has its error in place of a model, and touches none of the others.
    Raises RuntimeError for models that cannot be trained as one: those that draw random numbers.
    """
    train, validation = data
    device, first = train.x.device, jobs[0]
    parts = begun(build, train, recipe, jobs=jobs)
    for each in parts:
        each.model.train()
    steps, batches = engine(parts), max(1, len(train) // recipe.batch)
    curves: list[list[float]] = []
    for epoch in range(first.epochs):
        total = torch.zeros(len(jobs), device=device)
        orders = [torch.randperm(len(train), generator=each.generator, device=device) for each in parts]
        rows = torch.stack(orders)[:, : batches * recipe.batch]
        for step, index in enumerate(rows.split(recipe.batch, dim=1), start=epoch * batches):
            total += steps.step(index, first.lr * schedule((step + 0.5) / (first.epochs * batches), recipe.warmup))
        curves.append((total / batches).tolist())
        if not any(map(math.isfinite, curves[-1])):
            break

    def ended(job: Job, model: nn.Module, losses: tuple[float, ...]) -> tuple[nn.Module, Outcome] | Exception:
        try:
            for epoch, loss in enumerate(losses, start=1):
                finite(loss, loss_of(job, epoch))
            score = evaluate(model, validation, epoch=job.epochs, batch=evaluation_batch(device, recipe.batch))
        except FloatingPointError as error:
            return error
        return model, Outcome("complete", (score,), losses)

    losses = zip(*curves, strict=True)
    return [ended(job, each.model, own) for job, each, own in zip(jobs, parts, losses, strict=True)]
