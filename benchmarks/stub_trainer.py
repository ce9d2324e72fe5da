"""A trainer that trains nothing: what is left of a search's time is the search."""

from __future__ import annotations

import hashlib
import time

from nas.runs.job import GoOn, Job, Outcome, Score, Trainer


def make_stub(worker: int) -> Trainer:
    """The trainer of a worker process; it lives in a module of its own, which workers can import."""
    return train


def accuracy(id: str, seed: int) -> float:
    """What a training reaches: a fixed number in [0, 1) for every id and seed."""
    return int(hashlib.sha256(f"{id} {seed}".encode()).hexdigest()[:8], 16) / 2**32


def grown(job: Job, epoch: int) -> Score:
    """The same after so many epochs, growing evenly to the end."""
    reached = accuracy(job.id, job.seed) * epoch / job.epochs
    return Score(epoch, 1 - reached, reached)


def train(job: Job, report: GoOn) -> Outcome:
    """Asks at every rung whether to go on, as a training does; `seconds` leaves out the wait for the answers."""
    begun, waited = time.perf_counter(), 0.0
    reached = accuracy(job.id, job.seed)
    scores: list[Score] = []
    for epoch in (*job.rungs, job.epochs):
        scores.append(Score(epoch, 1 - reached, reached))
        asked = time.perf_counter()
        goes_on = epoch == job.epochs or report(scores[-1])
        waited += time.perf_counter() - asked
        if not goes_on:
            break
    state = "complete" if goes_on else "pruned"
    return Outcome(state, tuple(scores), (1.0,) * scores[-1].epoch, time.perf_counter() - begun - waited)
