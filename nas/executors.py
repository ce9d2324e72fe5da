"""Executors: they run jobs, in this process or in worker processes, and know nothing of strategies."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol, Self

from nas.errors import NasError
from nas.packing import sharing_at_first
from nas.results import LARGEST
from nas.shared import Received, Shared
from nas.trial import Job, Outcome, Report, Score, Trainer

MakeTrainer = Callable[[int], Trainer]
"""Makes the trainer of a worker, whose index it is given; called once in each worker process, so it must pickle."""

OnRung = Callable[[int, Score], bool]
"""Called in the driver with a job's number and its score at a rung; False prunes the job."""

Method = Literal["forkserver", "spawn"]

WORN = 3
"""So many failures in a row, of different networks and one cause, make a worker's process be replaced."""

OUT_OF_MEMORY = "out of memory"
"""So the reason begins of a training for which memory was short."""

_SHORT_OF_MEMORY = OUT_OF_MEMORY, "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"
_DEVICE_FAULT = re.compile(r"(CUDA|HIP|cuDNN|CUDNN|cuBLAS|NCCL) error|AcceleratorError|(CUBLAS|CUDNN)_STATUS_")
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d[\d.,]*")

FROM_OUTSIDE = {f"signal {number:d}" for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
"""What a process dies of that was asked to end, by somebody who shuts this machine down: no job does that to itself.

Others may be the job's own doing: a segmentation fault, and signal 9 where memory was short.
"""

DEFAULT_METHOD: Method = "forkserver" if sys.platform == "linux" else "spawn"

GUARD = "a script that searches does so under `if __name__ == '__main__':`, for workers import it"


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

    >>> from nas.trial import Job, Outcome, Score
    >>> with Serial(lambda worker: lambda job, report: Outcome("complete", (Score(1, 0.5, 0.9),))) as executor:
    ...     executor.submit(0, Job({}, "a1", 0.01, 0, 1))
    ...     executor.wait(lambda number, score: True), executor.wait(lambda number, score: True)[0].outcome.state
    ([Ready(worker=0)], 'complete')
    """

    capacity: int
    """How many jobs run at once. More can be submitted: they wait for their turn, and keep the workers busy."""

    def submit(self, number: int, job: Job) -> None:
        """Takes a job in, under a number that no unfinished job has; returns at once."""

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """What has happened, as soon as anything has; empty after `timeout` seconds, a rung, or with no job submitted.

        `on_rung` is called from within; what it raises is raised here, and its job does not come back.
        Raises NasError when a worker cannot start.
        """

    def close(self) -> None:
        """Stops all jobs and worker processes at once; jobs not done are lost."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def run_job(trainer: Trainer, job: Job, report: Report) -> Outcome:
    """Trains one job; the only place where an exception, a NaN or a worthless answer becomes a failed outcome."""
    begun = time.perf_counter()
    scores: list[Score] = []

    def report_finite(score: Score) -> bool:
        _require_finite(score)
        scores.append(score)
        return report(score)

    try:
        return _sound(trainer(job, report_finite))
    except Exception as error:
        return replace(failure(error), scores=tuple(scores), seconds=time.perf_counter() - begun)


def failure(error: BaseException) -> Outcome:
    """The failed outcome of an exception: the reason in one line, the traceback kept.

    >>> failure(MemoryError()).reason, failure(ValueError("a line\\nand another")).reason
    ('out of memory (MemoryError)', 'ValueError: a line and another')
    """
    reason = " ".join("".join(traceback.format_exception_only(error)).split())
    if is_out_of_memory(error):
        reason = f"{OUT_OF_MEMORY} ({reason})"
    return Outcome("failed", reason=reason[:400], traceback="".join(traceback.format_exception(error))[-20_000:])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, in torch's words: "CUDA out of memory", on the CPU "can't allocate memory"."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's, not imported here
    return named or any(words in str(error) for words in _SHORT_OF_MEMORY)


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

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, id: str, outcome: Outcome) -> int:
        """Counts how a training of this network ended; the length of the row then."""
        found = cause_of(outcome)
        if found != self.cause:
            self.cause, self._ids = found, set()
        if found:
            self._ids.add(id)
        return len(self)


def cause_of(outcome: Outcome) -> str:
    """What a training failed of, whatever the numbers were; empty where it did not."""
    if outcome.state != "failed":
        return ""
    return OUT_OF_MEMORY if outcome.reason.startswith(OUT_OF_MEMORY) else _NUMBER.sub("#", outcome.reason) or "#"


class Serial:
    """The executor that trains in this process, one job in each `wait`, which no timeout cuts short."""

    capacity = 1

    def __init__(self, make_trainer: MakeTrainer) -> None:
        self._make_trainer = make_trainer
        self._trainer: Trainer | None = None
        self._row = Row()
        self._queue: deque[tuple[int, Job]] = deque()

    def submit(self, number: int, job: Job) -> None:
        """See `Executor.submit`."""
        self._queue.append((number, replace(job, alone=True)))

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """See `Executor.wait`."""
        if not self._queue:
            return []
        if self._trainer is None:
            try:
                self._trainer = self._make_trainer(0)
            except Exception as error:
                raise cannot_start(0, failure(error)) from error
            return [Ready(0)]
        number, job = self._queue.popleft()

        def report(score: Score) -> bool:
            try:
                return on_rung(number, score)
            except Exception as error:
                raise DriverError(error) from error

        try:
            outcome = run_job(self._trainer, job, report)
            if self._row.take(job.id, outcome) >= WORN or is_device_fault(outcome):
                self._trainer, self._row = None, Row()
            return [Done(number, outcome, 0)]
        except DriverError as carried:
            raise carried.error from None

    def close(self) -> None:
        """See `Executor.close`."""
        self._queue.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DriverError(BaseException):
    """Carries an error of `on_rung` through a trainer, which is not to blame for it, to the driver."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@dataclass
class _Task:
    number: int
    job: Job
    answers: dict[int, bool] = field(default_factory=dict)  # by epoch: a job that runs again is not asked about again
    deaths: int = 0


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    pipe: connection.Connection
    ready: bool = False
    task: _Task | None = None
    row: Row = field(default_factory=Row)


def start_server(preload: Sequence[str]) -> None:
    """Starts the server that workers are forked from, unless it runs; it imports while this process goes on."""
    resource_tracker.ensure_running()  # before `sigint_held`: it unblocks SIGINT as it starts
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    with sigint_held():
        forkserver.ensure_running()


class LocalWorkers:
    """The executor of `workers` processes on this machine, each of which makes its trainer once and then trains.

    The processes start at the first `wait`. With `method` "forkserver" they are forked from a server which has
    imported the modules named in `preload` once for all (torch takes seconds); "spawn" starts each afresh. Neither
    shares a CUDA context, both share the arrays in `make_trainer`. The trainer of a killed worker is made anew and its
    job run once more. A process whose device is lost, or in which one job after the other fails, is replaced. Worker i
    trains on device i modulo `devices`: a job for which memory is short is run once more when no other runs on it.
    """

    def __init__(
        self,
        make_trainer: MakeTrainer,
        workers: int,
        *,
        preload: Sequence[str] = (),
        method: Method = DEFAULT_METHOD,
        devices: int = 1,
    ) -> None:
        self.capacity, self._devices, self._packed = workers, devices, sharing_at_first(workers, devices) > 1
        self._make_trainer = make_trainer
        self._shared: Shared | None = None  # what makes the trainers, once there are workers
        self._context: Any = multiprocessing.get_context(method)  # typeshed has no common type for the two contexts
        self._workers: dict[int, _Worker] = {}
        self._false_starts = [0] * workers
        self._tasks: dict[int, _Task] = {}
        self._queue: deque[_Task] = deque()
        self._alone: deque[_Task] = deque()  # those that wait for the first device to be free of others
        self._events: list[Event] = []  # kept when `wait` is broken off by Ctrl-C or by `on_rung`, for the next one
        if method == "forkserver":
            start_server(preload)
        resource_tracker.ensure_running()  # before `sigint_held`: it unblocks SIGINT as it starts

    def submit(self, number: int, job: Job) -> None:
        """See `Executor.submit`."""
        if number in self._tasks:
            raise ValueError(f"job {number} is already submitted")
        self._tasks[number] = _Task(number, replace(job, alone=not self._packed))
        self._queue.append(self._tasks[number])
        self._feed()

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """See `Executor.wait`; the first call also waits until the server has imported `preload`."""
        if self._tasks and not self._events:
            for index in range(self.capacity):
                if index not in self._workers:
                    self._start(index)
            self._feed()
            by_handle: dict[Any, int] = {}
            for index, worker in self._workers.items():
                by_handle |= {worker.pipe: index, worker.process.sentinel: index}
            for index in sorted({by_handle[handle] for handle in connection.wait(list(by_handle), timeout)}):
                self._serve(self._workers[index], on_rung)
            self._feed()
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """See `Executor.close`."""
        for worker in self._workers.values():
            if worker.process.is_alive():
                worker.process.kill()
        for index in list(self._workers):
            self._bury(self._workers.pop(index))
        if self._shared is not None:
            self._shared.close()
            self._shared = None
        self._tasks.clear()
        self._queue.clear()
        self._alone.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, index: int) -> None:
        if self._shared is None:
            self._shared = Shared(self._make_trainer)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(self._shared, index, theirs), name=f"nas-worker-{index}", daemon=True
        )
        try:
            with sigint_held():
                process.start()
                self._workers[index] = _Worker(index, process, ours)
        except (OSError, EOFError) as error:
            raise NasError(f"worker {index} could not start: {error} ({GUARD})") from error
        finally:
            theirs.close()

    def _feed(self) -> None:
        """Gives every idle worker the next job."""
        for worker in self._workers.values():
            if worker.ready and worker.task is None and (queue := self._queue_of(worker)):
                try:
                    worker.pipe.send(queue[0].job)
                except OSError:  # it died idle: the next `wait` sees that
                    continue
                worker.task = queue.popleft()

    def _queue_of(self, worker: _Worker) -> deque[_Task]:
        """Where a worker takes its next job from; nowhere, while its device is kept for one alone."""
        if worker.index % self._devices:
            return self._queue
        busy = [other.task for other in self._workers.values() if other.task and not other.index % self._devices]
        if self._alone:
            return deque() if busy else self._alone
        return deque() if any(map(self._is_kept, busy)) else self._queue

    def _serve(self, worker: _Worker, on_rung: OnRung) -> None:
        """Takes one message from a worker that has sent one; without one, it was its death that called."""
        message: Any = None
        try:
            alive = worker.pipe.poll()
            if alive:
                message = worker.pipe.recv()
        except (EOFError, OSError):
            alive = False
        if not alive:
            self._replace(worker)
        elif not worker.ready:
            if isinstance(message, Outcome):
                raise cannot_start(worker.index, message)
            worker.ready, self._false_starts[worker.index] = True, 0
            self._events.append(Ready(worker.index))
        elif isinstance(message, Score):
            assert worker.task is not None
            answers = worker.task.answers
            if message.epoch not in answers:
                answers[message.epoch] = on_rung(worker.task.number, message)
            with contextlib.suppress(OSError):
                worker.pipe.send(answers[message.epoch])
        else:
            self._finish(worker, message)

    def _finish(self, worker: _Worker, outcome: Outcome) -> None:
        """Takes in how a job went: one for which memory was short beside others is run once more, alone."""
        task = worker.task
        assert task is not None
        if cause_of(outcome) == OUT_OF_MEMORY and not task.job.alone:
            worker.task, task.job = None, replace(task.job, alone=True)
            self._alone.append(task)
            return
        self._end(worker, outcome)
        if worker.row.take(task.job.id, outcome) >= WORN or is_device_fault(outcome):
            worker.process.kill()
            self._bury(self._workers.pop(worker.index))  # the next `wait` that has something to do starts it anew

    def _end(self, worker: _Worker, outcome: Outcome) -> None:
        assert worker.task is not None
        del self._tasks[worker.task.number]
        self._events.append(Done(worker.task.number, outcome, worker.index))
        worker.task = None

    def _replace(self, worker: _Worker) -> None:
        """Starts a dead worker anew; its job is run once more, then failed, or unfinished where others ended it."""
        cause = self._bury(self._workers.pop(worker.index))
        if not worker.ready:
            self._false_starts[worker.index] += 1
            if self._false_starts[worker.index] > 1:
                raise NasError(f"worker {worker.index} died twice before it was ready ({cause})")
        if worker.task is not None:
            worker.task.deaths += 1
            if worker.task.deaths > 1 and cause in FROM_OUTSIDE:
                del self._tasks[worker.task.number]
                self._events.append(
                    Unfinished(worker.task.number, f"its worker was ended twice ({cause})", worker.index)
                )
            elif worker.task.deaths > 1:
                self._end(worker, Outcome("failed", reason=f"worker process died twice ({cause})"))
            else:
                (self._alone if self._is_kept(worker.task) else self._queue).appendleft(worker.task)
        self._start(worker.index)

    def _is_kept(self, task: _Task) -> bool:
        """Whether a device that others share is kept for a task."""
        return task.job.alone and self._packed

    def _bury(self, worker: _Worker) -> str:
        """Frees what a dead or dying worker held; says what it died of."""
        worker.pipe.close()
        worker.process.join(5)  # one that dumps core takes its time
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        code = worker.process.exitcode
        worker.process.close()
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def _work(shared: Received, index: int, pipe: connection.Connection) -> None:
    """A worker process: makes its trainer, then trains job after job until the driver lets go of the pipe."""
    threading.Thread(target=_exit_with_driver, daemon=True).start()

    def report(score: Score) -> bool:
        pipe.send(score)
        return pipe.recv()

    with contextlib.suppress(EOFError, OSError):
        try:
            trainer = shared.value()(index)
        except Exception as error:
            pipe.send(failure(error))
            return
        pipe.send(None)
        while True:
            pipe.send(run_job(trainer, pipe.recv(), report))


def _exit_with_driver() -> None:
    """Ends this worker when its driver has died, even in the midst of a training."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


@contextlib.contextmanager
def sigint_held() -> Iterator[None]:
    """Holds Ctrl-C back; processes started meanwhile inherit that and never see it, not even as they import.

    It is meant for the driver alone, which closes its workers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cannot_start(worker: int, failed: Outcome) -> NasError:
    error = NasError(f"worker {worker} could not start: {failed.reason.removeprefix('nas.errors.NasError: ')}")
    error.add_note(failed.traceback)
    return error


def _sound(outcome: Outcome) -> Outcome:
    """The outcome, if all its figures are sound and it can be a JSON line."""
    for score in outcome.scores:
        _require_finite(score)
    if outcome.test is not None:
        _require_finite(outcome.test)
    for epoch, loss in enumerate(outcome.train_loss, 1):
        if not abs(loss) < LARGEST:
            raise FloatingPointError(f"training loss is {loss} in epoch {epoch}")
    json.dumps(outcome.to_line(), allow_nan=False)
    if not isinstance(outcome.weights, bytes):
        raise TypeError(f"weights are {type(outcome.weights).__name__}, not bytes")
    return outcome


def _require_finite(score: Score) -> None:
    if not (abs(score.loss) < LARGEST and 0 <= score.accuracy <= 1):  # false for NaN too
        raise FloatingPointError(f"loss is {score.loss}, accuracy {score.accuracy} after epoch {score.epoch}")
