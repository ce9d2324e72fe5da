"""Walks through spaces and budgets for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from einmix import Architecture
from search_spaces import BoundSpace, Budget, Space, SpaceError
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


def uniform_within(space: BoundSpace, listed: Sequence[Architecture], most: int) -> Iterator[tuple[Budget, float]]:
    """Draws within each of the `bands` are members and uniform, or refused where there is none; then that share."""
    checked = 0
    for budget in bands(listed):
        within = {arch.id for arch in listed if budget.admits(arch.params, arch.macs)}
        rng = Random(1)
        if not within:
            with pytest.raises(SpaceError):
                space.sample(rng, budget)
            continue
        found = Counter(space.sample(rng, budget).id for _ in range(10 * min(len(within), most)))
        assert set(found) <= within
        assert looks_uniform(found, len(within)), budget
        yield budget, len(within) / len(listed)
        checked += len(within) > 1
    assert checked >= 2


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


def decode(space: BoundSpace, answers: Mapping[str, str]) -> Architecture:
    """The architecture that has these answers."""
    return space.choose(lambda question, options: answers[question])
