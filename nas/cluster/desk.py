"""The desk between driver and lanes: hands out jobs, passes on rungs and outcomes, copies what a straggler holds up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from nas.trial import Job, Outcome, Score

STRAGGLER = 3.0
"""Times the slowest training seen, by epoch, after which an idle lane trains a job of another one as well."""

LEAST = 10.0
"""Seconds below which nothing is a straggler."""


@dataclass(frozen=True)
class Task:
    """A job with its number at the driver."""

    number: int
    job: Job


@dataclass(frozen=True)
class Rung:
    """A job has a score, and waits to hear whether it goes on."""

    number: int
    score: Score


@dataclass(frozen=True)
class Ended:
    """A job has an outcome, from the lane with this number."""

    number: int
    outcome: Outcome
    lane: int


@dataclass(frozen=True)
class Lost:
    """A job went down with its lane, for this cause."""

    number: int
    cause: str


@dataclass(frozen=True)
class Opened:
    """A lane has made its trainer, on this node, with these versions."""

    lane: int
    node: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Refused:
    """A lane could not make its trainer, on this node."""

    lane: int
    node: str
    outcome: Outcome


@dataclass(frozen=True)
class Closed:
    """A lane has ended, for this cause, or because there was nothing left to do."""

    lane: int
    cause: str


News = Rung | Ended | Lost | Opened | Refused | Closed


@dataclass
class _Open:
    """A task that has no outcome yet, and where it is under way (since when, by lane)."""

    task: Task
    since: dict[int, float] = field(default_factory=dict)
    answers: dict[int, asyncio.Future[bool]] = field(default_factory=dict)  # by epoch: copies of a job get one answer

    def stop(self) -> None:
        """Has whoever waits for an answer go no further."""
        for answer in self.answers.values():
            if not answer.done():
                answer.set_result(False)


class Desk:
    """What lanes and driver have in common; an actor whose methods run on one event loop, so nothing is locked.

    Every job comes to an outcome once, however many lanes train it and whichever of them is thought dead: the first
    outcome is the job's. A lane that finds no job within `patience` seconds is closed.

    >>> async def demo():
    ...     desk = Desk(patience=0)
    ...     await desk.submit(Task(7, Job({}, "a1", 0.01, 0, 1)))
    ...     task = await desk.next(0)
    ...     await desk.done(0, task, Outcome("complete"))
    ...     return task.number, await desk.next(0), [type(news).__name__ for news in await desk.news(1)]
    >>> asyncio.run(demo())
    (7, None, ['Ended'])
    """

    def __init__(self, patience: float = 60.0) -> None:
        self.patience = patience
        self._queue: deque[_Open] = deque()
        self._open: dict[int, _Open] = {}
        self._closed: set[int] = set()  # lanes that are gone; one that was only cut off may still call
        self._slowest = 0.0  # seconds an epoch
        self._news: list[News] = []
        self._changed = asyncio.Condition()

    async def submit(self, task: Task, *, first: bool = False) -> None:
        """Takes a job in; one that was lost comes first."""
        held = self._open[task.number] = _Open(task)
        (self._queue.appendleft if first else self._queue.append)(held)
        await self._wake()

    async def answer(self, number: int, epoch: int, go_on: bool) -> None:
        """Says whether a job goes on after a rung."""
        answer = self._open[number].answers.get(epoch) if number in self._open else None
        if answer and not answer.done():
            answer.set_result(go_on)

    async def news(self, timeout: float) -> list[News]:
        """What the driver has to know, as soon as there is something; empty after `timeout` seconds."""
        await self._until(lambda: bool(self._news), timeout)
        news, self._news = self._news, []
        return news

    async def opened(self, lane: int, node: str, versions: dict[str, str]) -> None:
        """A lane is ready, unless it was given up meanwhile."""
        if lane not in self._closed:
            await self._tell(Opened(lane, node, versions))

    async def refused(self, lane: int, node: str, outcome: Outcome) -> None:
        """A lane cannot be."""
        await self._tell(Refused(lane, node, outcome))

    async def gone(self, lane: int, cause: str) -> None:
        """A lane has ended; what only it had under way is lost."""
        self._closed.add(lane)
        for held in list(self._open.values()):
            if held.since.pop(lane, None) is not None and not held.since:
                del self._open[held.task.number]
                held.stop()
                await self._tell(Lost(held.task.number, cause))
        await self._tell(Closed(lane, cause))

    async def next(self, lane: int) -> Task | None:
        """A job for a lane, as soon as there is one; None ends the lane."""
        deadline = time.monotonic() + self.patience
        while lane not in self._closed:
            held = self._queue.popleft() if self._queue else self._straggler()
            if held:
                held.since[lane] = time.monotonic()
                return held.task
            left = deadline - time.monotonic()
            if left <= 0:
                self._closed.add(lane)
            else:  # a straggler becomes one by the passing of time alone
                await self._until(lambda: bool(self._queue) or lane in self._closed, min(left, 1.0))
        return None

    async def rung(self, task: Task, score: Score) -> bool:
        """The driver's answer to a score; a job that is over elsewhere goes no further."""
        held = self._held(task)
        if held is None:
            return False
        if score.epoch not in held.answers:
            held.answers[score.epoch] = asyncio.get_running_loop().create_future()
            await self._tell(Rung(task.number, score))
        return await asyncio.shield(held.answers[score.epoch])

    async def done(self, lane: int, task: Task, outcome: Outcome) -> None:
        """The outcome of a job, unless it has one."""
        held = self._held(task)
        if held is None:
            return
        del self._open[task.number]
        if not held.since:  # from a lane that was cut off and given up: it has been queued again
            self._queue.remove(held)
        held.stop()
        if outcome.state == "complete":
            self._slowest = max(self._slowest, outcome.seconds / max(task.job.epochs, 1))
        await self._tell(Ended(task.number, outcome, lane))

    def _held(self, task: Task) -> _Open | None:
        """What is open of a task; a later job may have its number."""
        held = self._open.get(task.number)
        return held if held and held.task == task else None

    def _straggler(self) -> _Open | None:
        """The job that is under way for longest, if that is too long and only one lane has it."""
        alone = [held for held in self._open.values() if len(held.since) == 1]
        if not alone or not self._slowest:
            return None
        oldest = min(alone, key=lambda held: min(held.since.values()))
        expected = max(STRAGGLER * self._slowest * oldest.task.job.epochs, LEAST)
        return oldest if time.monotonic() - min(oldest.since.values()) > expected else None

    async def _tell(self, news: News) -> None:
        self._news.append(news)
        await self._wake()

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], bool], timeout: float) -> None:
        """Waits for a condition, at most so many seconds."""
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(condition), timeout)
