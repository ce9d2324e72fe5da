"""Trainings under way in an executor, whose results are kept in the run once it is clear that they are results."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf

from einmix import Architecture
from nas.errors import NasError, counted
from nas.executors.executor import WORN, Done, Executor, OnRung, Row, Unfinished, cause_of, is_device_fault
from nas.loop.past import DIVERGED, of_a_kind, settled
from nas.loop.status import Status, Watcher
from nas.runs.folder import RunFolder
from nas.runs.job import Job, Key, Score, record
from nas.runs.result import Result
from nas.runs.storage import Storage

POLL = 1.0
"""Seconds after which whoever waits looks up, so that a live display moves."""

ROW = 5
"""So many different networks that fail in a row of one cause are not to blame for it."""

Work = Sequence[tuple[Job, Architecture]]


class Trainings:
    """Jobs that an executor was given and of which nothing is kept; `past` are the results that the run holds already.

    A failure is held back until it is clear whose it is. What succeeds next on its worker, or fails of another cause,
    makes it the network's own. When the worker was replaced, since one job after the other failed or its device was
    lost, it is tried again. Where `ROW` different networks fail of one cause, with nothing in between on that worker or
    on all, it is no network's: that is an error, and nothing of it is kept. It takes so many more as have been shown to
    fail of that cause by themselves.
    `unfinished` are those that the infrastructure kept from their end, and that were not done later: of them nothing is
    kept.
    """

    def __init__(self, executor: Executor, run: RunFolder, past: Sequence[Result], storage: Storage | None = None):
        self._executor, self.run, self._storage = executor, run, storage
        self._jobs: dict[int, tuple[Job, Architecture]] = {}
        self._number = max((result.number for result in past), default=-1) + 1
        self.unfinished: dict[Key, Unfinished] = {}
        self._held: dict[int, list[Done]] = defaultdict(list)  # failures, by worker
        self._again: set[int] = set()  # jobs that failed and are, or were, tried again, by number
        self._rows: dict[int | None, Row] = defaultdict(Row)  # by worker, and of all
        self._own: Counter[str] = Counter()  # failures that were the networks' own, by cause
        self._answers: dict[int, dict[int, bool]] = defaultdict(dict)  # by number and epoch: nobody is asked twice

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def under_way(self) -> int:
        """How many the executor has; the others are failures that are held back."""
        return len(self._jobs) - sum(map(len, self._held.values()))

    def network(self, number: int) -> Architecture:
        """What is trained under a number."""
        return self._jobs[number][1]

    def submit(self, *work: tuple[Job, Architecture]) -> None:
        """Gives the executor jobs, under the next numbers; it may train as one what it is given at once."""
        first, self._number = self._number, self._number + len(work)
        self._jobs |= enumerate(work, first)
        self._executor.submit(first, *(job for job, _ in work))

    def completed(self, wanted: Work, watcher: Watcher, status: Status, *, tries: float = inf) -> dict[Key, Result]:
        """The results of jobs of the status' phase, but for those that could not be brought to an end.

        Those are trained that have no line in the run yet, and those that failed fewer than so many times.
        """
        past = settled(self.run.results(), tries)
        known = of_a_kind({job.key for job, _ in wanted}, past, self.run, status, watcher)
        new = {job.key: (job, architecture) for job, architecture in wanted if job.key not in known}
        status.total += len(known) + len(new)
        status.reuse(known.values())
        watcher.show(status)
        if new:
            self.submit(*new.values())
        while self:
            ended = self.advance(lambda number, score: True, watcher, status)
            known |= {result.key: result for result, _ in ended}
        return {job.key: known[job.key] for job, _ in wanted if job.key in known}

    def advance(self, on_rung: OnRung, watcher: Watcher, status: Status) -> list[tuple[Result, Architecture]]:
        """The results of what ends within a second, counted and shown."""
        status.running = min(self.under_way, self._executor.capacity)
        watcher.show(status)
        before = len(self)
        ended = self.wait(on_rung, timeout=POLL)
        status.total -= before - len(self) - len(ended)
        for result, _ in ended:
            status.count(result)
            status.running = min(self.under_way, self._executor.capacity)
            watcher.show(status)
        return ended

    def wait(self, on_rung: OnRung, timeout: float | None = None) -> list[tuple[Result, Architecture]]:
        """The results of what has ended, on disk; see `Executor.wait`.

        With nothing under way there is nothing more to come that could tell whose the failures are.
        Raises NasError for one cause of failures that is no network's.
        """
        if not self.under_way:
            return self._settle()

        def answer(number: int, score: Score) -> bool:
            known = self._answers[number]
            if score.epoch not in known:
                known[score.epoch] = on_rung(number, score)
            return known[score.epoch]

        results = []
        for event in self._executor.wait(answer, timeout):
            if isinstance(event, Done):
                results += [self._keep(done) for done in self._judge(event)]
            elif isinstance(event, Unfinished):
                self.unfinished[self._jobs.pop(event.number)[0].key] = event
            elif self._is_suspect(event.worker):
                self._try_again(event.worker)
        return results

    def _judge(self, done: Done) -> list[Done]:
        """What is clear now that a job has ended."""
        job, _ = self._jobs[done.number]
        held = self._held[done.worker]
        if done.outcome.state != "failed" or (job.phase == "tune" and done.outcome.reason.startswith(DIVERGED)):
            for each in (done.worker, None):
                self._rows[each] = Row()
            del self._held[done.worker]
            return [*held, done]
        cause = cause_of(done.outcome)
        longest = max(self._rows[each].take(job.id, done.outcome) for each in (done.worker, None))
        if longest >= ROW + self._own[cause]:
            raise NasError(
                f"{longest} different networks in a row failed of one cause ({done.outcome.reason}), so it is none of "
                "theirs: nothing of it is recorded, and when it is mended the same command goes on"
            )
        same = [each for each in held if cause_of(each.outcome) == cause]
        self._held[done.worker] = [*same, done]
        return [each for each in held if each not in same]

    def _is_suspect(self, worker: int) -> bool:
        """Whether the failures held of a worker may well be its own."""
        held = self._held[worker]
        return len({self._jobs[done.number][0].id for done in held}) >= WORN or any(
            is_device_fault(done.outcome) for done in held
        )

    def _try_again(self, worker: int) -> bool:
        """Submits anew what is held of a worker, each job once; whether there was any."""
        new = [done for done in self._held[worker] if done.number not in self._again]
        self._held[worker] = [done for done in self._held[worker] if done not in new]
        for done in new:
            self._again.add(done.number)
            self._executor.submit(done.number, self._jobs[done.number][0])
        return bool(new)

    def _settle(self) -> list[tuple[Result, Architecture]]:
        """Tries again what may be a worker's fault; else what is held is the networks' own."""
        tried = [self._try_again(worker) for worker in list(self._held) if self._is_suspect(worker)]
        if any(tried):
            return []
        held = [done for each in self._held.values() for done in each]
        self._held.clear()
        return [self._keep(done) for done in held]

    def _keep(self, done: Done) -> tuple[Result, Architecture]:
        job, architecture = self._jobs.pop(done.number)
        self._answers.pop(done.number, None)
        self.unfinished.pop(job.key, None)
        if cause := cause_of(done.outcome):
            self._own[cause] += 1
        return keep(self.run, job, architecture, done, self._storage), architecture

    @property
    def complaint(self) -> str:
        """What is unfinished, in a line; empty where nothing is."""
        causes = Counter(event.cause for event in self.unfinished.values())
        if not causes:
            return ""
        of = counted(causes.total(), "training")
        why = "; ".join(f"{times} x {cause}" if len(causes) > 1 else cause for cause, times in causes.most_common(3))
        return f"{of} could not be brought to an end ({why}): nothing is recorded, the same command goes on with it"


def keep(run: RunFolder, job: Job, architecture: Architecture, done: Done, storage: Storage | None = None) -> Result:
    """Puts a finished training on disk, its weights before its line: from here on it is not repeated."""
    if job.weights and done.outcome.weights:
        run.save_weights(job, done.outcome.weights)
    facts = {"params": architecture.params, "macs": architecture.macs, "number": done.number, "worker": done.worker}
    result = run.append(record(job, done.outcome, **facts))
    if storage is not None:
        storage.drop(job.key)
    return result


@contextmanager
def trainings_in(run: RunFolder, executor: Callable[[Storage], Executor], watcher: Watcher) -> Iterator[Trainings]:
    """Trainings of a run outside its search, in an executor that keeps those under way in a storage.

    At the end it is said which could not be brought to an end.
    """
    storage = run.storage()
    with executor(storage) as trainer:
        trainings = Trainings(trainer, run, run.results(), storage)
        yield trainings
    if trainings.complaint:
        watcher.say(trainings.complaint)
    for result in run.results():
        if result.state != "failed":
            storage.drop(result.key)  # a kill can come between a line and this
    storage.tidy()
