"""What every executor does: takes jobs, gives events."""

import contextlib
import ctypes
import json
import re
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Protocol, Self

from nas.errors import OUT_OF_MEMORY, NasError, is_out_of_memory
from nas.runs.job import METRIC, Bundler, GoOn, Job, Outcome, Score, Trainer
from nas.runs.result import LARGEST

MakeTrainer = Callable[[int], Trainer]
"""Makes the trainer of a worker, whose index it is given; called once in each worker process, so it must pickle."""

OnRung = Callable[[int, Score], bool]
"""Called in the driver with a job's number and its score at a rung; False prunes the job."""

WORN = 3
"""So many failures in a row, of different networks and one cause, make a worker's process be replaced."""

MMAP_THRESHOLD, TRIM_THRESHOLD = (-3, 2**25), (-1, 2**30)
"""Of `mallopt`: from how many bytes on memory is of its own, and of how many that are free some are given back."""

_DEVICE_FAULT = re.compile(r"(CUDA|HIP|cuDNN|CUDNN|cuBLAS|NCCL) error|AcceleratorError|(CUBLAS|CUDNN)_STATUS_")

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d[\d.,]*")


@dataclass(frozen=True)
class Ready:
    """A worker has made its trainer and takes jobs."""

    worker: int


@dataclass(frozen=True)
class Done:
    """A job has ended, one way or another; every job submitted comes back once, as this or as `Unfinished`."""

    number: int
    outcome: Outcome
    worker: int


@dataclass(frozen=True)
class Unfinished:
    """A job that the infrastructure kept from its end: no result, so nothing is recorded; it may be submitted again."""

    number: int
    cause: str
    worker: int


Event = Ready | Done | Unfinished


class Executor(Protocol):
    """Runs jobs and hands back how they ended, in any order.

    >>> from nas.runs.job import Job, Outcome, Score
    >>> with Serial(lambda worker: lambda job, report: Outcome("complete", (Score(1, 0.5, 0.9),))) as executor:
    ...     executor.submit(0, Job({}, "a1", 0.01, 0, 1))
    ...     executor.wait(lambda number, score: True), executor.wait(lambda number, score: True)[0].outcome.state
    ([Ready(worker=0)], 'complete')
    """

    capacity: int
    """How many jobs run at once. More can be submitted: they wait for their turn, and keep the workers busy."""

    def submit(self, number: int, *jobs: Job) -> None:
        """Takes jobs in, under this number and those that follow, which no unfinished job has; returns at once.

        Of what is taken in at once those that are like one another may be trained as one.
        """

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """What has happened, as soon as anything has; empty after `timeout` seconds, a rung, or with no job submitted.

        `on_rung` is called from within, again for a job that runs again; what it raises is raised here, and its job
        does not come back.
        Raises NasError when a worker cannot start.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None:
        """Stops all jobs and worker processes at once; jobs not done are lost."""


def keep_memory() -> None:
    """Has a worker process keep what it frees, where its C library is glibc.

    By default many processes give the memory of large tensors back and fault it in again at every step of a training
    (docs/log.md). https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            for option in (MMAP_THRESHOLD, TRIM_THRESHOLD):
                ctypes.CDLL(None).mallopt(*option)


def run_job(trainer: Trainer, job: Job, report: GoOn) -> Outcome:
    """Trains one job; the only place where an exception, a NaN or a worthless answer becomes a failed outcome.

    What `report` raises is raised here: the trainer is not to blame for it.
    """
    begun = time.perf_counter()
    scores: list[Score] = []

    def report_finite(score: Score) -> bool:
        _require_finite(score, own=True)  # whose metric it is, is told at the end
        scores.append(score)
        try:
            return report(score)
        except Exception as error:
            raise _DriverError(error) from error

    try:
        return _sound(trainer(job, report_finite))
    except _DriverError as carried:
        raise carried.error from None
    except Exception as error:
        return replace(failure(error), scores=tuple(scores), seconds=time.perf_counter() - begun)


def run_jobs(trainer: Trainer, jobs: Sequence[Job], report: GoOn) -> list[Outcome]:
    """Trains jobs that are like one another as one, where that goes well; one job, or all else, as `run_job` does."""
    if len(jobs) == 1 or not isinstance(trainer, Bundler):
        return [run_job(trainer, job, report) for job in jobs]
    begun, why = time.perf_counter(), ""
    try:
        ended = trainer.together(jobs)
    except Exception as error:
        why = failure(error).reason
    if why:  # what the error holds is gone by now
        single = [run_job(trainer, job, report) for job in jobs]
        return [replace(outcome, extra=outcome.extra | {"not_together": why}) for outcome in single]
    seconds, facts = time.perf_counter() - begun, trainer.origin | {"together": len(jobs)}
    outcomes = [run_job(partial(_as_ended, each), job, report) for job, each in zip(jobs, ended, strict=True)]
    return [
        replace(each, seconds=seconds, extra=facts | each.extra) if each.state == "failed" else each
        for each in outcomes
    ]


def _as_ended(ended: Outcome | Exception, job: Job, report: GoOn) -> Outcome:
    """The trainer of a job that has been trained."""
    if isinstance(ended, Exception):
        raise ended
    return ended


@dataclass
class Task:
    """A job by its number at the driver, and how often its worker was lost."""

    number: int
    job: Job
    losses: int = 0


def take_bundle(queue: deque[Task], most: int) -> list[Task]:
    """Takes the first from a queue, and up to so many in all that can be trained as one with it."""
    first = queue.popleft()
    like = (task for task in queue if task.job.is_like(first.job))
    bundle = [first, *islice(like, most - 1)]
    for task in bundle[1:]:
        queue.remove(task)
    return bundle


def failure(error: BaseException) -> Outcome:
    """The failed outcome of an exception: the reason in one line, the traceback kept.

    >>> failure(MemoryError()).reason, failure(ValueError("a line\\nand another")).reason
    ('out of memory (MemoryError)', 'ValueError: a line and another')
    """
    reason = " ".join("".join(traceback.format_exception_only(error)).split())
    if is_out_of_memory(error):
        reason = f"{OUT_OF_MEMORY} ({reason})"
    return Outcome("failed", reason=reason[:400], traceback="".join(traceback.format_exception(error))[-20_000:])


def is_device_fault(outcome: Outcome) -> bool:
    """Whether a training failed in a way after which its process has no device any more, whoever is to blame."""
    failed = outcome.state == "failed" and not outcome.reason.startswith(OUT_OF_MEMORY)
    return failed and _DEVICE_FAULT.search(outcome.reason) is not None


class Row:
    """Failures in a row of one cause, each network counted once; what succeeds ends it.

    >>> row = Row()
    >>> [row.take(id, Outcome("failed", reason=f"no room for {n} bytes")) for id, n in (("a", 1), ("b", 22), ("b", 3))]
    [1, 2, 2]
    """

    def __init__(self) -> None:
        self.cause, self._ids = "", set[str]()

    def take(self, id: str, outcome: Outcome) -> int:
        """Counts how a training of this network ended; the length of the row then."""
        found = cause_of(outcome)
        if found != self.cause:
            self.cause, self._ids = found, set()
        if found:
            self._ids.add(id)
        return len(self._ids)

    def wears(self, id: str, *outcomes: Outcome) -> bool:
        """Counts them, too; whether the process in which they ended is to be replaced."""
        worn = [self.take(id, outcome) >= WORN or is_device_fault(outcome) for outcome in outcomes]
        return any(worn)


def cause_of(outcome: Outcome) -> str:
    """What a training failed of, whatever the numbers were; empty where it did not."""
    if outcome.state != "failed":
        return ""
    return OUT_OF_MEMORY if outcome.reason.startswith(OUT_OF_MEMORY) else _NUMBER.sub("#", outcome.reason) or "#"


class _DriverError(BaseException):
    """Carries an error of `report` through a trainer."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def cannot_start(worker: int, failed: Outcome) -> NasError:
    error = NasError(f"worker {worker} could not start: {failed.reason.removeprefix('nas.errors.NasError: ')}")
    error.add_note(failed.traceback)
    return error


def _sound(outcome: Outcome) -> Outcome:
    """The outcome, if all its figures are sound and it can be a JSON line."""
    for score in filter(None, (*outcome.scores, outcome.test, outcome.judge)):
        _require_finite(score, own=METRIC in outcome.extra)
    for epoch, loss in enumerate(outcome.train_loss, 1):
        if not abs(loss) < LARGEST:
            raise FloatingPointError(f"training loss is {loss} in epoch {epoch}")
    json.dumps(outcome.to_line(), allow_nan=False)
    if not isinstance(outcome.weights, bytes):
        raise TypeError(f"weights are {type(outcome.weights).__name__}, not bytes")
    return outcome


def _require_finite(score: Score, *, own: bool) -> None:
    """Raises FloatingPointError for a score that is no number, or, unless the metric is somebody's own, no share."""
    is_sound = abs(score.accuracy) < LARGEST if own else 0 <= score.accuracy <= 1
    if not (abs(score.loss) < LARGEST and is_sound):  # false for NaN too
        raise FloatingPointError(f"loss is {score.loss}, accuracy {score.accuracy} after epoch {score.epoch}")
