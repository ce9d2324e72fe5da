"""Whether what a table of record says holds beyond its width and rates: figures of docs/findings.md, "Beyond".

    python benchmarks/beyond.py     # from runs/records/DATA-*.parquet; what is not there is trained: see below

On the data of a table of record all patterns that mix along all axes, with channels that share their weights, have them
in eight groups, or have their own, are trained anew: alike in all else, but wider (at the table's rates, with two
seeds), or at a higher rate. That is 450 trainings at width 128 on digits (three quarters of an hour of two cores) and
225 at the rate, in the run `runs/DATA-NAME`: the same command goes on. Then, each network at its own rate
(`benchmarks/differences.py`):

- Spearman's correlation of the orders at two widths by validation loss, over all and as a mean within each kind of
  channels; of a seed each, the mean of all four pairings. Intervals are percentiles of 2,000 resamples of the patterns
  of positions, and not about other seeds. Two seeds at one width say what noise allows.
- What groups and own weights gain over sharing, as `benchmarks/findings.py` has it, and which rates are whose own.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from differences import Networks, claims, difference
from findings import HEAD, row
from scipy.stats import rankdata
from table_peers import answers

from einmix import Architecture
from nas.api import bench
from nas.claims.contrasts import ERROR
from nas.options.bench import Bench
from nas.tabular.declared import Declared, declared
from nas.tabular.table import Table, mixer_of, packed_table

RECORDS, TABLES = Path("runs/records"), Path("runs/tables")
EXTRA: dict[str, dict[str, Any]] = {"width-128": {"width": 128, "seeds": (0, 1)}, "rate-0.135": {"rates": (0.135,)}}
"""What is declared otherwise than for the table, by the name of the record."""

GROUPS = 8
RESAMPLES = 2_000


def channels(width: int) -> dict[str, str]:
    """Factors of the channels by what they are."""
    return {"shared": f"s{width}", f"{GROUPS} groups": f"g{GROUPS}.s{width // GROUPS}", "own": f"g{width}"}


def wanted(networks: Networks) -> dict[str, list[Architecture]]:
    """By kind of channels all patterns that mix along all axes, in one order."""
    every = channels(networks.table.declared.width)
    return {kind: networks.of_channels(factors) for kind, factors in every.items()}


def trained(data: str, name: str) -> Table:
    """The trainings of what is declared otherwise, as far as they are not there yet."""
    record = RECORDS / f"{data}-{name}.parquet"
    if not record.exists():
        train(data, name, record)
    return Table.read(record)


def train(data: str, name: str, record: Path) -> None:
    other = replace(declared(data), **EXTRA[name])

    def keep(network: Architecture) -> bool:
        """As `wanted` has it."""
        factors = answers(mixer_of(network))
        return factors.pop("c") in channels(other.width).values() and all("m" in text for text in factors.values())

    asked = Bench(table=f"{data}-{name}", run=f"{data}-{name}", device="cpu")
    run = bench.trained(asked, other, keep=keep)
    results = run.results()
    unmeasured = dict.fromkeys((result.id for result in results), nan)
    packed_table(run.settings | {"made": bench.makers(run)}, results, unmeasured).write(record)


def joined(one: Table, other: Table) -> Table:
    """One table of two that differ in their rates alone."""
    import pyarrow as pa

    facts = dict(one.facts["table"])
    assert facts | {"name": "", "rates": ()} == dict(other.facts["table"]) | {"name": "", "rates": ()}
    rates = sorted({*facts["rates"], *other.facts["table"]["rates"]})
    return Table({**one.facts, "table": facts | {"rates": rates}}, pa.concat_tables([one.rows, other.rows]))


class Studied:
    """What patterns come to in a table: by kind of channels the logarithms of the `losses`, by pattern and seed."""

    def __init__(self, table: Table):
        self.networks = Networks(table)
        self.patterns = wanted(self.networks)
        self.losses = {kind: np.array([self._ends(each) for each in found]) for kind, found in self.patterns.items()}

    @property
    def declared(self) -> Declared:
        return self.networks.table.declared

    @property
    def label(self) -> str:
        return f"width {self.declared.width}, rates to {max(self.declared.rates):g}"

    def _ends(self, network: Architecture) -> list[float]:
        cells = (self.networks.cell(network, self.networks.own_rate(network, seed), seed) for seed in (0, 1))
        return [float(np.log(cell.losses["validation"][-1])) for cell in cells]


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Spearman's, along the last axis."""
    ranks = [rankdata(each, axis=-1) for each in (one, other)]
    first, second = (each - each.mean(-1, keepdims=True) for each in ranks)
    return (first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1))


def agreement(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The correlation of two orders over all networks, and its mean within each kind of channels."""
    over_all = correlation(*(np.concatenate([*each.values()], axis=-1) for each in (one, other)))
    return over_all, np.mean([correlation(one[kind], other[kind]) for kind in one], axis=0)


Losses = dict[str, np.ndarray]


def told(name: str, pairings: Sequence[tuple[Losses, Losses]]) -> str:
    """A row: both correlations, as means over these pairings, with their intervals."""
    (patterns,) = {len(each) for pairing in pairings for losses in pairing for each in losses.values()}
    at = np.random.default_rng(0).integers(patterns, size=(RESAMPLES, patterns))

    def mean(chosen: Any) -> np.ndarray:
        """By correlation, over the patterns that are chosen."""
        parts = ([{kind: each[chosen] for kind, each in losses.items()} for losses in pairing] for pairing in pairings)
        return np.mean([agreement(*pairing) for pairing in parts], axis=0)

    figures = (
        f"{value:.2f} ({low:.2f} to {high:.2f})"
        for value, (low, high) in zip(mean(slice(None)), np.percentile(mean(at), [2.5, 97.5], axis=-1).T, strict=True)
    )
    return f"| {name} | {' | '.join(figures)} |"


def lines(narrow: Table, wide: Table, faster: Table) -> Iterator[str]:
    """Of a table, the same wider, and its networks at a higher rate."""
    one, two, three = map(Studied, (narrow, wide, joined(narrow, faster)))
    n = len(one.patterns["own"])
    yield f"**Do orders agree? (Spearman by validation loss, 3 x {n} networks)**\n"
    yield "| | all | within a kind of channels |\n|---|---|---|"
    seeds = [{kind: losses[:, n] for kind, losses in each.losses.items()} for each in (one, two) for n in (0, 1)]
    widths = [each.declared.width for each in (one, two)]
    yield told(f"width {widths[0]}, two seeds", [(seeds[0], seeds[1])])
    yield told(f"width {widths[1]}, two seeds", [(seeds[2], seeds[3])])
    yield told(f"width {widths[0]} and {widths[1]}, a seed each", list(product(seeds[:2], seeds[2:])))
    narrow_mean, wide_mean = ({kind: losses.mean(1) for kind, losses in each.losses.items()} for each in (one, two))
    yield told(f"width {widths[0]} and {widths[1]}, means of two seeds", [(narrow_mean, wide_mean)])
    yield "\n**What weights of their own gain over shared ones**\n"
    yield HEAD
    asked = [(each, kind) for each in (one, three, two) for kind in [*one.patterns][1:]]
    pairs = (list(zip(each.patterns[kind], each.patterns["shared"], strict=True)) for each, kind in asked)
    gains = [difference(each.networks, of) for (each, _), of in zip(asked, pairs, strict=True)]
    for (each, kind), found, said in zip(asked, gains, claims(gains), strict=True):
        yield row(f"{each.label}: {kind}", found, said, ERROR / len(asked))
    rates = three.declared.rates
    yield "\n**Networks by their own rate**\n"
    yield f"| | {' | '.join(f'{lr:g}' for lr in rates)} |\n|{'---|' * (len(rates) + 1)}"
    for each, kind in ((each, kind) for each in (one, three, two) for kind in one.patterns):
        own = Counter(map(each.networks.own_rate, each.patterns[kind]))
        cells = (f"{own[lr]}" if lr in each.declared.rates else "" for lr in rates)
        yield f"| {each.label}: {kind} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    asked = parser.parse_args()
    print(
        *lines(Table.read(TABLES / f"{asked.data}.parquet"), *(trained(asked.data, each) for each in EXTRA)), sep="\n"
    )


if __name__ == "__main__":
    main()
