"""Trainings under way in an executor, whose results are kept in the run as they come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from einmix import Architecture
from nas.executors import Done, Executor, OnRung, Unfinished
from nas.results import Result
from nas.runs import Run
from nas.storage import Storage
from nas.trial import Job, record


class Trainings:
    """Jobs that an executor was given and has not brought back; `past` are the results that the run holds already.

    `unfinished` are those that the infrastructure kept from their end: of them nothing is kept.
    """

    def __init__(self, executor: Executor, run: Run, past: Sequence[Result], storage: Storage | None = None):
        self._executor, self._run, self._storage = executor, run, storage
        self._jobs: dict[int, tuple[Job, Architecture]] = {}
        self._number = max((result.number for result in past), default=-1) + 1
        self.unfinished: list[Unfinished] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def submit(self, job: Job, architecture: Architecture) -> None:
        """Gives the executor a job, under the next number."""
        self._jobs[self._number] = job, architecture
        self._executor.submit(self._number, job)
        self._number += 1

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[tuple[Result, Architecture]]:
        """The results of what has ended, on disk; see `Executor.wait`."""
        results = []
        for event in self._executor.wait(on_rung, timeout):
            if isinstance(event, Done):
                job, architecture = self._jobs.pop(event.number)
                results.append((keep(self._run, job, architecture, event, self._storage), architecture))
            elif isinstance(event, Unfinished):
                del self._jobs[event.number]
                self.unfinished.append(event)
        return results

    @property
    def complaint(self) -> str:
        """What is unfinished, in a line; empty where nothing is."""
        causes = Counter(event.cause for event in self.unfinished)
        if not causes:
            return ""
        total = causes.total()
        of = f"{total} training{'s' if total > 1 else ''}"
        why = "; ".join(f"{times} x {cause}" if len(causes) > 1 else cause for cause, times in causes.most_common(3))
        return f"{of} could not be brought to an end ({why}): nothing is recorded, the same command goes on with it"


def keep(run: Run, job: Job, architecture: Architecture, done: Done, storage: Storage | None = None) -> Result:
    """Puts a finished training on disk, its weights before its line: from here on it is not repeated."""
    if job.weights and done.outcome.weights:
        run.save_weights(job, done.outcome.weights)
    facts = {"params": architecture.params, "macs": architecture.macs, "number": done.number, "worker": done.worker}
    result = run.append(record(job, done.outcome, **facts))
    if storage is not None:
        storage.drop(job.key)
    return result
