"""An executor without workers: jobs take seconds of a virtual clock, and come to scores that are known."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Self

from nas.executors.executor import Done, Event, OnRung, Ready
from nas.runs.job import Job, Outcome, Score, State

RETRIES = 2


@dataclass(frozen=True)
class Cluster:
    """What is simulated: the first `stragglers` of the workers take `slowdown` times as long.

    `loss` is the mean time, in virtual seconds, between losses of one worker. A lost worker is replaced at once; its
    job begins anew, on the next worker that is free, twice at most.
    """

    workers: int
    stragglers: int = 0
    slowdown: float = 5.0
    loss: float | None = None
    seed: int = 0


@dataclass
class _Task:
    number: int
    job: Job
    seconds: float
    answers: dict[int, bool] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    epoch: int = 0
    stop: int = 0  # the rung or end that it is on its way to
    coming: Score | None = None  # what it comes to there; None where it fails before
    lost: int = 0


@dataclass
class _Worker:
    index: int
    slowness: float
    lost_at: float
    task: _Task | None = None
    began: float = 0.0  # with what it does now


class Simulated:
    """The executor of a simulated cluster; like that of local workers it serves whatever has happened meanwhile.

    `seconds` says how long a job takes on a worker that is no straggler, `score` what it comes to after so many epochs
    (None where it fails), `losses` its training losses. `clock` counts the seconds that the driver
    has been at work: they pass on the virtual clock too, and workers that have come to a rung or to their end wait
    for it. Without it the driver takes no time.

    `spans` holds from when to when, and at which job, a worker was at work; `handed_out` is when the last job was
    first given to one; `now` is the virtual time.
    """

    def __init__(
        self,
        cluster: Cluster,
        seconds: Callable[[Job], float],
        score: Callable[[Job, int], Score | None],
        clock: Callable[[], float] = lambda: 0.0,
        losses: Callable[[Job], Sequence[float]] = lambda job: (),
    ):
        self.capacity = cluster.workers
        self.now = self.handed_out = 0.0
        self.spans: list[tuple[float, float, int]] = []
        self.lost = 0
        self._cluster, self._seconds, self._clock, self._rng = cluster, seconds, clock, Random(cluster.seed)
        self._score, self._losses = score, losses
        self._charged = clock()
        self._queue: deque[_Task] = deque()
        self._coming: list[tuple[float, int, bool]] = []  # a heap: when, at which worker, whether it is lost
        self._workers = [
            _Worker(i, cluster.slowdown if i < cluster.stragglers else 1.0, self._next_loss())
            for i in range(cluster.workers)
        ]
        self._idle = deque(self._workers)
        self._started = False

    def submit(self, number: int, *jobs: Job) -> None:
        """See `Executor.submit`."""
        self._queue += [_Task(at, job, self._seconds(job)) for at, job in enumerate(jobs, number)]

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[Event]:
        """See `Executor.wait`; the timeout is one of the virtual clock."""
        self._charge()
        self._feed()
        if not self._started:
            self._started = True
            return [Ready(worker.index) for worker in self._workers]
        if not self._coming:
            return []
        if timeout is not None and self._coming[0][0] > self.now + timeout:
            self.now += timeout
            return []
        self.now = until = max(self.now, self._coming[0][0])
        events: list[Event] = []
        while self._coming and self._coming[0][0] <= until:
            at, index, lost = heapq.heappop(self._coming)
            worker = self._workers[index]
            task = worker.task
            assert task is not None
            self.spans.append((worker.began, at, task.number))
            outcome = self._lose(worker, task) if lost else self._advance(worker, task, on_rung)
            if outcome is not None:
                events.append(Done(task.number, outcome, index))
        self._feed()
        return events

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.clear()
        self._coming.clear()

    def _charge(self) -> None:
        """Lets pass what the driver has taken since."""
        charged = self._clock()
        self.now += charged - self._charged
        self._charged = charged

    def _feed(self) -> None:
        while self._queue and self._idle:
            worker, task = self._idle.popleft(), self._queue.popleft()
            worker.task, task.epoch = task, 0
            task.scores.clear()
            if not task.lost:
                self.handed_out = self.now
            while worker.lost_at <= self.now:  # it was lost while it had nothing to do
                worker.lost_at += self._next_loss()
            self._go_on(worker, task)

    def _go_on(self, worker: _Worker, task: _Task) -> None:
        """The worker trains from now to the next rung or to the end, if it isn't lost before."""
        epochs = task.job.epochs
        task.stop = next(epoch for epoch in (*task.job.rungs, epochs) if epoch > task.epoch)
        task.coming = self._score(task.job, task.stop)
        until = epochs if task.coming is None else task.stop  # all the seconds of a failed one led to its failure
        share = (until - task.epoch) / epochs
        arrival = self.now + share * task.seconds * worker.slowness
        worker.began = self.now
        heapq.heappush(self._coming, (min(arrival, worker.lost_at), worker.index, worker.lost_at < arrival))

    def _advance(self, worker: _Worker, task: _Task, on_rung: OnRung) -> Outcome | None:
        """At a rung or at the end; the outcome, where that is the end of the job."""
        epochs, score = task.job.epochs, task.coming
        task.epoch = epoch = task.stop
        if score is None:
            self._free(worker)
            seconds = task.seconds * worker.slowness
            return Outcome("failed", reason=f"failed when it was recorded: {task.job.id}", seconds=seconds)
        task.scores.append(score)
        if epoch < epochs:
            if epoch not in task.answers:
                task.answers[epoch] = on_rung(task.number, score)
                self._charge()
            if task.answers[epoch]:
                self._go_on(worker, task)
                return None
        self._free(worker)
        seconds = task.seconds * worker.slowness * epoch / epochs
        state: State = "complete" if epoch == epochs else "pruned"
        return Outcome(state, tuple(task.scores), tuple(self._losses(task.job)[:epoch]), seconds=seconds)

    def _lose(self, worker: _Worker, task: _Task) -> Outcome | None:
        """The worker's end; that of its job too, where it has happened to it too often."""
        self.lost += 1
        worker.lost_at += self._next_loss()
        self._free(worker)
        task.lost += 1
        if task.lost > RETRIES:
            return Outcome("failed", reason=f"lost with its worker {task.lost} times")
        self._queue.appendleft(task)
        return None

    def _free(self, worker: _Worker) -> None:
        worker.task = None
        self._idle.append(worker)

    def _next_loss(self) -> float:
        return float("inf") if self._cluster.loss is None else self._rng.expovariate(1 / self._cluster.loss)


@dataclass(frozen=True)
class Utilisation:
    """How well a simulated cluster was used, in virtual seconds.

    `busy` is the share of the workers' time that they were at work, from the start until the last job was handed out;
    `bound` is the makespan that no order of the jobs can exceed, as long as no worker idles while a job waits: all work
    shared equally and then the longest job (Graham, 1966), each with what was lost of it.
    """

    busy: float
    makespan: float
    bound: float


def utilisation(executor: Simulated) -> Utilisation:
    """Of an executor whose jobs have all ended."""
    end = executor.handed_out
    jobs: dict[int, float] = {}
    for began, ended, number in executor.spans:
        jobs[number] = jobs.get(number, 0.0) + ended - began
    until_end = sum(min(ended, end) - min(began, end) for began, ended, _ in executor.spans)
    bound = sum(jobs.values()) / executor.capacity + max(jobs.values())
    return Utilisation(
        busy=until_end / (end * executor.capacity) if end else 1.0,
        makespan=max(ended for _, ended, _ in executor.spans),
        bound=bound,
    )
