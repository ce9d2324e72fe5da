"""Trainings logged to TensorBoard, MLflow and Weights & Biases, by Ray Tune's own callbacks, wherever they ran."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import textwrap
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from einmix import Architecture
from einmix.networks.summary import mixers
from nas.errors import NasError, counted, nearest, one_line
from nas.runs.files import open_plain, read_plain
from nas.runs.folder import RunFolder
from nas.runs.result import Result, file_name, latest

CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
}
"""Environment variables that keep these libraries from reporting to their makers, and from printing."""


CHATTY = ("alembic", "mlflow", "ray.air", "ray.tune", "tensorboardX", "urllib3")
"""Python loggers whose warnings the watcher says, while a run is logged, and whose chatter nobody sees."""


PATIENCE = 90.0
"""Seconds that the end of a search waits for a logger that gets no training done."""


HURRY = 10.0
"""Seconds that a search which is stopped waits for the training that is being logged."""


SOON = 3.0
"""Seconds after which the end of a search says that it waits."""


WANDB_LINK = "debug-core.log"
"""A link that wandb makes in the folder of every run, to the log of its helper process; nothing goes on in there."""


FAILED = "failed"


Say = Callable[[str], object]


@dataclass(frozen=True, eq=False)
class LoggedTrial:
    """A training as Tune's callbacks see it: what they read of a `ray.tune.experiment.Trial`, no more."""

    trial_id: str
    name: str
    config: dict[str, Any]
    experiment_dir_name: str
    local_path: str

    @property
    def evaluated_params(self) -> dict[str, Any]:
        """What is listed beside the figures."""
        return self.config

    def init_local_path(self) -> None:
        """Makes its folder."""
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return self.name


@contextmanager
def _tensorboard(run: RunFolder, folder: Path) -> Iterator[Any]:
    from ray.tune.logger import TBXLoggerCallback

    yield TBXLoggerCallback()


@contextmanager
def _mlflow(run: RunFolder, folder: Path) -> Iterator[Any]:
    """An experiment of the run's name where MLFLOW_TRACKING_URI says, else in a SQLite file of the run.

    mlflow 3 has given up plain files. A process has one tracking URI, which is put back.
    """
    import mlflow
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from sqlalchemy import URL

    before = os.environ.get("MLFLOW_TRACKING_URI")
    local = URL.create("sqlite", database=str(folder / "mlflow.db")).render_as_string()
    own, order = f"tags.run_created = '{run.created}'", ["attributes.start_time DESC"]

    class Anew(MLflowLoggerCallback):  # type: ignore[misc]
        def log_trial_start(self, trial: LoggedTrial) -> None:
            if f"{trial.name} {FAILED}" in _noted(folder, "mlflow"):
                for earlier in client.search_runs(experiments, f"{own} and tags.trial_name = '{trial.name}'"):
                    client.delete_run(earlier.info.run_id)
            super().log_trial_start(trial)

    callback = Anew(before or local, experiment_name=run.name, tags={"run_created": run.created})
    try:
        callback.setup()
        client, experiments = mlflow.MlflowClient(), [callback.mlflow_util.experiment_id]
        for last in client.search_runs(experiments, own, order_by=order, max_results=1):
            logged = _noted_as(last.data.tags["trial_name"], last.data.params.get("state"))
            if logged not in _noted(folder, "mlflow"):  # a session ended while it logged this
                client.delete_run(last.info.run_id)
        yield callback
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def _wandb(run: RunFolder, folder: Path) -> Iterator[Any]:
    """A group of the run's name in project WANDB_PROJECT, else `einmix-nas`.

    Tune logs every trial from a Ray actor of its own, since its trials run side by side. Here a trial has ended before
    it is logged, so the same class logs it in this thread, one after the other, and a local search needs no Ray.
    """
    import wandb
    from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor

    class InThisThread(WandbLoggerCallback):  # type: ignore[misc]
        def _start_logging_actor(self, trial: LoggedTrial, exclude_results: list[str], **init: Any) -> None:
            for half in (folder / "wandb").glob(f"*run-*-{trial.trial_id}"):  # as above
                shutil.rmtree(half)
            queue: SimpleQueue[Any] = SimpleQueue()
            self._trial_queues[trial] = queue
            here = os.curdir  # to which it changes
            actor = _WandbLoggingActor(here, queue, exclude_results, self.AUTO_CONFIG_KEYS, **init)
            self._trial_logging_actors[trial] = actor

        def _cleanup_logging_actors(self, **_: Any) -> None:
            for trial in list(self._trial_logging_actors):
                self._trial_logging_actors.pop(trial).run()
                del self._trial_queues[trial]

    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "wandb" / "cache"))
    settings = wandb.Settings(
        silent=True,
        console="off",
        symlink=False,
        disable_git=True,
        save_code=False,
        x_disable_stats=True,  # of this machine, which need not be the one that trains
        init_timeout=0.7 * PATIENCE,
        finish_timeout=0.7 * PATIENCE,
        finish_timeout_raises=True,
    )
    yield InThisThread(  # without its `setup`, which looks for the key in fewer places than `check` does
        project=os.environ.get("WANDB_PROJECT") or "einmix-nas",
        group=run.name,
        dir=str(folder),
        reinit="finish_previous",
        settings=settings,
    )


@dataclass(frozen=True)
class _Kind:
    """A logger: what it needs to be imported, and its callback, ready to log trials, while it is open."""

    modules: tuple[str, ...]
    open: Callable[[RunFolder, Path], AbstractContextManager[Any]]


LOGGERS = {
    "tensorboard": _Kind(("ray.tune.logger", "tensorboardX"), _tensorboard),
    "mlflow": _Kind(("mlflow", "ray.air.integrations.mlflow"), _mlflow),
    "wandb": _Kind(("wandb", "ray.air.integrations.wandb"), _wandb),
}


def check(names: Collection[str]) -> None:
    """Raises NasError for a logger that there is not, whose packages are missing, or that has nowhere to log to."""
    for name in names:
        if name not in LOGGERS:
            raise NasError(f"no logger {name!r}: {nearest(name, LOGGERS)}")
    for variable, value in CALM.items() if names else ():
        os.environ.setdefault(variable, value)
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for module in LOGGERS[name].modules:
                    import_module(module)
        except ImportError as error:
            raise NasError(
                f"--log {name} needs a package that is missing ({_short(error)}): pip install 'einmix-nas[log]'"
            ) from error
        except Exception as error:  # a package that is broken
            raise NasError(f"--log {name} is not possible: {_short(error)}") from error
    if "wandb" in names and os.environ.get("WANDB_MODE") not in ("offline", "disabled", "dryrun"):
        _check_wandb_key()


def _check_wandb_key() -> None:
    """Looks where wandb itself looks for a key; asks neither the user nor the network."""
    import wandb

    try:
        found, why = wandb.login(prompt=False, verify=False), "there is no key of Weights & Biases"
    except Exception as error:
        found, why = False, _short(error)
    if not found:
        raise NasError(f"--log wandb: {why}: run `wandb login`, or set WANDB_MODE=offline to keep all on this machine")


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
                feed.start()
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
            if path.is_symlink() and path.name != WANDB_LINK:
                raise NasError(f"{path} is a symbolic link: a run directory holds plain files and folders only")
        self.folder.mkdir(exist_ok=True)
        self._noted = _noted(self.folder, name)
        self._thread = Thread(target=self._work, name=f"--log {name}", daemon=True)

    def start(self) -> None:
        """Begins to log."""
        self._thread.start()

    def put(self, result: Result) -> None:
        """Takes a training to be logged, if it is not."""
        name = trial_name(result)
        if name not in self._noted and _noted_as(name, result.state) not in self._noted:
            self._queue.put(result)

    def finish(self) -> None:
        """Waits until all is logged, as long as it goes on."""
        self._queue.put(None)
        self._moved = time.monotonic()
        self._thread.join(SOON)
        if self._thread.is_alive() and (left := self._queue.qsize()) > 1:
            self.say(f"--log {self.name}: {counted(left, 'training')} still to be logged")
        while self._thread.is_alive():
            self._thread.join(0.2)
            if self._thread.is_alive() and time.monotonic() - self._moved > PATIENCE:
                self._give_up(f"nothing for {PATIENCE:.0f} seconds")
                return

    def stop(self) -> None:
        """Lets go of what is waiting."""
        self._stopped.set()
        self._queue.put(None)

    def leave(self) -> None:
        """Waits a little for what is being logged."""
        if self._thread.ident is not None:  # Ctrl-C can come before it has begun
            self._thread.join(HURRY)

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
            self._give_up(_short(error))

    def _log(self, callback: Any, result: Result) -> None:
        trial = trial_of(result, self.run, self.folder / self.name)
        shutil.rmtree(trial.local_path, ignore_errors=True)  # of a session that ended while it logged this
        callback.log_trial_start(trial)
        for number, figures in enumerate(curve(result), 1):
            callback.log_trial_result(number, trial, figures)
        callback.log_trial_end(trial, failed=result.state == "failed")
        note = open_plain(_note(self.folder, self.name), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with os.fdopen(note, "w") as file:
            file.write(f"{_noted_as(trial.name, result.state)}\n")

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


def _note(folder: Path, name: str) -> Path:
    """Where a logger's logged trainings are noted, a line each."""
    return folder / f"{name}.logged"


def _noted(folder: Path, name: str) -> set[str]:
    note = _note(folder, name)
    return set(read_plain(note).decode().splitlines()) if note.exists() else set()


def _noted_as(name: str, state: str | None) -> str:
    """How a logged training is noted; what failed may be tried again, and is logged again then."""
    return f"{name} {FAILED}" if state == FAILED else name


def trial_name(result: Result) -> str:
    """A training by its phase and key, as in `search/a1-lr0.01-s0-e20`."""
    return f"{result.phase}/{Path(file_name(result.key)).stem}"


def trial_of(result: Result, run: RunFolder, folder: Path) -> LoggedTrial:
    """A training as a trial: its name, what is listed of it, its own folder in `folder`."""
    name = trial_name(result)
    unique = hashlib.sha256(f"{run.name} {run.created} {name}".encode()).hexdigest()[:8]
    facts = {fact: getattr(result, fact) for fact in FACTS}
    facts |= {"label": one_line(result.label), "reason": one_line(result.reason)}
    facts |= {"mixers": mixers(Architecture.from_json(result.architecture))}
    config = {fact: value for fact, value in facts.items() if value != ""}
    return LoggedTrial(f"{result.id}-{unique}", name, config, run.name, str(folder / name))


FACTS = ("id", "phase", "lr", "seed", "epochs", "params", "macs", "state")


def curve(result: Result) -> list[dict[str, float]]:
    """The figures of a training by epoch, which Tune calls `training_iteration`; the last ones with its seconds."""
    epochs: dict[int, dict[str, float]] = defaultdict(dict)
    for epoch, loss in enumerate(result.train_loss, 1):
        epochs[epoch]["training_loss"] = loss
    for score in result.scores:
        epochs[score.epoch] |= {"validation_loss": score.loss, "validation_accuracy": score.accuracy}
    if result.test:
        epochs[result.test.epoch] |= {"test_loss": result.test.loss, "test_accuracy": result.test.accuracy}
    if epochs:
        epochs[max(epochs)]["seconds"] = result.seconds
    return [{"training_iteration": epoch, **epochs[epoch]} for epoch in sorted(epochs)]


class _Said(logging.Handler):
    """Says a warning to the user, and says it once."""

    def __init__(self, say: Say):
        super().__init__(logging.WARNING)
        self._say, self._told = say, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg not in self._told:
            self._told.add(record.msg)
            self._say(f"{record.name}: {_cut(record.getMessage())}")


@contextmanager
def _telling(say: Say) -> Iterator[None]:
    """Meanwhile the libraries' warnings go to the user's one display."""
    said, before = _Said(say), []
    for logger in map(logging.getLogger, CHATTY):
        before.append((logger, logger.handlers, logger.level, logger.propagate))
        logger.handlers, logger.propagate = [said], False
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def _short(error: BaseException) -> str:
    return _cut(str(error)) or type(error).__name__


def _cut(text: str) -> str:
    return textwrap.shorten(one_line(text), 200, placeholder=" …")
