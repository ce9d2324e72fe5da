"""Trainings as Ray Tune's callbacks see them: trials, each under a name of its own."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from einmix import Architecture
from einmix.networks.summary import mixers
from nas.errors import one_line
from nas.runs.files import read_plain
from nas.runs.folder import RunFolder
from nas.runs.result import Result, file_name

FAILED = "failed"

FACTS = ("id", "phase", "lr", "seed", "epochs", "params", "macs", "state")


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
