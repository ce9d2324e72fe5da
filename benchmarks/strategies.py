"""What searches cost on tables of record, by strategy and rungs, and how early an order is known.

    python benchmarks/strategies.py              # 10 searcher seeds of all searches, a section a table
    python benchmarks/strategies.py --quick      # 3 searcher seeds of the best known searches: 4 minutes of two cores
    python benchmarks/strategies.py --half tuning --parts searches --searches surrogate "ray asha"

Tables are those of `runs/tables/`; the half of their networks on which nothing was tuned reports. All parts are
about validation losses.

- *Searches* are replayed (`nas.tabular.replay`) at each learning rate of a table, with one worker, until they have
  tried 100 networks, or all. The cost is what it takes to choose one of the best 1% by the training seed that the
  search sees, in units of the mean full training: median and quartiles over rates and searcher seeds; infinite where it
  does not get there. A searcher seed draws the same at every rate, so that three rates tell less than three times as
  much as one. Of what is best by one seed much is luck: also told is the cost to one of the best 5% *by the seeds that
  the search does not see*. The *regret at the end* is by the mean over all seeds.
  `benchmarks/table_peers.py` has the searches of other projects, run the same way where they are installed.
- *Curves*: Spearman's correlation of a half's order after some epochs with the mean end of the other seeds: by
  validation loss, by training loss, by the sum of training losses so far.
- *Orders*: of a share of a half's networks the first epochs are trained, and `nas.surrogate` predicts all of them:
  Spearman's correlation with the mean end of the other seeds; *of what noise allows*: over that of one seed's ends with
  the others' (both means over rates, seeds and five draws).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import islice, product
from math import ceil, inf
from pathlib import Path
from statistics import fmean
from typing import get_args

import numpy as np
from methods import BEFORE, METHODS
from scipy.stats import nhypergeom, spearmanr
from table_peers import PEERS, Search, is_installed

from nas.runs.job import Key
from nas.surrogate.features import features
from nas.surrogate.process import Places, Process
from nas.tabular.replay import Half, Recorded, Step, replay, seconds_to, top
from nas.tabular.table import Table, mixer_of
from search_spaces import Budget

TABLES = Path("runs/tables")
TRIALS = 100
SHARE, UNSEEN = 0.01, 0.05
DRAWS = 5
EPOCHS = 1, 2, 4, 5, 10
PARTS = ["curves", "orders", "searches"]

ORDERS = {"1%": (0.05, 4), "5%": (0.1, 10), "10%": (0.125, 16)}
"""By the share of the cost of training all: which share of the networks is trained, and for how many of 20 epochs."""

FEW = {name for name, way in METHODS.items() if way.rungs} - {"random"} | {"optuna gp"}
"""Searches that try so few as `TRIALS`, since they get there or take hours; the others may try all twice."""


def one_epoch_then_best(recorded: Recorded, seed: int, trials: int) -> list[Step]:
    """All for one epoch, then to the end in the order of that."""
    search = Search(recorded, seed, trials)
    first = sorted(search.jobs.values(), key=lambda job: next(search.train(job)).loss)
    for job in first:
        list(search.train(job))
    return search.steps


def largest_first(recorded: Recorded, seed: int, trials: int) -> list[Step]:
    """All to the end, those of most parameters first."""
    search = Search(recorded, seed, trials)
    params = {network.id: network.params for network in recorded.space.enumerate()}
    for job in sorted(search.jobs.values(), key=lambda job: -params[job.id]):
        list(search.train(job))
    return search.steps


def own(method: str, recorded: Recorded, seed: int, trials: int) -> list[Step]:
    """A search of this project."""
    way, epochs = METHODS[method], recorded.table.declared.epochs
    plan = way.plan(trials, epochs, recorded.lr, seed)
    return replay(recorded, partial(way.make, budget=Budget(), seed=seed), plan, seed=seed)


SEARCHES: dict[str, Callable[[Recorded, int, int], list[Step]]] = {
    **{method: partial(own, method) for method in METHODS},
    "one epoch of all, then the best": one_epoch_then_best,
    "largest first": largest_first,
    **PEERS,
}
"""By name, of a recorded half, a searcher's seed and a number of trials."""

QUICK = [
    *("surrogate", "tpe", BEFORE, "random", "random, no rungs", "one epoch of all, then the best", "largest first"),
    *("optuna tpe + hyperband", "optuna tpe + asha"),
]


def may_run(name: str) -> bool:
    """Whether what it needs is installed."""
    return name not in PEERS or is_installed(name)


@cache
def recording(path: Path, lr: float, half: Half, seed: int | None = None) -> Recorded:
    """What a table has recorded, read once a process."""
    return Recorded(read(path), lr, half, seed=seed)


@cache
def read(path: Path) -> Table:
    return Table.read(path)


@cache
def unseen(path: Path, lr: float, half: Half, seed: int) -> dict[str, float]:
    """By id of a network its mean loss over all training seeds but this one."""
    others = [recording(path, lr, half, each).true_losses for each in read(path).declared.seeds if each != seed]
    return {id: fmean(losses[id] for losses in others) for id in others[0]}


def cost(name: str, path: Path, lr: float, half: Half, seed: int) -> tuple[float, float, float]:
    """What one search takes to reach the best, in mean full trainings, as it sees them and by the seeds that it does
    not see; and its regret at the end."""
    seeds = read(path).declared.seeds
    mine = seeds[seed % len(seeds)]
    recorded, losses = recording(path, lr, half, mine), unseen(path, lr, half, mine)
    unit = fmean(recorded.seconds(job) for job in Search(recorded, seed, 0).jobs.values())
    steps = SEARCHES[name](recorded, seed, TRIALS if name in FEW else 2 * len(recorded.mixers))
    regret = recording(path, lr, half).regret(steps[-1].id) if steps else inf
    good = sorted(losses.values())[ceil(UNSEEN * len(losses)) - 1]
    truly = [Step(step.seconds, losses[step.id]) for step in steps]
    return seconds_to(steps, top(recorded, SHARE)) / unit, seconds_to(truly, good) / unit, regret


def correlations(table: Table, half: Half) -> dict[str, np.ndarray]:
    """By budget, for every rate, seed and draw: the early order's correlation, and the one that noise allows."""
    found: dict[str, list[tuple[float, float]]] = {budget: [] for budget in ORDERS}
    for lr in table.declared.rates:
        mixers, seeds = {*Recorded(table, lr, half).mixers.values()}, table.declared.seeds
        networks = [network for network in table.networks.values() if mixer_of(network) in mixers]
        curves = np.array([[losses(table, Key(network.id, lr, seed, 0)) for seed in seeds] for network in networks])
        described = list(map(features, networks))
        process, x = Process(), Places(described).of(described)
        for seed, draw in product(range(len(seeds)), range(DRAWS)):
            truth = np.delete(curves[:, :, -1], seed, axis=1).mean(axis=1)
            allowed = spearmanr(curves[:, seed, -1], truth).statistic
            for budget, (share, epochs) in ORDERS.items():
                drawn = np.random.default_rng(draw).permutation(len(x))[: round(share * len(x))]
                process.fit(x[drawn], curves[drawn, seed, epochs - 1], np.zeros(len(drawn)))
                found[budget].append((spearmanr(process.predict(x)[0], truth).statistic, allowed))
    return {budget: np.array(pairs) for budget, pairs in found.items()}


def curves(table: Table, half: Half) -> np.ndarray:
    """By epoch of `EPOCHS` the mean correlations of the orders by validation loss, training loss, and sums of that."""
    found = []
    for lr in table.declared.rates:
        mixers, seeds = {*Recorded(table, lr, half).mixers.values()}, table.declared.seeds
        ids = [network.id for network in table.networks.values() if mixer_of(network) in mixers]
        cells = [[table.cells[Key(id, lr, seed, table.declared.epochs)] for seed in seeds] for id in ids]
        whole = [row for row in cells if not any(cell.reason for cell in row)]
        validated = np.array([[cell.losses["validation"] for cell in row] for row in whole])
        trained = np.array([[cell.training for cell in row] for row in whole])
        for seed in range(len(seeds)):
            truth = np.delete(validated[:, :, -1], seed, axis=1).mean(axis=1)
            figures = validated[:, seed], trained[:, seed], trained[:, seed].cumsum(axis=1)
            found.append([[spearmanr(each[:, n - 1], truth).statistic for each in figures] for n in EPOCHS])
    return np.mean(found, axis=0)


def losses(table: Table, key: Key) -> np.ndarray:
    """Logarithms of the validation losses by epoch; of what failed, as bad as can be."""
    cell = table.cells[key._replace(epochs=table.declared.epochs)]
    return np.full(table.declared.epochs, 10.0) if cell.reason else np.log(cell.losses["validation"])


def quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="nearest")  # some are infinite
    return f"{middle:.1f} | {low:.1f} to {high:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", type=Path, default=sorted(TABLES.glob("*.parquet")))
    parser.add_argument("--half", choices=get_args(Half), default="reporting")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, help="searches at once, each on one core")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, metavar="NAME", help=f"of {'; '.join(SEARCHES)}")
    parser.add_argument("--quick", action="store_true", help=f"3 searcher seeds of {'; '.join(QUICK)}")
    asked = parser.parse_args()
    if not asked.searches:
        asked.searches = QUICK if asked.quick else [name for name in SEARCHES if may_run(name)]
    for path in asked.tables:
        told(path, asked.half, 3 if asked.quick else asked.seeds, asked.parts, asked.searches, asked.jobs)


def at_random(of: int, best: int) -> int:
    """After how many draws of so many networks one of the best is there in half of all orders."""
    return int(nhypergeom(of, of - best, 1).median()) + 1


def told(path: Path, half: Half, seeds: int, parts: Sequence[str], names: Sequence[str], jobs: int) -> None:
    """Prints what is asked of a table."""
    table = Table.read(path)
    print(f"## {path.stem}\n\nhalf: {half}; {seeds} searcher seeds at each of {len(table.declared.rates)} rates\n")
    if "curves" in parts:
        print("| epochs | validation loss | training loss | sum of training losses |\n|---|---|---|---|")
        for epochs, row in zip(EPOCHS, curves(table, half), strict=True):
            print(f"| {epochs} | {' | '.join(f'{value:.3f}' for value in row)} |")
        print(flush=True)
    if "orders" in parts:
        print("| cost | share of networks | epochs | Spearman | allowed by noise | of what noise allows |")
        print("|---|---|---|---|---|---|")
        for budget, pairs in correlations(table, half).items():
            (early, allowed), (share, epochs) = pairs.mean(axis=0), ORDERS[budget]
            print(f"| {budget} | {share:.1%} | {epochs} | {early:.3f} | {allowed:.3f} | {early / allowed:.3f} |")
        print(flush=True)
    if "searches" in parts:
        networks = len(Recorded(table, table.declared.rates[0], half).mixers)
        best = max(1, ceil(SHARE * networks))
        draws = at_random(networks, best)
        print(
            f"best 1%: {best} of {networks}; uniform draws, all trained, have one of them after {draws} in the median\n"
        )
        print("| search | to the best 1% as seen | quartiles | got there |", end="")
        print(" to the best 5% by other seeds | quartiles | got there | regret at the end | n |")
        print("|---|---|---|---|---|---|---|---|---|")
        each = [(name, path, lr, half, seed) for name in names for lr in table.declared.rates for seed in range(seeds)]
        n = len(each) // len(names)
        with ProcessPoolExecutor(jobs) as pool:
            found = pool.map(cost, *zip(*each, strict=True))
            for name in names:
                *reached, regrets = zip(*islice(found, n), strict=True)
                costs = (f"{quartiles(each)} | {np.isfinite(each).mean():.0%}" for each in reached)
                print(f"| {name} | {' | '.join(costs)} | {fmean(regrets):.4f} | {n} |", flush=True)
        print()


if __name__ == "__main__":
    main()
