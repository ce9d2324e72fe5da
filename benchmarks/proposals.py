"""Measures how good the proposals of strategies are, where no training is needed to know it.

    python benchmarks/proposals.py --strategies tpe random --trials 200 --seeds 10

Every answer to a question of the space (`BoundSpace.encode`) has a merit of its own, fixed by a hash of both and the
landscape's number; a network's accuracy is the mean merit of its answers. With `--interact` it is the mean over pairs
of neighbouring answers, so that no answer counts by itself. One landscape a seed; all strategies see the same ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev

from einmix import Architecture
from nas.api.search import Session
from nas.loop.past import make_job
from nas.options.search import Search
from nas.runs.job import Outcome, Score, record
from nas.runs.result import Result
from search_spaces import BoundSpace

SHOWN = (32, 64, 100, 200, 500, 1000)  # trials after which the best so far is shown


def merit(space: BoundSpace, architecture: Architecture, landscape: int, interact: bool) -> float:
    """The accuracy of a network on a landscape."""
    answers = [f"{name}={answer}" for name, answer in space.encode(architecture).items()]
    terms = pairwise(answers) if interact else zip(answers)
    return fmean(_chance(" ".join((str(landscape), *term))) for term in terms)


def _chance(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def climb(strategy_name: str, seed: int, arguments: argparse.Namespace) -> tuple[list[float], float]:
    """The best accuracy after every trial, and the processor's seconds in `ask` and `tell`."""
    session = Session(
        Search(space=arguments.space, strategy=strategy_name, trials=arguments.trials, seed=seed, device="cpu")
    )
    strategy, best, seconds = session.strategy, [0.0], 0.0
    for number in range(arguments.trials):
        begun = time.process_time()
        architecture = strategy.ask()
        seconds += time.process_time() - begun
        assert architecture is not None
        accuracy = merit(session.space, architecture, seed, arguments.interact)
        job = make_job(architecture, 0.01, seed, 1, "search")
        outcome = Outcome("complete", (Score(1, 1 - accuracy, accuracy),), seconds=1.0)
        costs = {"params": architecture.params, "macs": architecture.macs}
        result = Result.from_line(record(job, outcome, **costs, number=number))
        begun = time.process_time()
        strategy.tell(architecture, result)
        seconds += time.process_time() - begun
        best.append(max(best[-1], accuracy))
    return best[1:], seconds


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{fmean(values):.4f} ± {stdev(values) if len(values) > 1 else 0:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--strategies", nargs="+", default=["tpe", "fast-tpe", "random"])
    parser.add_argument("--space", default="subgrid")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed, to share seeds between processes")
    parser.add_argument("--interact", action="store_true")
    parser.add_argument("--json", action="store_true", help="every curve as a JSON line")
    arguments = parser.parse_args()
    for name in arguments.strategies:
        runs = [climb(name, seed, arguments) for seed in range(arguments.first, arguments.first + arguments.seeds)]
        if arguments.json:
            for curve, seconds in runs:
                print(json.dumps({"strategy": name, "seconds": seconds, "best": curve}), flush=True)
            continue
        shown = [n for n in SHOWN if n <= arguments.trials]
        print(f"{name}: ask and tell {1000 * fmean(s for _, s in runs) / arguments.trials:.1f} ms of CPU a trial")
        for n in shown:
            print(f"    best of {n:4}: {spread([curve[n - 1] for curve, _ in runs])} (n={len(runs)})")


if __name__ == "__main__":
    main()
