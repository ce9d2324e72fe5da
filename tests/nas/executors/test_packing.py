"""How many trainings share a GPU, at first and by what they are seen to take."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from nas.executors import packing
from nas.executors.packing import CONTEXT, sharing_after, sharing_at_first

GIB = 2**30


@pytest.mark.parametrize(
    ("workers", "devices", "sharing"),
    [(0, 1, 8), (0, 4, 8), (1, 1, 1), (2, 2, 1), (1, 4, 1), (5, 2, 3), (6, 1, 6), (9, 1, 8), (64, 4, 8)],
)
def test_at_first(workers: int, devices: int, sharing: int) -> None:
    assert sharing_at_first(workers, devices) == sharing


@pytest.mark.parametrize(
    ("before", "seen", "sharing"),
    [
        (8, {"short": True}, 4),
        (3, {"short": True}, 1),
        (1, {"short": True}, 1),
        (8, {"short": True, "peak": 1, "gpu_bytes": 80 * GIB}, 4),
        (8, {"short": False}, 8),
        (8, {"short": False, "peak": GIB, "gpu_bytes": 16 * GIB}, 8),
        (8, {"short": False, "peak": 2 * GIB, "gpu_bytes": 16 * GIB}, 5),
        (4, {"short": False, "peak": 2 * GIB, "gpu_bytes": 80 * GIB}, 4),  # it never grows
        (8, {"short": False, "peak": 15 * GIB, "gpu_bytes": 16 * GIB}, 1),
        (8, {"short": False, "peak": 2 * GIB - CONTEXT, "gpu_bytes": 5 * GIB}, 2),  # which just fit
        (8, {"short": False, "peak": 2 * GIB - CONTEXT + 1, "gpu_bytes": 5 * GIB}, 1),
    ],
)
def test_after_a_training(before: int, seen: dict[str, Any], sharing: int) -> None:
    assert sharing_after(before, **seen) == sharing


def test_examples() -> None:
    found = doctest.testmod(packing)
    assert found.attempted and not found.failed
