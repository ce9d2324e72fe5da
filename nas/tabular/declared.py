"""What tables of record hold: every network of a space at one size, alike in all blocks, by rates and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from einmix import Architecture
from nas.errors import NasError, nearest
from nas.loop.past import make_job
from nas.runs.job import Job
from nas.runs.result import take
from search_spaces import BoundSpace, Family, Space
from search_spaces.blocks.patch import Patch

SPACE = Space(
    "uniform",
    "every factorisation of every axis in roles, by every grouping of the channels",
    (Family("uniform", positions="*", channels="g*.s*"),),
    mixes_all=False,
)

FIELDS = {
    "data": "a text",
    **dict.fromkeys(("width", "depth", "ratio", "epochs"), "a count"),
    "rates": "a list of finite numbers",
    "seeds": "a list of counts",
}
"""What is declared beside the patch, by name, and what it is."""

RATES = 0.005, 0.015, 0.045
SEEDS = 0, 1, 2
EPOCHS = 20


@dataclass(frozen=True)
class Declared:
    """A table: its data, and the sizes that all of its networks share."""

    data: str
    patch: Patch
    width: int = 32
    depth: int = 2
    ratio: int = 2
    rates: tuple[float, ...] = RATES
    seeds: tuple[int, ...] = SEEDS
    epochs: int = EPOCHS

    @classmethod
    def read(cls, facts: dict[str, Any]) -> Declared:
        """What a table says of itself. Raises ValueError for what cannot be declared."""
        patch = facts.get("patch")
        take({"patch": [patch]}, "patch", "a list of sizes")
        found: dict[str, Any] = {name: take(facts, name, kind) for name, kind in FIELDS.items()} | {"patch": patch}
        if strange := facts.keys() - {*found, "name"}:
            raise ValueError(f"{min(strange)!r} is nothing that is declared")
        for name, value in found.items():
            if not value or (isinstance(value, list) and name != "seeds" and min(value) <= 0):
                raise ValueError(f"{name!r} is {value!r}")
        found |= {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return cls(**found)

    def networks(self, shape: dict[str, int], channels: int, classes: int) -> list[Architecture]:
        """All of its networks on data of such a shape, each with the same mixer in every block."""
        space = self.space(shape, channels, classes)
        (skeleton,) = space.skeletons
        return [space.assemble(skeleton, [letter] * self.depth) for letter in space.letters(skeleton)]

    def of_one_block(self) -> Declared:
        """The same with one block, which stands for all: what a strategy can search."""
        return replace(self, depth=1)

    def space(self, shape: dict[str, int], channels: int, classes: int) -> BoundSpace:
        sizes = {name: (getattr(self, name),) for name in ("patch", "width", "depth", "ratio")}
        return SPACE.on(shape, channels=channels, classes=classes, **sizes)

    def jobs(self, networks: list[Architecture]) -> Iterator[tuple[Job, Architecture]]:
        """All of its trainings: of every seed and rate all networks, so that a part of it is a table as well."""
        for seed, lr, network in product(self.seeds, self.rates, networks):
            yield make_job(network, lr, seed, self.epochs, "train"), network


TABLES = {
    "digits": Declared("digits", 2),
    "mnist1d": Declared("mnist1d", 2),
    "fashion-mnist": Declared("fashion-mnist", 7),
}
"""By name. Digits and Fashion-MNIST are grids of 4 x 4 positions (486 networks), MNIST-1D is a line of 20 (378)."""


def declared(name: str) -> Declared:
    """A table by its name. Raises NasError for an unknown one."""
    if name not in TABLES:
        raise NasError(f"no table {name!r}: {nearest(name, TABLES)}")
    return TABLES[name]
