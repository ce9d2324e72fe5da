"""The conductor's process as the driver holds it: started, written to, ended, and swept up after where nobody could."""

import contextlib
import fcntl
import multiprocessing
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue

from nas.errors import NasError
from nas.executors.cluster.messages import LOCAL, Settings
from nas.executors.executor import MakeTrainer
from nas.executors.processes import starting
from nas.runs.files import open_plain

GRACE = 15.0
"""Seconds within which a cluster is left or ended in good order."""

ABANDONED = 3600.0
"""Seconds after which a folder that no conductor ever took is swept up."""

_PREFIX = "nas-ray-"

_LONGEST = 24  # of a folder's name in which Ray makes sockets, whose paths end at 107 bytes

_TUNE = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else it opens lanes of a drained node anew, unsaid
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


class ConductorProcess:
    """A process that runs Tune, with the pipe to it and a folder of its own, for sockets, logs and Tune's files.

    Raises NasError where it cannot start.
    """

    def __init__(self, make_trainer: MakeTrainer | None, settings: Settings, log: Path | None) -> None:
        sweep()
        self.joined, self.begun = False, time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_root()))
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = replace(settings, folder=str(self._folder)), make_trainer, theirs, log
        self._process: BaseProcess = context.Process(target=_conduct, args=arguments, name="nas-conductor", daemon=True)
        try:
            with starting():
                self._process.start()
        except BaseException as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            if isinstance(error, (OSError, EOFError)):
                raise NasError(f"the process for Ray could not start: {error}") from error
            raise
        finally:
            theirs.close()
        # one thread writes, so that neither a full pipe nor Ctrl-C stops the driver in the midst of a message
        self._outbox: SimpleQueue[object] = SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def send(self, message: object) -> None:
        """Has a message sent; returns at once. To a process that has died nothing is."""
        self._outbox.put(message)

    def close(self) -> None:
        """Ends the process, and whatever it has started on this machine; a second Ctrl-C ends it at once."""
        self.send(None)
        session = self._process.pid
        assert session is not None
        try:
            self._process.join(GRACE if self.joined else 0.5)
        finally:
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self.pipe.close()
            kill_session(session)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.pipe.send(self._outbox.get())


def sweep() -> None:
    """Removes what conductors have left behind that were killed together with their drivers."""
    for folder in _root().glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            about = folder.lstat()
            if about.st_uid != os.getuid() or folder.is_symlink():
                continue
            if not (folder / "owner").exists():
                if time.time() - about.st_mtime > ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with os.fdopen(open_plain(folder / "owner", os.O_RDWR), "r+") as owner:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                kill_session(int(owner.read()), folder)
                shutil.rmtree(folder, ignore_errors=True)


def kill_session(session: int, folder: Path | None = None) -> None:
    """Kills the processes of a session (as in setsid), this one last; Ray's agents survive a head that is killed.

    With a `folder` only if one of them was started to use it: by now the number may be another session's.
    """
    found = list(_members(session))
    if folder is None or any(_uses(process, folder) for process in found):
        _kill(sorted(found, key=lambda process: process == os.getpid()))


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _members(session: int) -> Iterator[int]:
    """The processes of a session, where the system has /proc."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                yield int(path.parent.name)


def _uses(process: int, folder: Path) -> bool:
    try:
        return f"TMPDIR={folder}".encode() in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _root() -> Path:
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= _LONGEST else Path("/tmp")


def _conduct(
    settings: Settings, make_trainer: MakeTrainer | None, pipe: connection.Connection, log: Path | None
) -> None:
    """What the process does: it leads a session of its own, which Ctrl-C in a terminal does not reach."""
    os.setsid()
    owner = Path(settings.folder, "owner").open("w")  # noqa: SIM115 - held, with its lock, until the process ends
    fcntl.flock(owner, fcntl.LOCK_EX)
    owner.write(f"{os.getpid()}\n")
    owner.flush()
    output = open_plain(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if log else os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.environ |= _TUNE | {"TMPDIR": settings.folder}  # what Ray imports leaves folders there when it is killed
    if settings.address == LOCAL:
        path = os.pathsep.join(filter(None, sys.path))  # Ray's workers have no other way to the same modules
        os.environ |= _PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32), "PYTHONPATH": path}
    elif os.environ.get("RAY_AUTH_TOKEN") or _token_file().exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray takes a token into account for "auto" alone
    threading.Thread(target=_end_with_driver, args=(settings.folder,), daemon=True).start()
    from nas.executors.cluster.conductor import conduct

    try:
        conduct(settings, make_trainer, pipe)
    finally:
        pipe.close()
        _end(settings.folder)


def _end_with_driver(folder: str) -> None:
    """Ends this process, and what it has started, should it not end by itself when its driver has died."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    time.sleep(GRACE)
    _end(folder)
    os._exit(1)


def _end(folder: str) -> None:
    """Leaves nothing of what this process has started; its driver sees to that, too, unless it was killed."""
    _kill(process for process in list(_members(os.getpid())) if process != os.getpid())
    shutil.rmtree(folder, ignore_errors=True)


def _token_file() -> Path:
    """Where Ray looks for the token of a cluster."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
