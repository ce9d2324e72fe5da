"""The executor of a Ray cluster, as the driver sees it: it keeps what is not done, and outlives the cluster."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from nas.errors import NasError
from nas.executors.cluster.desk import Closed, Ended, Lost, Opened, Refused, Rung
from nas.executors.cluster.messages import Answer, Capacity, Failed, Joined, Note, Settings, Submit
from nas.executors.cluster.process import ConductorProcess
from nas.executors.executor import Done, Event, MakeTrainer, OnRung, Ready, Task, Unfinished, cannot_start
from nas.runs.job import Job
from nas.runs.settings import versions

RETRIES = 2
"""Times that a job whose worker was lost is trained again."""

JOIN = 90.0
"""Seconds within which a cluster is joined, or started on this machine."""

PATIENCE = 300.0
"""Seconds for which a cluster that was lost is looked for again."""


class RayWorkers:
    """The executor of a Ray cluster; `settings.address` is that of its head, "auto", or "local" for one of its own.

    What is submitted is kept here until it has an outcome. A job whose worker or node is lost is trained again on
    another one, twice at most; then it comes back unfinished. When the whole cluster is lost, it is looked for (or
    started) again, and given what is not done.

    `say` is told what a user should know meanwhile; `log` is the file for what Ray prints.
    """

    def __init__(
        self,
        make_trainer: MakeTrainer,
        settings: Settings,
        *,
        say: Callable[[str], object] = lambda text: None,
        log: Path | None = None,
    ) -> None:
        require_ray()
        self.capacity = settings.workers or 1
        self._make_trainer, self._settings, self._log = make_trainer, settings, log
        self._tell, self._said = say, set[str]()
        self._tasks: dict[int, Task] = {}
        self._events: list[Event] = []  # kept when `wait` is broken off by Ctrl-C or by `on_rung`, for the next one
        self._slots: dict[int, int] = {}  # by open lane: a number below the capacity
        self._conductor: ConductorProcess | None = None
        self._opened = False  # any lane, ever
        self._false_starts = 0
        self._lost_at: float | None = None  # and no lane has opened since

    def submit(self, number: int, *jobs: Job) -> None:
        numbered = dict(enumerate(jobs, number))
        for at, job in numbered.items():
            if at in self._tasks:
                raise ValueError(f"job {at} is already submitted")
            self._tasks[at] = Task(at, job)
        self._send(Submit(numbered))

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        if self._tasks and not self._events:
            conductor = self._conductor or self._start()
            limit = None if conductor.joined else max(JOIN - (time.monotonic() - conductor.begun), 0)
            if conductor.pipe.poll(min((each for each in (timeout, limit) if each is not None), default=None)):
                self._take_in(conductor, on_rung)
            elif limit == 0:
                self._lose(f"no answer within {JOIN:.0f} s")
        events, self._events = self._events, []
        return events

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.clear()
        if self._conductor:
            conductor, self._conductor = self._conductor, None
            conductor.close()

    def _start(self) -> ConductorProcess:
        """Starts the process that joins the cluster, and gives it what is not done."""
        self._conductor = ConductorProcess(self._make_trainer, self._settings, self._log)
        if self._tasks:
            self._send(Submit({number: task.job for number, task in self._tasks.items()}))
        return self._conductor

    def _send(self, message: object) -> None:
        if self._conductor:
            self._conductor.send(message)

    def _take_in(self, conductor: ConductorProcess, on_rung: OnRung) -> None:
        """Everything that has come from the conductor."""
        while conductor is self._conductor and conductor.pipe.poll():
            try:
                message = conductor.pipe.recv()
            except Exception:  # its end, or half a message of one that was killed
                message = Failed("the process that ran Ray Tune died" if conductor.joined else "it died")
            self._serve(message, on_rung)

    def _serve(self, message: Any, on_rung: OnRung) -> None:
        match message:
            case Joined():
                assert self._conductor is not None
                self._conductor.joined = True
            case Capacity(lanes):
                self.capacity = lanes
            case Opened(lane, node, others):
                self._open(lane, node, others)
            case Refused(lane, node, outcome):
                if not self._opened:
                    raise cannot_start(lane, outcome)
                self._say(f"a worker could not start on node {node}: {outcome.reason}")
            case Rung(number, score) if number in self._tasks:
                self._send(Answer(number, score.epoch, on_rung(number, score)))
            case Ended(number, outcome, lane) if number in self._tasks:
                del self._tasks[number]
                self._events.append(Done(number, outcome, self._slots.get(lane, 0)))
            case Lost(number, cause) if number in self._tasks:
                self._retry(number, cause)
            case Closed(lane, cause):
                self._close(lane, cause)
            case Note(text):
                self._say(text)
            case Failed(reason):
                self._lose(reason)

    def _open(self, lane: int, node: str, others: dict[str, str]) -> None:
        mine = versions()
        for package in ("einmix-nas", "torch"):
            if others[package] != mine[package]:
                text = f"node {node} has {package} {others[package]}, this one {mine[package]}"
                if package != "torch":
                    raise NasError(f"{text}: install the same on all nodes")
                self._say(f"{text}: results may differ")
        self._opened, self._false_starts, self._lost_at = True, 0, None
        if lane not in self._slots:  # one that went down with its node may open again
            taken = set(self._slots.values())
            self._slots[lane] = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        self.capacity = max(self.capacity, len(self._slots))
        self._events.append(Ready(self._slots[lane]))

    def _retry(self, number: int, cause: str) -> None:
        task = self._tasks[number]
        task.losses += 1
        if task.losses > RETRIES:  # that is no result: what takes down nodes and networks has nothing to do with it
            del self._tasks[number]
            self._events.append(Unfinished(number, f"its worker was lost {task.losses} times ({cause})", 0))
        else:
            task.job = replace(task.job, single=True)
            self._send(Submit({number: task.job}, first=True))

    def _close(self, lane: int, cause: str) -> None:
        if lane in self._slots:
            del self._slots[lane]
        elif cause:
            self._false_starts += 1
            if self._false_starts > 1 and not self._opened:
                raise NasError(f"a worker died twice before it was ready ({cause})")
            self._say(f"a worker died before it was ready ({cause})")

    def _lose(self, reason: str) -> None:
        """Buries the conductor; the next `wait` starts another one, for as long as that is worth trying."""
        assert self._conductor is not None
        joined = self._conductor.joined
        self._conductor.close()
        self._conductor = None
        self._slots.clear()
        where = f"the Ray cluster {self._settings.address!r}"
        if not self._opened:
            raise NasError(f"{where} is of no use: {reason}") if joined else cannot_join(self._settings.address, reason)
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            self._tell(f"{where} is lost ({reason}): looking for it again")
        elif time.monotonic() - self._lost_at > PATIENCE:
            raise NasError(f"{where} has been lost for {PATIENCE:.0f} s: {reason}")
        else:
            time.sleep(1.0)

    def _say(self, text: str) -> None:
        """Tells the user, once."""
        if text not in self._said:
            self._said.add(text)
            self._tell(text)


def cluster_resources(address: str) -> dict[str, float]:
    """What a cluster has in all: CPU, GPU, memory… Raises NasError where it cannot be joined."""
    require_ray()
    conductor = ConductorProcess(None, Settings(address), None)
    try:
        message = conductor.pipe.recv() if conductor.pipe.poll(JOIN) else Failed(f"no answer within {JOIN:.0f} s")
    except (EOFError, OSError):
        message = Failed("the process that joins it died")
    finally:
        conductor.close()
    if isinstance(message, Failed):
        raise cannot_join(address, message.reason)
    assert isinstance(message, Joined)
    return message.resources


def cannot_join(address: str, reason: str) -> NasError:
    """The error for an address at which there is no cluster, or none that lets this user in."""
    return NasError(f"cannot join the Ray cluster {address!r}: {reason}")


def require_ray() -> None:
    """Raises NasError where Ray is not installed; it is not imported."""
    if importlib.util.find_spec("ray") is None:
        raise NasError("--ray needs Ray, which is not installed: pip install 'einmix-nas[ray]'")
