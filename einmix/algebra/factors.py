"""Axes: their names, lengths and factors, and the roles of these."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from keyword import iskeyword
from math import isqrt, prod
from typing import Any, NamedTuple

from einmix.errors import PatternError, shown, wrong

ROLES = ("s", "g", "m")
"""Shared, grouped, mixed: in this order a factor's maps grow (s < g < m)."""

MAX_SIZE = 2**24
"""Larger axes are refused: they are mistakes or attacks, and divisors are found by trial division."""

RESERVED = {"b", "axis", "self", "pattern", "weight_shape", "bias_shape", "ellipsis"}
"""Names that mean something else: to einops, or as arguments beside the sizes."""

_AXIS = re.compile(r"[a-z][a-z0-9]*")
_FACTOR = re.compile(r"([a-z])([0-9]+)(?::([0-9]+))?")


class Factor(NamedTuple):
    """One factor of an axis: its role and its size in the input and in the output (they differ only where mixed)."""

    role: str
    size: int
    out: int

    def __str__(self) -> str:
        return f"{self.role}{self.size}" if self.size == self.out else f"{self.role}{self.size}:{self.out}"


Factors = tuple[Factor, ...]
Axes = tuple[tuple[str, Factors], ...]


@lru_cache(maxsize=65536)
def canonical(factors: Factors) -> Factors:
    """Factors of size 1 dropped, neighbours of equal role merged.

    >>> ".".join(map(str, canonical((Factor("m", 2, 2), Factor("s", 1, 1), Factor("m", 4, 1)))))
    'm8:2'

    Raises PatternError for factors that an axis cannot have.
    """
    merged: list[Factor] = []
    for factor in factors:
        _check(factor)
        if factor.size == factor.out == 1:
            continue
        if merged and merged[-1].role == factor.role:
            last = merged.pop()
            factor = Factor(factor.role, last.size * factor.size, last.out * factor.out)
        merged.append(factor)
    if max(prod(f.size for f in merged), prod(f.out for f in merged)) > MAX_SIZE:
        raise PatternError(f"{'.'.join(map(str, merged))} is too long", hint=f"an axis is at most {MAX_SIZE} long")
    return tuple(merged)


def _check(factor: Any) -> None:
    """Raises PatternError unless this is a factor with a role and sizes that there are."""
    if not isinstance(factor, Factor):
        raise PatternError(f"{shown(factor)} is no factor", hint='as in Factor("m", 8, 8)')
    role, *sizes = factor
    if role not in ROLES:
        raise PatternError(f"{shown(role)} is no role", hint="s shared, g grouped, m mixed")
    if any(type(size) is not int or not 1 <= size <= MAX_SIZE for size in sizes):
        found = " to ".join(map(shown, sizes))
        raise PatternError(f"a factor cannot lead from size {found}", hint=f"write sizes from 1 to {MAX_SIZE}")
    if role != "m" and factor.size != factor.out:
        raise PatternError(
            f"{factor} changes its size, and only mixed factors can", hint=f"m{factor.size}:{factor.out}"
        )


def parse_factors(text: str, whole: str, offset: int) -> Factors:
    """Read `m8.s4`, which stands in the whole text from `offset` on. Raises PatternError."""
    factors: list[Factor] = []
    axis = offset, offset + len(text)
    for piece in text.split("."):
        span = offset, offset + len(piece)
        offset += len(piece) + 1
        match = _FACTOR.fullmatch(piece)
        if not match:
            hint = "write a role and a size, as in m8, s4, g64 or m4:1"
            raise wrong(whole, span, f"{piece!r} is no factor", hint)
        role, size, out = match[1], int(match[2][:10]), int((match[3] or match[2])[:10])
        if role not in ROLES:
            raise wrong(whole, span, f"{role!r} is no role", "s shared, g grouped, m mixed")
        if not (1 <= size <= MAX_SIZE and 1 <= out <= MAX_SIZE):
            raise wrong(whole, span, f"{piece!r} has an impossible size", f"write a size from 1 to {MAX_SIZE}")
        if role != "m" and size != out:
            hint = f"write m{size}:{out}, or {role}{size}"
            raise wrong(whole, span, f"{piece!r} changes its size, and only mixed factors can", hint)
        factors.append(Factor(role, size, out))
        if max(prod(f.size for f in factors), prod(f.out for f in factors)) > MAX_SIZE:
            raise wrong(whole, axis, f"{text!r} has an impossible size", f"an axis is at most {MAX_SIZE} long")
    return tuple(factors)


@cache
def divisors(n: int) -> tuple[int, ...]:
    """All divisors of n > 0, ascending.

    >>> divisors(12)
    (1, 2, 3, 4, 6, 12)

    Raises PatternError for what is no length.
    """
    check_length(n)
    small = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return tuple(small + [n // d for d in reversed(small) if d * d != n])


def check_length(n: Any, axis: str = "an axis") -> None:
    """Raises PatternError unless an axis can be so long."""
    if type(n) is not int or not 1 <= n <= MAX_SIZE:
        raise PatternError(f"{axis} cannot have size {shown(n)}", hint=f"write a size from 1 to {MAX_SIZE}")


def check_axis(name: str, text: str, span: tuple[int, int]) -> None:
    """Raises PatternError unless the name, which stands in the text, can be that of an axis."""
    if not isinstance(name, str) or not _AXIS.fullmatch(name) or iskeyword(name):
        raise wrong(text, span, f"{name!r} is no axis name", "a lower-case letter, then letters and digits")
    if name in RESERVED:
        raise wrong(text, span, f"{name!r} cannot be an axis", "b is the batch" if name == "b" else "it is reserved")


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Raises PatternError unless these are lengths of axes."""
    for name, size in sizes.items():
        check_axis(name, name, (0, len(name)))
        check_length(size, f"axis {name}")


def written(sizes: Mapping[str, int]) -> str:
    """Sizes as they stand in messages: `h=4 w=4 c=6`."""
    return " ".join(f"{name}={size}" for name, size in sizes.items())


def text_of(axes: Axes, bias: bool) -> str:
    """The text of a mixer, as `Mixer.parse` reads it."""
    return " ".join([f"{name}={'.'.join(map(str, factors)) or 's1'}" for name, factors in axes] + ["+b"] * bias)
