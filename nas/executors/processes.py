"""The executor of worker processes on this machine."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Literal, Self

from nas.errors import OUT_OF_MEMORY, NasError
from nas.executors.executor import (
    Done,
    Event,
    MakeTrainer,
    OnRung,
    Ready,
    Row,
    Task,
    Unfinished,
    cannot_start,
    cause_of,
    failure,
    keep_memory,
    run_jobs,
    take_bundle,
)
from nas.executors.packing import sharing_after, sharing_at_first
from nas.executors.shared import Received, Shared
from nas.runs.job import Job, Outcome, Score

Method = Literal["forkserver", "spawn"]

FROM_OUTSIDE = {f"signal {number:d}" for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
"""What a process dies of that was asked to end, by somebody who shuts this machine down: no job does that to itself.

Others may be the job's own doing: a segmentation fault, and signal 9 where memory was short.
"""

DEFAULT_METHOD: Method = "forkserver" if sys.platform == "linux" else "spawn"


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    pipe: connection.Connection
    sharing: int
    """How many shared its device when it was given its tasks, or was started."""
    ready: bool = False
    tasks: list[Task] = field(default_factory=list)
    row: Row = field(default_factory=Row)


def start_server(preload: Sequence[str]) -> None:
    """Starts the server that workers are forked from, unless it runs; it imports while this process goes on."""
    resource_tracker.ensure_running()  # before `starting`: it unblocks SIGINT as it starts
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    with starting():
        forkserver.ensure_running()


class LocalWorkers:
    """The executor of `workers` processes on this machine, each of which makes its trainer once and then trains.

    A process starts at a `wait` with a job for it. With `method` "forkserver" they are forked from a server which has
    imported the modules named in `preload` once for all (torch takes seconds); "spawn" starts each afresh. Neither
    shares a CUDA context, both share the arrays in `make_trainer`. The trainer of a killed worker is made anew and its
    job run once more. A process whose device is lost, or in which one job after the other fails, is replaced. Worker i
    trains on device i modulo `devices`: a job for which memory is short is run once more when no other runs on it.
    Where it `settles`, workers that are more than the memory of devices is seen to hold are ended, and the capacity is
    less (`packing`). Up to `bundle` jobs that are like one another are trained as one.
    """

    def __init__(
        self,
        make_trainer: MakeTrainer,
        workers: int,
        *,
        preload: Sequence[str] = (),
        method: Method = DEFAULT_METHOD,
        devices: int = 1,
        settles: bool = False,
        bundle: int = 1,
    ) -> None:
        self.capacity, self._devices, self._settles, self._bundle = workers, devices, settles, bundle
        self._sharing = sharing_at_first(workers, devices)
        self._packed = self._sharing > 1
        self._make_trainer, self._preload = make_trainer, preload
        self._shared: Shared | None = None  # what makes the trainers, once there are workers
        self._context: Any = multiprocessing.get_context(method)  # typeshed has no common type for the two contexts
        self._workers: dict[int, _Worker] = {}
        self._false_starts = [0] * workers
        self._tasks: dict[int, Task] = {}
        self._queue: deque[Task] = deque()
        self._alone: deque[Task] = deque()  # those that wait for the first device to be free of others
        self._events: list[Event] = []  # kept when `wait` is broken off by Ctrl-C or by `on_rung`, for the next one

    def submit(self, number: int, *jobs: Job) -> None:
        for at, job in enumerate(jobs, number):
            if at in self._tasks:
                raise ValueError(f"job {at} is already submitted")
            self._tasks[at] = Task(at, replace(job, alone=not self._packed))
            self._queue.append(self._tasks[at])
        self._feed()

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """See `Executor.wait`; the first call also waits until the server has imported `preload`."""
        if self._tasks and not self._events:
            for index in range(min(self.capacity, len(self._tasks))):
                if index not in self._workers:
                    self._start(index)
            self._feed()
            by_handle: dict[Any, int] = {}
            for index, worker in self._workers.items():
                by_handle |= {worker.pipe: index, worker.process.sentinel: index}
            for index in sorted({by_handle[handle] for handle in connection.wait(list(by_handle), timeout)}):
                self._serve(self._workers[index], on_rung)
            for worker in list(self._workers.values()):
                if worker.index >= self.capacity and not worker.tasks:  # it holds memory of its device
                    self._kill(worker)
            self._feed()
        events, self._events = self._events, []
        return events

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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

    def _start(self, index: int) -> None:
        if self._shared is None:
            if self._context.get_start_method() == "forkserver":
                start_server(self._preload)
            resource_tracker.ensure_running()  # before `starting`: it unblocks SIGINT as it starts
            self._shared = Shared(self._make_trainer)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(self._shared, index, theirs), name=f"nas-worker-{index}", daemon=True
        )
        try:
            with starting():
                process.start()
                self._workers[index] = _Worker(index, process, ours, self._sharing)
        except (OSError, EOFError) as error:
            raise NasError(f"worker {index} could not start: {error}") from error
        finally:
            theirs.close()

    def _feed(self) -> None:
        """Gives every idle worker the next job."""
        for worker in self._workers.values():
            if worker.ready and not worker.tasks and (queue := self._queue_of(worker)):
                tasks = take_bundle(queue, self._bundle)
                try:
                    worker.pipe.send([task.job for task in tasks])
                except OSError:  # it died idle: the next `wait` sees that
                    queue.extendleft(reversed(tasks))
                    continue
                worker.tasks, worker.sharing = tasks, self._sharing

    def _queue_of(self, worker: _Worker) -> deque[Task]:
        """Where a worker takes its next job from; nowhere, while its device is kept for one alone, or is too full."""
        if worker.index >= self.capacity:
            return deque()
        if worker.index % self._devices:
            return self._queue
        first = [other for other in self._workers.values() if not other.index % self._devices]
        busy = [task for other in first for task in other.tasks]
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
                if not self._settle(worker, message):
                    raise cannot_start(worker.index, message)
                self._kill(worker)
                return
            worker.ready, self._false_starts[worker.index] = True, 0
            self._events.append(Ready(worker.index))
        elif isinstance(message, Score):
            answer = on_rung(worker.tasks[0].number, message)
            with contextlib.suppress(OSError):
                worker.pipe.send(answer)
        else:
            self._finish(worker, message)

    def _finish(self, worker: _Worker, outcomes: list[Outcome]) -> None:
        """Takes in how jobs went: one for which memory was short beside others is run once more, alone."""
        tasks, worker.tasks = worker.tasks, []
        ended = []
        for task, outcome in zip(tasks, outcomes, strict=True):
            short = cause_of(outcome) == OUT_OF_MEMORY
            if not (short and task.job.alone):  # nobody else was to blame for it
                self._settle(worker, outcome)
            if short and not task.job.alone:
                task.job = replace(task.job, alone=True, single=True)
                self._alone.append(task)
            else:
                ended.append(outcome)
                self._end(task, outcome, worker)
        if worker.row.wears(tasks[0].job.id, *ended):
            self._kill(worker)  # the next `wait` that has something to do starts it anew

    def _end(self, task: Task, outcome: Outcome, worker: _Worker) -> None:
        del self._tasks[task.number]
        self._events.append(Done(task.number, outcome, worker.index))

    def _settle(self, worker: _Worker, outcome: Outcome) -> bool:
        """Whether fewer are to share a device than did with a worker, by how its training (or its start) went."""
        sharing = sharing_after(worker.sharing, outcome) if self._settles else worker.sharing
        if sharing < self._sharing:
            self._sharing, self.capacity = sharing, min(self.capacity, sharing * self._devices)
        return sharing < worker.sharing

    def _replace(self, worker: _Worker) -> None:
        """Starts a dead worker anew; its job is run once more, then failed, or unfinished where others ended it."""
        cause = self._bury(self._workers.pop(worker.index))
        if not worker.ready:
            self._false_starts[worker.index] += 1
            if self._false_starts[worker.index] > 1:
                raise NasError(f"worker {worker.index} died twice before it was ready ({cause})")
        for task in reversed(worker.tasks):
            task.losses += 1
            task.job = replace(task.job, single=True)
            if task.losses > 1 and cause in FROM_OUTSIDE:
                del self._tasks[task.number]
                self._events.append(Unfinished(task.number, f"its worker was ended twice ({cause})", worker.index))
            elif task.losses > 1:
                self._end(task, Outcome("failed", reason=f"worker process died twice ({cause})"), worker)
            else:
                (self._alone if self._is_kept(task) else self._queue).appendleft(task)
        if worker.index < self.capacity:
            self._start(worker.index)

    def _is_kept(self, task: Task) -> bool:
        """Whether a device that others share is kept for a task."""
        return task.job.alone and self._packed

    def _kill(self, worker: _Worker) -> None:
        worker.process.kill()
        self._bury(self._workers.pop(worker.index))

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
    keep_memory()

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
            pipe.send(run_jobs(trainer, pipe.recv(), report))


def _exit_with_driver() -> None:
    """Ends this worker when its driver has died, even in the midst of a training."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Holds Ctrl-C back and hides the script that is run: processes started meanwhile never see either.

    Ctrl-C is meant for the driver alone, which closes its workers. The script they would run once more, to find what it
    defines; what they are given is found in modules, so that a script needs no guard and may come from stdin.
    """
    before, script = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}), sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
