"""Trainings logged to TensorBoard, MLflow and others, by Ray Tune's own callbacks, wherever they ran."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from nas.errors import NasError, counted
from nas.loggers import LOGGERS
from nas.loggers.logger import PATIENCE, curve, cut, note_of, noted, noted_as, short, trial_name, trial_of
from nas.runs.files import open_plain
from nas.runs.folder import RunFolder
from nas.runs.own import metric_of
from nas.runs.result import Result, latest

HURRY = 10.0
"""Seconds that a search which is stopped waits for the training that is being logged."""

SOON = 3.0
"""Seconds after which the end of a search says that it waits."""

Say = Callable[[str], object]


@contextmanager
def logging_to(names: Sequence[str], run: RunFolder, say: Say) -> Iterator[None]:
    """Meanwhile every training that is kept in a run is logged, and those of before that were not.

    A logger that fails is given up with one line; what it has not logged is logged by the next session that asks for
    it. Every logger works in a thread of its own, so that a slow server keeps no worker waiting.

    Raises NasError where a run's `logs` lead elsewhere by a symbolic link.
    """
    if not names:
        yield
        return
    feeds = [_Feed(name, run, say) for name in names]

    def put(result: Result) -> None:
        for feed in feeds:
            feed.put(result)

    with _telling(say):
        for result in latest(run.results()):
            put(result)
        run.on_append = put
        try:
            for feed in feeds:
                feed.thread.start()
            yield
            for feed in feeds:
                feed.finish()
        finally:
            run.on_append = None
            for feed in feeds:
                feed.stop()
            for feed in feeds:
                feed.leave()


class _Feed:
    """A logger at work: takes results from its queue, and notes in `logs/NAME.logged` which trainings are logged."""

    def __init__(self, name: str, run: RunFolder, say: Say):
        self.name, self.run, self.say = name, run, say
        self.folder = run.path.absolute() / "logs"
        self._queue: SimpleQueue[Result | None] = SimpleQueue()
        self._stopped = Event()
        self._moved = time.monotonic()
        for path in (self.folder, *_below(self.folder, name)):
            if path.is_symlink() and path.name not in LOGGERS[name].links:
                raise NasError(f"{path} is a symbolic link: a run directory holds plain files and folders only")
        self.folder.mkdir(exist_ok=True)
        self._noted = noted(self.folder, name)
        self.thread = Thread(target=self._work, name=f"--log {name}", daemon=True)

    def put(self, result: Result) -> None:
        """Takes a training to be logged, if it is not."""
        name = trial_name(result)
        if name not in self._noted and noted_as(name, result.state) not in self._noted:
            self._queue.put(result)

    def finish(self) -> None:
        """Waits until all is logged, as long as it goes on."""
        self._queue.put(None)
        self._moved = time.monotonic()
        self.thread.join(SOON)
        if self.thread.is_alive() and (left := self._queue.qsize()) > 1:
            self.say(f"--log {self.name}: {counted(left, 'training')} still to be logged")
        while self.thread.is_alive():
            self.thread.join(0.2)
            if self.thread.is_alive() and time.monotonic() - self._moved > PATIENCE:
                self._give_up(f"nothing for {PATIENCE:.0f} seconds")
                return

    def stop(self) -> None:
        """Lets go of what is waiting."""
        self._stopped.set()
        self._queue.put(None)

    def leave(self) -> None:
        """Waits a little for what is being logged."""
        if self.thread.ident is not None:  # Ctrl-C can come before it has begun
            self.thread.join(HURRY)

    def _work(self) -> None:
        result = self._queue.get()
        if result is None:
            return
        try:
            with LOGGERS[self.name].open(self.run, self.folder) as callback:
                while result is not None and not self._stopped.is_set():
                    self._log(callback, result)
                    self._moved = time.monotonic()
                    result = self._queue.get()
        except Exception as error:
            self._give_up(short(error))

    def _log(self, callback: Any, result: Result) -> None:
        trial = trial_of(result, self.run, self.folder / self.name)
        shutil.rmtree(trial.local_path, ignore_errors=True)  # of a session that ended while it logged this
        callback.log_trial_start(trial)
        for number, figures in enumerate(curve(result, metric_of(self.run.settings)), 1):
            callback.log_trial_result(number, trial, figures)
        callback.log_trial_end(trial, failed=result.state == "failed")
        note = open_plain(note_of(self.folder, self.name), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with os.fdopen(note, "w") as file:
            file.write(f"{noted_as(trial.name, result.state)}\n")

    def _give_up(self, why: str) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            self.say(f"--log {self.name} is given up: {why}; the same command logs later what is missing")


def _below(folder: Path, name: str) -> Iterator[Path]:
    """All that a logger may have written: files and folders that are called like it, and what is in these."""
    for path in folder.glob(f"{name}*"):
        yield path
        for inside, folders, files in os.walk(path):  # it does not follow links
            yield from (Path(inside, each) for each in (*folders, *files))


class _Said(logging.Handler):
    """Says a warning to the user, and says it once."""

    def __init__(self, say: Say):
        super().__init__(logging.WARNING)
        self._say, self._told = say, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg not in self._told:
            self._told.add(record.msg)
            self._say(f"{record.name}: {cut(record.getMessage())}")


@contextmanager
def _telling(say: Say) -> Iterator[None]:
    """Meanwhile the libraries' warnings go to the user's one display."""
    said, before = _Said(say), []
    for logger in map(logging.getLogger, {name for each in LOGGERS.values() for name in each.chatty}):
        before.append((logger, logger.handlers, logger.level, logger.propagate))
        logger.handlers, logger.propagate = [said], False
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
