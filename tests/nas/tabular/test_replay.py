"""Searches on a small table: what they choose is the table's, and what it costs."""

from __future__ import annotations

import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pyarrow as pa
import pytest
from small_table import NETWORKS

from nas.api.bench import replayed
from nas.cli.main import main
from nas.errors import NasError
from nas.options.replay import Replay
from nas.tabular.replay import Recorded, Step, regret_at, seconds_to, top
from nas.tabular.table import Table


@pytest.mark.parametrize("strategy", ["random", "surrogate", "tpe", "exhaustive"])
def test_who_tries_all_finds_what_the_table_has(strategy: str, path: Path):
    recorded, searches = replayed(path, Replay(strategy=strategy, trials=NETWORKS, lr=0.01, repeats=2, prune=False))
    assert len(recorded.true_losses) == NETWORKS
    table = Table.read(path)
    for seed, steps in enumerate(searches):
        true = {recorded.mixers[id]: loss for id, loss in recorded.true_losses.items()}
        cells = [cell for key, cell in table.cells.items() if key.seed == seed and cell.mixer in true]
        best = min(cells, key=lambda cell: cell.losses["validation"][-1])  # by the seed that it searches with
        assert steps[-1].regret == pytest.approx(true[best.mixer] - min(true.values()))
        assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)
        assert steps[-1].seconds <= sum(cell.seconds for cell in cells) + 1e-6


def failing(path: Path, ids: int) -> Table:
    """The table with every seed of so many networks failed."""
    table = Table.read(path)
    rows = table.rows.to_pylist()
    gone = {*sorted({row["id"] for row in rows})[:ids]}
    for row in rows:
        if row["id"] in gone:
            curves = {name: b"" if name.startswith("bits") else [] for name in row if name.split("_")[0] in EMPTY}
            row.update({"reason": f"FloatingPointError: of {row['id']}", **curves})
    return replace(table, rows=pa.Table.from_pylist(rows, table.rows.schema))


EMPTY = "training", "loss", "right", "bits"


@pytest.mark.parametrize("strategy", ["random", "surrogate"])
def test_what_failed_fails_again(strategy: str, path: Path, tmp_path: Path):
    """It is never chosen, whatever the strategy, and takes no part in a rung."""
    failing(path, 6).write(tmp_path / "x.parquet")
    recorded, searches = replayed(
        tmp_path / "x.parquet", Replay(strategy=strategy, trials=NETWORKS, lr=0.01, repeats=2)
    )
    assert sum(loss == inf for loss in recorded.true_losses.values()) == 6
    for steps in searches:
        assert steps and all(recorded.true_losses[step.id] < inf for step in steps)


def test_where_all_failed_nothing_is_chosen(path, tmp_path, monkeypatch, capsys):
    failing(path, NETWORKS).write(tmp_path / "x.parquet")
    asked = ["replay", "--table", str(tmp_path / "x.parquet"), "--lr", "0.01", "--trials", "4", "--repeats", "2"]
    for more, told in (([], "2 of 2 searches chose nothing"), (["--json"], '"regret": null')):
        monkeypatch.setattr(sys, "argv", ["nas", *asked, *more])
        main()
        assert told in capsys.readouterr().out


def test_a_part_of_a_table_is_not_replayed(path: Path, tmp_path: Path):
    table = Table.read(path)
    replace(table, rows=table.rows.slice(0, NETWORKS + 3)).write(tmp_path / "x.parquet")
    with pytest.raises(NasError, match=r"of 36 trainings at 0.01 are missing|a replay takes all"):
        replayed(tmp_path / "x.parquet", Replay(lr=0.01))


def test_more_workers_take_less_time(path: Path):
    asked = Replay(strategy="random", trials=10, lr=0.01, repeats=5, prune=False)
    one, two = (replayed(path, replace(asked, workers=n))[1] for n in (1, 2))
    assert [steps[-1].regret for steps in one] == [steps[-1].regret for steps in two]
    assert sum(steps[-1].seconds for steps in two) < 0.8 * sum(steps[-1].seconds for steps in one)


def test_regret_by_time():
    steps = [Step(1.0, 0.5), Step(2.0, 0.1), Step(3.0, 0.2)]
    assert [regret_at(steps, at) for at in (0.5, 1.0, 2.5, 9.0)] == [float("inf"), 0.5, 0.1, 0.2]
    assert (seconds_to(steps, 0.5), seconds_to(steps, 0.2), seconds_to(steps, 0.1)) == (1.0, 2.0, float("inf"))


def test_the_best_share(path: Path):
    recorded = Recorded(Table.read(path), 0.01)
    assert top(recorded, 0.01) == 0.0
    losses = sorted(recorded.true_losses.values())
    assert top(recorded, 0.5) == pytest.approx(losses[8] - losses[0])


def test_what_failed_is_none_of_the_best(path: Path, tmp_path: Path):
    failing(path, NETWORKS - 4).write(tmp_path / "x.parquet")
    recorded = Recorded(Table.read(tmp_path / "x.parquet"), 0.01)
    losses = sorted(recorded.true_losses.values())
    assert losses[3] < losses[4] == inf
    assert top(recorded, 0.5) == pytest.approx(losses[1] - losses[0]) and top(recorded, 1.0) < inf
    failing(path, NETWORKS).write(tmp_path / "x.parquet")
    none = top(Recorded(Table.read(tmp_path / "x.parquet"), 0.01), 0.01)
    assert none != none and seconds_to([Step(1.0, inf)], none) == inf


def test_another_rate_is_none_of_the_tables(path: Path):
    with pytest.raises(NasError, match="the table has"):
        replayed(path, Replay(lr=0.5))
