"""Longer trainings of one architecture of a run, with its test accuracy."""

from dataclasses import replace

from nas.api.resources import find_device, local_executor, worker_count
from nas.api.saved import SavedRun
from nas.executors.executor import Executor
from nas.loggers import check_loggers
from nas.loggers.feed import logging_to
from nas.loop.past import make_job, say_changes
from nas.loop.status import Status, Watcher
from nas.loop.trainings import train_missing
from nas.options.train import Train
from nas.ranking.standings import Standing
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS
from nas.runs.result import Result
from nas.runs.storage import Storage
from nas.training.recipe import kind_on
from nas.training.worker import MakeTrainer

LONGER = 3
"""So many times the epochs of the search."""


def train_longer(saved: SavedRun, standing: Standing, asked: Train, watcher: Watcher) -> list[Result]:
    """Trains it over seeds that nothing else in the run has; what has a line of this phase already is not repeated.

    Raises NasError for a recipe that cannot be, data that has changed, a run that is being written.
    """
    epochs, lr = asked.epochs or LONGER * saved.recipe.epochs, saved.recipe.lr if asked.lr is None else asked.lr
    recipe = replace(saved.recipe, epochs=epochs, lr=lr)
    device, devices = find_device(asked.device)
    _, dataset = saved.located(asked.data_dir, asked.data)
    check_loggers(asked.log)

    def executor(count: int, storage: Storage) -> Executor:
        workers = min(worker_count(asked.workers, device, devices), count)
        return local_executor(MakeTrainer(dataset, recipe, device, devices, storage=storage), workers)

    path = saved.folder.path.resolve()
    with RunFolder.create_or_open(path.parent, path.name, saved.folder.settings, may_differ=()) as run:
        first = saved.setting("seed", "a count") + FIRST_SEEDS["train"]
        seeds = range(first, first + asked.seeds)
        jobs = [make_job(standing.architecture, recipe.lr, seed, recipe.epochs, "train") for seed in seeds]
        wanted = [(replace(job, weights=True), standing.architecture) for job in jobs]
        say_changes(run, kind_on(device), watcher)
        status = Status("train", 0, kind=kind_on(device))
        with logging_to(asked.log, run, watcher.say):
            return list(train_missing(wanted, run, executor, watcher, status).values())
