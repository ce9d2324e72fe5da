"""How fast mixers are listed, spaces counted and networks drawn: medians of n, with the least and the most.

python benchmarks/algebra.py
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random
from statistics import median
from time import perf_counter

from einmix import enumerate_mixers
from search_spaces import SPACES, BoundSpace, Budget, load

MIXERS = 50_000
GRIDS = {
    "digits 8x8": ({"h": 8, "w": 8}, {}),
    "64x64x384": ({"h": 64, "w": 64}, {"patch": (1,), "width": (384,)}),
}


def seconds(run: Callable[[], object], n: int) -> list[float]:
    """The times of n runs, in seconds, ascending."""
    times = []
    for _ in range(n):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return sorted(times)


def report(name: str, figures: list[float], unit: str, target: str = "") -> None:
    spread = f"{min(figures):,.2f} to {max(figures):,.2f}"
    print(f"{name:44} {median(figures):12,.2f} {unit:12} n={len(figures):<5} {spread:28} {target}")


def bind(name: str, grid: str) -> BoundSpace:
    """A fresh space: nothing is kept from earlier runs but divisors."""
    shape, sizes = GRIDS[grid]
    return load(name).on(shape, channels=3, classes=10, **sizes)


def count_and_bound(name: str, grid: str) -> None:
    space = bind(name, grid)
    space.count()
    space.bounds()


def main() -> None:
    for grid, sizes in {"8x8x64": {"h": 8, "w": 8, "c": 64}, "64x64x384": {"h": 64, "w": 64, "c": 384}}.items():
        times = seconds(lambda sizes=sizes: sum(1 for _ in islice(enumerate_mixers(**sizes), MIXERS)), 7)
        report(f"mixers listed, {grid}", [MIXERS / t for t in times], "mixers/s", ">= 50,000")
    space = bind("roles", "digits 8x8")
    times = seconds(lambda: sum(1 for _ in islice(space.letters(space.middle), MIXERS)), 7)
    report("mixers listed, roles, digits", [MIXERS / t for t in times], "mixers/s", ">= 50,000")
    for grid in GRIDS:
        for name in SPACES:
            times = seconds(lambda name=name, grid=grid: count_and_bound(name, grid), 11)
            report(f"count and bounds, {name}, {grid}", [t * 1e3 for t in times], "ms", "< 50")
    for name in ("roles", "mixed"):
        space, rng = bind(name, "64x64x384"), Random(0)
        times = seconds(lambda space=space, rng=rng: space.sample(rng), 2000)
        report(f"sample, {name}, 64x64x384", [t * 1e3 for t in times], "ms", "< 1")
    space, rng = bind("roles", "digits 8x8"), Random(0)
    reference = space.references(space.middle)["full token mixing"]
    band = Budget(reference.params // 2, reference.params, 2 * reference.macs)
    times = seconds(lambda: space.sample(rng, band), 500)
    report(f"sample, roles, digits, {space.share(band, rng):.2%} in budget", [t * 1e3 for t in times], "ms")


if __name__ == "__main__":
    main()
