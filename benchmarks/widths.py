"""Whether the order of patterns survives width: the figures of docs/findings.md, "Width".

    python benchmarks/widths.py     # from runs/records/DATA-width-*.parquet; what is not there is trained: see below

On the data of a table of record all patterns that mix along all axes, with channels that share their weights, have them
in eight groups, or have their own, are trained at other widths: alike in all else, at the table's learning rates, two
seeds. That is 450 trainings a width on digits (about five minutes of two cores at 64, fifteen at 128), in the run
`runs/DATA-width-WIDTH`: the same command goes on. Then, by validation loss, each network at its own rate:

- Spearman's correlation of the orders at two widths, over all and as a mean within each kind of channels; intervals are
  percentiles of 2,000 resamples of the patterns of positions. Two seeds at one width say what noise allows.
- What groups and own weights gain over sharing at each width, as `benchmarks/findings.py` has it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
from findings import Networks, difference, roles
from scipy.stats import spearmanr

from einmix import Architecture
from nas.api.bench import settings_of
from nas.api.defaults import load_data
from nas.api.resources import local_executor
from nas.loop.progress import shown
from nas.loop.status import Status
from nas.loop.trainings import trainings_in
from nas.runs.folder import RunFolder
from nas.runs.job import Key
from nas.tabular.declared import declared
from nas.tabular.table import Table, mixer_of, packed_table
from nas.training.recipe import Recipe
from nas.training.worker import MakeTrainer

RECORDS, TABLES = Path("runs/records"), Path("runs/tables")
WIDTHS = 64, 128
SEEDS = 0, 1
GROUPS = 8
RESAMPLES = 2_000


def channels(width: int) -> dict[str, str]:
    """Factors of the channels by what they are."""
    return {"shared": f"s{width}", f"{GROUPS} groups": f"g{GROUPS}.s{width // GROUPS}", "own": f"g{width}"}


def wanted(networks: Networks) -> dict[str, list[Architecture]]:
    """By kind of channels all patterns that mix along all axes, in one order."""
    table = networks.table
    axes, kinds = list(table.facts["data"]["shape"]), channels(table.declared.width)
    mixing = [each for each in networks.by_mixer.values() if all("m" in roles(each.mixers[0], axis) for axis in axes)]
    shared = sorted(
        (each for each in mixing if mixer_of(each).split(" c=")[1] == f"{kinds['shared']} +b"), key=mixer_of
    )
    return {kind: [networks.moved(each, c=factors) for each in shared] for kind, factors in kinds.items()}


def trained(data: str, width: int) -> Table:
    """The trainings of a width, as far as they are not there yet."""
    record = RECORDS / f"{data}-width-{width}.parquet"
    if record.exists():
        return Table.read(record)
    wide = replace(declared(data), width=width, seeds=SEEDS)
    dataset = load_data(data, Path("data"), 0, None, "cpu")
    recipe = Recipe.for_dataset(dataset, epochs=wide.epochs)
    settings = settings_of(f"{data}-width-{width}", wide, dataset.facts(), recipe)
    empty = Networks(packed_table(settings, [], {}))
    networks = [each for kind in wanted(empty).values() for each in kind]
    make = MakeTrainer(dataset, recipe, "cpu", curves=True)
    with (
        RunFolder.create_or_open(
            Path("runs"), f"{data}-width-{width}", settings, may_differ=("versions", "made")
        ) as run,
        shown(None, False) as watching,
        trainings_in(run, lambda storage: local_executor(make, None), watching) as trainings,
    ):
        jobs = wide.jobs(networks)
        trainings.completed(jobs, watching, Status("train", 0, title=f"width {width}"), tries=2)
    found = packed_table(settings, run.results(), {each.id: nan for each in networks})
    found.write(record)
    return found


class Width:
    """What patterns come to at one width: by kind of channels the logarithms of the `losses`, by pattern and seed."""

    def __init__(self, table: Table):
        self.networks = Networks(table)
        self.patterns, self.width = wanted(self.networks), table.declared.width
        self.losses = {kind: np.array([self._ends(each) for each in found]) for kind, found in self.patterns.items()}

    def _ends(self, network: Architecture) -> list[float]:
        declared, lr = self.networks.table.declared, self.networks.own_rate(network)
        keys = (Key(network.id, lr, seed, declared.epochs) for seed in SEEDS)
        return [float(np.log(self.networks.table.cells[key].losses["validation"][-1])) for key in keys]


def agreement(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[float, float]:
    """Spearman's correlation of two orders over all networks, and its mean within each kind of channels."""
    over_all = spearmanr(np.concatenate([*one.values()]), np.concatenate([*other.values()])).statistic
    return float(over_all), float(np.mean([spearmanr(one[kind], other[kind]).statistic for kind in one]))


def told(name: str, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> str:
    """A row: both correlations with their intervals."""
    drawn, (patterns,) = np.random.default_rng(0), {len(each) for each in one.values()}
    samples = []
    for _ in range(RESAMPLES):
        at = drawn.integers(patterns, size=patterns)
        samples.append(agreement(*({kind: each[at] for kind, each in losses.items()} for losses in (one, other))))
    ends = np.percentile(samples, [2.5, 97.5], axis=0).T
    figures = (
        f"{value:.2f} ({low:.2f} to {high:.2f})" for value, (low, high) in zip(agreement(one, other), ends, strict=True)
    )
    return f"| {name} | {' | '.join(figures)} |"


def lines(tables: Sequence[Table]) -> Iterator[str]:
    widths = [Width(table) for table in tables]
    (n,) = {len(found) for width in widths for found in width.patterns.values()}
    yield f"**Do orders agree? (Spearman by validation loss, 3 x {n} networks)**\n"
    yield "| | all | within a kind of channels |\n|---|---|---|"
    for at, one in enumerate(widths):
        first, second = ({kind: losses[:, seed] for kind, losses in one.losses.items()} for seed in (0, 1))
        yield told(f"width {one.width}, two seeds", first, second)
        for other in widths[at + 1 :]:
            means = ({kind: losses.mean(1) for kind, losses in each.losses.items()} for each in (one, other))
            yield told(f"width {one.width} and {other.width}, means of two seeds", *means)
    yield "\n**What weights of their own gain over shared ones, by width**\n"
    yield "| | pairs | points | 95%, of all together | |\n|---|---|---|---|---|"
    error = 0.05 / (2 * len(widths))
    for width in widths:
        for kind in [*width.patterns][1:]:
            pairs = list(zip(width.patterns[kind], width.patterns["shared"], strict=True))
            found = difference(width.networks, pairs)
            low, high = (f"{100 * end:+.1f}" for end in found.interval(error))
            figures = f"{len(pairs)} | {100 * found.estimate:+.1f} | {low} to {high} | {found.verdict(error)}"
            yield f"| width {width.width}: {kind} | {figures} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    asked = parser.parse_args()
    tables = [Table.read(TABLES / f"{asked.data}.parquet"), *(trained(asked.data, width) for width in asked.widths)]
    print(*lines(tables), sep="\n")


if __name__ == "__main__":
    main()
