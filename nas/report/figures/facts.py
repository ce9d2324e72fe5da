"""What a page knows of a run: plain values, from which all of its sentences and plots are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import log
from typing import Any, Literal

from nas.audit.audit import Audit
from nas.claims.claims import Claims
from nas.ranking.gains import Compared
from nas.ranking.objectives import Objective
from nas.ranking.standings import Standing, ranked
from nas.ranking.words import leader
from nas.runs.result import Result, latest

Kind = Literal["final", "reference", "complete", "pruned", "failed"]
"""What a network is in a table: found and in the finals, a reference point, or how its training in the search ended."""

KINDS: tuple[Kind, ...] = ("final", "reference", "complete", "pruned", "failed")


@dataclass(frozen=True)
class Network:
    """A network of a run with its rank; None for a reference."""

    place: int | None
    standing: Standing

    @property
    def id(self) -> str:
        return self.standing.id

    @property
    def title(self) -> str:
        return self.standing.title

    @property
    def kind(self) -> Kind:
        if self.standing.is_reference:
            return "reference"
        return next(kind for kind in KINDS if kind == self.standing.state)

    @property
    def searched(self) -> Result | None:
        """Its training in the search, if that came to the end; else the first of its finals; else how far it came."""
        found = [each for each in (self.standing.search, *self.standing.finals) if each and each.scores]
        return next((each for each in found if each.state == "complete"), found[0] if found else None)


@dataclass(frozen=True)
class Failure:
    """A training that failed for good: in which phase, how many epochs it came, and why."""

    id: str
    title: str
    where: str
    epoch: int
    epochs: int
    reason: str
    traceback: str


@dataclass(frozen=True)
class Comparison:
    """What a `nas compare` of the run has tested, found again from its lines: its name, data, networks, test images."""

    name: str
    data: str
    networks: tuple[Compared, ...]
    examples: int


@dataclass(frozen=True)
class RunFacts:
    """A run: its settings as run.json has them, and what its results are worth.

    `created` is when it was made (UTC, ISO format), `lr` its learning rate, None while that is being found.
    `compared` are the comparisons beside it, `where` the option by which a command finds it.
    """

    name: str
    created: str
    settings: Mapping[str, Any]
    audit: Audit
    objectives: tuple[Objective, ...]
    lr: float | None = None
    compared: tuple[Comparison, ...] = field(default=(), compare=False)
    where: str = ""

    @property
    def noun(self) -> str:
        """What an example is, in the plural."""
        return self.audit.facts.noun

    @property
    def standings(self) -> Sequence[Standing]:
        return self.audit.standings

    @property
    def told(self) -> Claims | None:
        return self.audit.told

    @cached_property
    def networks(self) -> list[Network]:
        """All networks as a table has them: finalists, references, the others by rank."""
        return [Network(place, standing) for place, standing in ranked(self.standings)]

    @cached_property
    def leader(self) -> Standing | None:
        return leader(self.standings)

    @cached_property
    def references(self) -> list[Standing]:
        return [standing for standing in self.standings if standing.is_reference]

    @cached_property
    def finalists(self) -> list[Standing]:
        return [standing for standing in self.standings if standing.finals and not standing.is_reference]

    @cached_property
    def counts(self) -> dict[Kind, int]:
        """How many candidates of the search came to which end."""
        states = [standing.search.state for standing in self.standings if standing.search]
        return {kind: states.count(kind) for kind in ("complete", "pruned", "failed") if kind in states}

    @property
    def tried(self) -> int:
        return sum(self.counts.values())

    @property
    def trials(self) -> int:
        """How many candidates were asked for."""
        return self.audit.facts.trials

    @cached_property
    def failures(self) -> list[Failure]:
        """The trainings whose last line says that they failed, in the order in which they ended."""
        titles = {standing.id: standing.title for standing in self.standings}
        return [
            Failure(
                each.id,
                titles.get(each.id, each.label or each.id),
                f"{WORDS[each.phase]}, seed {each.seed}" if each.phase != "search" else WORDS[each.phase],
                len(each.train_loss),
                each.epochs,
                each.reason,
                each.traceback,
            )
            for each in latest(self.audit.results)
            if each.state == "failed"
        ]

    @cached_property
    def causes(self) -> list[tuple[str, list[Failure]]]:
        """The failures by their reasons, the most frequent first."""
        found: dict[str, list[Failure]] = {}
        for failure in self.failures:
            found.setdefault(failure.reason, []).append(failure)
        return sorted(found.items(), key=lambda item: -len(item[1]))

    @property
    def seconds(self) -> float:
        """Of all its trainings together."""
        return sum(result.seconds for result in self.audit.results)

    @property
    def floor(self) -> float:
        """The training loss (nats) that label smoothing leaves at least, as far as settings tell it; else 0."""
        recipe, data = (self.settings.get(name) for name in ("recipe", "data"))
        smoothing = recipe.get("label_smoothing") if isinstance(recipe, dict) else None
        classes = data.get("classes") if isinstance(data, dict) else None
        if not isinstance(smoothing, float) or type(classes) is not int or not 0 < smoothing < 1 or classes < 2:
            return 0.0
        return entropy(smoothing, classes)


WORDS = {
    "search": "search",
    "final": "finals",
    "train": "longer training",
    "tune": "learning rates",
    "compare": "comparison",
}
"""What phases are called."""


def entropy(smoothing: float, classes: int) -> float:
    """Of smoothed labels: no loss is less.

    >>> round(entropy(0.1, 10), 3)
    0.5
    """
    other = smoothing / classes
    right = 1 - smoothing + other
    return -right * log(right) - (classes - 1) * other * log(other)
