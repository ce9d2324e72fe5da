"""A run made by the code of commit f1a3960 is as good as one of today: it goes on, and is ranked, shown and compared.

`runs/` holds a search of six candidates with its finals, a training of 6 epochs and a comparison; then the search was
asked for more, and stopped in the middle of its ninth training, which is kept in `unfinished/`. What commands said of
it then is in `golden/run.json`, written by that code too, but for intervals (its finals were judged on what chose
them), for lines of modules (small layers, which compilers now take with any batch, and headers), and for default rungs.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import nas
from nas.cli.main import main

HERE = Path(__file__).parent
RUN = "macro-digits-f65742"
COMPARISON = f"{RUN}-compare-5d18c4"
ASKED = (
    "search --space macro --images 300 --width 8 --depth 1 --patch 2 --ratio 2 --epochs 4 --lr 0.02 --batch 16 "
    "--strategy fast-tpe --start gmlp --seed 5 --device cpu --workers 0 --top 2 --seeds 2"
)
CHECKPOINT = Path("runs", RUN, "checkpoints", "final-fb510cae3f-lr0.02-s7-e4.safetensors")
HERE_AND_NOW = "--device cpu --workers 0"
COMPARED = f"compare {RUN} --against mixer,resmlp --budget 900 --lrs 0.01,0.03 --epochs 2 {HERE_AND_NOW}"

KEPT = json.loads((HERE / "golden" / "run.json").read_text())
READ = (
    f"top {RUN}",
    f"top {RUN} --json",
    f"show {RUN} 1",
    f"show {RUN} fb51 --json",
    f"show {RUN} 62ec",
    f"train {RUN} 1 --epochs 6 --seeds 1 {HERE_AND_NOW}",
    f"{COMPARED} --seeds 2",
    f"{COMPARED} --seeds 2 --json",
    f"{ASKED} --trials 7 --dry-run",
)


@pytest.fixture
def in_copy(tmp_path, monkeypatch):
    """In a folder with a copy of the runs."""
    shutil.copytree(HERE / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)  # one thread: others want the cores


@pytest.fixture
def command(in_copy, monkeypatch, capsys):
    """Runs a command that succeeds, and gives the lines that it prints."""

    def run(line: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["nas", *shlex.split(line)])
        main()
        return capsys.readouterr().out.splitlines()

    return run


def results(name: str = RUN) -> list[dict]:
    return list(map(json.loads, Path("runs", name, "results.jsonl").read_text().splitlines()))


def numbers(file: Path) -> dict[str, list]:
    return {name: value.tolist() for name, value in load_file(file).items()}


@pytest.mark.parametrize("line", READ)
def test_what_is_said_of_it_is_what_was_said(command, line):
    before = results(), results(COMPARISON)
    assert command(line) == KEPT[line]
    assert (results(), results(COMPARISON)) == before


def test_it_goes_on_in_the_middle_of_a_training_with_the_proposals_that_were_next(command):
    before = results()
    assert command(f"search --run {RUN} --trials 11 {HERE_AND_NOW}")[2] == f"run runs/{RUN}: 0 workers on cpu"
    *same, kept, one, other = [line for line in results() if line["phase"] != "tune"]
    assert same == before
    assert {line["lr"] for line in results()} == {0.02, 0.0067, 0.06}  # those next to the run's are new, too
    assert [line["id"] for line in (kept, one, other)] == ["b9361d3cf6", "39c02a8217", "1ff09deb39"]
    assert kept["extra"]["resumed"] == 1
    assert kept["scores"][0] == {"epoch": 1, "loss": 2.0815018547905817, "accuracy": 0.2604166666666667}
    assert kept["scores"][-1]["accuracy"] == pytest.approx(0.4757, abs=0.05)
    assert not Path("runs", RUN, "unfinished").exists()
    assert command(f"top {RUN}")[0] == f"{RUN}: 11 candidates"


@pytest.mark.outside
def test_it_is_exported_with_the_weights_that_it_has(command):
    command(f"export {RUN} fb51")
    (module,) = Path("exported").glob("*.py")
    assert module.read_text().splitlines() == KEPT["exported"]
    assert numbers(module.with_suffix(".safetensors")) == numbers(CHECKPOINT)


def test_it_is_trained_and_compared_with_one_more_seed(command):
    before, compared = results(), results(COMPARISON)
    first, second, mean = command(f"train {RUN} 1aa7 --epochs 6 --seeds 2 {HERE_AND_NOW}")
    assert first == "seed 10005: 6 epochs, validation 64.2%, test 65.2% (loss 1.071), 0.4 s"
    assert re.fullmatch(r"seed 10006: 6 epochs, validation [5-8]\d\.\d%, test [5-8]\d\..*", second)
    assert mean.endswith("(mean ± std, n=2)")
    command(f"{COMPARED} --seeds 3")
    assert results()[:-1] == before
    assert results(COMPARISON)[:-3] == compared
    assert {line["seed"] for line in results(COMPARISON)[-3:]} == {1008}


def test_it_is_a_run_in_python(in_copy):
    """With its figures and weights; what it was asked for then is not trained again."""
    before, run = (results(), results(COMPARISON)), nas.open_run(RUN)
    rows = [json.loads(row) for row in KEPT[f"top {RUN} --json"]]
    found = sorted([*run.top(), *run.references], key=lambda standing: standing.id)
    figures = [(each.id, each.accuracy, each.n, each.gain and each.gain.mean) for each in found]
    gains = {row["id"]: row["gain"] and row["gain"]["mean"] for row in rows}
    assert figures == sorted((row["id"], row["accuracy"], row["n"], gains[row["id"]]) for row in rows)
    assert list(run.frame("trainings")["id"]) == [line["id"] for line in before[0]]
    weights = run.model("fb51").state_dict()
    assert {name: value.tolist() for name, value in weights.items()} == numbers(CHECKPOINT)
    (result,) = run.train(1, epochs=6, seeds=1, device="cpu", workers=0, quiet=True)
    assert (result.seed, round(result.test.accuracy, 3)) == (10005, 0.652)
    asked = {"against": ("mixer", "resmlp"), "budget": 900, "lrs": (0.01, 0.03), "epochs": 2, "seeds": 2}
    compared = run.compare(**asked, device="cpu", workers=0, quiet=True)
    assert [each.name for each in compared] == ["1aa793a9a1", "mixer", "resmlp"]
    assert (results(), results(COMPARISON)) == before
