"""What a logger is, a service that trainings are told to by one of Ray Tune's own callbacks, and how these see them."""

import hashlib
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from einmix import Architecture
from einmix.networks.summary import mixers
from nas.errors import one_line
from nas.runs.files import read_plain
from nas.runs.folder import RunFolder
from nas.runs.own import ACCURACY, Metric
from nas.runs.result import Result, file_name

PATIENCE = 90.0
"""Seconds that the end of a search waits for a logger that gets no training done."""

FAILED = "failed"

FACTS = ("id", "phase", "lr", "seed", "epochs", "params", "macs", "state")


@dataclass(frozen=True)
class Logger:
    """A logger: the modules that it needs, and its callback, ready to log trials, while it is open.

    `open` is given the run and a folder of the run that is the logger's; `check` raises NasError where there is nowhere
    to log to. `calm` are environment variables that keep its libraries from reporting to their makers, and from
    printing; the warnings of the Python loggers in `chatty` are said, and nobody sees their chatter. `links` are
    symbolic links that it makes, by name; nothing goes on in there.
    """

    modules: tuple[str, ...]
    open: Callable[[RunFolder, Path], AbstractContextManager[Any]]
    check: Callable[[], None] = lambda: None
    calm: Mapping[str, str] = field(default_factory=dict)
    chatty: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def short(error: BaseException) -> str:
    """An error in a line."""
    return cut(str(error)) or type(error).__name__


def cut(text: str) -> str:
    """A text as a line of 200 characters at most."""
    return textwrap.shorten(one_line(text), 200, placeholder=" …")


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
        return self.config

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return self.name


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


def curve(result: Result, metric: Metric = ACCURACY) -> list[dict[str, float]]:
    """The figures of a training by epoch, which Tune calls `training_iteration`; the last ones with its seconds."""
    name = metric.name.replace(" ", "_")
    epochs: dict[int, dict[str, float]] = defaultdict(dict)
    for epoch, loss in enumerate(result.train_loss, 1):
        epochs[epoch]["training_loss"] = loss
    for score in result.scores:
        epochs[score.epoch] |= {"validation_loss": score.loss, f"validation_{name}": metric.figure(score.accuracy)}
    if test := result.test:
        epochs[test.epoch] |= {"test_loss": test.loss, f"test_{name}": metric.figure(test.accuracy)}
    if epochs:
        epochs[max(epochs)]["seconds"] = result.seconds
    return [{"training_iteration": epoch, **epochs[epoch]} for epoch in sorted(epochs)]


def note_of(folder: Path, name: str) -> Path:
    """Where a logger's logged trainings are noted, a line each."""
    return folder / f"{name}.logged"


def noted(folder: Path, name: str) -> set[str]:
    """What a logger has logged of a run."""
    note = note_of(folder, name)
    return set(read_plain(note).decode().splitlines()) if note.exists() else set()


def noted_as(name: str, state: str | None) -> str:
    """How a logged training is noted; what failed may be tried again, and is logged again then."""
    return f"{name} {FAILED}" if state == FAILED else name
