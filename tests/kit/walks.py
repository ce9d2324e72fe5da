"""Walks through spaces and budgets for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from einmix import Architecture
from search_spaces import BoundSpace, Budget, Space
from search_spaces.blocks.forms import FORMS


def looks_uniform(counts: Counter[str], cells: int) -> bool:
    """Chi-square: its mean is the degrees of freedom, its standard deviation the root of twice that."""
    expected = counts.total() / cells
    distance = sum((n - expected) ** 2 for n in counts.values()) / expected + (cells - len(counts)) * expected
    return distance < cells + 4 * (2 * cells) ** 0.5


def bands(listed: Sequence[Architecture]) -> Iterator[Budget]:
    """Budgets around the median, at both ends, and narrow ones."""
    params, macs = sorted(arch.params for arch in listed), sorted(arch.macs for arch in listed)
    middle = len(listed) // 2
    yield Budget(params[middle] // 2, params[middle], macs[-1])
    yield Budget(max_params=params[0])
    yield Budget(min_params=params[-1])
    yield Budget(max_macs=macs[0])
    yield Budget(params[middle], params[middle])
    yield Budget(params[middle], None, macs[middle])


def walk(space: BoundSpace, rng: Random) -> tuple[Architecture, dict[str, tuple[str, ...]]]:
    """The architecture of random answers, and the questions with their options."""
    asked: dict[str, tuple[str, ...]] = {}

    def answer(name: str, options: Sequence[str]) -> str:
        assert name not in asked and len(set(options)) == len(options) > 1
        asked[name] = tuple(options)
        return rng.choice(options)

    return space.choose(answer), asked


def tiny(shape: dict[str, int], **declared: Any) -> BoundSpace:
    """A space of forms of one patch, width and depth where no others are asked for."""
    sizes = {"patch": (1,), "width": (4,), "depth": (1,), "ratio": (2,), "forms": tuple(FORMS)} | declared
    return Space("tiny", "", families=(), **sizes).on(shape, channels=2, classes=3)
