"""What every strategy does: proposes architectures, perhaps given ones at first, is told results."""

from collections.abc import Sequence
from typing import Protocol

from einmix import Architecture
from nas.runs.result import Result


class Strategy(Protocol):
    """Proposes architectures, each once. Told its results anew it knows them again; random draws begin anew."""

    ahead: bool
    """Whether proposals can be asked for before earlier results are in, at no loss."""

    def ask(self) -> Architecture | None:
        """The next architecture to try; None when the space (within the budget) has no other."""

    def expect(self, architecture: Architecture) -> None:
        """One that an earlier session asked for and that is trained now: it is known, and its result will be told."""

    def tell(self, architecture: Architecture, result: Result) -> None:
        """How a training ended; of one that was asked for, or of an earlier session."""


class Started:
    """A strategy that has some architectures tried first, whether or not they are in its space."""

    def __init__(self, strategy: Strategy, first: Sequence[Architecture]):
        self.strategy, self.ahead = strategy, strategy.ahead
        self._first = {architecture.id: architecture for architecture in first}
        self._known: set[str] = set()

    def ask(self) -> Architecture | None:
        for id, architecture in self._first.items():
            if id not in self._known:
                self.expect(architecture)
                return architecture
        return self.strategy.ask()

    def expect(self, architecture: Architecture) -> None:
        self._known.add(architecture.id)
        self.strategy.expect(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)
        self.strategy.tell(architecture, result)
