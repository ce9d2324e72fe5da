"""The executor that trains in this process."""

from collections import deque
from dataclasses import replace
from functools import partial
from typing import Self

from nas.executors.executor import Done, Event, MakeTrainer, OnRung, Ready, Row, cannot_start, failure, run_job
from nas.runs.job import Job, Trainer


class Serial:
    """The executor that trains in this process, one job in each `wait`, which no timeout cuts short."""

    capacity = 1

    def __init__(self, make_trainer: MakeTrainer) -> None:
        self._make_trainer = make_trainer
        self._trainer: Trainer | None = None
        self._row = Row()
        self._queue: deque[tuple[int, Job]] = deque()

    def submit(self, number: int, job: Job) -> None:
        self._queue.append((number, replace(job, alone=True)))

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        if not self._queue:
            return []
        if self._trainer is None:
            try:
                self._trainer = self._make_trainer(0)
            except Exception as error:
                raise cannot_start(0, failure(error)) from error
            return [Ready(0)]
        number, job = self._queue.popleft()
        outcome = run_job(self._trainer, job, partial(on_rung, number))
        if self._row.wears(job.id, outcome):
            self._trainer, self._row = None, Row()
        return [Done(number, outcome, 0)]

    def close(self) -> None:
        self._queue.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
