"""Where a search is, and who is shown it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nas.ranking.objectives import Quality
from nas.ranking.standings import search_order
from nas.runs.job import CPU, Kind, Phase
from nas.runs.own import ACCURACY, Metric
from nas.runs.result import Result


@dataclass
class Status:
    """Where a search is; a watcher is shown it whenever something has happened.

    `later` is the work of phases that follow, in trainings that take as long as those of this one; `names` are those of
    networks that have one, by id; `by` is the figure that says which of them is the best so far, if that is told.
    `title` is what it is called, where that is not the phase's.
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
    metric: Metric = ACCURACY
    names: Mapping[str, str] = field(default_factory=dict)
    best: Result | None = None
    last: Result | None = None
    title: str = ""
    by: Quality | None = None
    started: float = field(default_factory=time.monotonic)

    def count(self, result: Result) -> None:
        """Takes in how a training ended."""
        self.done += 1
        self.pruned += result.state == "pruned"
        self.failed += result.state == "failed"
        self.last = result
        if (by := self.by) and result.state == "complete" and not result.label:
            self.best = min(filter(None, (self.best, result)), key=lambda each: search_order(each, by))

    def reuse(self, results: Iterable[Result]) -> None:
        """Takes in what earlier sessions have trained."""
        for result in results:
            self.count(result)
            self.reused += 1

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
