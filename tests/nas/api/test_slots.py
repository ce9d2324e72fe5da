"""A search of the slots of a model: spaces, trainings, what a run keeps, and how it goes on."""

from __future__ import annotations

import json
import pickle
import runpy
import subprocess
import sys
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from own_code import make_model
from safetensors.torch import load_file
from torch import nn

import nas
from einmix import Mixer, PatternError
from einmix.networks.architecture import Slotted
from einmix.pictures.field import columns
from einmix.slots import Slot, fill, mark
from nas.api.slots import space_of
from nas.errors import NasError
from search_spaces import Budget, load

Y = np.arange(150) % 3
X = (np.random.default_rng(0).normal(size=(150, 4, 4)) + Y[:, None, None]).astype(np.float32)
SMALL: dict[str, Any] = {"space": "local", "trials": 4, "epochs": 2, "top": 1, "seeds": 2, "lr": 0.02, "min_params": 0}
SMALL |= {"device": "cpu", "quiet": True, "run": "slots", "model": make_model}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nas.Run:
    return nas.search(data=(X, Y), runs_dir=tmp_path_factory.mktemp("runs"), workers=0, **SMALL)


def test_the_space_is_counted_listed_and_walked() -> None:
    space = space_of(make_model, load("local"))
    listed = {each.id: each for each in space.enumerate()}
    assert len(listed) == space.count() and all(each in space for each in listed.values())
    costs = [(each.params, each.macs) for each in listed.values()]
    least, most, fewest, largest = space.bounds()
    params, macs = zip(*costs, strict=True)
    assert (least, most, fewest, largest) == (min(params), max(params), min(macs), max(macs))
    budget = Budget(max_params=sorted(params)[len(params) // 3])
    for network in (space.sample(Random(seed), budget) for seed in range(20)):
        assert network.id in listed and network.params <= (budget.max_params or 0)
        assert sum(p.numel() for p in fill(make_model(), network).parameters()) == network.params
        answers = space.encode(network)
        assert space.choose(lambda name, options, known=answers: known[name]) == network
        assert all(each.id in listed for each in space.neighbours(network))
    assert pickle.loads(pickle.dumps(space)).count() == space.count()
    families = space.facts()["families"]
    assert families["tokens"]["h"] == "s*.m*" and families["last"]["t"] == "m*.s*"


def test_a_run_keeps_mixers_a_slot_and_judges_as_always(run: nas.Run) -> None:
    for line in (run.path / "results.jsonl").read_text().splitlines():
        told = json.loads(line)
        assert told["architecture"]["slots"].keys() == {"tokens", "last"} and "metric" not in told["extra"]
    assert run.best.judged is not None and run.best.gain is not None
    assert {each.label for each in run.references} == {"full token mixing", "channels only", "shared local"}
    row = run.frame().iloc[0]
    assert row["depth"] == 2 and row["params"] == run.best.architecture.params and " | " in row["mixers"]
    assert [trial.user_attrs["network"] for trial in run.study("sqlite://").trials]


def test_the_export_is_a_line_a_slot_and_its_weights_are_the_models(run: nas.Run, tmp_path: Path) -> None:
    exported = run.export(1, to=tmp_path)
    text = exported.file.read_text()
    assert text.count("Mix(") == 2 and exported.weights is not None
    module = runpy.run_path(str(exported.file))
    model = fill(make_model(), module["MIXERS"]).eval()
    model.load_state_dict(load_file(exported.weights))
    dataset = nas.open_run(run.path, data=(X, Y)).saved.located()[1]
    assert dataset.judge is not None
    with torch.no_grad():
        found = model(module["preprocess"](dataset.judge.x)).argmax(1).numpy()
    accuracy = float((found == dataset.judge.y).mean())
    assert min(abs(accuracy - each.judge.accuracy) for each in run.best.finals if each.judge) < 1e-6
    with pytest.raises(NasError, match=r"fills the slots of a model of your own: fill\(make_model\(\), run"):
        run.model(1)


ALONE = """
import json, runpy, sys, torch
mixers = runpy.run_path(sys.argv[1])["mixers"]()
shapes = {"tokens": (2, 4, 4, 4), "last": (2, 4, 16)}
print(json.dumps({name: [list(mix(torch.ones(shapes[name])).shape), sum(p.numel() for p in mix.parameters())]
                  for name, mix in mixers.items()}))
"""


@pytest.mark.outside
def test_the_export_runs_where_torch_and_einops_are_alone(run: nas.Run, tmp_path: Path) -> None:
    file, network = run.export(1, to=tmp_path).file, run.best.architecture
    assert isinstance(network, Slotted)
    command = [sys.executable, "-I", "-c", ALONE, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    params = {name: count // network.filled[name].times for name, count in network.params_in.items()}
    assert json.loads(done.stdout) == {"tokens": [[2, 4, 4, 4], params["tokens"]], "last": [[2, 4, 16], params["last"]]}


def test_it_is_drawn_audited_and_reported_slot_by_slot(run: nas.Run, tmp_path: Path) -> None:
    """What lies between two slots is not known: no position is said to reach from one to the other."""
    picture = nas.draw(run.path, 1)
    network = run.best.architecture
    assert isinstance(network, Slotted) and "Block" not in picture.svg
    for (name, each), column in zip(network.slots, columns(network), strict=True):
        mixer = Mixer.parse(each.mixer)
        axes = [axis for axis in mixer.inputs if axis != "c"]
        rows = (mixer.reach().along(axis)[at] for axis, at in zip(axes, column.block.example, strict=True))
        assert f">Slot {name}<" in picture.svg and len(column.first) == prod(int(row.sum()) for row in rows)
        assert f">{network.params_in[name]:,}<" in picture.svg
    assert run.audit().proxies == {}
    page = run.report(tmp_path / "page.html").read_text()
    assert "slot by slot" in page and "block by block</h2>" not in page and "mixers for 2 slots" in page
    told = r"^run 'slots' fills the slots of a model of yours: .* of whole networks alone$"
    for refused in (lambda: run.compare(quiet=True), lambda: run.train(1, epochs=3, quiet=True)):
        with pytest.raises(NasError, match=told):
            refused()


def test_it_goes_on_with_the_same_model_and_in_worker_processes(run: nas.Run) -> None:
    before = (run.path / "results.jsonl").read_text()
    asked = {"run": "slots", "runs_dir": run.path.parent, "quiet": True, "data": (X, Y)}
    again = nas.search(**asked, model=make_model, trials=5, workers=1)
    assert (again.path / "results.jsonl").read_text().startswith(before)
    assert all(isinstance(each.architecture, Slotted) for each in again)
    with pytest.raises(NasError, match=r"^run 'slots' was made with "):
        nas.search(**asked, workers=0)


def inside() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def too_large() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 1), Slot("tokens", "b c h w", h=8, w=8, c=4), nn.Flatten(), nn.Linear(64, 3))


def of_two_outputs() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 1), Slot("tokens", "b c h w", h=4, w=4, c=4), nn.Flatten(), nn.Linear(64, 2))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slot, self.head = Slot("tokens", "b c h w", h=4, w=4, c=1), inside()

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(x)


class Attention(nn.Module):
    """As those of transformers: called with more than a tensor."""

    def forward(self, x: torch.Tensor, attn_mask: Any = None, is_causal: bool = False) -> torch.Tensor:
        return x


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.head, self.mask = Attention(), inside(), None

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.attn(x, attn_mask=self.mask, is_causal=False))


def test_a_slot_stands_in_for_what_is_called_with_more() -> None:
    """Options that are off are left out; one that is on is no slot's."""
    model = mark(Transformer(), {"attn": Slot("tokens", "b c h w", h=4, w=4, c=1)})
    x = torch.randn(2, 1, 4, 4)
    assert model(x).shape == (2, 3)
    filled = fill(model, {"tokens": "h=m4 w=s4 c=s1"})
    assert filled(x).shape == (2, 3) and filled.attn.weight.shape == (4, 4)
    model.mask = torch.ones(1)
    with pytest.raises(TypeError, match="a slot takes one tensor, and is called with Tensor besides"):
        model(x)
    with pytest.raises(PatternError, match="slot tokens is filled with a mixer or its text, not Linear"):
        fill(of_two_outputs(), {"tokens": nn.Linear(1, 1)})
    with pytest.raises(PatternError, match="and no size of c"):
        Slot("tokens", "b c h w", h=4, w=4)
    with pytest.raises(PatternError, match="the model has no module 'atn'"):
        mark(Transformer(), {"atn": Slot("tokens", h=4, w=4)})


def test_what_cannot_be(tmp_path: Path) -> None:
    for wrong, words in (
        ({"model": inside}, "model: the model has no slots"),
        ({"model": make_model()}, "model is a module; a function that makes a new one is expected"),
        ({"model": too_large}, r"model: a forward pass of examples of shape \(1, 4, 4\) fails: "),
        ({"model": of_two_outputs}, r"model: of 2 examples it gives \(2, 2\); expected \(2, 3\): a logit a class"),
        ({"model": Unused}, "model: its forward pass does not use slot tokens"),
        ({"model": dict}, "model: it gives dict, no nn.Module"),
        ({"model": 3}, "model is 3; a function is expected"),
        ({"model": lambda: make_model(), "workers": 1}, "worker processes import model= .*<lambda>.*take workers=0"),
        ({"space": "macro"}, "slot tokens: space 'macro' is one of whole blocks; a slot takes families of mixers"),
        ({"objective": "accuracy,latency"}, "--objective latency is measured of the packages' networks"),
        ({"start": "mixer"}, "--start is about the packages' networks, not about a model of your own"),
        ({"scaling": "fan-in"}, "--scaling fan-in is about the packages' networks"),
    ):
        with pytest.raises(NasError, match=words):
            nas.search(**{"data": (X, Y), "runs_dir": tmp_path, "workers": 0} | SMALL | wrong)
    assert not any(tmp_path.iterdir())
