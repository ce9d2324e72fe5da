"""A small table of record, made, packed, read back, verified; and what is amiss with others."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from small_table import NETWORKS, SMALL

from nas.api import bench, resources
from nas.cli.main import main
from nas.cli.terminal import UNFINISHED
from nas.errors import NasError
from nas.executors.serial import Serial
from nas.options.bench import Bench
from nas.options.replay import Replay
from nas.runs.folder import RunFolder
from nas.tabular.declared import TABLES, declared
from nas.tabular.table import PARTS, Table, packed_table, schema
from nas.tabular.verified import compared, limits
from nas.training.worker import MakeTrainer


@pytest.mark.parametrize(("name", "shape", "count"), [("digits", {"h": 8, "w": 8}, 486), ("mnist1d", {"t": 40}, 378)])
def test_a_table_has_every_network_of_its_space_once(name, shape, count):
    networks = declared(name).networks(shape, 1, 10)
    assert len({network.id for network in networks}) == len(networks) == count
    assert all(len(set(map(str, network.mixers))) == 1 for network in networks)
    jobs = list(declared(name).jobs(networks))
    assert len({job.key for job, _ in jobs}) == len(jobs) == 9 * count


def test_fashion_mnist_has_the_networks_of_digits_on_its_grid():
    mixers = [
        {str(network.mixers[0]) for network in TABLES[name].networks({"h": n, "w": n}, 1, 10)}
        for name, n in (("digits", 8), ("fashion-mnist", 28))
    ]
    assert mixers[0] == mixers[1]


def test_an_unknown_table_is_named():
    with pytest.raises(NasError, match="no table 'digit'"):
        declared("digit")
    with pytest.raises(NasError, match="--part is 3 of 2"):
        bench.make(Bench(part=3, parts=2))


def test_what_is_read_back_is_what_was_trained(made: RunFolder, path: Path):
    table = Table.read(path)
    assert table.faults() == [] and table.declared == SMALL and len(table.cells) == 2 * NETWORKS
    for result in made.results():
        cell = table.cells[result.key]
        assert result.test and result.score
        for part, score in (("test", result.test), ("validation", result.score)):
            assert cell.right[part][-1] == round(score.accuracy * table.sizes[part])
            assert cell.losses[part][-1] == np.float32(score.loss)
        assert cell.training.tolist() == [np.float32(loss) for loss in result.train_loss]
        assert (cell.params, cell.macs) == (result.params, result.macs) and cell.seconds > 0
    assert set(table.sizes) == set(PARTS)


def test_what_was_trained_again_is_the_same_bit_for_bit(path: Path):
    found = list(bench.verify(path, cells=3))
    assert len(found) == 3 and all(each.passed and each.exact and each.told == "the same bits" for each in found)


def test_on_another_machine_it_is_within_the_noise_of_seeds(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "made_on", lambda: {"cpu": "another"})
    found = list(bench.verify(path, cells=2, seed=1))
    assert all(each.passed and not each.exact and "+0.0 points" in each.told for each in found)


def test_what_a_gpu_made_is_not_held_to_every_bit(path: Path, tmp_path: Path):
    table = Table.read(path)
    replace(table, facts={**table.facts, "made": {**table.facts["made"], "device": "cuda"}}).write(tmp_path / "x")
    (found,) = bench.verify(tmp_path / "x", cells=1)
    assert found.passed and not found.exact


def test_what_went_on_elsewhere_names_both_and_is_not_held_to_every_bit(
    made: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    here = made.settings["made"]
    patched = {"cpu": "another", "instructions": here["instructions"], "torch": here["torch"]}
    copytree(made.path, tmp_path / "runs" / made.path.name)
    lines = (made.path / "results.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs" / made.path.name / "results.jsonl").write_bytes(b"".join(lines[:-1]))
    monkeypatch.setitem(TABLES, "small", SMALL)
    monkeypatch.setattr(bench, "made_on", lambda: patched)
    asked = Bench(table="small", device="cpu", workers=0, runs_dir=tmp_path / "runs")
    for _ in range(2):  # the second time there is nothing left to train
        run = bench.make(asked, quiet=True)
        packed = bench.pack(run, tmp_path / "x.parquet")
        assert packed.facts["made"] == here | {"cpu": f"{here['cpu']} and another"} and len(run.notes("makers")) == 1
    assert f"made on cpu {here['cpu']} and another, " in (tmp_path / "x.json").read_text()
    for maker in (patched, here):
        monkeypatch.setattr(bench, "made_on", lambda maker=maker: maker)
        (found,) = bench.verify(tmp_path / "x.parquet", cells=1)
        assert found.passed and not found.exact
    monkeypatch.setattr(bench, "made_on", lambda: here)
    assert len(bench.make(asked, quiet=True).notes("makers")) == 1


def test_what_failed_for_good_is_not_gone_on_with(made: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copytree(made.path, tmp_path / "runs" / made.path.name)
    *lines, last = (made.path / "results.jsonl").read_text().splitlines()
    gone = {"state": "failed", "reason": "ValueError: no", "scores": [], "train_loss": [], "extra": {}, "right": ""}
    failed = json.dumps(json.loads(last) | gone | {"test": None})
    (tmp_path / "runs" / made.path.name / "results.jsonl").write_text("\n".join([*lines, failed, failed, ""]))
    monkeypatch.setitem(TABLES, "small", SMALL)
    monkeypatch.setattr(bench, "made_on", lambda: made.settings["made"] | {"cpu": "another"})
    run = bench.make(Bench(table="small", device="cpu", workers=0, runs_dir=tmp_path / "runs"), quiet=True)
    assert len(run.results()) == len(lines) + 2 and bench.makers(run) == made.settings["made"]


def changed(table: Table, change: Callable[[dict[str, Any]], None], row: int = 0) -> Table:
    """The same with a row changed."""
    rows = table.rows.to_pylist()
    change(rows[row])
    return replace(table, rows=pa.Table.from_pylist(rows, table.rows.schema))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"params": 1}, "its mixer or costs are another network's"),
        ({"mixer": "h=m2 w=m4 c=s2 +b"}, "its mixer or costs are another network's"),
        ({"latency": 0.0}, "it has no latency"),
        ({"loss_test": [0.5]}, "its curves are not of 2 epochs"),
        ({"right_test": [0, 360]}, "more than 359 of test are right"),
        ({"bits_judge": b""}, "its bits of judge are not those of its accuracy"),
        ({"bits_judge": b"\xff" * 36}, "its bits of judge are not those of its accuracy"),
        ({"reason": "ValueError: no"}, "it failed, but has curves"),
        ({"loss_validation": [0.5, float("nan")]}, "some of its losses are no numbers"),
        ({"training": [float("inf"), 0.5]}, "some of its losses are no numbers"),
        ({"seconds": float("nan")}, "its seconds are none"),
        ({"seed": 7}, "1 of 36 cells are empty"),
        ({"id": "0000000000"}, "1 cells are none of the table's"),
    ],
)
def test_what_is_amiss_is_told(change: dict[str, Any], told: str, path: Path):
    faults = changed(Table.read(path), lambda row: row.update(change)).faults()
    assert any(told in fault for fault in faults), faults


def test_rows_that_are_there_twice_are_told(path: Path):
    table = Table.read(path)
    assert (
        "1 rows are there twice" in replace(table, rows=pa.concat_tables([table.rows, table.rows.slice(0, 1)])).faults()
    )


def test_what_differs_does_not_pass(path: Path, tmp_path: Path):
    table, other = Table.read(path), tmp_path / "other.parquet"
    rows = table.rows.to_pylist()
    for row in rows:
        row["loss_train"][0] += 1e-3
    replace(table, rows=pa.Table.from_pylist(rows, table.rows.schema)).write(other)
    (found,) = bench.verify(other, cells=1)
    assert not found.passed and found.told == "differs in losses of train"


@pytest.mark.parametrize("part", ["train", "validation", "test", "judge"])
def test_elsewhere_all_that_it_ended_with_is_compared(part: str, path: Path):
    """Seeds move the others' ends as little as before: their limits are theirs."""
    table = Table.read(path)
    kept = next(iter(table.cells.values()))
    assert compared(table, kept, kept, exact=False).passed
    n = table.sizes[part]
    losses, right = kept.losses[part] * np.float32(3), kept.right[part] - n // 5
    for again in (
        replace(kept, losses={**kept.losses, part: losses}),
        replace(kept, right={**kept.right, part: right}),
    ):
        found = compared(table, kept, again, exact=False)
        change = "+200.0 percent" if again.losses is not kept.losses else f"{-100 * (n // 5) / n:.1f} points"
        assert not found.passed and re.match(rf"{part} \w+ {re.escape(change)}, within [0-9.]+ are", found.told)


def test_the_data_of_a_table_is_trained_on_with_one_thread(
    made: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By default a process without workers takes all cores, which changes bits and counts the seconds of each."""
    threads = []

    class Noted(Serial):
        def __init__(self, make: MakeTrainer, **how: Any) -> None:
            threads.append(make.threads)
            super().__init__(make, **how)

    copytree(made.path, tmp_path / "runs" / made.path.name)
    lines = (made.path / "results.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs" / made.path.name / "results.jsonl").write_bytes(b"".join(lines[:-1]))
    monkeypatch.setitem(TABLES, "small", SMALL)
    monkeypatch.setattr(resources, "cores", lambda: 2)
    for module in (bench, resources):
        monkeypatch.setattr(module, "Serial", Noted)
    bench.make(Bench(table="small", device="cpu", workers=0, runs_dir=tmp_path / "runs"), quiet=True)
    assert threads == [1]


@pytest.mark.parametrize("line", [b'{"cpu": "x"}', b'{"cpu": 3, "instructions": [], "torch": {}}', b"{}", b"no"])
def test_notes_of_makers_may_say_anything(line: bytes, made: RunFolder, tmp_path: Path):
    copytree(made.path, tmp_path / made.path.name)
    with (tmp_path / made.path.name / "makers.jsonl").open("ab") as notes:
        notes.write(line + b"\n")
    run = RunFolder.open(tmp_path, made.path.name)
    found = bench.makers(run)
    assert found.keys() == made.settings["made"].keys() and all(isinstance(value, str) for value in found.values())
    assert (found == made.settings["made"]) == (line == b"no")


def test_what_the_digest_alone_tells_is_told(path: Path, tmp_path: Path, monkeypatch, capsys):
    """Two seeds' rows, each as whole as before, in each other's place."""
    table, other = Table.read(path), tmp_path / "small.parquet"
    other.write_bytes(path.read_bytes())
    other.with_suffix(".json").write_bytes(path.with_suffix(".json").read_bytes())
    assert bench.faults(other) == []
    rows = table.rows.to_pylist()
    (first, second), kept = [n for n, row in enumerate(rows) if row["id"] == rows[0]["id"]][:2], ("id", "lr", "seed")
    swapped = {name: value for name, value in rows[second].items() if name not in kept}
    rows[second].update({name: rows[first][name] for name in swapped})
    rows[first].update(swapped)
    replace(table, rows=pa.Table.from_pylist(rows, table.rows.schema)).write(other)
    assert bench.faults(other) == ["its SHA-256 is another one than in small.json"]
    monkeypatch.setattr(sys, "argv", ["nas", "bench", "verify", str(other), "-k", "1"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == UNFINISHED
    assert "not passed  its SHA-256 is another one than in small.json" in capsys.readouterr().out


@pytest.mark.parametrize(("part", "status"), [([], UNFINISHED), (["--part", "1", "--parts", "2"], 0)])
def test_a_table_that_lacks_cells_is_not_made(part, status, path: Path, tmp_path, monkeypatch):
    """But a part of it may be."""
    short = replace(Table.read(path), rows=Table.read(path).rows.slice(0, NETWORKS))
    monkeypatch.setattr(bench, "make", lambda asked: SimpleNamespace(path=tmp_path))
    monkeypatch.setattr(bench, "pack", lambda run, to: to.write_bytes(b"") is not None and short)
    monkeypatch.setattr(sys, "argv", ["nas", "bench", "make", "--table", "digits", *part])
    try:
        main()
        left = 0
    except SystemExit as end:
        left = end.code or 0
    assert left == status


def test_a_failed_training_stays_in(made: RunFolder, tmp_path: Path):
    results = made.results()
    results[0] = replace(
        results[0], state="failed", scores=(), train_loss=(), reason="FloatingPointError: nan", extra={}
    )
    packed_table(made.settings, results, defaultdict(lambda: 1.0)).write(tmp_path / "x.parquet")
    table = Table.read(tmp_path / "x.parquet")
    assert table.faults() == [] and table.cells[results[0].key].reason == "FloatingPointError: nan"
    assert min(limits(table).values()) > 0


def test_what_is_no_table_is_refused(path: Path, tmp_path: Path):
    (tmp_path / "x").write_bytes(b"PAR1 no")
    with pytest.raises(NasError, match="is no table of record"):
        Table.read(tmp_path / "x")
    whole = Table.read(path)
    for facts in ({**whole.facts, "data": 3}, {**whole.facts, "table": {**whole.facts["table"], "more": 1}}):
        replace(whole, facts=facts).write(tmp_path / "z")
        with pytest.raises(NasError, match="is no table of record"):
            Table.read(tmp_path / "z")
    pa.parquet.write_table(pa.table({"id": ["a"]}), tmp_path / "y")
    with pytest.raises(NasError, match="is no table of record"):
        Table.read(tmp_path / "y")


CHANGED_FACTS = [
    *(("table", name, value) for name in ("width", "depth", "ratio", "epochs") for value in (0, -1, "2", 2.5, None)),
    *(("table", "patch", value) for value in (0, None, "2", [0, 1], [[2]])),
    *(("table", "rates", value) for value in ([], ["a"], 0.01, [0.0], [-0.01])),
    *(("table", "seeds", value) for value in ([], ["0"], 3, [-1])),
    *(("data", "shape", value) for value in (5, {"h": "8", "w": 8}, {"h": 0, "w": 8}, "hw", None)),
    *(("data", name, value) for name in ("channels", "classes", "train", "validation", "test") for value in (0, "a")),
    *(("data", "fingerprint", value) for value in (None, 5)),
    ("made", "device", 5),
]


@pytest.mark.parametrize(("what", "name", "value"), CHANGED_FACTS)
def test_a_table_that_says_strange_things_of_itself_is_refused(what: str, name: str, value: Any, path: Path, tmp_path):
    table = Table.read(path)
    for changed_to in [value] if value is not None else [value, ...]:  # none at all, last
        facts = {**table.facts[what], name: changed_to}
        if changed_to is ...:
            del facts[name]
        replace(table, facts={**table.facts, what: facts}).write(tmp_path / "x.parquet")
        with pytest.raises(NasError, match=f"is no table of record.*{name if name != 'shape' else ''}"):
            Table.read(tmp_path / "x.parquet")


COLUMNS = [*schema().names]


@pytest.mark.parametrize("column", COLUMNS)
def test_no_field_of_a_table_is_empty(column: str, path: Path, tmp_path: Path):
    table = Table.read(path)
    lists = isinstance(table.rows.to_pylist()[0][column], list)
    for value in [None, *([[0.5, None]] if lists else [])]:
        changed(table, lambda row, value=value: row.update({column: value}), row=3).write(tmp_path / "x.parquet")
        with pytest.raises(NasError, match=f"column '{column}' has fields without a value"):
            Table.read(tmp_path / "x.parquet")


STRANGE = [
    {"seconds": -5.0},
    {"seconds": 1e30},
    {"seconds": float("inf")},
    {"loss_validation": [0.5, float("nan")]},
    {"loss_validation": [0.5]},
    {"right_validation": [1, 10**6]},
    {"bits_validation": b""},
    {"reason": "x"},
    {"mixer": "nonsense"},
]


@pytest.mark.parametrize("change", STRANGE)
def test_what_is_amiss_is_not_replayed(change: dict[str, Any], path: Path, tmp_path: Path):
    for row in (None, 5):
        table = Table.read(path)
        for at in range(table.rows.num_rows) if row is None else [row]:
            table = changed(table, lambda row: row.update(change), row=at)
        table.write(tmp_path / "x.parquet")
        assert bench.faults(tmp_path / "x.parquet")
        with pytest.raises(NasError, match=re.escape(table.wrong[0])):
            next(bench.verify(tmp_path / "x.parquet", cells=1))
        with pytest.raises(NasError, match="`nas bench verify` says all that is wrong"):
            bench.replayed(tmp_path / "x.parquet", Replay(lr=0.01, trials=3, repeats=1))


def test_a_replay_is_of_what_its_metadata_tell(path: Path, tmp_path: Path):
    (tmp_path / "small.parquet").write_bytes(path.read_bytes())
    (tmp_path / "small.json").write_text("{}")
    with pytest.raises(NasError, match=r"its SHA-256 is another one than in small.json"):
        bench.replayed(tmp_path / "small.parquet", Replay(lr=0.01, trials=3, repeats=1))


def test_its_metadata_tell_every_column_and_its_digest(path: Path):
    told = json.loads(path.with_suffix(".json").read_text())
    (file,), (rows,) = told["distribution"], told["recordSet"]
    assert file["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert [field["name"] for field in rows["field"]] == Table.read(path).rows.column_names
    assert all(field["description"] and field["source"]["fileObject"]["@id"] == path.name for field in rows["field"])
    assert "18 networks" in told["description"] and "36 trainings, of which 0 failed" in told["description"]
