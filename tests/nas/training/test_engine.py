"""Engines and their optimiser: torch's own step, on flat memory and with fewer operators."""

import math
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.training.engine.copies import SMALL, copier
from nas.training.engine.eager import smoothed
from nas.training.engine.optimizer import MOMENTS, AdamW

SHAPES = [(3, 5), (7,), (), (2, 8, 4), (40, 16), (1,), (33,), (5, 5), (16,)]


def parameters(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    made = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    made[0].data = made[0].data.T.contiguous().T  # not contiguous
    return made


def groups_of(made: list[nn.Parameter], random: Random) -> list[dict[str, Any]]:
    """In up to three groups, of whose parameters some are not trained."""
    groups = [
        {"params": [], "weight_decay": decay, "scale": scale} for decay, scale in ((0.1, 1.0), (0, 1.0), (0.3, 4))
    ]
    for each in made:
        each.requires_grad_(random.random() > 0.15)
        random.choice(groups)["params"].append(each)
    return [group for group in groups if group["params"]]


@pytest.mark.parametrize("seed", range(12))
def test_the_optimizer_is_torchs(seed: int) -> None:
    """Over parameters with and without gradients, rates that change, and what is taken up from a state of before.

    Bit by bit where sizes are multiples of 16: what is left of others torch's kernel computes by itself, which may
    round otherwise.
    """
    mine, theirs = parameters(seed), parameters(seed)
    groups = groups_of(mine, Random(seed))
    ours = AdamW(groups)
    torchs = torch.optim.AdamW(groups_of(theirs, Random(seed)), lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=True)
    generator, random = torch.Generator().manual_seed(seed), Random(seed)
    pairs = [(one, other) for one, other in zip(mine, theirs, strict=True) if one.requires_grad]
    assert {id(one) for one, _ in pairs} == {id(each) for each in ours.parameters}
    places = {id(one): i for i, (one, _) in enumerate(pairs)}
    usual = [random.random() > 0.2 for _ in pairs]
    for step in range(9):
        rate = 0.1 / (1 + step)
        used = usual if step % 3 else [random.random() > 0.3 for _ in pairs]
        for (_, other), has in zip(pairs, used, strict=True):
            drawn = torch.randn(other.shape, generator=generator)
            other.grad = torch.empty_like(other).copy_(drawn) if has else None  # laid out as the parameter is
        gradients = [pairs[places[id(each)]][1].grad for each in ours.parameters]
        ours.step(gradients, torch.tensor(rate, dtype=torch.float64) if seed % 2 else rate)
        for group in torchs.param_groups:
            group["lr"] = rate * group["scale"]
        torchs.step()
        if step == 5:  # into an optimiser of its own, which goes on
            kept = {each: {what: value.clone() for what, value in known.items()} for each, known in ours.state.items()}
            ours = AdamW(groups)
            ours.restore(kept)
    for one, other in zip(mine, theirs, strict=True):
        assert_same(one, other)
    assert {places[id(each)] for each in ours.state} == {i for i, (_, other) in enumerate(pairs) if torchs.state[other]}
    for each, known in ours.state.items():
        other = torchs.state[pairs[places[id(each)]][1]]
        for what in ("step", *MOMENTS):
            assert_same(known[what], other[what])


def assert_same(one: Tensor, other: Tensor) -> None:
    exact = one.numel() % 16 == 0
    torch.testing.assert_close(one, other, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-7)


def test_parameters_stay_what_they_are_where_they_lie_now() -> None:
    """Their values, shapes and names; a tied one is one, and what is no parameter is left alone."""
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 5), nn.BatchNorm1d(5), nn.Linear(5, 5))
    model[3].weight = model[1].weight
    model[2].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = AdamW([{"params": [*model.parameters()], "weight_decay": 0.0, "scale": 1.0}])
    assert len(optimizer.parameters) == 6 and optimizer.state == {}
    after = model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    (memory,) = {each.untyped_storage().data_ptr() for each in optimizer.parameters}
    assert memory not in (model[2].weight.untyped_storage().data_ptr(), after["2.running_mean"].data_ptr())
    assert all(each.data_ptr() % 64 == memory % 64 for each in optimizer.parameters)
    assert model[3].weight is model[1].weight


def test_parameters_of_two_types_are_refused() -> None:
    two = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, dtype=torch.float64))]
    with pytest.raises(ValueError, match="several types"):
        AdamW([{"params": two, "weight_decay": 0.0, "scale": 1.0}])


def permuted(seed: int) -> Tensor:
    """A view of some memory, or of a part of it: axes cut into factors, permuted, now and then one of length 1."""
    random = Random(seed)
    sizes = [random.choice((1, 2, 2, 2, 3, 4, 4, 8, 16)) for _ in range(random.randint(1, 7))]
    sizes.insert(random.randrange(len(sizes) + 1), -(-SMALL // math.prod(sizes)))
    order = random.sample(range(len(sizes)), len(sizes))
    if random.random() < 0.7:  # the innermost axis stays, as channels do
        order.append(order.pop(order.index(len(sizes) - 1)))
    spare = random.choice((0, 0, 1, 2, 4))
    dtype = random.choice((torch.float32, torch.float32, torch.float64))
    memory = torch.randn(math.prod(sizes) + spare, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return memory[spare:].view(sizes).permute(order)


def test_a_copy_is_torchs_whichever_way_is_taken() -> None:
    """All four ways are taken; other memory of the same layout is copied as well, and its neighbours are not."""
    ways = set()
    for seed in range(400):
        x = permuted(seed)
        layout = tuple(x.shape), x.stride(), int(x.storage_offset())
        copy = copier(layout, x.dtype, x.untyped_storage().nbytes() // x.itemsize)
        ways.add(copy and copy.__code__.co_firstlineno)
        if copy:
            other = torch.empty_like(x._base).copy_(torch.rand(x._base.shape)).as_strided(*layout)  # type: ignore
            for each in (x, other):
                found, wanted = copy(each), each.contiguous()
                assert torch.equal(found, wanted) and (found.shape, found.stride()) == (wanted.shape, wanted.stride())
                assert found.untyped_storage().data_ptr() != each.untyped_storage().data_ptr()
    assert len(ways) == 4


def test_small_copies_and_integers_are_left_to_torch() -> None:
    for x in (
        torch.rand(64, 2, 2, 2).permute(2, 1, 0, 3),
        torch.ones(4096, 2, 2, 2, dtype=torch.int32).transpose(1, 2),
    ):
        layout = tuple(x.shape), x.stride(), 0
        assert copier(layout, x.dtype, x.numel()) is None
        assert (copier(layout, torch.float32, x.numel()) is None) == (x.numel() < SMALL)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_the_loss_is_torchs_cross_entropy(smoothing: float) -> None:
    logits = torch.randn(33, 7, dtype=torch.float64, requires_grad=True)
    y = torch.randint(7, (33,))
    losses: list[Tensor] = [smoothed(logits, y, smoothing), F.cross_entropy(logits, y, label_smoothing=smoothing)]
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*(torch.autograd.grad(loss, [logits])[0] for loss in losses))
