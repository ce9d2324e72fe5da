"""Longer trainings of one architecture of a run, with its test accuracy."""

from dataclasses import replace
from functools import partial

from nas.api.resources import find_device, local_executor
from nas.api.saved import SavedRun
from nas.executors.executor import Executor
from nas.loggers import check_loggers
from nas.loggers.feed import logging_to
from nas.loop.past import TRIES, make_job, say_changes
from nas.loop.rates import around, find_rate
from nas.loop.status import Status, Watcher
from nas.loop.trainings import trainings_in
from nas.options.train import Train
from nas.ranking.standings import Standing
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS
from nas.runs.result import Result
from nas.runs.storage import Storage
from nas.training.worker import MakeTrainer

LONGER = 3
"""So many times the epochs of the search."""


def train_longer(saved: SavedRun, standing: Standing, asked: Train, watcher: Watcher) -> list[Result]:
    """Trains it over seeds that nothing else in the run has; what has a line of this phase already is not repeated.

    Its learning rate is as asked, or that with which the run was made; where neither says one, it is found for so many
    epochs. What could not be brought to an end is missing.
    Raises NasError for a recipe that cannot be, data that has changed, a run that is being written.
    """
    saved.takes_networks("longer training")
    recipe, fixed = saved.recipe, saved.recipe.lr if asked.lr is None else asked.lr
    recipe = replace(recipe, epochs=asked.epochs or LONGER * recipe.epochs, lr=fixed)
    device, devices = find_device(asked.device)
    _, dataset = saved.located(asked.data_dir, asked.data)
    check_loggers(asked.log)

    def executor(storage: Storage) -> Executor:
        make = MakeTrainer(dataset, recipe, device, devices, storage=storage, **saved.how(device))
        return local_executor(make, asked.workers)

    seed, kind = saved.setting("seed", "a count"), saved.kind(device)
    path, job = saved.folder.path.resolve(), partial(make_job, epochs=recipe.epochs)
    with RunFolder.create_or_open(path.parent, path.name, saved.folder.settings, may_differ=()) as run:
        say_changes(run, kind, watcher)
        with logging_to(asked.log, run, watcher.say), trainings_in(run, executor, watcher) as trainings:
            tuning, status = Status("tune", 0, kind=kind, later=asked.seeds), Status("train", 0, kind=kind)
            lr = recipe.lr or find_rate(
                {standing.label or standing.id: standing.architecture},
                (around(saved.lr)[0], saved.lr, around(saved.lr)[1]),
                partial(trainings.completed, watcher=watcher, status=tuning, tries=TRIES),
                job=partial(job, seed=seed + FIRST_SEEDS["tune"], phase="tune"),
                say=watcher.say,
            )
            if lr is None:
                return []
            first = seed + FIRST_SEEDS["train"]
            jobs = [job(standing.architecture, lr, first + number, phase="train") for number in range(asked.seeds)]
            wanted = [(replace(each, weights=True), standing.architecture) for each in jobs]
            return list(trainings.completed(wanted, watcher, status).values())
