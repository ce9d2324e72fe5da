"""Which axes' maps are among another's: the order s < g < m, exact also where factors do not line up."""

from functools import lru_cache
from itertools import pairwise
from math import prod

from einmix.algebra.factors import ROLES, Axes, Factors


def included(a: Axes, b: Axes) -> bool:
    """Whether every linear map of `a` is one of `b`: a's support lies in b's, and what b ties, a ties or lacks.

    A mixer is the Kronecker product of its axes, and tying classes are products of the axes' classes, so this holds
    exactly when it holds on every axis.

    >>> from einmix import Mixer
    >>> some, every = Mixer.parse("t=s2.g3").axes, Mixer.parse("t=g6").axes
    >>> included(some, every), included(every, some)
    (True, False)
    """
    return _sizes(a) == _sizes(b) and all(_axis_included(fa, fb) for (_, fa), (_, fb) in zip(a, b, strict=True))


def _sizes(axes: Axes) -> list[tuple[str, int, int]]:
    return [(name, prod(f.size for f in factors), prod(f.out for f in factors)) for name, factors in axes]


@lru_cache(maxsize=65536)
def _axis_included(a: Factors, b: Factors) -> bool:
    if a == b:
        return True
    if all(f.size == f.out for f in a + b):
        strides = sorted({_stride(a, i) for i in range(len(a))} | {_stride(b, i) for i in range(len(b))})
        if all(large % small == 0 for small, large in pairwise(strides)):
            return _digits_included(a, b, [*strides, prod(f.size for f in a)])
    return _entries_included(a, b)


def _stride(factors: Factors, index: int) -> int:
    return prod(f.size for f in factors[index + 1 :])


def _digits_included(a: Factors, b: Factors, strides: list[int]) -> bool:
    """Digit by digit on the common refinement whose strides these are."""

    def role(factors: Factors, stride: int) -> int:
        return next(ROLES.index(f.role) for i, f in enumerate(factors) if _stride(factors, i) <= stride)

    return all(role(a, low) <= role(b, low) for low, high in pairwise(strides) if low < high)


def _entries_included(a: Factors, b: Factors) -> bool:
    """Entry by entry over a's support, for factors without a common refinement or of two sizes."""
    import numpy as np

    rows, columns = support(a)
    inside, classes = tying(b, rows, columns)
    if not inside.all():
        return False
    _, own = tying(a, rows, columns)
    _, index, count = np.unique(classes, return_inverse=True, return_counts=True)
    members = prod(f.size for f in b if f.role == "s")
    smallest, largest = np.full(len(count), own.max()), np.zeros(len(count), dtype=own.dtype)
    np.minimum.at(smallest, index, own)
    np.maximum.at(largest, index, own)
    return bool((count == members).all() and (smallest == largest).all())


def support(factors: Factors):  # type: ignore[no-untyped-def]  # numpy is imported late
    """Rows (output indices) and columns (input indices) of the entries that an axis' factors connect."""
    import numpy as np

    rows = columns = np.zeros(1, dtype=np.int64)
    for role, size, out in factors:
        o, i = np.indices((out, size)).reshape(2, -1) if role == "m" else np.tile(np.arange(size), (2, 1))
        rows = (rows[:, None] * out + o).ravel()
        columns = (columns[:, None] * size + i).ravel()
    return rows, columns


def tying(factors: Factors, rows, columns):  # type: ignore[no-untyped-def]
    """Whether entries are connected, and by which of the axis' weights (equal numbers mean one weight)."""
    import numpy as np

    inside, weight = np.ones(len(rows), dtype=bool), np.zeros(len(rows), dtype=np.int64)
    stride_out, stride_in = prod(f.out for f in factors), prod(f.size for f in factors)
    for role, size, out in factors:
        stride_out, stride_in = stride_out // out, stride_in // size
        o, i = rows // stride_out % out, columns // stride_in % size
        if role == "m":
            weight = (weight * out + o) * size + i
        else:
            inside &= o == i
            weight = weight * size + o if role == "g" else weight
    return inside, weight
