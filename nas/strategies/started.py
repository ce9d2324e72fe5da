"""A strategy that begins with given networks."""

from collections.abc import Sequence

from einmix import Architecture
from nas.runs.result import Result
from nas.strategies.strategy import Strategy


class Started:
    """A strategy that has some architectures tried first, whether or not they are in its space."""

    def __init__(self, strategy: Strategy, first: Sequence[Architecture]):
        self.strategy, self.ahead = strategy, strategy.ahead
        self._first = {architecture.id: architecture for architecture in first}
        self._known: set[str] = set()

    def ask(self) -> Architecture | None:
        for id, architecture in self._first.items():
            if id not in self._known:
                self._known.add(id)
                return architecture
        while (proposed := self.strategy.ask()) and proposed.id in self._first:
            pass
        return proposed

    def expect(self, architecture: Architecture) -> None:
        self._known.add(architecture.id)
        self.strategy.expect(architecture)

    def tell(self, architecture: Architecture, result: Result) -> None:
        self._known.add(architecture.id)
        self.strategy.tell(architecture, result)
