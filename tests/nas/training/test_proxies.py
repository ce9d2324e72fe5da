"""Zero-cost proxies: each is what its formula gives by another way, and the model stays as it was."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from itertools import product
from math import isfinite, log
from random import Random

import numpy as np
import pytest
import torch
from kinds import TIED, cases, network
from searches import tiny
from torch import Tensor, nn

from einmix import build
from nas.training import proxies as module
from nas.training.proxies import PROXIES, measure, proxies
from search_spaces import SPACES


def batch(*shape: int, classes: int = 3, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(*shape, generator=generator, dtype=dtype)
    return x, torch.randint(classes, shape[:1], generator=generator)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def mlp(activation: type[nn.Module] = nn.ReLU, *more: nn.Module) -> nn.Module:
    return seeded(lambda: nn.Sequential(nn.Linear(5, 7), *more, activation(), nn.Linear(7, 3))).double()


def mixed() -> nn.Module:
    """Several kinds of norms and activations, frozen and tied weights, and what draws at random in training."""
    names = "norm batch", "drop", "norms", "gelu", "silu", "tanh", *(f"weights {w}" for w in ("frozen", *TIED, "sin"))
    nodes = cases({"h": 4, "w": 3})
    return seeded(lambda: build(network(tuple(node for name in names for node in nodes[name]))))


def test_synflow_of_a_linear_network_is_the_sum_of_its_paths_once_a_layer() -> None:
    """Every path from an input to an output has one weight of each layer, so it counts twice; a bias ends one."""
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))).double()
    first, one, second, two = (each.detach().abs().numpy() for each in model.parameters())
    paths = sum(second[k, j] * first[j, i] for i, j, k in product(range(4), range(5), range(3)))
    shorter = sum(second[k, j] * one[j] for j, k in product(range(5), range(3)))
    x, y = batch(6, 4)
    assert proxies(model, x, y)["synflow"] == pytest.approx(log(2 * paths + 2 * shorter + two.sum()), rel=1e-12)


def test_synflow_of_frozen_weights_is_of_their_absolute_values() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False)))
    weight = model[0].weight.detach()
    del model[0].weight
    model[0].register_buffer("weight", weight)
    paths = (model[1].weight.detach().double().abs() @ weight.double().abs()).sum().item()
    assert proxies(model, *batch(6, 4, dtype=torch.float32))["synflow"] == pytest.approx(log(paths), rel=1e-12)


def test_synflow_goes_by_norms() -> None:
    model = mlp(nn.ReLU, nn.BatchNorm1d(7, eps=1e-12))
    nn.init.constant_(model[1].running_var, 4.0)
    first, one, _, _, second, two = (each.detach().abs() for each in model.parameters())
    through = (second @ first).sum().item() + (second @ one).sum().item()
    found = proxies(model, *batch(6, 5))["synflow"]
    assert found == pytest.approx(log(2 * through + two.sum().item()), rel=1e-9)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh])
def test_naswot_counts_the_units_that_agree(activation: type[nn.Module]) -> None:
    model = mlp(activation)
    x, y = batch(6, 5)
    codes = (x @ model[0].weight.T + model[0].bias > 0).tolist()
    kernel = np.array([[sum(a == b for a, b in zip(one, two, strict=True)) for two in codes] for one in codes])
    assert proxies(model, x, y)["naswot"] == pytest.approx(log(abs(np.linalg.det(kernel))), rel=1e-9)


def test_naswot_counts_a_module_at_its_every_use() -> None:
    act = nn.GELU()
    model = seeded(lambda: nn.Sequential(nn.Linear(5, 7), act, nn.Linear(7, 9), act, nn.Linear(9, 3))).double()
    x, y = batch(6, 5)
    inputs = [model[0](x), model[:3](x)]
    codes = torch.cat([each > 0 for each in inputs], 1).numpy()
    kernel = (codes[:, None] == codes[None]).sum(-1)
    assert proxies(model, x, y)["naswot"] == pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-9)


def test_jacob_cov_is_of_the_correlations_between_gradients() -> None:
    model = mlp(nn.GELU)
    x, y = batch(4, 5)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda one: model(one).sum()))(x).detach().numpy()
    values = np.linalg.eigvalsh(np.corrcoef(jacobian)) + 1e-5
    assert proxies(model, x, y)["jacob_cov"] == pytest.approx(-(np.log(values) + 1 / values).sum(), rel=1e-6)


def test_grad_norm_of_a_linear_softmax() -> None:
    """(softmax - target) xᵀ by the weights, and without x by the biases."""
    model = seeded(lambda: nn.Linear(5, 3)).double()
    x, y = batch(6, 5)
    error = (model(x).softmax(1) - nn.functional.one_hot(y, 3)).detach().numpy() / len(x)
    expected = np.sqrt(np.square(error.T @ x.numpy()).sum() + np.square(error.sum(0)).sum())
    assert proxies(model, x, y)["grad_norm"] == pytest.approx(expected, rel=1e-12)


def test_grad_norm_is_by_the_batch_of_a_batch_norm_and_drops_nothing() -> None:
    model = mlp(nn.Tanh, nn.BatchNorm1d(7))
    x, y = batch(6, 5)
    loss = nn.functional.cross_entropy(model.train()(x), y)
    expected = nn.utils.get_total_norm(torch.autograd.grad(loss, list(model.parameters()))).item()
    dropping = nn.Sequential(*model[:2], nn.Dropout(0.5), *model[2:])
    assert proxies(dropping.eval(), x, y)["grad_norm"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_stays_as_it_was(training: bool) -> None:
    model = mixed().train(training)
    model[0].eval()
    x, y = batch(5, 4, 4, 3, dtype=torch.float32)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes, generator, before = [each.training for each in model.modules()], torch.get_rng_state(), x.clone()
    assert set(proxies(model, x, y)) == set(PROXIES)
    after = model.state_dict()
    assert list(after) == list(state) and all(torch.equal(after[name], value) for name, value in state.items())
    assert all(after[name].dtype == value.dtype for name, value in state.items())
    assert all(each.grad is None for each in model.parameters())
    assert [each.training for each in model.modules()] == modes
    assert not any(each._forward_pre_hooks or each._forward_hooks for each in model.modules())
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(x, before) and not x.requires_grad


@pytest.mark.parametrize("name", SPACES)
def test_a_draw_of_every_space_has_figures(name: str) -> None:
    drawn = tiny(name).sample(Random(0))
    x, y = batch(8, 1, 8, 8, classes=10, dtype=torch.float32)
    generator = torch.get_rng_state()
    found = measure(drawn, x, y)
    assert [each for each in PROXIES if each in found] == list(found)
    assert set(found) == set(PROXIES) and all(map(isfinite, found.values()))
    assert measure(drawn, x, y) == found != measure(drawn, x, y, seed=1)
    assert torch.equal(torch.get_rng_state(), generator)


def test_the_seed_is_that_of_a_training() -> None:
    drawn = tiny().sample(Random(0))
    x, y = batch(8, 1, 8, 8, classes=10, dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = build(drawn)
    assert measure(drawn, x, y, seed=3) == pytest.approx(proxies(model, x, y), rel=1e-3)


def test_without_gradients_around_it() -> None:
    x, y = batch(6, 5)
    with torch.no_grad():
        assert proxies(mlp(), x, y) == proxies(mlp(), x, y) and set(proxies(mlp(), x, y)) == set(PROXIES)


def test_without_activations_there_is_no_naswot() -> None:
    assert set(proxies(nn.Linear(5, 3).double(), *batch(6, 5))) == set(PROXIES) - {"naswot"}


@pytest.mark.parametrize(("value", "left"), [(float("nan"), set()), (float("inf"), set()), (0.0, {"grad_norm"})])
def test_what_is_not_finite_is_left_out(value: float, left: set[str]) -> None:
    """All codes are alike here, so that det K is zero; with weights of zero the last biases have a gradient."""
    model = mlp()
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
    assert set(proxies(model, *batch(2, 5))) == left


def test_its_example() -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed
