"""A network of a comparison, with all that its trainings gave."""

from dataclasses import dataclass

from einmix import Architecture
from nas.ranking.gains import Gain
from nas.runs.result import Result


@dataclass(frozen=True)
class Compared:
    """A network with what its trainings gave: `tuned` one a learning rate, `tested` one a seed at the best of them.

    `lr` is None where every learning rate failed; `ms` (milliseconds a batch) where nothing was tested; `difference`
    is that of the found network's test accuracy to this one's; where there is none, `undecided` says why. `start` is
    what the found network was called where the search began with it.
    """

    name: str
    architecture: Architecture
    is_found: bool
    tuned: tuple[Result, ...]
    tested: tuple[Result, ...]
    lr: float | None
    ms: float | None = None
    difference: Gain | None = None
    undecided: str = ""
    start: str = ""

    @property
    def title(self) -> str:
        """Its name, and what else it is called."""
        return f"{self.name} ({self.start})" if self.start else self.name

    @property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy by seed, of the trainings that reached the end."""
        return {result.seed: result.test.accuracy for result in self.tested if result.test}

    @property
    def reason(self) -> str:
        """Why a training failed that the figures miss."""
        failed = [result for result in (self.tested or self.tuned) if result.state == "failed"]
        return failed[0].reason if failed else ""

    @property
    def at_edge(self) -> bool:
        """Whether the best learning rate is the least or the largest of several: another could be better still."""
        rates = [result.lr for result in self.tuned]
        return len(rates) > 1 and self.lr in (min(rates), max(rates))
