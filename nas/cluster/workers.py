"""The executor of a Ray cluster, as the driver sees it: it keeps what is not done, and outlives the cluster."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import multiprocessing
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from nas.cluster.desk import Closed, Ended, Lost, Opened, Refused, Rung
from nas.cluster.messages import LOCAL, Answer, Capacity, Close, Failed, Joined, Note, Settings, Submit
from nas.errors import NasError
from nas.executors import Done, Event, MakeTrainer, OnRung, Ready, cannot_start, sigint_held
from nas.trial import Job, Outcome
from nas.versions import versions

RETRIES = 2
"""Times that a job whose worker was lost is trained again."""

PATIENCE = 300.0
"""Seconds for which a cluster that was lost is looked for again."""

GRACE = 15.0
"""Seconds within which a cluster is left or ended in good order."""

JOIN = 60.0
"""Seconds within which a cluster is joined that is asked what it has."""

_PREFIX = "nas-ray-"

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # its snapshots, which nothing reads, grow with the number of trials
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # it is the conductor that bounds them
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
}

_PRIVATE = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # where Ray is not made for clusters it listens on loopback alone
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Of a cluster of this machine alone: nobody else can talk to it."""


@dataclass
class _Task:
    job: Job
    answers: dict[int, bool] = field(default_factory=dict)  # by epoch: a job that runs again is not asked about again
    losses: int = 0


class RayWorkers:
    """The executor of a Ray cluster; `settings.address` is that of its head, "auto", or "local" for one of its own.

    What is submitted is kept here until it has an outcome. A job whose worker or node is lost is trained again on
    another one, twice at most. When the whole cluster is lost, it is looked for (or started) again, and given what is
    not done.

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
        self._make_trainer, self._settings, self._say, self._log = make_trainer, settings, say, log
        self._tasks: dict[int, _Task] = {}
        self._events: list[Event] = []  # kept when `wait` is broken off by Ctrl-C or by `on_rung`, for the next one
        self._slots: dict[int, int] = {}  # by open lane: a number below the capacity
        self._conductor: _Conductor | None = None
        self._joined = False  # ever
        self._opened = False  # any lane, ever
        self._false_starts = 0
        self._lost_at: float | None = None  # and no lane has opened since

    def submit(self, number: int, job: Job) -> None:
        """See `Executor.submit`."""
        if number in self._tasks:
            raise ValueError(f"job {number} is already submitted")
        self._tasks[number] = _Task(job)
        self._send(Submit(number, job))

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """See `Executor.wait`."""
        if self._tasks and not self._events:
            if self._conductor is None:
                self._start()
            assert self._conductor is not None
            if self._conductor.pipe.poll(timeout):
                self._take_in(self._conductor, on_rung)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """See `Executor.close`."""
        self._tasks.clear()
        if self._conductor:
            conductor, self._conductor = self._conductor, None
            conductor.close()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._conductor = _Conductor(self._make_trainer, self._settings, self._log)
        for number, task in self._tasks.items():
            self._send(Submit(number, task.job))

    def _send(self, message: object) -> None:
        if self._conductor:
            with contextlib.suppress(OSError):  # it died: the next `wait` sees that
                self._conductor.pipe.send(message)

    def _take_in(self, conductor: _Conductor, on_rung: OnRung) -> None:
        """Everything that has come from the conductor."""
        while conductor is self._conductor and conductor.pipe.poll():
            try:
                message = conductor.pipe.recv()
            except (EOFError, OSError):
                message = Failed("the process that ran Ray Tune died")
            self._serve(message, on_rung)

    def _serve(self, message: Any, on_rung: OnRung) -> None:
        assert self._conductor is not None
        match message:
            case Joined():
                self._conductor.joined = self._joined = True
            case Capacity(lanes):
                self.capacity = lanes
            case Opened(lane, node, others):
                self._open(lane, node, others)
            case Refused(lane, outcome):
                if not self._opened:
                    raise cannot_start(lane, outcome)
                self._say(f"a worker could not start: {outcome.reason}")
            case Rung(number, score) if number in self._tasks:
                answers = self._tasks[number].answers
                if score.epoch not in answers:
                    answers[score.epoch] = on_rung(number, score)
                self._send(Answer(number, score.epoch, answers[score.epoch]))
            case Ended(number, outcome, lane) if number in self._tasks:
                self._end(number, outcome, self._slots.get(lane, 0))
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
        taken = set(self._slots.values())
        self._slots[lane] = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        self.capacity = max(self.capacity, len(self._slots))
        self._events.append(Ready(self._slots[lane]))

    def _end(self, number: int, outcome: Outcome, slot: int) -> None:
        del self._tasks[number]
        self._events.append(Done(number, outcome, slot))

    def _retry(self, number: int, cause: str) -> None:
        task = self._tasks[number]
        task.losses += 1
        if task.losses > RETRIES:
            self._end(number, Outcome("failed", reason=f"its worker was lost {task.losses} times ({cause})"), 0)
        else:
            self._send(Submit(number, task.job, first=True))

    def _close(self, lane: int, cause: str) -> None:
        if lane in self._slots:
            del self._slots[lane]
        elif cause:
            self._false_starts += 1
            if self._false_starts > 1 and not self._opened:
                raise NasError(f"a worker died twice before it was ready ({cause})")

    def _lose(self, reason: str) -> None:
        """Buries the conductor; the next `wait` starts another one, for as long as that is worth trying."""
        assert self._conductor is not None
        self._conductor.close()
        self._conductor = None
        self._slots.clear()
        where = f"the Ray cluster {self._settings.address!r}"
        if not self._joined:
            raise cannot_join(self._settings.address, reason)
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            self._say(f"{where} is lost ({reason}): looking for it again")
        elif time.monotonic() - self._lost_at > PATIENCE:
            raise NasError(f"{where} has been lost for {PATIENCE:.0f} s: {reason}")
        else:
            time.sleep(1.0)


class _Conductor:
    """The process that runs Tune, with its pipe and its folder."""

    def __init__(self, make_trainer: MakeTrainer | None, settings: Settings, log: Path | None) -> None:
        sweep()
        self.joined = False
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        settings = replace(settings, folder=str(self._folder))
        self._process: BaseProcess = context.Process(
            target=_conduct, args=(settings, make_trainer, theirs, log), name="nas-conductor"
        )
        with sigint_held():
            self._process.start()
        theirs.close()

    def close(self) -> None:
        """Ends the process, and whatever it has started on this machine."""
        with contextlib.suppress(OSError):
            self.pipe.send(Close())
        self._process.join(GRACE if self.joined else 0)
        session = self._process.pid
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self.pipe.close()
        assert session is not None
        kill_session(session)
        shutil.rmtree(self._folder, ignore_errors=True)


def cluster_resources(address: str) -> dict[str, float]:
    """What a cluster has in all: CPU, GPU, memory… Raises NasError where it cannot be joined."""
    require_ray()
    conductor = _Conductor(None, Settings(address), None)
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


def sweep() -> None:
    """Removes what conductors have left behind that were killed together with their drivers."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError), (folder / "owner").open("r+") as owner:
            if folder.stat().st_uid == os.getuid() and not folder.is_symlink():
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                kill_session(int(owner.read()))
                shutil.rmtree(folder, ignore_errors=True)


def kill_session(session: int) -> None:
    """Kills the processes of a session (as in setsid); Ray's agents survive their head when it is killed."""
    for process in members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def members(session: int) -> Iterator[int]:
    """The processes of a session, where the system has /proc."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                yield int(path.parent.name)


def _conduct(
    settings: Settings, make_trainer: MakeTrainer | None, pipe: connection.Connection, log: Path | None
) -> None:
    """What the process does: it leads a session of its own, which Ctrl-C in a terminal does not reach."""
    os.setsid()
    owner = Path(settings.folder, "owner").open("w")  # noqa: SIM115 - held, with its lock, until the process ends
    fcntl.flock(owner, fcntl.LOCK_EX)
    owner.write(f"{os.getpid()}\n")
    owner.flush()
    output = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    os.environ |= _QUIET | {"TMPDIR": settings.folder}  # what Ray imports leaves folders there when it is killed
    if settings.address != LOCAL and (os.environ.get("RAY_AUTH_TOKEN") or _token_file().exists()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray takes a token into account for "auto" alone
    if settings.address == LOCAL:
        path = os.pathsep.join(filter(None, sys.path))  # Ray's workers have no other way to the same modules
        os.environ |= _PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32), "PYTHONPATH": path}
    threading.Thread(target=_end_with_driver, args=(settings.folder,), daemon=True).start()
    from nas.cluster.conductor import conduct

    try:
        conduct(settings, make_trainer, pipe)
    finally:
        pipe.close()
        shutil.rmtree(settings.folder, ignore_errors=True)  # the driver does, too, unless it was killed


def _token_file() -> Path:
    """Where Ray looks for the token of a cluster."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def _end_with_driver(folder: str) -> None:
    """Ends this process, and what it has started, should it not end by itself when its driver has died."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    time.sleep(GRACE)
    shutil.rmtree(folder, ignore_errors=True)
    kill_session(os.getpid())
