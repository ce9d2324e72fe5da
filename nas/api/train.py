"""Longer trainings of one architecture of a run, with its test accuracy."""

from dataclasses import replace

from nas.api.resources import find_device, local_executor
from nas.api.saved import SavedRun
from nas.executors.executor import Executor
from nas.loggers import check_loggers
from nas.loggers.feed import logging_to
from nas.loop.past import make_job, say_changes
from nas.loop.rates import around, find_rate
from nas.loop.status import Status, Watcher
from nas.loop.trainings import train_missing
from nas.options.train import Train
from nas.ranking.standings import Standing
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS, Job, Phase
from nas.runs.result import Result
from nas.runs.storage import Storage
from nas.training.recipe import kind_on
from nas.training.worker import MakeTrainer

LONGER = 3
"""So many times the epochs of the search."""


def train_longer(saved: SavedRun, standing: Standing, asked: Train, watcher: Watcher) -> list[Result]:
    """Trains it over seeds that nothing else in the run has; what has a line of this phase already is not repeated.

    Its learning rate is as asked, or that with which the run was made; where neither says one, it is found for so many
    epochs. What could not be brought to an end is missing.
    Raises NasError for a recipe that cannot be, data that has changed, a run that is being written.
    """
    recipe, fixed = saved.recipe, saved.recipe.lr if asked.lr is None else asked.lr
    recipe = replace(recipe, epochs=asked.epochs or LONGER * recipe.epochs, lr=fixed)
    device, devices = find_device(asked.device)
    _, dataset = saved.located(asked.data_dir, asked.data)
    check_loggers(asked.log)

    def executor(count: int, storage: Storage) -> Executor:
        make = MakeTrainer(dataset, recipe, device, devices, storage=storage, **saved.how(device))
        return local_executor(make, asked.workers, count)

    def job(phase: Phase, lr: float, seed: int) -> Job:
        first = saved.setting("seed", "a count") + FIRST_SEEDS[phase]
        wanted = make_job(standing.architecture, lr, first + seed, recipe.epochs, phase)
        return replace(wanted, weights=phase == "train")

    path, kind = saved.folder.path.resolve(), kind_on(device, saved.how(device)["precision"])
    with RunFolder.create_or_open(path.parent, path.name, saved.folder.settings, may_differ=()) as run:
        say_changes(run, kind, watcher)
        with logging_to(asked.log, run, watcher.say):
            tuning, status = Status("tune", 0, kind=kind, later=asked.seeds), Status("train", 0, kind=kind)
            lr = recipe.lr or find_rate(
                {standing.label or standing.id: standing.architecture},
                (around(saved.lr)[0], saved.lr, around(saved.lr)[1]),
                lambda jobs: train_missing(jobs, run, executor, watcher, tuning),
                job=lambda _, lr: job("tune", lr, 0),
                say=watcher.say,
            )
            if lr is None:
                return []
            wanted = [(job("train", lr, seed), standing.architecture) for seed in range(asked.seeds)]
            return list(train_missing(wanted, run, executor, watcher, status).values())
