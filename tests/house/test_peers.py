"""`benchmarks/peers.py`: what is held against us is the same work, asked for as it says, and ranked as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import peers
import plain_script
import pytest
import reference
import torch
import typer
from torch.utils.data import TensorDataset

from einmix import build
from nas.cli.main import app
from nas.training.engine.examples import Examples
from search_spaces import load

SHAPES = [({"h": 8, "w": 8}, None), ({"h": 28, "w": 28}, (7,))]


@pytest.mark.parametrize(("shape", "patch"), SHAPES, ids=["digits", "fashion"])
@pytest.mark.parametrize("seed", range(6))
def test_the_plain_network_is_ours(seed, shape, patch):
    space = load("mixed").on(shape, channels=1, classes=10, patch=patch or ())
    architecture = space.sample(Random(seed))
    ours, plain = build(architecture), plain_script.network(peers.plain(architecture, space), 10)
    theirs = list(plain.parameters())
    assert sum(each.numel() for each in theirs) == architecture.params
    with torch.no_grad():
        for own, other in zip(ours.parameters(), theirs, strict=True):
            other.copy_(torch.randn_like(own))
            own.copy_(other)
        x = torch.randn(3, 1, *shape.values())
        torch.testing.assert_close(ours(x), plain(x), rtol=1e-4, atol=1e-4)


def test_the_plain_script_has_our_data_recipe_and_candidates(tmp_path: Path):
    session = reference.QUICK.session(trials=3)
    peers.write(session, tmp_path)
    given = json.loads((tmp_path / "candidates.json").read_text())
    drawn = reference.candidates(reference.QUICK.session(trials=3))
    assert [each["id"] for each in given["candidates"]] == [architecture.id for architecture in drawn]
    assert given["recipe"] == session.recipe.to_json() | {"classes": 10}
    arrays = peers.np.load(tmp_path / "data.npz")
    for part in ("train", "validation"):
        x, y = Examples.of(getattr(session.dataset, part), session.dataset, "cpu").batch(slice(None))
        torch.testing.assert_close(torch.from_numpy(arrays[f"x_{part}"]), x)
        assert arrays[f"y_{part}"].tolist() == y.tolist()


def test_the_plain_training_learns_and_tells_of_every_epoch():
    space = load("mixed").on({"h": 4, "w": 4}, channels=1, classes=2, patch=(1,), width=(8,), depth=(1,))
    candidate = peers.plain(space.sample(Random(0)), space)
    y = torch.arange(64) % 2
    data = TensorDataset(torch.randn(64, 1, 4, 4) + 4.0 * y.view(-1, 1, 1, 1), y)
    recipe = reference.QUICK.session().recipe.to_json() | {"classes": 2, "epochs": 8, "batch": 16, "lr": 0.02}
    told: list[tuple[int, float]] = []
    accuracy = plain_script.train(candidate, (data, data), recipe, report=lambda *what: told.append(what))
    assert [epoch for epoch, _ in told] == list(range(1, 9))
    assert accuracy == told[-1][1] > 0.9
    assert plain_script.train(candidate, (data, data), recipe) == accuracy  # to tell changes nothing


@pytest.mark.parametrize("setting", [reference.MAIN, reference.QUICK], ids=lambda setting: setting.name)
@pytest.mark.parametrize("arm", peers.ARMS)
def test_what_an_arm_runs_exists(arm, setting):
    words = peers.command(arm, setting, 0.04)
    if arm.startswith("nas "):
        assert words[:3] == ["-m", "nas", "search"]
        search = typer.main.get_command(app).commands["search"]
        asked = search.make_context("search", words[3:]).params
        assert {name: asked[name] for name in ("trials", "strategy", "seed")} == {
            name: setting.options[name] for name in ("trials", "strategy", "seed")
        }
        assert (asked["lr"], asked["prune"]) == ((None, True) if arm == peers.OURS else (0.04, False))
    else:
        assert Path(words[0]).exists()
        asked = plain_script.parse(words[1:])
        assert (asked.lr, asked.epochs, asked.device) == (0.04, None, "cpu")
        assert max(asked.jobs, asked.processes) == peers.JOBS
        assert asked.prune == ("pruned" in arm) and asked.reuse_actors == ("reused" in arm)


def test_every_target_is_of_an_arm():
    for ours, name, _ in peers.TARGETS:
        assert ours in peers.ARMS and any(arm.startswith(name) for arm in peers.ARMS)


@pytest.mark.parametrize("seed", range(5))
def test_tau_counts_pairs(seed):
    rng = Random(seed)
    found = {str(i): (rng.choice([1, 2, 4]), rng.random()) for i in range(9)}
    true = {str(i): rng.random() for i in range(1, 10)}  # 0 has no reference, 9 was not tried
    both = [str(i) for i in range(1, 9)]
    agree = sum((found[a] > found[b]) == (true[a] > true[b]) for a, b in combinations(both, 2))
    losses = {id: -merit for id, merit in true.items()}
    assert peers.tau(found, losses) == pytest.approx(2 * agree / 28 - 1)


def test_how_far_it_was_trained_comes_before_accuracy(tmp_path: Path):
    ranked = [peers.Ranked("a", 4, 0.8), peers.Ranked("b", 4, 0.9), peers.Ranked("c", 2, 0.95)]
    record = reference_of(tmp_path, {"a": [(0.2, 0.6)] * 2, "b": [(0.1, 0.7)] * 2, "c": [(0.3, 0.8)] * 2})
    turn = peers.Turn(2.0, 3.0, 0.0, 0.04, 0.0, tuple(ranked))
    turns = {peers.OURS: [turn, turn], "Ray Tune, ASHA": [replace(turn, seconds=6.0, cpu=12.0)] * 2}
    _, _, ours, ray = peers.table(turns, record)
    assert ray == (
        "| Ray Tune, ASHA | 6.0 (6.0 to 6.0) | 12.0 (12.0 to 12.0) | 3.00 (3.00 to 3.00); 4.00 (4.00 to 4.00) "
        "| 1.00 (1.00 to 1.00) | 70.0 (70.0 to 70.0)% |"
    )
    assert "| 1.00 (1.00 to 1.00); 1.00 (1.00 to 1.00) |" in ours
    said = peers.notes(turns, record)
    assert "Ray Tune, ASHA / nas search: 3.00 wall, 4.00 CPU, n=2 (target 3.0)" in said
    assert "reference: 3 networks, best 80.0%; a seed and the mean of the others: 1.00" in said
    assert [line.split("|")[-3:-1] for line in peers.table(turns, tmp_path / "missing")[2:]] == [[" – ", " – "]] * 2


BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
STARTS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"


def test_the_cpu_seconds_of_an_arm_are_those_of_all_its_processes():
    def start(program: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline()
        return process

    with start(BURN) as other:
        tree = peers.Tree()
        assert tree.look() == 0
        with start(STARTS) as arm:
            spent = tree.look()
            arm.communicate(b"\n")
        other.communicate(b"\n")
    assert spent >= 0.29  # 1/100 s is a tick
    assert tree.look() == spent  # what has ended has spent what it had


RATES = (0.1, 0.2, 0.4)


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (0.2, RATES),
        (0.4, (*RATES, 0.8)),
        (0.8, (*RATES, 0.8, 1.6)),
        (0.1, (*RATES, 0.05)),
        (0.05, (*RATES, 0.05, 0.025)),
    ],
)
def test_a_sweep_goes_on_where_its_best_rate_is_at_an_edge(best, tried):
    losses: dict[float, float] = {}
    rate, found = reference.best_rate(losses, RATES)
    while rate is not None:
        losses[rate] = abs(rate / best - 1) + (rate < best)
        rate, found = reference.best_rate(losses, RATES)
    assert (found, tuple(losses)) == (best, pytest.approx(tried))


def reference_of(folder: Path, tested: dict[str, list[tuple[float, float]]]) -> Path:
    """A record of test losses and accuracies by network and seed."""
    path = folder / "reference.jsonl"
    rows = [
        {"id": id, "phase": "compare", "test_loss": loss, "test": accuracy}
        for id, seeds in tested.items()
        for loss, accuracy in seeds
    ]
    swept = {"id": "a", "phase": "tune", "loss": 9.0}
    diverged = {"id": "d", "phase": "compare", "loss": None}
    path.write_text("\n".join(map(json.dumps, [swept, *rows, diverged])))
    return path


def test_a_reference_is_over_all_seeds_or_none(tmp_path: Path):
    path = reference_of(tmp_path, {"a": [(0.5, 0.8), (0.7, 0.9)], "b": [(0.9, 0.7)]})
    assert reference.truth(path) == {"a": pytest.approx(0.6)}
    assert reference.truth(path, "test") == {"a": pytest.approx(0.85)}
    assert reference.truth(path, seeds=slice(1)) == {"a": 0.5}
    assert reference.truth(tmp_path / "missing") == {}
