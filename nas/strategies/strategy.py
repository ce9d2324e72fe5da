"""What every strategy does: proposes architectures, is told results."""

from typing import Protocol

from einmix import Architecture
from nas.runs.result import Result


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
