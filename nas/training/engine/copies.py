"""Copies of permuted memory in the fewest loops: the same numbers, in another order of reading."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

Layout = tuple[tuple[int, ...], tuple[int, ...], int]
"""Sizes, strides and the first place of a tensor."""

SMALL = 8192  # numbers: from so many on a copy is worth a thought
WIDE = {4: {2: torch.float64, 4: torch.complex128}, 8: {2: torch.complex128}}
"""Bytes of a number -> so many of them -> the type of numbers that moves them at once."""


@lru_cache(maxsize=32)  # an index is as long as what it copies
def copier(layout: Layout, dtype: torch.dtype, memory: int) -> Callable[[Tensor], Tensor] | None:
    """What copies a view of this layout, of so many numbers of memory, into order, where torch's way is not the best.

    Torch calls a loop over the last two axes for all others; where those are short, calls are most of its time.
    Neighbours that stay neighbours can be moved as one wider number, and an index that is made once needs no calls.
    Which is best is reckoned, in nanoseconds of one core (docs/log.md); None where torch's way is as good.
    """
    sizes, strides, start = layout
    axes = _joined(sizes, strides)
    numbers = math.prod(sizes)
    if numbers < SMALL or not dtype.is_floating_point or len(axes) < 2:
        return None
    run = axes[-1][0] if axes[-1][1] == 1 else 1
    whole = math.gcd(run, start, memory, *(stride for _, stride in axes[:-1]))
    widths = WIDE.get(dtype.itemsize, {})
    n, wide = max(((n, widths[n]) for n in widths if whole % n == 0), default=(1, dtype), key=lambda each: each[0])
    ways = {"torch": _loops(axes), "select": 1.3 * numbers / n}
    if n > 1:
        narrow = [(size, stride // n) for size, stride in axes[:-1]] + [(run // n, 1)] * (run > n)
        ways["wide"] = _loops(narrow, n)
    if run >= 8 and whole == run:
        ways["rows"] = 1.5 * numbers / run + 0.14 * numbers
    best = min(ways, key=lambda way: ways[way])
    if ways[best] > 0.7 * ways["torch"]:
        return None
    if best == "wide":
        few, apart = zip(*axes, strict=True)
        kept = torch.contiguous_format
        return lambda x: x.as_strided(few, apart, start).view(wide).clone(memory_format=kept).view(dtype).view(sizes)
    if best == "rows":
        rows = _places(layout).view(-1, run)[:, 0] // run
        return lambda x: x.as_strided((memory // run, run), (run, 1), 0).index_select(0, rows).view(sizes)
    places = _places(layout).view(-1, n)[:, 0] // n
    return lambda x: x.as_strided((memory,), (1,), 0).view(wide).index_select(0, places).view(dtype).view(sizes)


def _joined(sizes: tuple[int, ...], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """Sizes and strides of the axes, with neighbours that are one stretch of memory as one axis."""
    axes: list[tuple[int, int]] = []
    for size, stride in zip(sizes, strides, strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == size * stride:
            size *= axes.pop()[0]
        axes.append((size, stride))
    return axes


def _loops(axes: list[tuple[int, int]], wide: int = 1) -> float:
    """Nanoseconds of torch's copy of numbers that are so wide."""
    numbers, last = math.prod(size for size, _ in axes), axes[-1]
    inner = numbers / last[0]
    outer = inner / axes[-2][0] if len(axes) > 1 else 1
    return 17 * outer + 2.2 * inner + (0.12 * wide if last[1] == 1 else 0.5) * numbers


def _places(layout: Layout) -> Tensor:
    """Where in memory the numbers of a view lie, in its order."""
    sizes, strides, start = layout
    places = torch.full((1,), start, dtype=torch.int32)
    for size, stride in zip(sizes, strides, strict=True):
        places = (places[:, None] + stride * torch.arange(size, dtype=torch.int32)).flatten()
    return places
