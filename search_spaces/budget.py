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

    Kinds that no other blocks could make up for are left out beforehand. What remains is to reject networks that miss
    an axis or whose blocks together are outside the budget: a few microseconds each, for no mixer has been drawn yet.
    """

    def __init__(self, networks: Iterable[Networks], budget: Budget):
        self._budget = budget
        self._networks = {each.macro: each for each in networks}
        self._kinds = {macro: _affordable(each, budget) for macro, each in self._networks.items()}
        self._macros = Urn({macro: kinds.total**macro.depth for macro, kinds in self._kinds.items()})
        self.total = self._macros.total

    def draw(self, rng: Random) -> tuple[Macro, list[Kind]] | None:
        """A network within the budget; None stands for one that was rejected."""
        macro = self._macros.draw(rng)
        networks, kinds = self._networks[macro], self._kinds[macro]
        chosen = [kinds.draw(rng) for _ in range(macro.depth)]
        params, macs = networks.base
        for kind in chosen:
            more_params, more_macs = networks.mixers.cost(kind)
            params, macs = params + more_params, macs + more_macs
        if self._budget.admits(params, macs) and networks.covers(covered for _, covered, _, _ in chosen):
            return macro, chosen
        return None


def _affordable(networks: Networks, budget: Budget) -> Urn[Kind]:
    """The kinds of mixers that some other blocks make up for: together they mix all axes and meet the budget."""
    others = networks.sums(networks.macro.depth - 1)
    rests: dict[frozenset[str], Bounds | None] = {}
    for covered in networks.mixers.coverage:
        rests[covered] = None
        for more, bounds in others.items():
            if networks.covers((covered, more)):
                rests[covered] = wider(rests[covered], bounds)

    def fits(kind: Kind) -> bool:
        rest = rests[kind[1]]
        params, macs = networks.mixers.cost(kind)
        return rest is not None and budget.meets((rest[0] + params, rest[1] + params, rest[2] + macs, rest[3] + macs))

    return Urn({kind: n for kind, n in networks.mixers.kinds.items() if fits(kind)})
