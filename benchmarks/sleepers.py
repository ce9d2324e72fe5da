"""A search on many real Ray workers whose trainings sleep as long as recorded ones took: are the workers busy?

    python benchmarks/sleepers.py --workers 32 --candidates 640

Everything is real but the trainings: Session, Loop, the run directory, the driver's pipe, Tune, the desk, a process a
worker. So many workers on few cores take a while to open, since each imports Ray; busy is counted from when all have.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from simulation import recorded, replay
from stub_trainer import train

from nas.api.search import Session
from nas.executors.cluster.messages import LOCAL, Settings
from nas.executors.cluster.workers import RayWorkers
from nas.loop.loop import Loop
from nas.loop.status import Quiet
from nas.options.search import Search
from nas.runs.job import GoOn, Job, Outcome, Score, Trainer


@dataclass(frozen=True)
class Sleepers:
    """Makes trainers that sleep `scale` times the seconds of a recorded training, rungs included."""

    seconds: tuple[float, ...]
    scale: float

    def __call__(self, worker: int) -> Trainer:
        return self.train

    def train(self, job: Job, report: GoOn) -> Outcome:
        """What the stub trainer learns, with the time of a training before every answer and before the end."""
        begun, epoch = time.time(), self.scale * replay(self.seconds)(job) / job.epochs

        def asleep(score: Score) -> bool:
            time.sleep(max(begun + score.epoch * epoch - time.time(), 0))
            return report(score)

        outcome = train(job, asleep)
        time.sleep(max(begun + outcome.scores[-1].epoch * epoch - time.time(), 0))
        ended = time.time()
        return replace(outcome, seconds=ended - begun, extra={"pid": os.getpid(), "begun": begun, "ended": ended})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=640)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--scale", type=float, default=0.2, help="of the recorded seconds")
    parser.add_argument("--strategy", default="random")
    arguments = parser.parse_args()
    sleepers = Sleepers(tuple(recorded(None)), arguments.scale)
    with TemporaryDirectory(prefix="nas-sleepers-") as folder:
        options = Search(
            strategy=arguments.strategy, trials=arguments.candidates, device="cpu", runs_dir=Path(folder), seed=0
        )
        session = Session(options)
        settings = Settings(LOCAL, workers=arguments.workers, cpus=arguments.workers)
        with session.open_run() as run, RayWorkers(sleepers, settings, say=print) as executor:
            search = Loop(session.space, session.strategy, executor, run, session.plan)
            search.explore(Quiet())
            results = run.results()
    spans = [tuple(result.extra[fact] for fact in ("pid", "begun", "ended")) for result in results]
    first = {worker: min(begun for other, begun, _ in spans if other == worker) for worker, _, _ in spans}
    opened, last = max(first.values()), max(begun for _, begun, _ in spans)
    busy = sum(max(min(ended, last) - max(begun, opened), 0) for _, begun, ended in spans)
    left = sum(max(ended - max(begun, opened), 0) for _, begun, ended in spans)
    bound = left / len(first) + max(ended - begun for _, begun, ended in spans)
    print(f"{len(results)} candidates, {len(first)} workers, open after {opened - min(first.values()):.0f} s")
    print(f"from then to the last candidate's start, {last - opened:.0f} s, workers were busy for", end=" ")
    print(f"{busy / (last - opened) / len(first):.1%}")
    print(f"makespan from then on {max(ended for *_, ended in spans) - opened:.1f} s, work / W + longest {bound:.1f} s")


if __name__ == "__main__":
    import sleepers  # by its name, under which workers find it

    sleepers.main()
