"""Trainings outside a search: those of a list that have no line yet."""

from collections.abc import Callable, Sequence
from math import inf

from einmix import Architecture
from nas.executors.executor import Executor
from nas.loop.past import TRIES, of_a_kind, settled
from nas.loop.status import Status, Watcher
from nas.loop.trainings import Trainings
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Key
from nas.runs.result import Result
from nas.runs.storage import Storage


def train_missing(
    wanted: Sequence[tuple[Job, Architecture]],
    run: RunFolder,
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
    kept = settled(past, TRIES if status.phase == "tune" else inf)
    known = of_a_kind({job.key for job, _ in wanted}, kept, run, status, watcher)
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
