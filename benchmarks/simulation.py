"""Simulates a search on hundreds of workers: are they busy, and what does the driver take a candidate?

    python benchmarks/simulation.py --candidates 10000 --workers 500 --strategy random

Loop, strategy, space, rungs and the run directory with its fsyncs are the real ones. Simulated are the workers: a
network takes the seconds of a training of a recorded search, which one is fixed by a hash of its id; its accuracy is
another hash. The driver's real seconds pass on the virtual clock too: all of them, or with `--charge cpu` those of the
processor, and of the disk where results are appended, as if nothing else ran on this machine; with `--charge nothing`
none, and then the makespan has a bound that holds exactly.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table
from stub_trainer import grown

from nas.api.search import Session
from nas.loop.loop import Loop
from nas.loop.status import Quiet
from nas.options.search import Search
from nas.runs.folder import RunFolder
from nas.runs.job import Job
from nas.strategies import STRATEGIES
from nas.tabular.simulated import Cluster, Simulated, utilisation

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "runs" / "records" / "seconds-macro-digits.txt"
PARTS = ("ask", "tell", "append", "rungs", "rest")
SIMULATION = "simulation"
WIDTH = 120


class Meter:
    """Seconds, the wall's and the processor's, by what they were spent on and by how many candidates were done.

    What is timed within something timed counts for itself alone.
    """

    def __init__(self) -> None:
        self.done = 0
        self.wall: dict[str, Counter[int]] = defaultdict(Counter)
        self.cpu: dict[str, Counter[int]] = defaultdict(Counter)
        self.calls: dict[str, Counter[int]] = defaultdict(Counter)
        self.charged = {"wall": 0.0, "cpu": 0.0, "nothing": 0.0}
        self._at, self._cpu_at = time.perf_counter(), time.process_time()
        self._stack = ["rest"]

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, timed under this name."""

        def timing(*arguments: Any, **options: Any) -> Any:
            self.look()
            self._stack.append(name)
            self.calls[name][self.done] += 1
            try:
                return call(*arguments, **options)
            finally:
                self.look()
                self._stack.pop()

        return timing

    def look(self) -> dict[str, float]:
        """The seconds so far that the driver of real workers would have taken as well, by what is charged."""
        now, cpu_now = time.perf_counter(), time.process_time()
        self.wall[self._stack[-1]][self.done] += now - self._at
        self.cpu[self._stack[-1]][self.done] += cpu_now - self._cpu_at
        if self._stack[-1] != SIMULATION:
            self.charged["wall"] += now - self._at
            self.charged["cpu"] += now - self._at if self._stack[-1] == "append" else cpu_now - self._cpu_at
        self._at, self._cpu_at = now, cpu_now
        return self.charged

    def milliseconds(self, clock: dict[str, Counter[int]], name: str, first: int, last: int) -> float:
        """A candidate's mean cost between these numbers of candidates done; proposals are ahead of what is done."""
        spent, calls = (sum(what[name][done] for done in range(first, last)) for what in (clock, self.calls))
        return 1000 * spent / ((calls if name == "ask" else 0) or last - first)


class Counting(Quiet):
    """A watcher that tells the meter how many candidates are done."""

    def __init__(self, meter: Meter):
        self.meter = meter

    def show(self, status: Any) -> None:
        self.meter.done = status.done


def recorded(run: Path | None) -> list[float]:
    """The seconds of a run's candidates, as if none had been pruned; of the committed record without a run."""
    if run is None:
        lines = RECORD.read_text(encoding="utf-8").splitlines()
        return [float(word) for line in lines if not line.startswith("#") for word in line.split()]
    results = [result for result in RunFolder(run).results() if result.phase == "search" and result.score]
    if not results:
        sys.exit(f"{run} holds no candidate that was trained")
    return [result.seconds * result.epochs / result.scores[-1].epoch for result in results]


def replay(seconds: Sequence[float]) -> Callable[[Job], float]:
    """The seconds of a job: those of a recorded training that its id chooses."""
    return lambda job: seconds[int(hashlib.sha256(f"seconds {job.id}".encode()).hexdigest()[:8], 16) % len(seconds)]


def simulate(arguments: argparse.Namespace, seconds: Sequence[float]) -> tuple[Simulated, Loop, Meter]:
    """One search over simulated workers, without its finals."""
    cluster = Cluster(
        arguments.workers,
        stragglers=round(arguments.stragglers * arguments.workers),
        loss=arguments.loss,
        seed=arguments.seed,
    )
    with TemporaryDirectory(prefix="nas-simulation-", dir=arguments.folder) as folder:
        options = Search(
            space=arguments.space,
            strategy=arguments.strategy,
            trials=arguments.candidates,
            seed=arguments.seed,
            device="cpu",
            runs_dir=Path(folder),
        )
        session = Session(options)
        strategy = session.strategy
        with session.open_run() as run:
            meter = Meter()
            executor = Simulated(cluster, replay(seconds), grown, lambda: meter.look()[arguments.charge])
            search = Loop(session.space, strategy, executor, run, session.plan)
            wait = executor.wait
            executor.wait = meter.timed(  # type: ignore[method-assign]
                SIMULATION, lambda on_rung, timeout=None: wait(meter.timed("rungs", on_rung), timeout)
            )
            executor.submit = meter.timed(SIMULATION, executor.submit)  # type: ignore[method-assign]
            strategy.ask = meter.timed("ask", strategy.ask)  # type: ignore[method-assign]
            strategy.tell = meter.timed("tell", strategy.tell)  # type: ignore[method-assign]
            run.append = meter.timed("append", run.append)  # type: ignore[method-assign]
            search.explore(Counting(meter))
            meter.look()
    return executor, search, meter


def table(meter: Meter, candidates: int) -> Table:
    """What a candidate costs the driver, tenth by tenth."""
    shown = Table("candidates", *PARTS, "all", "CPU: ask", "all", title="driver, milliseconds a candidate")
    for tenth in range(10):
        first, last = tenth * candidates // 10, (tenth + 1) * candidates // 10
        wall, cpu = ([meter.milliseconds(of, part, first, last) for part in PARTS] for of in (meter.wall, meter.cpu))
        shown.add_row(f"{first + 1:,} to {last:,}", *(f"{cost:.2f}" for cost in [*wall, sum(wall), cpu[0], sum(cpu)]))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=500)
    parser.add_argument("--strategy", choices=STRATEGIES, default="random")
    parser.add_argument("--space", default="subgrid")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, help="the directory of a run whose seconds are replayed")
    parser.add_argument("--stragglers", type=float, default=0.0, help="share of workers that are 5 times slower")
    parser.add_argument("--loss", type=float, help="mean seconds between losses of a worker")
    parser.add_argument("--charge", choices=["wall", "cpu", "nothing"], default="wall", help="the driver's seconds")
    parser.add_argument("--folder", type=Path, help="where the run is written; its fsyncs are part of the cost")
    arguments = parser.parse_args()
    seconds = recorded(arguments.run)
    begun = time.perf_counter()
    executor, search, meter = simulate(arguments, seconds)
    wall = time.perf_counter() - begun
    used, states = utilisation(executor), Counter(result.state for result in search.results.values())
    print(
        f"{arguments.strategy}, {arguments.candidates:,} candidates, {arguments.workers} workers, "
        f"seed {arguments.seed}; {len(seconds)} recorded trainings of {min(seconds):.1f} to {max(seconds):.1f} s, "
        f"median {median(seconds):.1f}, mean {fmean(seconds):.1f}"
    )
    ended = ", ".join(f"{n:,} {state}" for state, n in sorted(states.items()))
    print(f"{ended}; workers lost {executor.lost:,} times")
    print(f"workers busy {used.busy:.2%} of the time until the last candidate is handed out")
    print(
        f"makespan {used.makespan:,.1f} virtual seconds, {used.makespan / used.bound:.2%} of "
        f"work / workers + longest = {used.bound:,.1f}"
    )
    print(f"driver at work {meter.charged['wall']:.1f} s, charged {arguments.charge}: ", end="")
    print(f"{meter.charged[arguments.charge] / used.makespan:.1%} of the makespan; {wall:.1f} s in all")
    Console(width=WIDTH).print(table(meter, arguments.candidates))


if __name__ == "__main__":
    main()
