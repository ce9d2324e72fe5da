"""Longer trainings of one architecture of a run, with its test accuracy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nas.api.resources import find_device, local_executor, worker_count
from nas.api.run import Run
from nas.api.search import MAY_DIFFER
from nas.executors.executor import Executor
from nas.loggers import check_loggers
from nas.loggers.feed import logging_to
from nas.loop.batch import train_missing
from nas.loop.past import make_job, say_changes
from nas.loop.status import Status, Watcher
from nas.options import check_range
from nas.ranking.standings import Standing
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS
from nas.runs.result import Result
from nas.runs.storage import Storage
from nas.training.recipe import kind_on
from nas.training.worker import MakeTrainer

LONGER = 3
"""So many times the epochs of the search."""


@dataclass(frozen=True)
class Longer:
    """What can be asked of a longer training; None leaves it to the run or the machine."""

    epochs: int | None = None
    seeds: int = 1
    lr: float | None = None
    device: str = "auto"
    workers: int | None = None
    data: str | None = None
    data_dir: Path | None = None
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_range("epochs", self.epochs, 1)
        check_range("seeds", self.seeds, 1, 2**16)
        check_range("workers", self.workers, 0, 2**12)


def train_longer(opened: Run, standing: Standing, longer: Longer, watcher: Watcher) -> list[Result]:
    """Trains it over seeds that nothing else in the run has; what has a line of this phase already is not repeated.

    Raises NasError for a recipe that cannot be, data that has changed, a run that is being written.
    """
    recipe = opened.recipe
    recipe = replace(
        recipe,
        epochs=LONGER * recipe.epochs if longer.epochs is None else longer.epochs,
        lr=recipe.lr if longer.lr is None else longer.lr,
    )
    device, devices = find_device(longer.device)
    dataset = opened.dataset(longer.data_dir, longer.data)
    check_loggers(longer.log)

    def executor(count: int, storage: Storage) -> Executor:
        workers = min(worker_count(longer.workers, device, devices), count)
        return local_executor(MakeTrainer(dataset, recipe, device, devices, storage=storage), workers)

    path = opened.run.path.resolve()
    with RunFolder.create_or_open(path.parent, path.name, opened.run.settings, may_differ=MAY_DIFFER) as run:
        first = opened.setting("seed", "a count") + FIRST_SEEDS["train"]
        seeds = range(first, first + longer.seeds)
        jobs = [make_job(standing.architecture, recipe.lr, seed, recipe.epochs, "train") for seed in seeds]
        jobs = [replace(job, weights=True) for job in jobs]
        say_changes(run, kind_on(device), watcher)
        status = Status("train", total=0, kind=kind_on(device))
        with logging_to(longer.log, run, watcher.say):
            results = train_missing([(job, standing.architecture) for job in jobs], run, executor, watcher, status)
        return [results[job.key] for job in jobs if job.key in results]
