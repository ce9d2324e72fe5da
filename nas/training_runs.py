"""Longer trainings of one architecture of a run, with its test accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from einmix import Architecture
from nas.executors import Executor
from nas.loggers import check as check_loggers
from nas.loggers import logging_to
from nas.options import check_range
from nas.ranking import Standing
from nas.results import Result
from nas.runs import Run
from nas.search import TRIES, Status, Watcher, make_job, of_a_kind, say_changes
from nas.session import MAY_DIFFER, OpenRun, local_executor, worker_count
from nas.storage import Storage
from nas.trainings import Trainings
from nas.trial import FIRST_SEEDS, Job, Key
from nas.worker import MakeTrainer, find_device, kind_on

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


def train_longer(opened: OpenRun, standing: Standing, longer: Longer, watcher: Watcher) -> list[Result]:
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
    with Run.create_or_open(path.parent, path.name, opened.run.settings, may_differ=MAY_DIFFER) as run:
        first = opened.setting("seed", "a count") + FIRST_SEEDS["train"]
        seeds = range(first, first + longer.seeds)
        jobs = [make_job(standing.architecture, recipe.lr, seed, recipe.epochs, "train") for seed in seeds]
        jobs = [replace(job, weights=True) for job in jobs]
        say_changes(run, kind_on(device), watcher)
        status = Status("train", total=0, kind=kind_on(device))
        with logging_to(longer.log, run, watcher.say):
            results = train_missing([(job, standing.architecture) for job in jobs], run, executor, watcher, status)
        return [results[job.key] for job in jobs if job.key in results]


def train_missing(
    wanted: Sequence[tuple[Job, Architecture]],
    run: Run,
    executor: Callable[[int, Storage], Executor],
    watcher: Watcher,
    status: Status,
) -> dict[Key, Result]:
    """The results of jobs of the status' phase, but for those that could not be brought to an end, which it says.

    Those without a line in the run yet are trained, and those that failed; at a learning rate to choose from once more
    only, since to fail may be its answer.
    `executor` makes what trains so many jobs and keeps those under way in a storage, and is not called for none. The
    status goes on counting what is trained.
    """
    past, storage = run.results(), run.storage()
    tries = TRIES if status.phase == "tune" else inf
    known = of_a_kind({job.key for job, _ in wanted}, run, status, watcher, tries=tries)
    new = {job.key: (job, architecture) for job, architecture in wanted if job.key not in known}
    if new:
        status.total = status.done + len(new)
        with executor(len(new), storage) as trainer:
            trainings = Trainings(trainer, run, past, storage)
            for job, architecture in new.values():
                trainings.submit(job, architecture)
            watcher.show(status)
            while trainings:
                for result, _ in trainings.wait(lambda number, score: True):
                    known[result.key] = result
                    status.done, status.last = status.done + 1, result
                    status.running = min(trainer.capacity, trainings.under_way)
                    watcher.show(status)
        if trainings.complaint:
            watcher.say(trainings.complaint)
    for key in known:
        storage.drop(key)  # a kill can come between a line and this
    storage.tidy()
    return {job.key: known[job.key] for job, _ in wanted if job.key in known}
