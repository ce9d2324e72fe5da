"""A mixer: one linear layer, said as the roles of the factors of every axis."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product
from math import prod
from random import Random
from typing import Any

from einmix.algebra.factor_sets import EVERY
from einmix.algebra.factors import Axes, Factors, canonical, check_axis, check_sizes, divisors, parse_factors, text_of
from einmix.algebra.order import included
from einmix.algebra.reach import Reach
from einmix.algebra.reading import Layout, groups_of, layout_of, read_einmix
from einmix.algebra.writing import side, write_einmix
from einmix.errors import PatternError, shown, wrong


@dataclass(frozen=True)
class Mixer:
    """A family of linear maps between tensors with named axes, channels last.

    Two mixers are equal exactly when they are the same family between the same sizes: factors are kept in canonical
    form. The layout of a mixer that was read from EinMix code stands beside it and takes no part in equality.

    >>> mixer = Mixer.parse("h=m8.s4 w=m8.s4 c=g64 +b")
    >>> mixer.params, mixer.macs
    (266240, 4194304)
    >>> mixer.einmix()["pattern"]
    'b (hi h) (wi w) c -> b (ho h) (wo w) c'
    """

    axes: Axes
    bias: bool = False
    layout: Layout | None = field(default=None, compare=False, repr=False)
    """No part of the text either: sums are sorted by it."""

    def __post_init__(self) -> None:
        axes = tuple([_axis(name, tuple(factors)) for name, factors in self.axes])
        if len(dict(axes)) != len(axes) or not axes:
            raise PatternError(f"a mixer has axes, each once, not {' '.join(name for name, _ in axes) or 'none'}")
        if type(self.bias) is not bool:
            raise PatternError(f"bias cannot be {shown(self.bias)}", hint="True or False")
        object.__setattr__(self, "axes", axes)

    @classmethod
    def parse(cls, text: str) -> Mixer:
        """Read `h=m8.s4 w=m8.s4 c=g64 +b`: one term per axis, factors outer to inner, `in:out` where they differ.

        Raises PatternError, with a caret under the offending token.
        """
        if not isinstance(text, str):
            raise PatternError(f"a mixer is written as a text, not {text!r}", hint="as in 'h=m8.s4 w=m8.s4 c=g64 +b'")
        return cls(*_parsed(text))

    @classmethod
    def from_einmix(
        cls,
        /,
        pattern: str,
        weight_shape: str,
        bias_shape: str | None = None,
        *,
        ellipsis: str | None = None,
        **sizes: int,
    ) -> Mixer:
        """Read an EinMix call as it stands in somebody's code, with the sizes of all axes but the batch axis.

        `ellipsis` names the axes that `...` stands for, as in `ellipsis="b h w", h=8, w=8`; the batch may be of them.

        >>> str(Mixer.from_einmix("b c (hI h) (wI w) -> b c (hO h) (wO w)", "c hI wI hO wO",
        ...                       c=64, hI=8, h=4, wI=8, w=4, hO=8, wO=8))
        'h=m8.s4 w=m8.s4 c=g64'

        Raises PatternError for what EinMix refuses and for what roles cannot say: an axis that is summed, a bias
        elsewhere, kept axes in another order than that of the input (`einmix.read_nodes` knows shuffled channels).
        """
        return cls(*read_einmix(layout_of(pattern, weight_shape, bias_shape, ellipsis, sizes)))

    def einmix(self, order: str | None = None) -> dict[str, Any]:
        """The keyword arguments for einops' EinMix: in the layout the mixer was read in, else channels last.

        `order` is for tensors whose axes are in another order, or some of them one, as in `b c h w` or `b (h w) c`.

        >>> Mixer.parse("t=m4 c=g8").einmix("b c t")["pattern"]
        'b c ti -> b c to'

        Raises PatternError for an order that has not b first, then each of the axes once.
        """
        if order is not None:
            return self._in_order(order)
        return self.layout.call if self.layout else write_einmix(self.axes, self.bias)

    def _in_order(self, order: str) -> dict[str, Any]:
        names = [name for name, _ in self.axes]
        groups = groups_of(f"{order} -> b")[0] if isinstance(order, str) and "->" not in order else []
        if groups[:1] != [["b"]] or sorted(name for group in groups for name in group) != sorted(["b", *names]):
            hint = f"b, then each of {' '.join(names)}, in parentheses where some are one axis"
            raise PatternError(f"{order!r:.60} is no order of axes", hint=hint)
        call = write_einmix(self.axes, self.bias)
        sides = (dict(zip(["b", *names], found, strict=True)) for found in groups_of(call["pattern"]))
        texts = [side([factor for name in group for factor in own[name]] for group in groups) for own in sides]
        return call | {"pattern": " -> ".join(texts)}

    def canonical(self) -> Mixer:
        """The same mixer without a layout of its own (factors are always in canonical form)."""
        return replace(self, layout=None)

    def __str__(self) -> str:
        return text_of(self.axes, self.bias)

    @property
    def params(self) -> int:
        """The number of weights and biases."""
        weights = prod(1 if f.role == "s" else f.size if f.role == "g" else f.size * f.out for f in self._factors)
        return weights + self.bias * prod(f.out for f in self._factors if f.role != "s")

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one image (one element of the batch)."""
        return prod(f.size * f.out if f.role == "m" else f.size for f in self._factors)

    @property
    def _factors(self) -> Factors:
        return tuple(factor for _, factors in self.axes for factor in factors)

    @property
    def inputs(self) -> dict[str, int]:
        """Axis sizes of the input."""
        return {name: prod(f.size for f in factors) for name, factors in self.axes}

    @property
    def outputs(self) -> dict[str, int]:
        """Axis sizes of the output."""
        return {name: prod(f.out for f in factors) for name, factors in self.axes}

    @property
    def mixed(self) -> frozenset[str]:
        """The axes along which something is mixed."""
        return frozenset(name for name, factors in self.axes if any(f.role == "m" for f in factors))

    def fit(self, sizes: Mapping[str, int]) -> Mixer:
        """The mixer itself, once its input is known to have just these axes of just these sizes.

        Raises PatternError that names the axis and the sizes that divide it.
        """
        if list(self.inputs.items()) == list(sizes.items()):
            return self
        text = str(self)
        if list(self.inputs) != list(sizes):
            raise PatternError(f"{text!r} has axes {' '.join(self.inputs)}, not {' '.join(sizes)}")
        for (name, factors), term in zip(self.axes, re.finditer(r"\S+", text), strict=False):
            if (n := prod(f.size for f in factors)) != sizes[name]:
                product = " * ".join(str(f.size) for f in factors) or "1"
                fact = f"{text!r} does not fit {name}={sizes[name]}: {product} = {n}"
                hint = f"sizes that fit {sizes[name]}: {', '.join(map(str, divisors(sizes[name])))}"
                raise wrong(text, (term.start() + len(name) + 1, term.end()), fact, hint)
        raise AssertionError("unreachable: the sizes differ somewhere")

    def reach(self) -> Reach:
        """Which inputs reach which outputs: exact, joint over all axes; compose with `.then` and `|`."""
        return Reach.of(self.axes)

    def __le__(self, other: object) -> bool:
        """Whether every linear map of this family is one of the other's."""
        if not isinstance(other, Mixer):
            return NotImplemented
        return self.bias <= other.bias and included(self.axes, other.axes)

    def __ge__(self, other: object) -> bool:
        return other <= self if isinstance(other, Mixer) else NotImplemented


def redundant(a: Mixer, b: Mixer, *, a_first: bool) -> bool:
    """Whether `a`, next to `b` with nothing non-linear between, adds no map that `b` alone could not be.

    `a_first` tells whether a feeds b, or b feeds a. The same maps are not the same training: this is for reports.

    >>> affine, linear = Mixer.parse("t=s8 c=g16 +b"), Mixer.parse("t=s8 c=m16:64 +b")
    >>> redundant(affine, linear, a_first=True)
    True
    """
    if a.inputs != a.outputs:
        return False

    def squared(factors: Factors) -> Factors:
        return tuple(f._replace(out=f.size) if a_first else f._replace(size=f.out) for f in factors)

    return a <= Mixer(tuple((name, squared(factors)) for name, factors in b.axes), b.bias)


def enumerate_mixers(*, bias: bool = False, **sizes: int) -> Iterator[Mixer]:
    """Every square canonical mixer on axes of these sizes, lazily, each family once.

    >>> sum(1 for _ in enumerate_mixers(h=4, c=6))
    135
    """
    check_sizes(sizes)
    for chosen in product(*(tuple(EVERY.enumerate(n)) for n in sizes.values())):
        yield Mixer(tuple(zip(sizes, chosen, strict=True)), bias)


def sample_mixer(rng: Random, *, bias: bool = False, **sizes: int) -> Mixer:
    """One of the square canonical mixers on axes of these sizes, uniformly."""
    check_sizes(sizes)
    return Mixer(tuple((name, EVERY.sample(n, rng)) for name, n in sizes.items()), bias)


@lru_cache(maxsize=65536)  # mixers are made by the million, of few axes
def _axis(name: str, factors: Factors) -> tuple[str, Factors]:
    """An axis in canonical form. Raises PatternError for a name or factors that it cannot have."""
    check_axis(name, shown(name), (0, len(shown(name))))
    return name, canonical(factors)


@lru_cache(maxsize=65536)  # the same few texts are read again and again
def _parsed(text: str) -> tuple[Axes, bool]:
    """The axes of a mixer's text, and whether it has a bias. Raises PatternError."""
    axes: dict[str, Factors] = {}
    bias = False
    for token in re.finditer(r"\S+", text):
        if bias:
            raise wrong(text, token.span(), "nothing can follow +b", "put +b last")
        if token[0] == "+b":
            bias = True
            continue
        name, equals, factors = token[0].partition("=")
        start = token.start()
        if not equals:
            raise wrong(text, token.span(), f"{token[0]!r} is no axis", "write AXIS=FACTORS, as in h=m8.s4")
        check_axis(name, text, (start, start + len(name)))
        if name in axes:
            raise wrong(text, (start, start + len(name)), f"axis {name} stands twice", "write every axis once")
        axes[name] = parse_factors(factors, text, start + len(name) + 1)
    if not axes:
        raise wrong(text, (0, len(text)), "a mixer needs at least one axis", "as in 'h=m8.s4 w=m8.s4 c=g64 +b'")
    return tuple(axes.items()), bias
