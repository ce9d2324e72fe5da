"""Rates by layer: what the learning rate of every parameter is multiplied by."""

import json
from pathlib import Path

import pytest
from fitting import fit_one
from torch import nn

from einmix import Architecture, Mixer, Stage, build
from einmix.kinds import Activation, Linear, Mix, Norm, Residual
from nas.data.dataset import Dataset
from nas.data.known import load
from nas.runs.job import Job
from nas.training.engine.examples import Examples
from nas.training.groups import scales
from nas.training.recipe import Recipe
from nas.training.trainer import build_architecture

EMBED = Mixer.parse("h=m4:1.s2 w=m4:1.s2 c=m1:8")
TIED = Mixer.parse("h=m2 w=s2 c=g8 +b")
BLOCK = (
    Residual((Norm(), Mix(TIED, weights="circulant"))),
    Residual((Mix(Mixer.parse("h=m2 w=m2 c=s8")), Linear(64), Activation("gelu"), Linear(8, bias=False))),
)
NET = Architecture((("h", 8), ("w", 8), ("c", 1)), (Stage((Mix(EMBED),), (BLOCK,)),), 10)
SCALES = {
    "0.weight": 2.0,  # of 16 inputs
    "1.f.0.weight": 1.0, "1.f.0.bias": 1.0, "1.f.1.bias": 1.0, "1.f.1.parametrizations.weight.original": 16.0,
    "2.f.0.weight": 8.0, "2.f.1.weight": 4.0, "2.f.1.bias": 1.0, "2.f.3.weight": 0.5,
    "3.weight": 1.0, "3.bias": 1.0, "5.weight": 4.0, "5.bias": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", data_dir=Path(), seed=0, limit=600)


def test_the_rate_of_a_weight_falls_with_its_inputs() -> None:
    assert scales(build(NET), NET) == SCALES


@pytest.mark.parametrize("scaling", ["none", "fan-in"])
def test_every_weight_is_trained_at_its_own_rate(scaling: str, digits: Dataset) -> None:
    """The first step of Adam is as long as the rate, wherever there is a gradient."""
    data = [Examples.of(part, digits, "cpu") for part in (digits.train, digits.validation)]
    recipe = Recipe(batch=len(digits.train), weight_decay=0.0, warmup=0.0, scaling=scaling)
    text, before = json.loads(NET.to_json()), {}

    def made() -> nn.Module:
        model = build_architecture(text)
        before.update({name: parameter.detach().clone() for name, parameter in model.named_parameters()})
        return model

    model, _ = fit_one(made, (data[0], data[1]), recipe, job=Job(text, NET.id, lr=0.01, seed=0, epochs=1), report=bool)
    moved = {
        name: (parameter.detach() - before[name]).abs().max().item() for name, parameter in model.named_parameters()
    }
    share = {name: scale if scaling == "fan-in" else 1.0 for name, scale in SCALES.items()}
    assert moved == pytest.approx({name: 0.01 / 2 * scale for name, scale in share.items()}, rel=1e-2)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net[:-1],
        lambda net: net.append(nn.Linear(10, 10)),
        lambda net: nn.Sequential(*net[:2], nn.Linear(8, 8), *net[2:-1]),
        lambda net: nn.Sequential(net[-1], *net[:-1]),
    ],
    ids=["less", "more", "as many others", "in another order"],
)
def test_another_model_is_an_error(change) -> None:
    with pytest.raises(ValueError, match=f"the parameters of architecture {NET.id} are not those of its model"):
        scales(change(build(NET)), NET)
