"""Limits on the size of a network, and uniform proposals of networks within them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from search_spaces.draws import Urn
from search_spaces.errors import SpaceError
from search_spaces.mixers import Bounds, Kind, wider
from search_spaces.networks import Macro, Networks


@dataclass(frozen=True)
class Budget:
    """Limits on parameters and on multiply-accumulates an image, both ends included. Raises SpaceError if empty."""

    min_params: int = 0
    max_params: int | None = None
    max_macs: int | None = None

    def __post_init__(self) -> None:
        if self.max_params is not None and self.max_params < self.min_params:
            raise SpaceError(f"no network has {self}")

    def admits(self, params: int, macs: int) -> bool:
        return (
            params >= self.min_params
            and (self.max_params is None or params <= self.max_params)
            and (self.max_macs is None or macs <= self.max_macs)
        )

    def meets(self, bounds: Bounds) -> bool:
        """Whether parameters and multiply-accumulates, each alone, can be within the limits."""
        least, most, fewest, _ = bounds
        return most >= self.min_params and self.admits(max(least, self.min_params), fewest)

    def __str__(self) -> str:
        params = f"at least {self.min_params:,}"
        if self.max_params is not None:
            params = f"{self.min_params:,} to {self.max_params:,}"
        return f"{params} parameters" + (f", at most {self.max_macs:,} MACs" if self.max_macs is not None else "")


class Proposals:
    """Sizes with kinds of mixers, drawn uniformly over a set of networks that holds all those within a budget.

    Kinds that no other blocks could make up for are left out beforehand. What remains is to reject networks whose
    blocks together are outside the budget: a few microseconds each, for no mixer has been drawn yet.
    """

    def __init__(self, networks: Iterable[Networks], budget: Budget):
        self._budget = budget
        self._networks = {each.macro: each for each in networks}
        self._sequences = {macro: _Sequences(each, budget) for macro, each in self._networks.items()}
        self._macros = Urn({macro: sequences.total for macro, sequences in self._sequences.items()})
        self.total = self._macros.total

    def draw(self, rng: Random) -> tuple[Macro, list[Kind]] | None:
        """A network within the budget; None stands for one that was rejected."""
        macro = self._macros.draw(rng)
        chosen = self._sequences[macro].draw(rng)
        params, macs = self._networks[macro].base
        for kind in chosen:
            more_params, more_macs = self._networks[macro].mixers.cost(kind)
            params, macs = params + more_params, macs + more_macs
        return (macro, chosen) if self._budget.admits(params, macs) else None


class _Sequences:
    """Sequences of kinds that together mix along all axes, by the number of their mixers: each kind within a budget."""

    def __init__(self, networks: Networks, budget: Budget):
        kinds: dict[frozenset[str], dict[Kind, int]] = {}
        for kind, n in _affordable(networks, budget).items():
            _, covered, _, _ = kind
            kinds.setdefault(covered, {})[kind] = n
        self._kinds = {covered: Urn(members) for covered, members in kinds.items()}
        self._steps: list[dict[frozenset[str], Urn[frozenset[str]]]] = []  # by blocks to come, and axes mixed so far
        ways = {covered: int(networks.covers([covered])) for covered in networks.subsets}
        for _ in range(networks.macro.depth):
            step = {
                covered: Urn({more: urn.total * ways[covered | more] for more, urn in self._kinds.items()})
                for covered in ways
            }
            self._steps.append(step)
            ways = {covered: urn.total for covered, urn in step.items()}
        self.total = ways[frozenset()]

    def draw(self, rng: Random) -> list[Kind]:
        covered, chosen = frozenset[str](), []
        for step in reversed(self._steps):
            more = step[covered].draw(rng)
            covered |= more
            chosen.append(self._kinds[more].draw(rng))
        return chosen


def _affordable(networks: Networks, budget: Budget) -> dict[Kind, int]:
    """The kinds of mixers that some other blocks make up for: together they mix all axes and meet the budget."""
    others = networks.sums(networks.macro.depth - 1)
    rests: dict[frozenset[str], Bounds | None] = {}
    for covered in networks.mixers.coverage:
        rests[covered] = None
        for more, bounds in others.items():
            if networks.covers((covered, more)):
                rests[covered] = wider(rests[covered], bounds)

    def fits(kind: Kind) -> bool:
        _, covered, _, _ = kind
        rest = rests[covered]
        params, macs = networks.mixers.cost(kind)
        return rest is not None and budget.meets((rest[0] + params, rest[1] + params, rest[2] + macs, rest[3] + macs))

    return {kind: n for kind, n in networks.mixers.kinds.items() if fits(kind)}
