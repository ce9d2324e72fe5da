"""A search replayed on a table of record: the real loop and strategy, with recorded scores and simulated workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import ceil, inf, nan
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Literal, Protocol

from nas.errors import NasError
from nas.loop.loop import Loop
from nas.loop.plan import Plan
from nas.loop.status import Quiet, Status
from nas.ranking.objectives import merit
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Score
from nas.strategies.strategy import Strategy
from nas.tabular.simulated import Cluster, Simulated
from nas.tabular.table import Cell, Table, mixer_of
from search_spaces import BoundSpace
from search_spaces.bound.part import Part


@dataclass(frozen=True)
class Step:
    """After so many simulated `seconds` a search would choose a network whose true loss is `regret` above the best."""

    seconds: float
    regret: float
    id: str = ""


Half = Literal["whole", "tuning", "reporting"]
"""The networks that a replay is about: all, or one of two halves: what a strategy is tuned on does not report on it."""


class Recorded:
    """What a table has recorded at one learning rate, for jobs of the space that has one block in place of all.

    A network's true loss is its validation loss at the end: the mean over the table's seeds, or that with one seed. By
    the mean no search is sure to find the best, however long: it sees one seed.
    """

    def __init__(self, table: Table, lr: float, half: Half = "whole", *, seed: int | None = None):
        if lr not in table.declared.rates:
            rates = ", ".join(f"{each:g}" for each in table.declared.rates)
            raise NasError(f"--lr is {lr:g}, the table has {rates}")
        wanted = {key for key in table.wanted if key.lr == lr}
        if missing := wanted & table.empty:
            raise NasError(
                f"{len(missing)} of {len(wanted)} trainings at {lr:g} are missing: a replay takes all of them"
            )
        if table.wrong:
            raise NasError(f"{table.wrong[0]}: `nas bench verify` says all that is wrong with the table")
        self.table, self.lr, self.half, self.seed = table, lr, half, seed
        self._by_mixer: dict[str, list[Cell]] = {}
        for key, cell in sorted(table.cells.items()):
            if key in wanted:
                self._by_mixer.setdefault(cell.mixer, []).append(cell)

    @cached_property
    def space(self) -> BoundSpace:
        """Its networks, of one block that stands for all of them."""
        data, declared = self.table.facts["data"], self.table.declared
        space = declared.of_one_block().space(dict(data["shape"]), int(data["channels"]), int(data["classes"]))
        if self.half == "whole":
            return space
        wanted = self.half == "reporting"
        halves = ((sha256(mixer_of(each).encode()).digest()[0] & 1 == wanted, each) for each in space.enumerate())
        return Part(space, (each for mine, each in halves if mine))

    def cell(self, job: Job) -> Cell:
        """By the network's one mixer, and the job's seed as one of the table's."""
        cells = self._by_mixer[self.mixers[job.id]]
        return cells[job.seed % len(cells)]

    def seconds(self, job: Job) -> float:
        return self.cell(job).seconds

    def score(self, job: Job, epoch: int) -> Score | None:
        """After so many epochs; None of what failed."""
        cell = self.cell(job)
        if cell.reason:
            return None
        right = int(cell.right["validation"][epoch - 1])
        return Score(epoch, float(cell.losses["validation"][epoch - 1]), right / self.table.sizes["validation"])

    def losses(self, job: Job) -> Sequence[float]:
        return [float(loss) for loss in self.cell(job).training]

    @cached_property
    def mixers(self) -> dict[str, str]:
        """The mixer of each network of the space, by its id."""
        return {network.id: mixer_of(network) for network in self.space.enumerate()}

    @cached_property
    def true_losses(self) -> dict[str, float]:
        """By id of the space's networks; infinite where one of the trainings failed."""
        found = {}
        for id, mixer in self.mixers.items():
            cells = [cell for cell in self._by_mixer[mixer] if self.seed in (None, cell.key.seed)]
            found[id] = fmean(inf if cell.reason else float(cell.losses["validation"][-1]) for cell in cells)
        return found

    def regret(self, id: str) -> float:
        """How far a network's true loss is above the least."""
        loss = self.true_losses[id]
        return loss - min(self.true_losses.values()) if loss < inf else inf


class Recording(Protocol):
    """What a search can be replayed on: trainings that are known, and how good their networks truly are."""

    @property
    def space(self) -> BoundSpace: ...

    def seconds(self, job: Job) -> float: ...

    def score(self, job: Job, epoch: int) -> Score | None: ...

    def losses(self, job: Job) -> Sequence[float]: ...

    def regret(self, id: str) -> float: ...


def replay(
    recorded: Recording, make: Callable[[BoundSpace], Strategy], plan: Plan, *, workers: int = 1, seed: int = 0
) -> list[Step]:
    """One search without finals: a step each time that it would choose another network. It takes seconds at most."""
    space, steps = recorded.space, list[Step]()
    executor = Simulated(Cluster(workers, seed=seed), recorded.seconds, recorded.score, losses=recorded.losses)
    chosen: tuple[float, ...] | None = None

    class Watching(Quiet):
        def show(self, status: Status) -> None:
            nonlocal chosen
            last = status.last
            if last is None or last.state != "complete" or last.score is None:
                return
            mine = merit(last.score, plan.order)
            if chosen is None or mine > chosen:
                chosen = mine
                steps.append(Step(executor.now, recorded.regret(last.id), last.id))

    with (
        TemporaryDirectory() as folder,
        RunFolder.create_or_open(Path(folder), "replay", {"objective": plan.order}) as run,
    ):
        Loop(space, make(space), executor, run, plan).explore(Watching())
    return steps


def regret_at(steps: Sequence[Step], seconds: float) -> float:
    """The regret of what the search would choose after so many seconds; infinite before its first choice."""
    return next((step.regret for step in reversed(steps) if step.seconds <= seconds), inf)


def seconds_to(steps: Sequence[Step], regret: float) -> float:
    """When the search first chose, and kept to, networks of at most this regret; infinite where it does not."""
    at = inf
    for step in steps:
        at = min(at, step.seconds) if step.regret <= regret else inf
    return at


def top(recorded: Recorded, share: float) -> float:
    """The regret of the last network within the best share of those that came to their end; NaN where none did."""
    losses = sorted(loss for loss in recorded.true_losses.values() if loss < inf)
    return losses[max(0, ceil(share * len(losses)) - 1)] - losses[0] if losses else nan
