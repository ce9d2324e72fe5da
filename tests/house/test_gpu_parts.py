"""`benchmarks/gpu.sh`: its commands exist, and its parts are kept, cut off, gone on with and run again as it says."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import gpu
import pytest
import torch

SAYS = "print('{\"value\": 3}')"


@pytest.fixture
def there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that believes it has a GPU, in an empty folder; returns where records are kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    before = signal.getsignal(signal.SIGINT)
    yield tmp_path / "runs" / "records"
    signal.signal(signal.SIGINT, before)


def part(program: str, **changes: Any) -> gpu.Part:
    plain = gpu.Part(
        "one", "why?", (f'python -c "{program}"',), lambda outputs, seconds: ({"n": len(outputs)}, outputs[0])
    )
    return replace(plain, **changes)


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "gpu-one.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", [part for part in gpu.PARTS if part.name != "tests"], ids=lambda part: part.name)
def test_without_a_gpu_every_command_is_checked(part, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([part.name]) == 0
    said = capsys.readouterr().out
    assert said.startswith("no GPU here") and said.count(f"{part.name}: ") == len(part.commands)


@pytest.mark.parametrize("command", ["nas search --sapce subgrid", "nas train", "python benchmarks/start.pi"])
def test_what_does_not_exist_is_found_without_a_gpu(command, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "PARTS", (part("", commands=(command,)),))
    assert gpu.main([]) == 1
    assert f"WRONG: {command}" in capsys.readouterr().out


def test_the_tests_that_need_a_gpu_are_one_part():
    command = next(part for part in gpu.PARTS if part.name == "tests").commands
    assert command == ("python -m pytest -m gpu -n 8 --maxprocesses 8 -q",)
    assert any("pytest.mark.gpu" in path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))


def test_a_part_leaves_its_record_and_a_line_and_is_not_run_again(there_is_one, monkeypatch):
    program = "import pathlib; pathlib.Path('ran').open('a').write('x'); print('so it is')"
    monkeypatch.setattr(gpu, "PARTS", (part(program),))
    assert [gpu.main([]), gpu.main(["one"])] == [0, 0] and Path("ran").read_text() == "x"
    kept = record(there_is_one)
    assert kept["state"] == "finished" and kept["found"] == {"n": 1} and kept["card"] == "a card"
    assert kept["torch"] == torch.__version__ and kept["seconds"] > 0 and "commit" in kept
    assert "one: finished, so it is" in (there_is_one / "gpu.txt").read_text()
    assert gpu.main(["--force"]) == 0 and Path("ran").read_text() == "xx"


def test_a_part_that_fails_is_told_and_run_again_and_others_are_run(there_is_one, monkeypatch, capsys):
    second = part("print(1)", name="two")
    monkeypatch.setattr(gpu, "PARTS", (part("raise SystemExit('no card left')"), second))
    assert gpu.main([]) == 1
    assert record(there_is_one)["state"] == "failed" and (there_is_one / "gpu-two.json").exists()
    assert "exit status 1: no card left" in (there_is_one / "gpu.txt").read_text()
    assert "left: one" in capsys.readouterr().out
    monkeypatch.setattr(gpu, "PARTS", (part(SAYS), second))
    assert gpu.main([]) == 0 and record(there_is_one)["state"] == "finished"


def test_a_service_that_does_not_start_is_told(there_is_one, monkeypatch):
    monkeypatch.setattr(gpu, "SERVICE", "no-such-service")
    monkeypatch.setattr(gpu, "PARTS", (part(SAYS, mps=True),))
    assert gpu.main([]) == 1
    assert "no-such-service" in record(there_is_one)["line"] and "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


@pytest.mark.parametrize("timed", [False, True])
def test_a_part_is_cut_off_and_goes_on_unless_time_is_what_it_measures(timed, there_is_one, monkeypatch):
    run = gpu.RUNS / "mine"
    run.mkdir(parents=True)
    slow = part("import time; time.sleep(60)", timed=timed)
    monkeypatch.setattr(gpu, "PARTS", (replace(slow, commands=(f"{slow.commands[0]} --run mine",)),))
    monkeypatch.setattr(gpu, "MINUTES", 0.01)
    assert gpu.main([]) == 0 and record(there_is_one)["state"] == "unfinished"
    assert run.exists() != timed
    assert record(there_is_one)["seconds"] < 30
    first = record(there_is_one)["seconds"]
    monkeypatch.setattr(gpu, "PARTS", (part(SAYS, timed=timed),))
    monkeypatch.setattr(gpu, "MINUTES", 9)
    gpu.main([])
    assert (record(there_is_one)["seconds"] > first) != timed


@pytest.mark.parametrize("timed", [False, True])
def test_what_prepares_a_part_is_not_timed(timed, there_is_one, monkeypatch):
    first, last = part("import time; time.sleep(1)").commands[0], part(SAYS).commands[0]
    both = part("", commands=(first, last), timed=timed, read=lambda outputs, seconds: ({"seconds": seconds}, "read"))
    monkeypatch.setattr(gpu, "PARTS", (both,))
    gpu.main([])
    found = record(there_is_one)
    assert (found["seconds"] - found["found"]["seconds"] > 1) == timed


def test_output_that_cannot_be_read_is_kept(there_is_one, monkeypatch):
    monkeypatch.setattr(gpu, "PARTS", (part("print('{torn')", read=gpu.ranking),))
    assert gpu.main([]) == 1
    assert record(there_is_one)["output"] == ["{torn\n"]


def test_a_ranking_is_put_into_words():
    leader = {"rank": 1, "id": "a", "accuracy": 0.5, "n": 2, "gain": {"mean": 0.01, "verdict": "ahead"}}
    line = gpu.ranking(["\n".join(map(json.dumps, ({"rank": None, "id": "r"}, leader)))], 4.4)[1]
    assert line == "leader a: 50.0%, n=2, +1.0 points, ahead, 4 s"


def test_figures_are_put_into_words(tmp_path):
    (tmp_path / "results.jsonl").write_text("{}\n" * 18)
    assert gpu.an_hour(["", '{"id": "a", "accuracy": 0.5}'], 60.0, run=tmp_path)[1] == "1,080 trainings an hour, 60.0 s"
    assert (
        gpu.an_hour(["", '{"id": "a", "accuracy": 0.5}\n{"id": "b", "accuracy": 0.5}'], 60.0)[1]
        == "120 trainings an hour, 60.0 s"
    )
    assert gpu.replicas([json.dumps({"as one / one": 1.5})], 1.0)[1].startswith("as one: 1.50 times one")
    row = {"precision": "tf32", "plain": {"ms": 9.0}, "graph": {"ms": 0.6}}
    assert gpu.steps([json.dumps(row)], 1.0)[1] == "milliseconds a step: tf32 9.0, as a graph 0.60"
    told = ["", json.dumps({"test": {"accuracy": 0.5}}) + "\n" + json.dumps({"test": {"accuracy": 0.7}})]
    words = gpu.precisions(told * len(gpu.PRECISIONS), 1.0)[1]
    assert words.count("60.0 ± 14.1% (mean ± std, n=2)") == len(gpu.PRECISIONS)
    part = next(part for part in gpu.PARTS if part.name == "precision")
    assert len(part.commands) == 2 * len(gpu.PRECISIONS)
