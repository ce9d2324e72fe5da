"""Measures what a search costs beside training, a candidate: processes, proposals, rungs, results on disk.

    python benchmarks/orchestration.py

A candidate's overhead is (wall time of the search x workers - time inside training) / candidates. The trainer is a
stub, everything else is what `nas search` runs: Session, Loop, LocalWorkers and a run directory with its fsyncs.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from stub_trainer import make_stub

from einmix import Architecture
from nas.api.search import Session
from nas.executors.processes import LocalWorkers
from nas.loop.loop import Loop
from nas.loop.status import Quiet
from nas.options.search import Search
from nas.runs.result import Result
from nas.strategies.strategy import Strategy

WORKERS = 2
LAST = 20  # asks that the cost of an `ask` at a size is the median of


@dataclass
class Timed:
    """A strategy with its `ask`s and `tell`s timed, in milliseconds."""

    strategy: Strategy
    asks: list[float] = field(default_factory=list)
    tells: list[float] = field(default_factory=list)

    @property
    def ahead(self) -> bool:
        return self.strategy.ahead

    def ask(self) -> Architecture | None:
        begun = time.perf_counter()
        found = self.strategy.ask()
        self.asks.append(1000 * (time.perf_counter() - begun))
        return found

    def expect(self, architecture: Architecture) -> None:
        self.strategy.expect(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        begun = time.perf_counter()
        self.strategy.tell(architecture, result)
        self.tells.append(1000 * (time.perf_counter() - begun))


def measure(strategy: str, candidates: int) -> tuple[float, Timed]:
    """The overhead of a candidate in milliseconds, and the strategy's part in it."""
    with TemporaryDirectory(prefix="nas-orchestration-") as folder:
        options = Search(
            space="subgrid", strategy=strategy, trials=candidates, workers=WORKERS, device="cpu", runs_dir=Path(folder)
        )
        session = Session(options)
        timed = Timed(session.strategy)
        begun = time.perf_counter()
        with session.open_run() as run, LocalWorkers(make_stub, WORKERS) as executor:
            results = Loop(session.space, timed, executor, run, session.plan).explore(Quiet())
            inside = sum(result.seconds for result in results)
        wall = time.perf_counter() - begun
    assert len(results) == candidates, f"{len(results)} of {candidates} candidates"
    return 1000 * (wall * WORKERS - inside) / candidates, timed


def spread(values: list[float]) -> str:
    """Median, least and most."""
    return f"{median(values):7.2f} ms ({min(values):.2f} to {max(values):.2f}, n={len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tpe", type=int, default=100, help="candidates of the model-based search; 0 for none")
    parser.add_argument("--model", choices=["tpe", "fast-tpe"], default="tpe", help="the model-based strategy")
    arguments = parser.parse_args()
    measure("random", 20)  # imports, and the server of worker processes
    overheads: dict[int, list[float]] = {size: [] for size in arguments.sizes}
    asks: dict[int, list[float]] = {size: [] for size in arguments.sizes}
    model: list[tuple[float, Timed]] = []
    for _ in range(arguments.repeats):
        for size in arguments.sizes:
            overhead, timed = measure("random", size)
            overheads[size].append(overhead)
            asks[size].append(median(timed.asks[-LAST:]))
            print(f"random, {size}: {overhead:.2f} ms", file=sys.stderr)
        if arguments.tpe:
            model.append(measure(arguments.model, arguments.tpe))
            print(f"{arguments.model}, {arguments.tpe}: {model[-1][0]:.2f} ms", file=sys.stderr)
    for size in arguments.sizes:
        print(f"random, {size:5} candidates: overhead {spread(overheads[size])}, of which ask {spread(asks[size])}")
    if arguments.tpe:
        overhead = spread([overhead for overhead, _ in model])
        print(f"{arguments.model}, {arguments.tpe:5} candidates: overhead {overhead}")
        for done in sorted({min(32, arguments.tpe), arguments.tpe}):
            costs = [median(timed.asks[max(0, done - LAST) : done]) for _, timed in model]
            print(f"        ask after {done} results: {spread(costs)}")


if __name__ == "__main__":
    main()
