"""Recorded steps: bit by bit what the plain ones are, or plain ones."""

import copy
import gc
import json
import math
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import kinds
import pytest
import torch
import torch.nn.functional as F
from fitting import fit_one
from torch import Tensor, nn

import einmix
from einmix.layers import FastMix
from nas.data import known
from nas.runs.job import Job, Outcome, Score
from nas.runs.storage import Storage
from nas.training.engine.eager import Eager
from nas.training.engine.engine import Parts
from nas.training.engine.examples import Examples
from nas.training.engine.optimizer import AdamW
from nas.training.engine.recorded import Recorded
from nas.training.engine.recording import record
from nas.training.groups import grouped
from nas.training.recipe import Recipe
from nas.training.trainer import ArchitectureTrainer
from search_spaces import SPACES, load
from search_spaces.blocks.parts import Inputs
from search_spaces.zoo import ZOO

Step = Callable[[Random, list[Tensor]], Tensor]


def transposed(x: Tensor) -> Tensor:
    return x.transpose(-1, -2)


STEPS: dict[str, Step] = {
    "add": lambda random, pool: random.choice(pool) + random.choice(pool),
    "multiply": lambda random, pool: random.choice(pool) * random.choice(pool),
    "scale": lambda random, pool: random.choice(pool) * 0.5,
    "transpose": lambda random, pool: transposed(random.choice(pool)),
    "copy": lambda random, pool: transposed(random.choice(pool)).contiguous(),
    "reshape": lambda random, pool: random.choice(pool).reshape(2, 8, 4).permute(2, 0, 1).reshape(8, 8),
    "product": lambda random, pool: random.choice(pool) @ random.choice(pool),
    "rows": lambda random, pool: random.choice(pool)[1:5].repeat(2, 1),
    "expand": lambda random, pool: random.choice(pool).sum(0, keepdim=True).expand(8, 8),
    "norm": lambda random, pool: F.layer_norm(random.choice(pool), (8,)),
    "gelu": lambda random, pool: F.gelu(random.choice(pool)),
    "largest": lambda random, pool: random.choice(pool).max(1, keepdim=True)[0] + random.choice(pool),
    "halves": lambda random, pool: torch.cat(random.choice(pool).chunk(2, 1)[::-1], 1),
    "write over": lambda random, pool: random.choice(pool).clone().add_(random.choice(pool)),
    "write into": lambda random, pool: written(random.choice(pool), random.choice(pool)),
    "flip": lambda random, pool: random.choice(pool).flip(0).roll(3, 1),
    "softmax": lambda random, pool: random.choice(pool).softmax(1),
    "of nothing": lambda random, pool: torch.ones(8, 8) - random.choice(pool),
}


def written(x: Tensor, y: Tensor) -> Tensor:
    """A new tensor that is written into through a view."""
    made = x.clone()
    transposed(made)[2:4] += transposed(y)[1:3]
    return made


def program(seed: int, weights: list[Tensor]) -> Callable[[Tensor, Tensor], tuple[Any, ...]]:
    """Twenty steps drawn at random, over inputs, weights and what came before, then derivatives."""

    def run(x: Tensor, y: Tensor) -> tuple[Any, ...]:
        random, pool = Random(seed), [x, y, *weights]
        for _ in range(20):
            pool.append(random.choice([*STEPS.values()])(random, pool))
        loss = sum(random.choice(pool).tanh().mean() for _ in range(4)) + pool[-1].tanh().sum()
        assert isinstance(loss, Tensor)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True) if loss.requires_grad else ()
        return loss.detach(), gradients, pool[-1].detach(), pool[-3].detach().T, None

    return run


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.shape == other.shape and one.stride() == other.stride() and torch.equal(one, other)
    return one is other or (len(one) == len(other) and all(map(same, one, other)))


@pytest.mark.parametrize("seed", range(60))
def test_a_recording_does_what_the_function_does_with_other_numbers(seed: int) -> None:
    """Also after the weights have changed in their place; what it was given it leaves as it was."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(8, 8, generator=generator).requires_grad_() for _ in range(3)]
    run = program(seed, weights)
    found, again = record(run, *(torch.randn(8, 8, generator=generator) for _ in range(2)))
    assert again
    for _ in range(3):
        x, y = (torch.randn(8, 8, generator=generator) for _ in range(2))
        before = x.clone(), y.clone()
        with torch.inference_mode():
            found = again(x, y)
        assert torch.equal(x, before[0]) and torch.equal(y, before[1])
        assert same(found, run(x, y))
        with torch.no_grad():
            for weight in weights:
                weight += torch.randn(8, 8, generator=generator) / 8


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x.sum().item(),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.view(torch.int32),
    ],
    ids=["number", "branch", "mask", "indices", "bits"],
)
def test_what_hangs_on_numbers_is_not_recorded(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(4, 4)
    assert record(torch.neg, x)[1] and record(torch.neg, x[1:])[1] is None
    found, again = record(function, x)
    assert torch.equal(found, function(x)) and again is None


def engines(model: nn.Module, shape: tuple[int, ...], classes: int) -> list[Eager | Recorded]:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, *shape, generator=generator), torch.randint(classes, (40,), generator=generator)
    made: list[Eager | Recorded] = []
    for kind in (Eager, Recorded):
        own = copy.deepcopy(model).train()
        optimizer = AdamW(grouped(own, 0.05, {}))
        drawn = torch.Generator().manual_seed(1)
        made.append(kind(Parts(own, optimizer, Examples(x, y), drawn, "shift", 0.1)))
    return made


def check(model: nn.Module, shape: tuple[int, ...], classes: int, steps: int = 5) -> Recorded:
    """Both engines take equal steps; the recorded one."""
    ended = []
    made = engines(model, shape, classes)
    for engine in made:
        torch.manual_seed(2)
        order = torch.randperm(40, generator=torch.Generator().manual_seed(3)).split(8)
        losses = [engine.step(order[i % 5], 0.01 / (1 + i)).item() for i in range(steps)]
        ended.append((torch.tensor(losses), [*engine.parts.model.state_dict().values()], torch.get_rng_state()))
    assert same(*ended)
    _, recorded = made
    assert isinstance(recorded, Recorded)
    return recorded


def is_recorded(engine: Recorded) -> bool:
    return engine.again is not None


GRIDS = {"line": kinds.LINE, "image": kinds.IMAGE, "volume": kinds.VOLUME}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", kinds.cases(kinds.IMAGE))
def test_every_kind_of_node_is_recorded(name: str, grid: str) -> None:
    model = einmix.build(kinds.network(kinds.cases(GRIDS[grid])[name], GRIDS[grid]), mix=FastMix)
    torch.manual_seed(0)
    assert is_recorded(check(model, (kinds.WIDTH, *GRIDS[grid].values()), 3))


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_is_recorded(name: str) -> None:
    arch = ZOO[name].at(Inputs({"h": 8, "w": 8}, 1, 10), patch=2, width=16, depth=2)
    assert is_recorded(check(einmix.build(arch, mix=FastMix), (1, 8, 8), 10))


@pytest.mark.parametrize("name", SPACES)
def test_candidates_are_recorded(name: str) -> None:
    space = load(name).on({"h": 8, "w": 8}, channels=1, classes=10, width=(16,), depth=(2,), patch=(2,))
    for seed in range(3):
        assert is_recorded(check(einmix.build(space.sample(Random(seed)), mix=FastMix), (1, 8, 8), 10))


class Odd(nn.Module):
    """A layer that does otherwise from its third pass on."""

    def __init__(self, otherwise: Callable[[Tensor], Tensor], first: int) -> None:
        super().__init__()
        self.passes, self.first, self.otherwise = 0, first, otherwise

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return self.otherwise(x) if self.passes >= self.first else x


@pytest.mark.parametrize(
    ("layer", "is_it"),
    [
        (nn.Dropout(0.5), True),
        (nn.BatchNorm1d(12), True),
        (nn.Linear(12, 12, bias=False).requires_grad_(False), True),
        (Odd(lambda x: 2 * x, 2), False),
        (Odd(lambda x: x + torch.rand(12), 2), False),
        (Odd(lambda x: x * x.sum().item(), 1), False),
    ],
    ids=["dropout", "batch norm", "frozen", "otherwise", "drawn", "read"],
)
def test_what_is_not_the_same_again_is_plain(layer: nn.Module, is_it: bool) -> None:
    """Draws, means and what is not trained go on as they would; the second step shows what is not recorded well."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 12), layer, nn.GELU(), nn.Linear(12, 12), layer, nn.Linear(12, 3))
    if isinstance(layer, Odd):
        layer.first = 2 * layer.first - 1  # it is there twice
    assert is_recorded(check(model, (1, 6), 3)) == is_it


def test_what_was_trained_is_freed_at_once() -> None:
    """Not by the collector of cycles, which comes when it likes."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    gc.collect()
    gc.disable()
    try:
        engine = check(model, (1, 6), 3)
        assert is_recorded(engine)
        kept = weakref.ref(engine.parts.optimizer), weakref.ref(engine.again)
        del engine
        assert [each() for each in kept] == [None, None]
    finally:
        gc.enable()


def test_an_unused_parameter_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    model.register_parameter("idle", nn.Parameter(torch.ones(3)))
    engine = check(model, (1, 6), 3)
    assert is_recorded(engine) and torch.equal(engine.parts.model.idle, torch.ones(3))


@pytest.fixture
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


NETWORKS = {
    **{name: (name, seed) for seed, name in enumerate(("mixed", "roles", "macro", "macro "))},
    **{name: (name, None) for name in ("mixer", "gmlp", "vip", "hire", "convmixer")},
}


def drawn(name: str, seed: int | None) -> einmix.Architecture:
    if seed is None:
        return ZOO[name].at(Inputs({"h": 8, "w": 8}, 1, 10), patch=2, width=8, depth=2)
    space = load(name.strip()).on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,), depth=(2,), patch=(2,))
    return space.sample(Random(seed))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_whole_training_is_that_of_the_text_in_plain_torch(name: str, doubles: None) -> None:
    """Layers, flat memory, the recording and the loop at once, against einops, `torch.optim` and lists."""
    arch = drawn(*NETWORKS[name])
    x, y = torch.randn(100, 1, 8, 8), torch.arange(100) % 10
    recipe = Recipe(batch=30, warmup=0.3, label_smoothing=0.2, weight_decay=0.3)
    job = Job({}, "a", 0.02, 5, 3)
    data = Examples(x, y), Examples(x[:20], y[:20])
    made: list[Recorded] = []

    def engine(parts: Parts) -> Recorded:
        made.append(Recorded(parts))
        return made[0]

    build, go_on = partial(einmix.build, arch, mix=FastMix), bool
    trained, outcome = fit_one(build, data, recipe, job=job, report=go_on, engine=engine)
    assert is_recorded(made[0])

    torch.manual_seed(5)
    model, generator = einmix.build(arch), torch.Generator().manual_seed(5)
    groups: list[dict[str, Any]] = [{"params": [], "weight_decay": decay} for decay in (0.0, 0.3)]
    for each_name, each in model.named_parameters():
        groups[each.ndim > 1 and not each_name.endswith("bias")]["params"].append(each)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for epoch in range(3):
        order = torch.randperm(100, generator=generator)
        losses.append(0.0)
        for step in range(3):
            done = (3 * epoch + step + 0.5) / 9
            share = done / 0.3 if done < 0.3 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.3) / 0.7)
            for group in optimizer.param_groups:
                group["lr"] = 0.02 * share
            index = order[30 * step : 30 * step + 30]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[index]), y[index], label_smoothing=0.2)
            loss.backward()
            optimizer.step()
            losses[-1] += loss.item() / 3
    assert outcome.train_loss == pytest.approx(losses, rel=1e-9)
    for one, other in zip(trained.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("augment", ["none", "shift+flip"])
def test_a_recorded_training_that_was_cut_off_goes_on_bit_by_bit(augment: Any, tmp_path: Path) -> None:
    digits = known.load("digits", data_dir=tmp_path, seed=0, limit=200)
    architecture = json.loads(drawn("macro", 2).to_json())
    job = Job(architecture, "a", 0.02, 5, epochs=5, rungs=(1, 3), weights=True)

    def trained(folder: str, report: Callable[[Score], bool]) -> Outcome:
        storage = Storage(str(tmp_path / folder), "x", every=0)
        return ArchitectureTrainer(digits, Recipe(batch=40, augment=augment), storage=storage)(job, report)

    def stop(score: Score) -> bool:
        if score.epoch == 3:
            raise KeyboardInterrupt
        return True

    whole = trained("whole", lambda _: True)
    with pytest.raises(KeyboardInterrupt):
        trained("cut", stop)
    rest = trained("cut", lambda _: True)
    assert rest.extra["resumed"] == 2
    assert (rest.scores, rest.train_loss, rest.weights) == (whole.scores, whole.train_loss, whole.weights)
