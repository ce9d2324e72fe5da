"""The executor that trains in this process."""

from collections import deque
from dataclasses import replace
from functools import partial
from typing import Self

from nas.executors.executor import (
    Done,
    Event,
    MakeTrainer,
    OnRung,
    Ready,
    Row,
    Task,
    cannot_start,
    failure,
    run_jobs,
    take_bundle,
)
from nas.runs.job import Job, Trainer


class Serial:
    """The executor that trains in this process, one job in each `wait`, which no timeout cuts short.

    Up to `bundle` jobs that are like one another are trained as one.
    """

    capacity = 1

    def __init__(self, make_trainer: MakeTrainer, *, bundle: int = 1) -> None:
        self._make_trainer, self._bundle = make_trainer, bundle
        self._trainer: Trainer | None = None
        self._row = Row()
        self._queue: deque[Task] = deque()

    def submit(self, number: int, *jobs: Job) -> None:
        self._queue += [Task(at, replace(job, alone=True)) for at, job in enumerate(jobs, number)]

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        if not self._queue:
            return []
        if self._trainer is None:
            try:
                self._trainer = self._make_trainer(0)
            except Exception as error:
                raise cannot_start(0, failure(error)) from error
            return [Ready(0)]
        tasks = take_bundle(self._queue, self._bundle)
        outcomes = run_jobs(self._trainer, [task.job for task in tasks], partial(on_rung, tasks[0].number))
        if self._row.wears(tasks[0].job.id, *outcomes):
            self._trainer, self._row = None, Row()
        return [Done(task.number, outcome, 0) for task, outcome in zip(tasks, outcomes, strict=True)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.clear()
