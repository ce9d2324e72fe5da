"""How many trainings share a GPU: as many as have been seen to fit."""

from nas.errors import OUT_OF_MEMORY
from nas.executors.executor import cause_of
from nas.runs.job import Outcome

MOST = 8
"""Trainings that share a GPU until one has been measured; more would share its cores, whatever their memory."""

CONTEXT = 512 * 2**20
"""Bytes of each process's CUDA context, which torch does not count: an estimate that no GPU has confirmed."""

MARGIN = 1.25
"""Times what has been measured: the allocator loses some between its blocks, and the next network may be larger."""


BUNDLE = 16
"""Trainings of one network that are one model at most."""


def sharing_at_first(workers: int, devices: int) -> int:
    """How many of so many workers (0: as many as there is room for) share a device at first.

    >>> sharing_at_first(0, 1), sharing_at_first(1, 1), sharing_at_first(3, 2), sharing_at_first(4, 4)
    (8, 1, 2, 1)
    """
    return min(MOST, -(-workers // devices)) if workers else MOST


def sharing_after(sharing: int, outcome: Outcome) -> int:
    """How many trainings share a GPU, by how one of `sharing` went: half of them where memory was short.

    Else as many as fit by what it took at most (`gpu_bytes` in its line; without that, as before) of all that the GPU
    has (`gpu_memory`). Never more than before, so that it settles.

    >>> gib = 2**30
    >>> sharing_after(8, Outcome("failed", reason="out of memory"))
    4
    >>> sharing_after(8, Outcome("complete", extra={"gpu_bytes": 6 * gib, "gpu_memory": 24 * gib}))
    2
    """
    if cause_of(outcome) == OUT_OF_MEMORY:
        return max(1, sharing // 2)
    peak, memory = (outcome.extra.get(name, 0) for name in ("gpu_bytes", "gpu_memory"))
    peak /= outcome.extra.get("together", 1)  # of those that were one model
    fit = int(memory / (MARGIN * (peak + CONTEXT))) if peak else sharing
    return max(1, min(sharing, fit))
