"""What every strategy does: proposes architectures, is told results."""

from collections.abc import Iterator
from typing import Protocol

from einmix import Architecture
from nas.runs.result import Result
from search_spaces import BoundSpace, Budget

LISTABLE = 2_000_000
"""Spaces up to this size are searched to the last architecture; in larger ones nobody gets there."""


class Strategy(Protocol):
    """Proposes architectures, each once; all state can be had again by telling the results anew."""

    ahead: bool
    """Whether proposals can be asked for before earlier results are in, at no loss."""

    def ask(self) -> Architecture | None:
        """The next architecture to try; None when the space (within the budget) has no other."""

    def expect(self, architecture: Architecture) -> None:
        """One that an earlier session asked for and that is trained now: it is known, and its result will be told."""

    def tell(self, architecture: Architecture, result: Result) -> None:
        """How a training ended; of one that was asked for, or of an earlier session."""


def affordable(space: BoundSpace, budget: Budget) -> Iterator[Architecture]:
    """Every architecture within the budget, lazily."""
    return (architecture for architecture in space.enumerate() if budget.admits(architecture.params, architecture.macs))
