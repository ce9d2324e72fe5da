"""Nodes in small networks, a table of every kind, and the contract that every kind keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from random import Random

import algebra
import numpy as np
import torch
from einops.layers.torch import EinMix
from mutations import counted
from torch import Tensor, nn

from einmix import Architecture, Node, Sequence, Stage, build, source
from einmix.kinds import (
    Activation,
    Concat,
    Conv,
    Drop,
    Dynamic,
    Gate,
    Linear,
    Mix,
    Norm,
    Residual,
    Reweight,
    Shift,
    Shuffle,
    Split,
    Sum,
    Unfold,
    Wrap,
)
from einmix.kinds.activation import FORMS
from einmix.networks.notation import from_value, to_value
from einmix.nodes.node import reach_of, steps
from search_spaces.blocks.parts import mixer

CONVS = nn.Conv1d | nn.Conv2d | nn.Conv3d
NORMS = nn.LayerNorm | nn.GroupNorm | nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d

LINE, IMAGE, VOLUME = {"t": 6}, {"h": 4, "w": 3}, {"d": 2, "h": 4, "w": 2}
WIDTH = 4


def network(nodes: Sequence, grid: Mapping[str, int] = IMAGE, width: int = WIDTH) -> Architecture:
    """The nodes as all of a second stage, since they may change sizes, after a linear layer and before the mean."""
    first = Stage((Mix(mixer(grid, f"m{width}", bias=False)),), ())
    return Architecture((*grid.items(), ("c", width)), (first, Stage(tuple(nodes), ())), 3, ())


def layers(*nodes: Node, grid: Mapping[str, int] = IMAGE, width: int = WIDTH, mix: type | None = None) -> nn.Module:
    """What the nodes are in the built network: a module from `b ... c`."""
    return build(network(nodes, grid, width), mix)[1:-2]


def features(grid: Mapping[str, int] = IMAGE, width: int = WIDTH, *, count: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(count, *grid.values(), width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


TIED = ("circulant", "toeplitz")
FOURIER = ("cos", "sin", "-sin")


def cases(grid: dict[str, int]) -> dict[str, Sequence]:
    """Sequences of nodes for WIDTH channels, of every kind and option, by a name."""
    (first, n), (last, length) = next(iter(grid.items())), list(grid.items())[-1]
    everywhere = {axis: f"m{size}" for axis, size in grid.items()}
    whole, half = {first: f"m{n}"}, {first: f"s2.m{n // 2}"}
    along = (Mix(mixer(grid, "s2.m2", whole, bias=False)),)
    gate = Gate((Norm(), Mix(mixer(grid, "s4", everywhere), start="gate")))
    rows = tuple((axis, by) for axis in grid for by in (1, -1))
    return {
        "mix": (Mix(mixer(grid, "g2.s2", everywhere)),),
        "mix to other sizes": (Mix(mixer(grid, "m4:6", {first: f"m{n}:2"})),),
        "mix without bias": (Mix(mixer(grid, "m2.s2", half, bias=False)),),
        **{f"weights {w}": (Mix(mixer(grid, "g2.s2", whole), weights=w),) for w in ("frozen", *TIED, *FOURIER)},
        **{f"weights {w} of all": (Mix(mixer(grid, "s4.m1", everywhere), weights=w),) for w in (*TIED, *FOURIER)},
        **{f"weights {w} with channels": (Mix(mixer(grid, "m2.s2", half), weights=w),) for w in TIED},
        **{f"start {s}": (Mix(mixer(grid, "s4", whole), start=s),) for s in ("zero", "gate", "0.1", "normal 0.02")},
        "affine": (Mix(mixer(grid, "g4")),),
        "scale": (Mix(mixer(grid, "g4", bias=False), start="0.0001"),),
        "scale started at 1": (Mix(mixer(grid, "g4", bias=False), start="1"),),
        "linear": (Linear(6), Linear(4, start="zero"), Linear(3, bias=False)),
        "linear, normal": (Linear(6, start="normal 0.1"),),
        **{f"norm {form}": (Norm(form),) for form in ("layer", "batch", "group")},
        "norms": (Norm(eps=1e-6), Norm("batch", eps=1e-3), Activation("relu"), Norm("group")),
        **{form: (Activation(form),) for form in FORMS},
        "drop": (Drop("dropout", 0.1), Drop("droppath", 0.25)),
        "shift": (Shift(rows),),
        "shift, edges kept": (Shift(((first, 1), (last, -1), (first, 0)), edge="keep"),),
        "shift around": (Shift(((first, n - 1), (last, -1)), edge="wrap"),),
        "shift in turns": (Shift(((first, 0), (first, -1), (last, length - 1)), groups="turns"),),
        "shift in turns, edges kept": (Shift(((first, 1), (last, -1)), edge="keep", groups="turns"),),
        "shuffle": (Shuffle(2),),
        "shuffle of six, told apart by their origin": (Mix(mixer(grid, "s2.m2:3")), Shuffle(2)),
        "shuffle of twelve, twice": (Mix(mixer(grid, "s2.m2:6")), Shuffle(4), Mix(mixer(grid, "s6.m2")), Shuffle(2)),
        "conv": (Conv(3, pad=1), Conv(1, bias=False)),
        "conv to other channels": (Conv(3, out=6, pad=1, bias=False), Conv(2, out=4, stride=2)),
        "wide conv": (Conv(5, pad=2),),
        "unfold": (Unfold(3, pad=1), Linear(4)),
        "unfold apart": (Unfold(2, stride=2, pad=1), Linear(4)),
        "wrap": (Wrap((first, 1), length=n + 1), Wrap((first, -1), length=n)),
        "wrap to less": (Wrap((first, -1), length=n - 1), Wrap((first, 0), length=2 * n - 2)),
        "dynamic": (Dynamic(first, segments=2, reduced=2), Linear(4)),
        "dynamic, several": (Dynamic(last, segments=1, reduced=1), Dynamic(first, segments=4, reduced=3)),
        "residual": (Residual((*along, Residual((Linear(4),)))), Residual(())),
        "sum": (Sum((along, (Linear(4),), ())),),
        "sum of other sizes": (Sum(((Linear(2),), (Conv(1, out=2),))),),
        "reweight": (Reweight((along, (Linear(4),), ())),),
        "reweight to other channels": (Reweight(((Linear(6),), (*along, Linear(6))), ratio=2),),
        "concat": (Concat((along, (), (Linear(3),))), Linear(5)),
        "split": (Split((along[:0], (Mix(mixer(grid, "m2:3", bias=False)),))),),
        "gate": (Linear(8), gate, Linear(4)),
        "gate with nothing dense around": (Gate((Mix(mixer(grid, "s2", whole)),)),),
        "split with nothing dense around": (Split(((Mix(mixer(grid, "g2", whole)),), ())), Shuffle(2)),
        "all together": (
            Residual((Linear(8), Split((gate.body[:1], (Gate(()), Linear(4)))), Sum(((), (Norm(),))), Linear(4))),
        ),
    }


CASES = {
    f"{where}, {name}": (nodes, grid)
    for where, grid in (("line", LINE), ("image", IMAGE), ("volume", VOLUME))
    for name, nodes in cases(grid).items()
}


def kinds_in(nodes: Sequence) -> set[type]:
    return {type(step.node) for first in steps(nodes, IMAGE | {"c": WIDTH}) for step in first.walk()}


def all_counted(net: nn.Module, x: Tensor) -> int:
    """Multiply-accumulates an image: `counted` sees linear layers and mixers, and here come the others."""
    found = []

    def hook(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        each = output[0].numel()
        if isinstance(layer, CONVS):
            found.append(each * layer.weight[0].numel())
        else:
            found.append(each * output.shape[layer.axis])

    for layer in net.modules():
        if isinstance(layer, CONVS) or type(layer).__name__ == "Dynamic":
            layer.register_forward_hook(hook)
    return counted(net, x) + sum(found)


def check_kind(nodes: Sequence, grid: Mapping[str, int] = IMAGE) -> None:
    """The contract, by a sequence of nodes for WIDTH channels that has one of the kind."""
    check_text(nodes, grid)
    check_cost(nodes, grid)
    check_fan_ins(network(nodes, grid))
    check_reach(nodes, grid)
    check_touched(nodes, grid)


def check_cost(nodes: Sequence, grid: Mapping[str, int]) -> None:
    """Costs and sizes are those of the built layers."""
    arch = network(nodes, grid)
    net = build(arch)
    x = torch.randn(2, WIDTH, *grid.values())
    assert arch.params == sum(p.numel() for p in net.parameters())
    assert arch.macs == all_counted(net, x)
    assert net(x).shape == (2, 3)
    sizes = arch.parts[1].after
    assert net[:-2](x).shape == (2, *sizes.values()) and list(sizes)[-1] == "c"


def check_fan_ins(arch: Architecture) -> None:
    """So many numbers of a tensor have a part in one output of its layer, by derivatives at a few of its outputs."""
    net = algebra.randomised(build(arch)).float()
    found = dict.fromkeys((name for name, _ in net.named_parameters()), 0)
    rng = Random(0)

    def hook(layer: nn.Module, inputs: tuple[Tensor], _: Tensor, name: str) -> None:
        own = [each for each in found if each.rpartition(".")[0].removesuffix(".parametrizations.weight") == name]
        if isinstance(layer, CONVS):  # a window is all there only where there is room
            middle = layer.forward(torch.randn(2, inputs[0].shape[1], *(2 * side for side in layer.kernel_size)))
            outputs = middle[(0, slice(None), *(side // 2 for side in middle.shape[2:]))]
        else:
            outputs = layer.forward(torch.randn(inputs[0].shape))[0].flatten()  # not of the inputs: they have zeros
        for place in rng.sample(range(len(outputs)), min(len(outputs), 4)) if own else ():
            parts = torch.autograd.grad(outputs[place], [net.get_parameter(each) for each in own], retain_graph=True)
            for each, part in zip(own, parts, strict=True):
                found[each] = max(found[each], int(part.count_nonzero()))

    for name, layer in net.named_modules():
        if isinstance(layer, EinMix | nn.Linear | CONVS | NORMS):
            layer.register_forward_hook(partial(hook, name=name))
    net(torch.randn(2, arch.inputs[-1][1], *(n for _, n in arch.inputs[:-1])))
    assert arch.fan_ins == tuple(found.values()), found


def check_text(nodes: Sequence, grid: Mapping[str, int]) -> None:
    """JSON reads back as the same nodes, and network."""
    assert all(from_value(to_value(node)) == node for node in nodes)
    assert all(from_value(json.loads(json.dumps(to_value(node)))) == node for node in nodes)
    arch = network(nodes, grid)
    again = Architecture.from_json(arch.to_json())
    assert (again, again.to_json(), again.id) == (arch, arch.to_json(), arch.id)
    assert source(again) == source(arch)


def check_reach(nodes: Sequence, grid: Mapping[str, int], *, seeds: int = 2, exact: bool = True) -> None:
    """Reach is where derivatives are: their union over a few random points. Where it is not `exact`, it is a bound."""
    arch = network(nodes, grid)
    net = algebra.randomised(build(arch)).eval()[1:-2]
    part = arch.parts[1]
    whole = reach_of(part.steps, part.before)
    reach = whole.matrix()
    joint = reach.reshape(*whole.outputs.values(), *whole.inputs.values())
    for at, axis in enumerate(whole.inputs):
        others = tuple(place for place in range(joint.ndim) if place not in (at, at + joint.ndim // 2))
        assert np.array_equal(whole.along(axis), joint.any(axis=others))
    found = np.zeros_like(reach)
    for seed in range(seeds):
        x = features(grid, count=1, seed=seed)
        derivatives = torch.autograd.functional.jacobian(lambda x: net(x)[0], x, vectorize=True)
        found |= (derivatives.reshape(reach.shape).abs() > 1e-12).numpy()
    assert not (found & ~reach).any()
    assert not exact or np.array_equal(found, reach)


def check_touched(nodes: Sequence, grid: Mapping[str, int]) -> None:
    """What is touched is what reach says, but for norms and reweighted branches, which move means and scales alone."""
    part = network(nodes, grid).parts[1]
    found = [each.node for step in part.steps for each in step.walk()]
    if any(isinstance(node, (Norm, Reweight)) for node in found):
        return
    reach = reach_of(part.steps, part.before)
    touched = frozenset[str]().union(*(step.touched for step in part.steps)) - {"c"}
    moved = {axis for axis, n in grid.items() if not np.array_equal(reach.along(axis), np.eye(n, dtype=bool))}
    back = any(isinstance(node, (Conv, Unfold, Wrap)) for node in found)  # windows of one, and there and back again
    assert moved <= touched if back else moved == touched
