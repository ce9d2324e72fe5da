"""How many trainings share a GPU: as many as have been seen to fit."""

MOST = 8
"""Trainings that share a GPU until one has been measured; more would share its cores, whatever their memory."""

CONTEXT = 512 * 2**20
"""Bytes of each process's CUDA context, which torch does not count: an estimate that no GPU has confirmed."""

MARGIN = 1.25
"""Times what has been measured: the allocator loses some between its blocks, and the next network may be larger."""


def sharing_at_first(workers: int, devices: int) -> int:
    """How many of so many workers (0: as many as there is room for) share a device at first.

    >>> sharing_at_first(0, 1), sharing_at_first(1, 1), sharing_at_first(3, 2), sharing_at_first(4, 4)
    (8, 1, 2, 1)
    """
    return min(MOST, -(-workers // devices)) if workers else MOST


def sharing_after(sharing: int, *, short: bool, peak: int = 0, gpu_bytes: int = 0) -> int:
    """How many trainings share a GPU, after one of `sharing` for which memory was short, or that took `peak` bytes.

    Half of them, or as many as fit: never more than before, so that it settles. `peak` is what `gpu_bytes` says in a
    training's line (0 where nothing was measured), `gpu_bytes` all that the GPU has.

    >>> gib = 2**30
    >>> sharing_after(8, short=True), sharing_after(8, short=False, peak=gib, gpu_bytes=80 * gib)
    (4, 8)
    >>> sharing_after(8, short=False, peak=6 * gib, gpu_bytes=24 * gib)
    2
    """
    if short:
        return max(1, sharing // 2)
    fit = int(gpu_bytes / (MARGIN * (peak + CONTEXT))) if peak else sharing
    return max(1, min(sharing, fit))
