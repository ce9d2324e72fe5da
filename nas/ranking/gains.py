"""A network among those of a comparison, and by how much the found one is ahead of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from einmix import Architecture
from nas.claims.claims import UNKEPT, Claim, Entry, compared
from nas.claims.contrasts import Judged
from nas.runs.bits import unpacked
from nas.runs.result import Result


@dataclass(frozen=True)
class Compared:
    """A network with what its trainings gave: `tuned` one a learning rate, `tested` one a seed at the best of them.

    `decided` are those between the best two rates with all epochs, where `tuned` have fewer. `lr` is None where every
    learning rate failed; `ms` (milliseconds a batch) where nothing was tested; `difference` is that of the found
    network's test accuracy to this one's; where there is none, `undecided` says why. `start` is what the found network
    was called where the search began with it.
    """

    name: str
    architecture: Architecture
    is_found: bool
    tuned: tuple[Result, ...]
    tested: tuple[Result, ...]
    lr: float | None
    ms: float | None = None
    difference: Claim | None = None
    undecided: str = ""
    start: str = ""
    decided: tuple[Result, ...] = ()

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
        failed = [result for result in (self.tested or self.decided or self.tuned) if result.state == "failed"]
        return failed[0].reason if failed else ""

    @property
    def at_edge(self) -> bool:
        """Whether the best learning rate is the least or the largest of several: another could be better still."""
        rates = [result.lr for result in self.tuned]
        return len(rates) > 1 and self.lr in (min(rates), max(rates))


def against(found: Compared, rivals: Sequence[Compared], *, seeds: int, examples: int) -> list[Compared]:
    """The rivals with their differences, which share the error; none where one of the two lacks one of the `seeds`.

    What is left of one that failed would favour it; of those that were tested it says how much seeds vary, and it has
    its share of the error: the same command tries it again. Raises ValueError where what a test was right on is none of
    so many examples or of its accuracy.
    """
    met = {each.name: entry for each in (found, *rivals) if (entry := _entry(each, seeds, examples))}
    mine = met.pop(found.name, None)
    told = dict(zip(met, compared(mine, [*met.values()]), strict=True)) if mine else {}
    return [_told(found, each, told.get(each.name), seeds) for each in rivals]


def _entry(each: Compared, seeds: int, examples: int) -> Entry | None:
    """None where nothing was tested or a test does not say what it was right on, as those of older runs."""
    import numpy as np

    tested, bits = [result for result in each.tested if result.test], []
    for result in tested:
        if result.test and result.right:
            try:
                bits.append(unpacked(result.right, examples, result.test.accuracy))
            except ValueError as error:
                raise ValueError(f"network {each.name}, tested with seed {result.seed}: {error}") from None
    if not tested or len(bits) < len(tested):
        return None
    return Entry(each.architecture.id, each.name, None, Judged.of(np.stack(bits)), failed=len(tested) < seeds)


def _told(found: Compared, other: Compared, claim: Claim | None, seeds: int) -> Compared:
    """A rival with its difference, or why there is none."""
    for each in (found, other):
        if each.undecided:
            return replace(other, undecided=each.undecided)
        if 0 < len(each.accuracies) < seeds:
            lacks = f"{each.name} was tested with {len(each.accuracies)} of {seeds} seeds"
            return replace(other, undecided=f"{lacks}, and the same command tries the others again")
    if not (found.accuracies and other.accuracies):
        return replace(other, undecided="no seed was tested of both")
    mean = fmean(found.accuracies.values()) - fmean(other.accuracies.values())
    return replace(other, difference=claim or Claim(mean, other.name, other.architecture.id, UNKEPT), undecided="")
