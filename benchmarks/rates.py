"""What one learning rate for all candidates of a search costs them, and what it does to their order.

    python benchmarks/rates.py           # two data sets, 80 networks, 3 seeds: hours; the same command goes on
    python benchmarks/rates.py --quick   # the first 10 networks, 2 seeds: under ten minutes on two cores

Networks of one band of `mixed` (16 positions, width 32, 4 blocks, parameters within 10%) are trained at rates a factor
of 3 apart, and at the one that a search would find (`nas.loop.rates.find_rate`, on its own references). Every training
is a line in `runs/rates/DATA-SCALING/results.jsonl`: what is there is not trained again. Fashion-MNIST: 10,000 images,
4 epochs, batch 128; others: their own recipe. With `--data digits` what is said of orders means nothing: there, what
seed noise allows is a Spearman of 0.07 (docs/log.md).

- Some seeds' *own best rate* of a network, of all that were tried: that of the least validation loss, their mean.
- *Truth*, against one seed: the test accuracies of the other seeds at their own best rates, their mean.
- *The order* at a rate: by the validation loss of the one seed. Each seed is the one in turn; figures are the means.
- *What seed noise allows*: the order of the one seed with every network at the others' own best rate. The accuracy
  there is of the one seed, too, so that no noise that chose a rate is in it.
- Intervals: 95% of 1,000 resamples of the networks.
- The rate that is best for a network between those a factor of 3 apart: the lowest point of a parabola
  (`nas.loop.rates.found_rate`). How far these are apart: the std of their logarithms to base 3, of all seeds' mean
  losses; and without what seeds differ in: the root of the covariance between seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, log, nan
from pathlib import Path
from random import Random
from statistics import fmean, pstdev

import numpy as np
from scipy.stats import rankdata

from einmix import Architecture, FactorSet, Mixer
from nas.api.defaults import CPU_IMAGES
from nas.data.dataset import Dataset
from nas.data.known import load as load_data
from nas.executors.processes import LocalWorkers
from nas.loop.past import TRIES, make_job
from nas.loop.plan import Rungs
from nas.loop.progress import shown
from nas.loop.rates import FIRST, find_rate, found_rate, swept_networks
from nas.loop.status import Status
from nas.loop.trainings import Work, trainings_in
from nas.runs.folder import RunFolder
from nas.runs.job import FIRST_SEEDS, Key, Phase, Score
from nas.runs.result import Result
from nas.training.recipe import Recipe
from nas.training.worker import PRELOAD, MakeTrainer
from search_spaces import BoundSpace, Budget, Family
from search_spaces.mixed import SPACE

RATES = (0.0017, 0.005, 0.015, 0.045, 0.135)
PATCH = {"fashion-mnist": 7, "digits": 2, "mnist1d": 2}
"""Of each data set the patch that leaves about 16 positions."""

DATA = ("fashion-mnist", "mnist1d")
TOP = 5
TRIALS = 64
QUICK = {"networks": 10, "seeds": 2}


# ------------------------------------------------------------------------------------------------- the statistics


@dataclass(frozen=True, eq=False)
class Table:
    """Trainings by network, rate, seed: validation `losses` after some epochs, and `tests`, accuracies at the end."""

    rates: tuple[float, ...]
    losses: np.ndarray  # networks, rates, seeds, epochs
    tests: np.ndarray  # networks, rates, seeds

    def of(self, networks: np.ndarray) -> Table:
        return replace(self, losses=self.losses[networks], tests=self.tests[networks])


Choice = Callable[[np.ndarray], np.ndarray]
"""The index of each network's rate, from those of the others' own best rates."""


def own(best: np.ndarray) -> np.ndarray:
    return best


def at(rate: int) -> Choice:
    return lambda best: np.full_like(best, rate)


@dataclass(frozen=True)
class Figures:
    """What a choice of rates comes to: `spearman` after each epoch that is judged, `lack` in points."""

    accuracy: float
    spearman: tuple[float, ...]
    hits: float
    lack: float


def directions(table: Table) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Every seed, with the own best rates of the others (indices) and the truth against it, by network."""
    seeds = range(table.tests.shape[2])
    every = np.arange(len(table.tests))
    for seed in seeds:
        others = [other for other in seeds if other != seed]
        best = table.losses[:, :, others, -1].mean(2).argmin(1)
        yield seed, best, table.tests[every, best][:, others].mean(1)


def figures(table: Table, choose: Choice) -> Figures:
    """Means over the seeds."""
    every = np.arange(len(table.tests))
    found = []
    for seed, best, truth in directions(table):
        chosen = choose(best)
        losses = table.losses[every, chosen, seed]
        top, true = (np.argsort(values, kind="stable")[:TOP] for values in (losses[:, -1], -truth))
        orders = tuple(spearman(-losses[:, epoch], truth) for epoch in range(losses.shape[1]))
        lack = 100 * (truth[true].mean() - truth[top].mean())
        found.append((table.tests[every, chosen, seed].mean(), orders, len({*top} & {*true}), lack))
    accuracy, orders, hits, lack = zip(*found, strict=True)
    return Figures(fmean(accuracy), tuple(map(fmean, zip(*orders, strict=True))), fmean(hits), fmean(lack))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1]) if np.ptp(a) and np.ptp(b) else nan


@dataclass(frozen=True)
class Targets:
    """Of the order at one rate to what noise allows, a share (NaN: it allows none); of accuracies, points."""

    share: float
    points: float


def targets(table: Table, rate: int) -> Targets:
    one, each = figures(table, at(rate)), figures(table, own)
    allowed = each.spearman[-1]
    return Targets(one.spearman[-1] / allowed if allowed > 0 else nan, 100 * (each.accuracy - one.accuracy))


def interval(table: Table, figure: Callable[[Table], float], times: int = 1000) -> tuple[float, float]:
    """Within which 95% of a figure at the end are when the networks are drawn again."""
    rng, n, table = np.random.default_rng(0), len(table.tests), replace(table, losses=table.losses[..., -1:])
    drawn = [figure(table.of(rng.integers(n, size=n))) for _ in range(times)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Spread:
    """How far best rates are apart, in steps of a factor of 3: `std`, `true` without what seeds differ in."""

    best: np.ndarray  # logarithms to base 3, by network
    std: float
    true: float
    common: float
    share: float


def spread(table: Table) -> Spread:
    """Of the rates of a table; `common` is the one that is best for most networks, a `share` of them."""

    def log3(losses: np.ndarray) -> list[float]:
        found = (found_rate(dict(zip(table.rates, map(float, row), strict=True))) for row in losses)
        return [nan if lr is None else log(lr) / log(3) for lr in found]

    last = table.losses[..., -1]
    best = np.array(log3(last.mean(2)))
    by_seed = np.array([log3(last[:, :, seed]) for seed in range(last.shape[2])])
    covariance = np.cov(by_seed)[~np.eye(len(by_seed), dtype=bool)].mean() if len(by_seed) > 1 else nan
    counts = np.bincount(last.mean(2).argmin(1), minlength=len(table.rates))
    common = int(counts.argmax())
    share = float(counts[common]) / len(last)
    return Spread(best, float(best.std()), float(max(covariance, 0) ** 0.5), table.rates[common], share)


def epochs_of_search(curves: Sequence[Mapping[int, float]], at_rungs: Sequence[int], epochs: int) -> int:
    """The epochs that a search trains candidates for that come one after the other, each with its accuracy by epoch."""
    judge, spent = Rungs(2.0, "accuracy", 4), 0
    for curve in curves:
        ends = (epoch for epoch in at_rungs if not judge.see(Score(epoch, 0.0, curve[epoch])))
        spent += next(ends, epochs)
    return spent


@dataclass(frozen=True)
class Difference:
    """A mean over networks (each the mean of its seeds) with its standard error: of one recipe against another."""

    mean: float
    error: float

    @classmethod
    def of(cls, one: np.ndarray, other: np.ndarray) -> Difference:
        each = (other - one).mean(-1)
        return cls(float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5))


# --------------------------------------------------------------------------------------------------- the trainings


@dataclass(frozen=True)
class Setting:
    """Networks of one band on one data set, and how they are trained."""

    dataset: Dataset
    space: BoundSpace
    recipe: Recipe

    @classmethod
    def of(cls, data: str, scaling: str) -> Setting:
        dataset = load_data(data, data_dir=Path("data"), seed=0, limit=CPU_IMAGES)
        sizes = {"patch": (PATCH[data],), "width": (32,), "depth": (4,)}
        space = SPACE.on(dataset.shape, channels=dataset.channels, classes=dataset.classes, **sizes)
        return cls(dataset, space, Recipe.for_dataset(dataset, scaling=scaling))

    def networks(self, number: int) -> list[Architecture]:
        """The first so many of one list, of at most full token mixing's parameters and at least 90% of these."""
        most = self.space.references(self.space.middle)["full token mixing"].params
        rng, found = Random(0), dict[str, Architecture]()
        while len(found) < number:
            network = self.space.sample(rng, Budget(round(0.9 * most), most, None))
            found[network.id] = network
        return list(found.values())

    @property
    def judged(self) -> tuple[int, ...]:
        """The epochs after which networks are judged: quarters of all."""
        return tuple(sorted({max(1, round(k * self.recipe.epochs / 4)) for k in (1, 2, 3, 4)}))

    def open(self, folder: Path, name: str) -> RunFolder:
        settings = {"data": self.dataset.facts(), "recipe": self.recipe.to_json(), "space": self.space.facts()}
        return RunFolder.create_or_open(folder, name, settings)


@dataclass(frozen=True)
class Trained:
    """All trainings of a setting: of networks by id, rate and seed, and of the references on which a rate was swept."""

    setting: Setting
    networks: list[Architecture]
    seeds: int
    lr: float
    results: dict[Key, Result]
    swept: dict[Key, Result]

    def table(self, rates: Sequence[float]) -> Table:
        """Those at some rates; what failed is as bad as can be."""
        shape = len(self.networks), len(rates), self.seeds
        losses, tests = np.full((*shape, len(self.setting.judged)), inf), np.zeros(shape)
        for place in np.ndindex(shape):
            network, rate, seed = place
            result = self.results[Key(self.networks[network].id, rates[rate], seed, self.setting.recipe.epochs)]
            if result.state == "complete" and result.test:
                losses[place] = [score.loss for score in result.scores]
                tests[place] = result.test.accuracy
        return Table(tuple(rates), losses, tests)


def trained(setting: Setting, run: RunFolder, networks: list[Architecture], seeds: int, workers: int) -> Trained:
    """Trains what the run does not hold yet: the sweep, then seed by seed every network at every rate."""
    recipe = setting.recipe

    def executor(storage: object) -> LocalWorkers:
        return LocalWorkers(MakeTrainer(setting.dataset, recipe, "cpu"), workers, preload=PRELOAD)

    with shown(None, quiet=False) as watcher, trainings_in(run, executor, watcher) as trainings:

        def train(jobs: Work, phase: Phase) -> dict[Key, Result]:
            return trainings.completed(jobs, watcher, Status(phase, 0), tries=TRIES if phase == "tune" else inf)

        swept: dict[Key, Result] = {}

        def sweep(jobs: Work) -> dict[Key, Result]:
            swept.update(train(jobs, "tune"))
            return swept

        tuned = partial(make_job, seed=FIRST_SEEDS["tune"], epochs=recipe.epochs, phase="tune")
        references = swept_networks(setting.space)
        lr = find_rate(references, FIRST, sweep, job=lambda network, lr: tuned(network, lr), say=watcher.say)
        if lr is None:
            raise SystemExit("no learning rate is found yet: the same command goes on")
        jobs = [
            (replace(make_job(network, rate, seed, recipe.epochs, "compare"), rungs=setting.judged[:-1]), network)
            for seed in range(seeds)
            for network in networks
            for rate in sorted({*RATES, lr})
        ]
        return Trained(setting, networks, seeds, lr, train(jobs, "compare"), swept)


# ------------------------------------------------------------------------------------------------------ what is said


def row(name: str, found: Figures) -> str:
    orders = " / ".join(f"{value:.2f}" for value in found.spearman)
    return f"| {name} | {found.accuracy:.1%} | {orders} | {found.hits:.1f} | {found.lack:.2f} |"


def report(done: Trained) -> list[str]:
    """The table and the figures as Markdown."""
    setting, lr = done.setting, done.lr
    rates = tuple(sorted({*RATES, lr}))
    table, place = done.table(rates), rates.index(lr)
    after = " / ".join(map(str, setting.judged))
    lines = [
        f"| rate | mean accuracy | Spearman with the truth, after {after} epochs "
        f"| of the true top {TOP} in its top {TOP} | what its top {TOP} lack, points |",
        "|---|---|---|---|---|",
    ]
    lines += [
        row(f"{rate:g}" + ", as a search finds it" * (rate == lr), figures(table, at(k)))
        for k, rate in enumerate(rates)
    ]
    lines += [row("each its own best: what seed noise allows", figures(table, own)), ""]
    found = targets(table, place)
    low, high = interval(table, lambda each: targets(each, place).share)
    least, most = interval(table, lambda each: targets(each, place).points)
    lines.append(
        f"- At the rate found, order has **{found.share:.3f}** of what noise allows ({low:.3f} to {high:.3f}, target "
        f"0.98); the mean accuracy is **{found.points:.2f} points** below that at own best rates ({least:.2f} to "
        f"{most:.2f}, target 0.2)."
    )
    return [*lines, *said_of_compute(done), *said_of_spread(done)]


def said_of_compute(done: Trained) -> list[str]:
    epochs = done.setting.recipe.epochs
    first = done.networks[:TRIALS]
    curves = [
        {score.epoch: score.accuracy for score in done.results[Key(each.id, done.lr, 0, epochs)].scores}
        for each in first
    ]
    spent = epochs_of_search(curves, (epochs // 4, epochs // 2), epochs)
    sweep = sum(len(result.train_loss) for result in done.swept.values())
    return [
        f"- Sweep: {len(done.swept)} trainings, {sweep} epochs. A search of {len(first)}: {spent} epochs with pruning,"
        f" {len(first) * epochs} without."
    ]


def said_of_spread(done: Trained) -> list[str]:
    found = spread(done.table(RATES))
    shares = np.array([shares_of(network.mixers) for network in done.networks])
    means = shares.T @ found.best / shares.sum(0)
    names = [family.name for family in SPACE.families]
    by_family = ", ".join(f"{name} {3**mean:.3f}" for name, mean in zip(names, means, strict=True))
    return [
        f"- Best rates: std {found.std:.2f} steps of a factor of 3 over networks, {found.true:.2f} without seed noise, "
        f"{pstdev(means):.2f} over families ({by_family}); {found.common:g} is best for {found.share:.0%}."
    ]


def said_of_difference(one: Trained, other: Trained) -> list[str]:
    """The second recipe against the first, paired by network and seed."""
    first, second = one.table(RATES), other.table(RATES)
    names = [done.setting.recipe.scaling for done in (one, other)]
    lines = [f"| rate | {names[1]} minus {names[0]}: test accuracy, points | validation loss |", "|---|---|---|"]
    for k, rate in enumerate(RATES):
        tests = Difference.of(100 * first.tests[:, k], 100 * second.tests[:, k])
        losses = Difference.of(first.losses[:, k, :, -1], second.losses[:, k, :, -1])
        told = f"{tests.mean:+.2f} ± {tests.error:.2f} | {losses.mean:+.4f} ± {losses.error:.4f}"
        lines.append(f"| {rate:g} | {told} |")
    return lines


def shares_of(mixers: Sequence[Mixer]) -> list[float]:
    """How much of a network's mixers is of each family; what is of several counts in all of them."""
    return [sum(_accepts(family, mixer) for mixer in mixers) / len(mixers) for family in SPACE.families]


def _accepts(family: Family, mixer: Mixer) -> bool:
    return all(FactorSet(family.pattern(axis)).accepting(factors) for axis, factors in mixer.axes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=list(PATCH), default=DATA)
    parser.add_argument(
        "--scaling",
        nargs="+",
        choices=["none", "fan-in"],
        default=["none"],
        help="rates by layer; several are compared, too",
    )
    parser.add_argument("--networks", type=int, default=80)
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK['networks']} networks, {QUICK['seeds']} seeds")
    parser.add_argument("--record", type=Path, default=Path("runs/rates"), help="where trainings are kept")
    arguments = parser.parse_args()
    number, seeds = QUICK.values() if arguments.quick else (arguments.networks, arguments.seeds)
    for data in arguments.data:
        before: Trained | None = None
        for scaling in arguments.scaling:
            setting = Setting.of(data, scaling)
            with setting.open(arguments.record, f"{data}-{scaling}") as run:
                done = trained(setting, run, setting.networks(number), seeds, arguments.workers)
            print(f"\n### {data}, scaling {scaling}: {number} networks, {seeds} seeds, {setting.recipe}\n")
            print(*report(done), sep="\n", flush=True)
            if before:
                print("", *said_of_difference(before, done), sep="\n", flush=True)
            before = before or done


if __name__ == "__main__":
    main()
