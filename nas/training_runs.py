"""Longer trainings of one architecture of a run, with its test accuracy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nas.options import check_range
from nas.ranking import Standing
from nas.results import Result
from nas.runs import Run
from nas.search import Status, Watcher, make_job, train_all
from nas.session import MAY_DIFFER, OpenRun, local_executor, worker_count
from nas.worker import find_device

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
    data_dir: Path | None = None

    def __post_init__(self) -> None:
        check_range("epochs", self.epochs, 1)
        check_range("seeds", self.seeds, 1, 2**16)
        check_range("workers", self.workers, 0, 2**12)


def train_longer(opened: OpenRun, standing: Standing, longer: Longer, watcher: Watcher) -> list[Result]:
    """Trains it over seeds 0 … seeds - 1; a training of this phase whose line is on disk already is not repeated.

    Raises NasError for a recipe that cannot be, data that has changed, a run that is being written.
    """
    recipe = opened.recipe
    recipe = replace(
        recipe,
        epochs=LONGER * recipe.epochs if longer.epochs is None else longer.epochs,
        lr=recipe.lr if longer.lr is None else longer.lr,
    )
    device, devices = find_device(longer.device)
    dataset = opened.dataset(longer.data_dir)
    path = opened.run.path.resolve()
    with Run.create_or_open(path.parent, path.name, opened.run.settings, may_differ=MAY_DIFFER) as run:
        past = run.results()
        known = {result.key: result for result in past if result.phase == "train"}
        jobs = [
            make_job(standing.architecture, recipe.lr, seed, recipe.epochs, "train") for seed in range(longer.seeds)
        ]
        new = [replace(job, weights=str(run.weights_path(job.key))) for job in jobs if job.key not in known]
        first = max((result.number for result in past), default=-1) + 1
        status = Status("train", len(new))

        def done(result: Result) -> None:
            status.done, status.last = status.done + 1, result
            status.running = min(executor.capacity, status.total - status.done)
            watcher.show(status)

        workers = min(worker_count(longer.workers, device, devices), max(len(new), 1))
        with local_executor(dataset, recipe, device, devices, workers) as executor:
            watcher.show(status)
            numbered = {number: (job, standing.architecture) for number, job in enumerate(new, start=first)}
            for result in train_all(numbered, executor, run, done):
                known[result.key] = result
        return [known[job.key] for job in jobs]
