"""Where a search is, and who is shown it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nas.runs.job import CPU, Kind, Phase
from nas.runs.result import Result


@dataclass
class Status:
    """Where a search is; a watcher is shown it whenever something has happened.

    `later` is the work of phases that follow, in trainings that take as long as those of this one; `names` are those of
    networks that have one, by id. `title` is what it is called, where that is not the phase's.
    """

    phase: Phase
    total: int
    done: int = 0
    running: int = 0
    pruned: int = 0
    failed: int = 0
    reused: int = 0
    later: float = 0.0
    kind: Kind = CPU
    names: Mapping[str, str] = field(default_factory=dict)
    best: Result | None = None
    last: Result | None = None
    title: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Estimated from what this session has trained; None before the first result."""
        fresh = self.done - self.reused
        left = max(self.total - self.done, 0) + self.later
        return (time.monotonic() - self.started) / fresh * left if fresh else None


class Watcher(Protocol):
    """Is shown the progress of a search: after every training, and now and then between."""

    def show(self, status: Status) -> None: ...

    def say(self, text: str) -> None: ...


class Quiet:
    """Says nothing."""

    def show(self, status: Status) -> None: ...

    def say(self, text: str) -> None: ...
