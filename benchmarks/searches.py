"""What real searches find for what they cost, by strategy and rungs.

    python benchmarks/searches.py                                # 10 searcher seeds on digits: hours of two cores
    python benchmarks/searches.py --data mnist1d --seeds 5
    python benchmarks/searches.py --quick                        # 2 seeds of 3 methods: minutes

Searches of `subgrid` and `mixed` at one learning rate, 64 candidates each; it is looked at what they would choose after
16 and 32 as well. Two methods draw 320 networks and train the first 32 of an order of them: of their losses after one
epoch, which costs as much as 16 trainings, or of their parameters. The best three by validation are trained again with
three other seeds (alike for all); their figures are mean losses on the part that judges, on which nothing was chosen:
of the first, and of the one of the three that has the least validation loss then, as finals would have it. *Regret* is
how far that is above the least that any search with the same seed, which splits the data alike, has come to; the latter
is also compared search by search, with a standard error. The cost is in epochs, in units of a full training. Every
search is a run in `runs/searches/`, trained once: the same command goes on.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from methods import BEFORE, METHODS

from einmix import Architecture
from nas.api.search import Session
from nas.executors.serial import Serial
from nas.loop.loop import Loop
from nas.loop.past import make_job
from nas.loop.status import Quiet, Status
from nas.loop.trainings import Trainings
from nas.options.search import Search
from nas.ranking.objectives import Quality, merit
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS
from nas.runs.result import Result
from nas.strategies.strategy import Started
from nas.training.worker import MakeTrainer

RUNS = Path("runs/searches")
SPACES = ("subgrid", "mixed")
LOOKS = (16, 32, 64)
"""Candidates after which it is looked at what a search would choose."""
SEEDS = FINALISTS = 3
LR = 0.015
DRAWS = 320
ORDERED = ONE_EPOCH, LARGEST = "one epoch of all, then the best", "largest first"


@dataclass(frozen=True)
class Found:
    """What a search has after so many candidates: full trainings spent, and losses that judge what it chose."""

    space: str
    method: str
    seed: int
    candidates: int
    spent: float
    loss: float
    chosen: float
    accuracy: float


def search(data: str, space: str, method: str, seed: int, trials: int) -> list[Found]:
    """One search and what it chose, trained or read back."""
    torch.set_num_threads(1)
    session = Session(
        Search(space=space, data=data, lr=LR, trials=trials, seed=seed, device="cpu", workers=0, patch=(2,))
    )
    ordered, epochs = method in ORDERED, session.recipe.epochs
    way = METHODS["random, no rungs" if ordered else method]
    trials = min(trials, LOOKS[1]) if ordered else trials
    plan = way.plan(trials, epochs, LR, seed)
    name = f"{data}-{space}-{method.replace(', ', '_').replace(' ', '-')}-{seed}"
    settings = {"data": data, "space": space, "method": vars(way) | {"rungs": list(way.rungs)}, "seed": seed, "lr": LR}
    make = MakeTrainer(session.dataset, session.recipe, "cpu")
    strategy = way.make(session.space, session.budget, seed)
    if ordered:
        settings |= {"order": method, "draws": DRAWS}
    if method == LARGEST:
        draws = [drawn for _ in range(DRAWS) if (drawn := strategy.ask())]
        strategy = Started(strategy, sorted(draws, key=lambda network: -network.params))
    elif method == ONE_EPOCH:
        one = replace(plan, trials=DRAWS, rungs=(1,), eta=inf, grace=0)  # all are stopped there
        with RunFolder.create_or_open(RUNS, f"{name}-all", settings) as run, Serial(make) as executor:
            stopped = Loop(session.space, strategy, executor, run, one).explore(Quiet())
        stopped.sort(key=lambda result: result.score.loss if result.score else inf)
        strategy = Started(strategy, [Architecture.from_json(result.architecture) for result in stopped])
    with RunFolder.create_or_open(RUNS, name, settings) as run, Serial(make) as executor:
        loop = Loop(session.space, strategy, executor, run, plan)
        results = sorted(loop.explore(Quiet()), key=lambda result: result.number)
        looks = {n: best(results[:n], way.order) for n in LOOKS if n <= trials}
        chosen = [each for look in looks.values() for each in look]
        wanted = {each.id: Architecture.from_json(each.architecture) for each in chosen}
        first = FIRST_SEEDS["final"] + 1000
        jobs = [
            (make_job(each, LR, first + n, epochs, "final"), each) for each in wanted.values() for n in range(SEEDS)
        ]
        finals: dict[str, list[Result]] = defaultdict(list)
        trainings = Trainings(executor, run, run.results())
        for key, result in trainings.completed(jobs, Quiet(), Status("final", 0)).items():
            if result.score and result.judge:
                finals[key.id].append(result)
    validated = {id: fmean(each.score.loss for each in of if each.score) for id, of in finals.items()}
    judged = {id: fmean(each.judge.loss for each in of if each.judge) for id, of in finals.items()}
    return [
        Found(
            space,
            method,
            seed,
            n,
            (sum(each.score.epoch for each in results[:n] if each.score) + DRAWS * (method == ONE_EPOCH)) / epochs,
            judged[look[0].id],
            judged[min((each.id for each in look), key=validated.__getitem__)],
            fmean(each.judge.accuracy for each in finals[look[0].id] if each.judge),
        )
        for n, look in looks.items()
    ]


def best(results: list[Result], by: Quality) -> list[Result]:
    """What a search chooses: the best of those that came to their end."""
    done = [result for result in results if result.state == "complete" and result.score]
    return sorted(done, key=lambda result: merit(result.score, by), reverse=True)[:FINALISTS]


def every(data: str, methods: list[str], seeds: int, trials: int, jobs: int) -> Iterator[Found]:
    """All searches, seeds outermost, so that what there is compares all of them."""
    with ProcessPoolExecutor(jobs) as pool:
        asked = [(data, space, method, seed, trials) for seed, space, method in product(range(seeds), SPACES, methods)]
        for found in pool.map(search, *zip(*asked, strict=True)):
            for each in found:
                print(
                    f"{each.space:8} {each.method:30} seed {each.seed} at {each.candidates}: "
                    f"{each.spent:5.1f} trainings, loss {each.loss:.4f}, of three {each.chosen:.4f}, "
                    f"accuracy {100 * each.accuracy:.2f}%",
                    flush=True,
                )
            yield from found


def table(found: list[Found], methods: list[str]) -> str:
    """Medians and quartiles by space, candidates and method."""
    least: dict[tuple[str, int], float] = defaultdict(lambda: inf)
    for each in found:
        least[each.space, each.seed] = min(least[each.space, each.seed], each.loss, each.chosen)
    lines = [
        "| space | candidates | method | n | full trainings | regret | of the best of three | accuracy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for space, n, method in product(SPACES, LOOKS, methods):
        mine = [each for each in found if (each.space, each.candidates, each.method) == (space, n, method)]
        if mine:
            spent = quartiles([each.spent for each in mine])
            first, three = (
                quartiles([value(each) - least[space, each.seed] for each in mine])
                for value in (lambda each: each.loss, lambda each: each.chosen)
            )
            accuracy = 100 * fmean(each.accuracy for each in mine)
            lines.append(f"| {space} | {n} | {method} | {len(mine)} | {spent} | {first} | {three} | {accuracy:.2f}% |")
    return "\n".join(lines)


def paired(found: list[Found], methods: list[str]) -> str:
    """By how much the first method's best of three differ from the others', by space and searcher seed."""
    first, *others = methods
    by = {(each.method, each.candidates, each.space, each.seed): each.chosen for each in found}
    lines = [f"| {first}, after | against | after | of the best of three | less in |", "|---|---|---|---|---|"]
    asked = [(n, other, n) for n, other in product(LOOKS, others)]
    asked += [(LOOKS[1], other, LOOKS[2]) for other in methods]
    asked += [(LOOKS[2], other, LOOKS[1]) for other in ORDERED]
    for n, other, its in asked:
        searches = {(space, seed) for _, _, space, seed in by}
        keys = (((first, n, *each), (other, its, *each)) for each in searches)
        gaps = [by[mine] - by[theirs] for mine, theirs in keys if mine in by and theirs in by]
        if len(gaps) > 1:
            told = f"{fmean(gaps):+.4f} ± {stdev(gaps) / len(gaps) ** 0.5:.4f}"
            lines.append(f"| {n} | {other} | {its} | {told} | {sum(gap < 0 for gap in gaps)} of {len(gaps)} |")
    return "\n".join(lines)


def quartiles(values: list[float]) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*METHODS, *ORDERED]
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=max(LOOKS))
    parser.add_argument("--jobs", type=int, default=2, help="searches at once, each on one core")
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    methods, seeds = asked.methods, asked.seeds
    if asked.quick:
        methods, seeds = ["surrogate", BEFORE, "random"], 2
    found = list(every(asked.data, methods, seeds, asked.trials, asked.jobs))
    print(table(found, methods), paired(found, methods), sep="\n\n")


if __name__ == "__main__":
    main()
