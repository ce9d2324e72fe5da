"""The desk between driver and lanes: hands out jobs, passes on rungs and outcomes, copies what a straggler holds up."""

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nas.errors import OUT_OF_MEMORY
from nas.executors.executor import Task, cause_of, take_bundle
from nas.executors.packing import MOST
from nas.runs.job import Outcome, Score

STRAGGLER = 3.0
"""Times the slowest training seen, by epoch, after which an idle lane trains a job of another one as well."""

LEAST = 10.0
"""Seconds below which nothing is a straggler."""

LOOK = 1.0
"""Seconds after which an idle lane looks for a straggler again."""


@dataclass(frozen=True)
class Opening:
    """A lane as it was opened: Tune opens one that went down with its node again, under the number that it had.

    `sharing` is how many share a GPU by what it asked for.
    """

    lane: int
    token: str
    sharing: int = 1


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


@dataclass(frozen=True)
class Sharing:
    """No more than so many trainings are to share a GPU."""

    number: int


News = Rung | Ended | Lost | Opened | Refused | Closed | Sharing


@dataclass
class _Open:
    """A task that has no outcome yet, and where it is under way (since when, by opening)."""

    task: Task
    since: dict[Opening, float] = field(default_factory=dict)
    answers: dict[int, asyncio.Future[bool]] = field(default_factory=dict)  # by epoch: copies of a job get one answer

    def stop(self) -> None:
        """Has whoever waits for an answer go no further."""
        for answer in self.answers.values():
            if not answer.done():
                answer.set_result(False)


@dataclass
class _Lane:
    """What is known of a lane: how it was last opened, on which node (by its id), what it was given, in which call."""

    opening: Opening | None = None
    node: str = ""
    call: int = 0
    given: tuple[Task, ...] = ()
    over: bool = False
    gone: bool = False  # which the driver knows


@dataclass(frozen=True)
class Leave:
    """A lane gets no more jobs, for its node is about to go or it needs more of a GPU; nor is it to become another."""


class Desk:
    """What lanes and driver have in common; an actor whose methods run on one event loop, so nothing is locked.

    Every job comes to an outcome once, however many lanes train it and whichever of them is thought dead: the first
    outcome is the job's. A lane that finds no job within `patience` seconds is closed.

    Whoever calls cannot know what became of a call that was cut off, so each can be repeated: its second time changes
    nothing, and is answered as the first.

    >>> from nas.runs.job import Job
    >>> async def demo():
    ...     desk, opening = Desk(patience=0), Opening(0, "as it was first opened")
    ...     await desk.submit(1, [Task(7, Job({}, "a1", 0.01, 0, 1))])
    ...     await desk.opened(opening, "node", {})
    ...     (task,) = await desk.next(opening, 1)
    ...     await desk.done(opening, task, Outcome("complete"))
    ...     news = await desk.news(0, 1)
    ...     return task.number, await desk.next(opening, 2), [type(each).__name__ for each in news]
    >>> asyncio.run(demo())
    (7, None, ['Opened', 'Ended'])
    """

    def __init__(self, patience: float = 60.0, bundle: int = 1) -> None:
        self.patience, self._bundle = patience, bundle
        self._queue: deque[Task] = deque()
        self._open: dict[int, _Open] = {}
        self._lanes: defaultdict[int, _Lane] = defaultdict(_Lane)
        self._draining: set[str] = set()  # nodes
        self._submitted = 0
        self._slowest = 0.0  # seconds an epoch
        self._sharing = MOST
        self._news: list[News] = []
        self._known = 0  # news that the driver has, which are forgotten here
        self._changed = asyncio.Condition()

    async def submit(self, call: int, tasks: Sequence[Task], first: bool = False) -> None:
        """Takes jobs in; one that was lost comes first. Calls are numbered from 1."""
        if call <= self._submitted:
            return
        self._submitted = call
        for task in tasks:
            self._open[task.number] = _Open(task)
            (self._queue.appendleft if first else self._queue.append)(task)
        await self._wake()

    async def answer(self, number: int, epoch: int, go_on: bool) -> None:
        """Says whether a job goes on after a rung."""
        answer = self._open[number].answers.get(epoch) if number in self._open else None
        if answer and not answer.done():
            answer.set_result(go_on)

    async def news(self, known: int, timeout: float) -> list[News]:
        """What the driver has to know beyond the first `known` of all news, as soon as there is something.

        Empty after `timeout` seconds. What is known is forgotten.
        """
        del self._news[: known - self._known]
        self._known = known
        await self._until(lambda: bool(self._news), timeout)
        return list(self._news)

    async def drain(self, nodes: set[str]) -> None:
        """These nodes, by their ids, are about to go: what is under way there may end, and nothing is begun."""
        self._draining = nodes
        await self._wake()

    async def share(self, number: int) -> None:
        """No more than so many trainings are to share a GPU: lanes that asked for less of one get no more jobs."""
        if number < self._sharing:
            self._sharing = number
            await self._tell(Sharing(number))

    async def opened(self, opening: Opening, node: str, versions: dict[str, str], node_id: str = "") -> None:
        """A lane is ready, unless it was given up meanwhile; what it had when it was opened before is lost."""
        lane = self._lanes[opening.lane]
        if lane.over or lane.opening == opening:
            return
        before, lane.opening, lane.node, lane.call = lane.opening, opening, node_id, 0
        if before:
            await self._lose(opening.lane, "its node was drained")
        await self._tell(Opened(opening.lane, node, versions))

    async def refused(self, lane: int, node: str, outcome: Outcome) -> None:
        """A lane cannot be."""
        if not self._lanes[lane].over:
            self._lanes[lane].over = True
            await self._tell(Refused(lane, node, outcome))

    async def gone(self, lane: int, cause: str, sharing: int = 1) -> None:
        """A lane has ended; what only it had under way is lost. One that asked for too little of a GPU was to end."""
        if self._lanes[lane].gone:
            return
        self._lanes[lane].over = self._lanes[lane].gone = True
        await self._lose(lane, cause)
        await self._tell(Closed(lane, cause if sharing <= self._sharing else ""))

    async def next(self, opening: Opening, call: int) -> tuple[Task, ...] | Leave | None:
        """A job for a lane as soon as there is one, or several to be trained as one; None ends the lane.

        A lane numbers its calls from 1.
        """
        lane, deadline = self._lanes[opening.lane], time.monotonic() + self.patience
        while not lane.over and lane.opening == opening:
            if call <= lane.call:
                return lane.given
            if self._leaves(lane):
                return Leave()
            if bundle := take_bundle(self._queue, self._bundle) if self._queue else self._straggler():
                for task in bundle:
                    self._open[task.number].since[opening] = time.monotonic()
                lane.call, lane.given = call, tuple(bundle)
                return lane.given
            left = deadline - time.monotonic()
            if left <= 0:
                lane.over = True
            else:  # a straggler becomes one by the passing of time alone
                await self._until(lambda: bool(self._queue) or lane.over or self._leaves(lane), min(left, LOOK))
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

    async def done(self, opening: Opening, task: Task, outcome: Outcome) -> None:
        """The outcome of a job, unless it has one; one for which memory was short beside others is to be done again."""
        held = self._held(task)
        if held is None:
            return
        if opening.sharing > 1 and cause_of(outcome) == OUT_OF_MEMORY:
            if held.since.pop(opening, None) is not None and not held.since:
                self._queue.appendleft(held.task)
                await self._wake()
            return
        del self._open[task.number]
        if not held.since:  # from a lane that was cut off and given up: it has been queued again
            self._queue.remove(held.task)
        held.stop()
        if outcome.state == "complete":
            self._slowest = max(self._slowest, outcome.seconds / max(task.job.epochs, 1))
        await self._tell(Ended(task.number, outcome, opening.lane))

    async def _lose(self, lane: int, cause: str) -> None:
        """What is under way in this lane alone is lost."""
        for held in list(self._open.values()):
            here = [opening for opening in held.since if opening.lane == lane]
            for opening in here:
                del held.since[opening]
            if here and not held.since:
                del self._open[held.task.number]
                held.stop()
                await self._tell(Lost(held.task.number, cause))

    def _leaves(self, lane: _Lane) -> bool:
        """Whether a lane is not to go on: its node is about to go, or it asked for too little of a GPU."""
        return lane.node in self._draining or (lane.opening is not None and lane.opening.sharing > self._sharing)

    def _held(self, task: Task) -> _Open | None:
        """What is open of a task; a later job may have its number."""
        held = self._open.get(task.number)
        return held if held and held.task == task else None

    def _straggler(self) -> list[Task]:
        """The job that is under way for longest, if that is too long and only one lane has it."""
        alone = [held for held in self._open.values() if len(held.since) == 1]
        if not alone or not self._slowest:
            return []
        oldest = min(alone, key=lambda held: min(held.since.values()))
        expected = max(STRAGGLER * self._slowest * oldest.task.job.epochs, LEAST)
        return [oldest.task] if time.monotonic() - min(oldest.since.values()) > expected else []

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
