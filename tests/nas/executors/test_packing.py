"""How many trainings share a GPU, at first and by what they are seen to take."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

from nas.errors import OUT_OF_MEMORY
from nas.executors import packing
from nas.executors.packing import CONTEXT, sharing_after, sharing_at_first
from nas.runs.job import Outcome

GIB = 2**30


@pytest.mark.parametrize(
    ("workers", "devices", "sharing"),
    [(0, 1, 8), (0, 4, 8), (1, 1, 1), (2, 2, 1), (1, 4, 1), (5, 2, 3), (6, 1, 6), (9, 1, 8), (64, 4, 8)],
)
def test_at_first(workers: int, devices: int, sharing: int) -> None:
    assert sharing_at_first(workers, devices) == sharing


@pytest.mark.parametrize(
    ("before", "reason", "peak", "memory", "sharing"),
    [
        (8, OUT_OF_MEMORY, 0, 0, 4),
        (3, OUT_OF_MEMORY, 0, 0, 1),
        (1, OUT_OF_MEMORY, 0, 0, 1),
        (8, OUT_OF_MEMORY, 1, 80 * GIB, 4),
        (8, "ValueError", 0, 0, 8),
        (8, "", 0, 0, 8),
        (8, "", GIB, 16 * GIB, 8),
        (8, "", 2 * GIB, 16 * GIB, 5),
        (4, "", 2 * GIB, 80 * GIB, 4),  # it never grows
        (8, "", 15 * GIB, 16 * GIB, 1),
        (8, "", 2 * GIB - CONTEXT, 5 * GIB, 2),  # which just fit
        (8, "", 2 * GIB - CONTEXT + 1, 5 * GIB, 1),
    ],
)
def test_after_a_training(before: int, reason: str, peak: int, memory: int, sharing: int) -> None:
    extra = {"gpu_bytes": peak, "gpu_memory": memory} if peak else {}
    outcome = Outcome("failed" if reason else "complete", reason=reason, extra=extra)
    assert sharing_after(before, outcome) == sharing
    if peak:  # each of a bundle took its part
        extra |= {"gpu_bytes": 3 * peak, "together": 3}
        assert sharing_after(before, replace(outcome, extra=extra)) == sharing


def test_examples() -> None:
    found = doctest.testmod(packing)
    assert found.attempted and not found.failed
