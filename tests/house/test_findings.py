"""docs/findings.md has the figures that the tables of record give today, and says of them what they say."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import beyond
import differences
import findings
import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.tabular.table import Table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "findings.md").read_text()
TABLES = sorted((ROOT / "runs" / "tables").glob("*.parquet"))


@cache
def networks_of(path: Path) -> differences.Networks:
    return differences.Networks(Table.read(path))


@cache
def statements_of(path: Path) -> list[findings.Statement]:
    return findings.statements(networks_of(path))


def told(section: str) -> list[str]:
    """The questions and rows of a section of the page."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith(("|", "**"))]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_row_is_what_the_table_gives(path: Path):
    _, *rows = findings.lines(networks_of(path), statements_of(path))
    assert told(path.stem) == [line for row in rows for line in row.splitlines() if line]


def test_what_holds_beyond_is_what_records_give():
    others = [ROOT / "runs" / "records" / f"digits-{name}.parquet" for name in beyond.EXTRA]
    tables = [Table.read(path) for path in (ROOT / "runs" / "tables" / "digits.parquet", *others)]
    assert told("Beyond") == [line for row in beyond.lines(*tables) for line in row.splitlines() if line]
    for table, changed in zip(tables[1:], beyond.EXTRA.values(), strict=True):
        assert table.declared == replace(tables[0].declared, **changed)
        some = ("cells are empty", "has no latency")  # these are some networks of it, of which none was measured
        assert [fault for fault in table.faults() if not fault.endswith(some)] == []


def test_own_rates_are_those_of_least_loss():
    """Of the shared ones at width 32 and four rates, from the rows of both files alone."""
    ends: dict[str, dict[float, list[float]]] = {}
    for path in ("tables/digits.parquet", "records/digits-rate-0.135.parquet"):
        for row in Table.read(ROOT / "runs" / path).rows.to_pylist():
            h, w, c, _ = row["mixer"].split()
            if "m" in h and "m" in w and c == "c=s32":
                ends.setdefault(row["id"], {}).setdefault(row["lr"], []).append(row["loss_validation"][-1])
    own = [min(by_rate, key=lambda lr: sum(by_rate[lr]) / 3) for by_rate in ends.values()]
    assert {len(losses) for by_rate in ends.values() for losses in by_rate.values()} == {3}
    cells = " | ".join(f"{own.count(lr)}" for lr in (0.005, 0.015, 0.045, 0.135))
    assert f"| width 32, rates to 0.135: shared | {cells} |" in told("Beyond")


@pytest.mark.parametrize("seed", range(5))
def test_correlations_of_many_rows_are_scipys(seed: int):
    drawn = np.random.default_rng(seed)
    one, other = drawn.integers(9, size=(2, 6, 20))
    assert beyond.correlation(one, other) == pytest.approx(
        [spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    )


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_picture_is_of_the_table_as_it_is(path: Path):
    """If not: python benchmarks/findings.py --pictures."""
    found = statements_of(path)
    text = (ROOT / "docs" / "pictures" / f"findings-{path.stem}.svg").read_text(encoding="utf-8")
    assert text == findings.picture(path.stem, found).file()
    assert f"(pictures/findings-{path.stem}.svg)" in PAGE
    assert max(len(each.label) for each in found) <= 32, "there is no more room at the left"
    dots = [float(x) for x in re.findall(r'<circle[^>]* cx="([\d.]+)%"', text)]
    (zero,) = re.findall(r'<line class="ink2" x1="([\d.]+)%"', text)
    points = [100 * each.found.estimate for each in found]
    per = (max(dots) - min(dots)) / (max(points) - min(points))
    assert dots == pytest.approx([float(zero) + per * each for each in points], abs=0.05)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_pairs_are_alike_in_all_else(path: Path):
    """Of the same MACs where a question says so; of parameters of the mixers within 25% where it says that."""
    networks = networks_of(path)
    for ask in (findings.channels, findings.positions):
        for question, words, pairs in ask(networks):
            assert pairs, words
            for one, other in pairs:
                if "equal parameters" in question:
                    few, many = sorted(sum(mixer.params for mixer in each.mixers) for each in (one, other))
                    assert many <= 1.25 * few
                elif "equal" in question:
                    assert one.macs == other.macs
                else:
                    assert one.macs > other.macs


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_no_training_has_a_say_in_its_own_rate(path: Path):
    """By the rows of the file alone: of a seed the rate of the least loss over the others."""
    table = Table.read(path)
    networks = differences.Networks(table)
    rows = {(row["id"], row["lr"], row["seed"]): row for row in table.rows.to_pylist()}
    for network in [*table.networks.values()][::20]:
        for seed in table.declared.seeds:
            others = [each for each in table.declared.seeds if each != seed]
            ends = {
                lr: np.mean([rows[network.id, lr, each]["loss_validation"][-1] for each in others])
                for lr in table.declared.rates
            }
            assert networks.own_rate(network, seed) == min(ends, key=lambda lr: ends[lr])
        accuracies = [
            sum(
                rows[network.id, networks.own_rate(network, seed), seed][f"right_{part}"][-1]
                for part in ("judge", "test")
            )
            for seed in table.declared.seeds
        ]
        assert networks.right(network).sum(1).tolist() == accuracies


class MadeUp:
    """Networks of six kinds, 10 each, all as accurate, over 3 seeds; seeds move those of one kind alike, by so much."""

    table = SimpleNamespace(declared=SimpleNamespace(seeds=(0, 1, 2)))

    def __init__(self, seed: int, alike: float):
        drawn = np.random.default_rng(seed)
        hard = drawn.normal(size=300)
        self.kinds = [[SimpleNamespace(id=f"{kind} {n}") for n in range(10)] for kind in range(6)]
        self._right = {}
        for kind in self.kinds:
            together = alike * drawn.normal(size=(3, 1))
            for network in kind:
                own = 0.1 * drawn.normal(size=(3, 1))
                self._right[network.id] = 1.2 + hard + together + own + 0.5 * drawn.normal(size=(3, 300)) > 0

    def right(self, network: SimpleNamespace) -> np.ndarray:
        return self._right[network.id]


@pytest.mark.parametrize("alike", [0.0, 0.1])
def test_intervals_hold_where_seeds_move_networks_together(alike: float):
    """In 100 made-up tables whose networks are all alike: five statements of 1% each, together."""
    said, plain = [], []
    for seed in range(100):
        made = MadeUp(seed, alike)
        first, *others = made.kinds
        found = [differences.difference(made, list(zip(first, other, strict=True))) for other in others]  # type: ignore[arg-type]
        said.append(all(each.verdict(0.01) == "not told apart" for each in differences.claims(found)))
        plain.append(all(each.found.verdict(0.01) == "not told apart" for each in found))
    assert np.mean(said) >= 0.95 - 3 * (0.05 * 0.95 / 100) ** 0.5
    if alike:
        assert np.mean(plain) < 0.8, "the test would not notice what it is about"


def test_pairs_count_alike_whichever_comes_first():
    made = MadeUp(0, 0.0)
    (a, b, *_), (c, d, e, *_), *_ = made.kinds
    pairs = [(a, c), (a, d), (b, e)]
    found = differences.difference(made, pairs)  # type: ignore[arg-type]
    mean = {each.id: made.right(each).mean() for each in (a, b, c, d, e)}
    gains = [mean[one.id] - mean[other.id] for one, other in pairs]
    assert found.found.estimate == pytest.approx(sum(gains) / 3)
    assert (found.pairs, len(found.weights)) == (3, 5)
    turned = differences.difference(made, [(other, one) for one, other in pairs])  # type: ignore[arg-type]
    assert turned.found.estimate == pytest.approx(-found.found.estimate)
    assert turned.found.variance == pytest.approx(found.found.variance)
    left = [gains[2], (gains[1] + gains[2]) / 2, (gains[0] + gains[2]) / 2, (gains[0] + gains[1]) / 2]
    assert findings.without_one(made, pairs) == pytest.approx((min(left), max(left)))  # type: ignore[arg-type]


def test_what_failed_is_right_on_nothing():
    table = Table.read(TABLES[0])
    networks = differences.Networks(table)
    network = next(iter(table.networks.values()))
    lr = networks.own_rate(network, 1)
    key = next(key for key in table.cells if key[:3] == (network.id, lr, 1))
    whole, at = networks.right(network), table.declared.seeds.index(1)
    empty = dict.fromkeys(differences.PARTS, np.zeros(0, dtype=bool))
    failed = replace(table.cells[key], reason="FloatingPointError: nan", bits=empty)
    other = Table(table.facts, table.rows)
    other.__dict__["cells"] = {**table.cells, key: failed}
    again = differences.Networks(other)
    right = again.right(network)
    assert not right[at].any() and whole[at].any() and right.shape == whole.shape
    assert all(right[at].any() for at, seed in enumerate(table.declared.seeds) if seed != 1)
    assert all(again.own_rate(network, seed) != lr for seed in table.declared.seeds if seed != 1)  # it failed there


@pytest.mark.parametrize(("width", "groups"), [(32, [2, 4, 8, 16]), (24, [2, 3, 4, 6, 8, 12]), (7, []), (2, [])])
def test_groups_are_those_that_there_are(width: int, groups: list[int]):
    kinds = findings.kinds(SimpleNamespace(table=SimpleNamespace(declared=SimpleNamespace(width=width))))  # type: ignore[arg-type]
    assert kinds == [f"s{width}", *(f"g{n}.s{width // n}" for n in groups), f"g{width}"]
