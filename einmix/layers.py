"""EinMix computed faster: the same arguments, parameters, initialisation and function as einops' layer."""

from math import prod
from typing import Any

import torch
from einops.layers.torch import EinMix
from torch import Tensor

from einmix.algebra.reading import groups_of
from einmix.errors import PatternError

FEW = 4
"""Numbers that a group mixes, up to which the weight comes first in a product (docs/log.md)."""


class FastMix(EinMix):
    """One matrix product a group, its bias included, between two copies at most.

    einops goes through `torch.einsum`, which copies its operands into the same products, adds the bias in a pass of
    its own over strided memory, and copies again. A layer that only scales and shifts axes where they stand is one
    operator. Others that mix nothing stay with einops, and so does what mixers have no word for: `...`, `1`, an axis
    that is summed, a bias where no weight is.
    Ratios: benchmarks/layers.py.
    """

    def __init__(self, pattern: str, weight_shape: str, bias_shape: str | None = None, **sizes: Any):
        super().__init__(pattern, weight_shape, bias_shape, **sizes)
        self._plain = True
        self._affine: tuple[list[int], list[int]] | None = None
        try:
            self._left, self._right = groups_of(pattern)
        except PatternError:
            return
        left, right = ([name for group in side for name in group] for side in (self._left, self._right))
        weight = weight_shape.split()
        g = [name for name in weight if name in left and name in right]  # groups, each with weights of its own
        k = [name for name in left if name in right and name not in weight]  # kept, with the same weights everywhere
        m = [name for name in weight if name not in right]  # mixed
        o = [name for name in weight if name not in left]  # what the mixed ones become
        biased = g + o if bias_shape is None else bias_shape.split()
        positive = all(sizes[name] > 0 for name in weight)
        self._plain = not (m and positive and set(left) == {*g, *k, *m} and set(biased) == {*g, *o})
        if weight and g == weight and bias_shape is not None and self._left == self._right == [[n] for n in left]:
            order = [weight.index(name) for name in left if name in g]
            self._affine = order, [sizes[name] if name in g else 1 for name in left]
        if self._plain:
            return
        # Where the innermost axis is kept, it stays innermost: copies then move whole rows, and the weight goes first.
        # So it does where groups mix few: copies in runs of so few numbers, and products with so few columns, are slow.
        kept = left[-1:] == right[-1:] and not set(left[-1:]).isdisjoint(k)
        self._columns = kept or (bool(g) and prod(sizes[name] for name in m) <= FEW)
        before, self._after, factor = (
            (g + m + k, g + o + k, g + o + m) if self._columns else (g + k + m, g + k + o, g + m + o)
        )
        self._to_products = [left.index(name) for name in before]
        self._from_products = [self._after.index(name) for name in right]
        self._weight_order = [weight.index(name) for name in factor]
        self._bias_order = [right.index(name) for name in self._after]
        # einops looks at the sizes of other axes only where it cuts the input into its axes
        cut = any(len(group) != 1 for group in self._left)
        self._known = {name: size for name, size in sizes.items() if cut or name in weight}
        self._sizes = tuple(prod(self.axes_lengths[name] for name in names) for names in (g, m, o))
        self._shapes: dict[torch.Size, tuple[list[int], list[int], list[int]]] = {}

    def forward(self, x: Tensor) -> Tensor:
        if self._affine and x.ndim == len(self._left):
            order, shape = self._affine
            return torch.addcmul(self.bias, x, self.weight.permute(order).reshape(shape))
        if self._plain:
            return super().forward(x)
        split, after, joined = self._plan(x.shape)
        groups, mixed, made = self._sizes
        x, weight = x.reshape(split).permute(self._to_products), self.weight.permute(self._weight_order)
        if self._columns:
            factors = weight.reshape(groups, made, mixed), x.reshape(groups, mixed, -1)
        else:
            factors = x.reshape(groups, -1, mixed), weight.reshape(groups, mixed, made)
        if self.bias is None:
            y = torch.bmm(*factors)
        else:
            bias = self.bias.permute(self._bias_order)
            y = torch.baddbmm(bias.reshape((groups, made, 1) if self._columns else (groups, 1, made)), *factors)
        return y.reshape(after).permute(self._from_products).reshape(joined)

    def _plan(self, shape: torch.Size) -> tuple[list[int], list[int], list[int]]:
        """The shapes of the input cut into its axes, of the products cut into theirs, and of the output."""
        if shape not in self._shapes:
            if len(shape) != len(self._left):
                raise ValueError(f"{self} cannot take an input of shape {tuple(shape)}: it has {len(self._left)} axes")
            sizes = dict(self._known)
            for group, n in zip(self._left, shape, strict=True):
                known = prod(sizes.get(name, 1) for name in group)
                free = [name for name in group if name not in sizes]
                if n % known or len(free) > 1 or (not free and n != known):
                    raise ValueError(f"{self} cannot take an input of shape {tuple(shape)}: axis ({' '.join(group)})")
                sizes |= dict.fromkeys(free, n // known)
            self._shapes[shape] = (
                [sizes[name] for group in self._left for name in group],
                [sizes[name] for name in self._after],
                [prod(sizes[name] for name in group) for group in self._right],
            )
        return self._shapes[shape]
