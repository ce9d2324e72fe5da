"""Networks whose costs are counted by hooks, values with one thing changed."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from einops.layers.torch import EinMix
from hypothesis import strategies as st


def counted(net: torch.nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates an image, by hooks: an output of a linear layer sums over what its weight mixes."""
    found = []

    def hook(layer: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        if isinstance(layer, torch.nn.Linear):
            found.append(output[0].numel() * layer.in_features)
        else:
            _, right = layer.pattern.split("->")
            summed = [
                name
                for name in layer.weight_shape.split()
                if name not in right.replace(")", " ").replace("(", " ").split()
            ]
            found.append(output[0].numel() * prod(layer.axes_lengths[name] for name in summed))

    for layer in net.modules():
        if isinstance(layer, torch.nn.Linear | EinMix):
            layer.register_forward_hook(hook)
    net(x)
    return sum(found)


HOSTILE = [
    '"',
    "'",
    '"""',
    "\\",
    "\n",
    "\u2028",
    '");import os;os._exit(7)#',
    "{x}",
    "%s",
    "__import__('os')",
    "é",
    "\x00",
    "b",
    "nn",
    "self",
]

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, -1, 0, 2**24, 2**24 + 1, 1e308])
    | st.sampled_from(HOSTILE)
    | st.text(alphabet="hwcsgm0123456789=:.+b \n\"'\\", max_size=20)
    | st.sampled_from(
        [
            "norm",
            "gelu",
            "linear 6",
            "linear 7",
            "mix h=m4 w=s4 c=s6",
            "mix h=m2.s2 w=s4 c=m6",
            "h=s4.m2:1 w=s4.m2:1 c=m1:6",
        ]
    )
)

VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["h", "w", "c", "embed", "blocks", *HOSTILE]), inner, max_size=3)
    ),
    max_leaves=6,
)


def mutate(data: Any, draw: st.DrawFn) -> Any:
    """Somewhere in the value, one thing replaced, dropped, repeated or renamed."""
    if isinstance(data, dict | list) and data and draw(st.integers(0, 4)):
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        key, act = (
            draw(st.sampled_from(keys)),
            draw(st.sampled_from(["deeper", "deeper", "again", "drop", "rename"])),
        )
        copy = dict(data) if isinstance(data, dict) else list(data)
        if act == "drop":
            del copy[key]
        elif act == "again" and isinstance(copy, list):
            copy += [copy[key]] * draw(st.integers(1, 3))
        elif act == "rename" and isinstance(copy, dict):
            copy[draw(st.sampled_from(HOSTILE))] = copy.pop(key)
        else:
            copy[key] = mutate(copy[key], draw)
        return copy
    if isinstance(data, str) and draw(st.booleans()):
        place = draw(st.integers(0, len(data)))
        return data[:place] + draw(st.sampled_from([*HOSTILE, "m2", ".", ":", "=", " ", "9"])) + data[place:]
    return draw(VALUES)
