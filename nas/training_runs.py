"""Longer trainings of one architecture of a run, with its test accuracy."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from nas.errors import NasError
from nas.progress import watcher
from nas.results import Result
from nas.runs import Run
from nas.search import Status, train_once
from nas.session import MAY_DIFFER, OpenRun, cores, local_executor
from nas.trial import Job
from nas.worker import find_device

LONGER = 3


def train_standing(
    runs_dir: Path,
    name: str,
    id: str,
    *,
    epochs: int | None,
    seeds: int,
    lr: float | None,
    device: str,
    workers: int | None,
    data_dir: Path | None,
    console: Console,
) -> list[Result]:
    """Trains it over seeds 0 … seeds - 1; a training whose line is on disk already is not repeated."""
    if seeds < 1 or (epochs is not None and epochs < 1):
        raise NasError("--seeds and --epochs are at least 1")
    found = Run.open(runs_dir, name)
    opened = OpenRun.of(found)
    standing = opened.find(id)
    dataset = opened.dataset(data_dir)
    longer = epochs or LONGER * opened.recipe.epochs
    rate = opened.recipe.lr if lr is None else lr
    where, devices = find_device(device)
    architecture = standing.architecture
    with Run.create_or_open(found.path.parent, found.path.name, found.settings, may_differ=MAY_DIFFER) as run:
        jobs, results = [], []
        known = {(r.key, r.phase): r for r in run.results()}
        for seed in range(seeds):
            job = Job(json.loads(architecture.to_json()), architecture.id, rate, seed, longer, phase="train")
            job = Job(**{**vars(job), "weights": str(run.weights_path(job.key))})
            if result := known.get((job.key, "train")):
                results.append(result)
            else:
                jobs.append((job, architecture))
        status = Status("train", len(jobs))
        count = min(workers if workers is not None else devices if where != "cpu" else cores(), max(len(jobs), 1))
        with (
            local_executor(dataset, opened.recipe, where, devices, count) as executor,
            watcher(console) as watching,
        ):

            def done(result: Result) -> None:
                status.done, status.last = status.done + 1, result
                watching.show(status)

            watching.show(status)
            results += train_once(jobs, executor, run, done)
    return sorted(results, key=lambda result: result.seed)
