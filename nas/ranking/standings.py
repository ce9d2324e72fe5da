"""Who is ahead: results gathered by architecture, ranked, and held against the reference points."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from statistics import fmean, stdev
from typing import Any

from einmix import Architecture
from nas.claims.claims import UNJUDGED, Claim, Claims, Entry, claims
from nas.claims.contrasts import ERROR, Judged
from nas.claims.until_sure import LOOKS, share
from nas.ranking.objectives import Quality, merit
from nas.ranking.sensitivity import Sensitivity, sensitivity
from nas.runs.bits import unpacked
from nas.runs.job import HALVED, RANKED, Score
from nas.runs.own import ACCURACY, Metric
from nas.runs.result import Result, latest


@dataclass(frozen=True)
class Standing:
    """One architecture with all that is known of it.

    `search` is its training in the search, `finals` are those at the full budget, over seeds, that reached the end;
    `failures` are the others; `lacking` are the seeds that others of the run have finals with, and this one has not.
    `label` is empty but for reference points, `name` but for networks of the zoo that the search began with, and where
    references of several sizes have one label.
    `on_front` says of several objectives whether no other is as good in all and better in one; of one it is None.
    `rival` is the id of the reference that it is held against, `sensitivity` what becomes of both at other rates.
    `judged` is what its finals were right on, None where that is not kept; figures of finals are those on the examples
    that judge, where there are such.
    """

    architecture: Architecture
    label: str = ""
    search: Result | None = None
    finals: tuple[Result, ...] = ()
    failures: tuple[Result, ...] = ()
    gain: Claim | None = None
    judged: Judged | None = field(default=None, compare=False, repr=False)
    lacking: tuple[int, ...] = ()
    name: str = ""
    on_front: bool | None = None
    rival: str = ""
    sensitivity: Sensitivity | None = None
    metric: Metric = ACCURACY

    def __repr__(self) -> str:
        figure = "failed" if self.accuracy is None else f"{self.metric.text(self.accuracy)} (n={self.n})"
        return f"<Standing {self.title}: {figure}, {self.state}>"

    @property
    def title(self) -> str:
        """What it is called in tables: by its label or id, and its name."""
        return f"{self.label or self.id} ({self.name})" if self.name else self.label or self.id

    @property
    def id(self) -> str:
        return self.architecture.id

    @property
    def is_reference(self) -> bool:
        return bool(self.label)

    @property
    def trainings(self) -> tuple[Result, ...]:
        """Those that the figures are means of: the finals, else the one of the search."""
        return self.finals or (() if self.search is None else (self.search,)) or self.failures

    @property
    def state(self) -> str:
        """`final`, or how the search's training ended."""
        return "final" if self.finals else self.trainings[0].state

    @property
    def scores(self) -> list[Score]:
        """How its trainings ended; empty where they failed."""
        return [result.counts for result in self.trainings if result.counts and result.state != "failed"]

    @property
    def n(self) -> int:
        """How many trainings the figures are means of."""
        return len(self.scores)

    @property
    def accuracy(self) -> float | None:
        """Mean over `n` trainings; of one that was pruned, as far as it went.

        Of a metric of somebody's own it is that, with its sign turned where less is better: `figure` is as it is.
        """
        return fmean(score.accuracy for score in self.scores) if self.scores else None

    @property
    def is_judged(self) -> bool:
        """Whether its figures are those of examples that chose nothing."""
        return bool(self.finals) and all(result.judge for result in self.finals)

    @property
    def figure(self) -> float | None:
        """The accuracy, or the metric of somebody's own in its place."""
        return None if self.accuracy is None else self.metric.figure(self.accuracy)

    @property
    def std(self) -> float | None:
        return stdev(score.accuracy for score in self.scores) if self.n > 1 else None

    @property
    def loss(self) -> float | None:
        return fmean(score.loss for score in self.scores) if self.scores else None

    @property
    def seconds(self) -> float:
        """Mean time of a training."""
        return fmean(result.seconds for result in self.trainings)

    @property
    def latency(self) -> float | None:
        """Mean milliseconds of a forward pass, over the trainings that measured it."""
        measured = [result.latency for result in self.trainings if result.latency is not None]
        return fmean(measured) if measured else None

    @property
    def is_fragile(self) -> bool:
        """Whether it leads its reference, and another learning rate takes that away."""
        found = self.sensitivity
        return bool(found and self.gain and self.gain.mean > 0 and found.lost)

    @property
    def reason(self) -> str:
        """Why a training failed, of the search or of the finals."""
        failed = [result for result in (self.search, *self.failures) if result and result.state == "failed"]
        return failed[0].reason if failed else ""

    def row(self, place: int | None) -> dict[str, Any]:
        """Its figures as JSON values; `place` is None for a reference."""
        more = {"latency_ms": self.latency, "sensitivity": self.sensitivity and self.sensitivity.row()}
        return {
            "rank": place,
            "id": self.id,
            "label": self.label,
            "name": self.name,
            "front": self.on_front,
            "state": self.state,
            self.metric.name: self.figure,
            "std": self.std,
            "n": self.n,
            "lacking": list(self.lacking),
            "loss": self.loss,
            "gain": self.gain and self.gain.row(),
            "params": self.architecture.params,
            "macs": self.architecture.macs,
            "seconds": self.seconds,
            "halved_batch": any(HALVED in result.extra for result in self.trainings),
            "reason": self.reason,
            "mixers": [str(mixer) for mixer in self.architecture.mixers],
        } | {name: value for name, value in more.items() if value is not None}


def search_order(result: Result, by: Quality = "accuracy") -> tuple[float, ...]:
    """A key that sorts results, the best first: those that got furthest, then by merit; those that failed come last."""
    if result.score is None or result.state == "failed":
        return (inf,)
    first, second = merit(result.score, by)
    return -result.score.epoch, -first, -second


def rank(
    results: Sequence[Result],
    sizes_of: Callable[[Architecture], object],
    by: Quality = "accuracy",
    judge: int = 0,
    until_sure: float | None = None,
    order: Quality | None = None,
) -> list[Standing]:
    """All architectures, the best first: finalists and references by their means, then the rest by the search's order.

    Those that lack a seed which others have come after those that have them all: their means are of what went well.
    `sizes_of` tells what a reference must share with a finalist to be its reference (patch, width, depth, ratio).
    `judge` is the number of examples that judge, 0 in a run that has none. Where finals went on `until_sure` all have
    the seeds of the first look, and those that went on have more. Raises ValueError for bits of finals that
    are not of so many examples, or not of their accuracy.
    """
    by_id, tuned = dict[str, list[Result]](), list[Result]()
    for result in latest(results):
        if result.phase in RANKED:
            by_id.setdefault(result.id, []).append(result)
        elif result.phase == "tune":
            tuned.append(result)
    seeds = {result.seed for found in by_id.values() for result in found if result.phase == "final"}
    least = seeds if until_sure is None else set(sorted(seeds)[: LOOKS[0]])
    standings = [_standing(found, least, judge) for found in by_id.values()]
    ahead = sorted((s for s in standings if s.finals), key=lambda s: _final_order(s, by))
    behind = sorted((s for s in standings if not s.finals), key=lambda s: search_order(s.trainings[0], order or by))
    at_other_rates = [result for result in tuned if result.seed in seeds]
    told = claims_of(ahead, sizes_of, until_sure)
    return [_held(s, ahead, told, at_other_rates, sizes_of) for s in ahead] + behind


def claims_of(
    standings: Sequence[Standing], sizes_of: Callable[[Architecture], object], until_sure: float | None = None
) -> Claims | None:
    """What may be claimed of the finals among ranked standings; None where it is not kept what some were right on.

    Of finals that went on `until_sure` it is claimed with a look's error, whichever look it is.
    """
    entries = entries_of(standings, sizes_of)
    if entries is None:
        return None
    found, references = entries
    first = next((each.id for each in found if not each.failed), None)
    ended = (s.search for s in standings if s.id == first and s.search and s.search.state == "complete")
    searched = next((search.score.accuracy for search in ended if search.score), None)
    return claims(found, references, searched=searched, error=ERROR if until_sure is None else share(until_sure))


def entries_of(
    standings: Sequence[Standing], sizes_of: Callable[[Architecture], object]
) -> tuple[list[Entry], list[Entry]] | None:
    """The finalists that were found, in ranked order, and the references, as claims take them; None as above."""
    finals = [standing for standing in standings if standing.finals]
    if not finals or any(standing.judged is None for standing in finals):
        return None
    found, references = (
        [
            Entry(s.id, s.title, sizes_of(s.architecture), s.judged, bool(s.failures))
            for s in finals
            if s.is_reference == is_reference and s.judged is not None
        ]
        for is_reference in (False, True)
    )
    return found, references


def ranked(standings: Iterable[Standing]) -> list[tuple[int | None, Standing]]:
    """Every standing with its rank: the finalists found, then the references, which have none, then the others."""
    standings = list(standings)
    found = [standing for standing in standings if not standing.is_reference]
    references = [standing for standing in standings if standing.is_reference]
    places: list[tuple[int | None, Standing]] = list(enumerate(found, start=1))
    finals = sum(bool(standing.finals) for standing in found)
    return [*places[:finals], *((None, reference) for reference in references), *places[finals:]]


def _standing(found: list[Result], seeds: set[int], judge: int) -> Standing:
    """What the results of one architecture say of it, in a run whose finals are at least over these seeds."""
    finals = [result for result in found if result.phase == "final"]
    ended = tuple(result for result in finals if result.state == "complete" and result.score)
    needed = seeds | {result.seed for result in finals}
    lacking = needed - {result.seed for result in ended} if finals else set()
    return Standing(
        Architecture.from_json(found[0].architecture),
        label=next((result.label for result in found if result.label), ""),
        search=next((result for result in found if result.phase == "search"), None),
        finals=ended,
        failures=tuple(result for result in finals if result not in ended),
        lacking=tuple(sorted(lacking)),
        judged=_judged(ended, judge),
    )


def _judged(finals: Sequence[Result], judge: int) -> Judged | None:
    """What finals were right on; None where that is not kept of all."""
    if not finals or not judge or not all(result.judge and result.right for result in finals):
        return None
    import numpy as np

    return Judged.of(np.stack([unpacked(r.right, judge, r.judge.accuracy) for r in finals if r.judge]))


def _final_order(standing: Standing, by: Quality) -> tuple[float, ...]:
    assert standing.loss is not None and standing.accuracy is not None
    first, second = merit(Score(0, standing.loss, standing.accuracy), by)
    return len(standing.lacking), -first, -second


def _held(
    standing: Standing,
    finals: Sequence[Standing],
    told: Claims | None,
    tuned: Sequence[Result],
    sizes_of: Callable[[Architecture], object],
) -> Standing:
    """The same held against its rival: its gain, and what becomes of both at other rates, where that was tried.

    There is none where one of the two has failed with a seed, for what is left favours it.
    """
    mine = sizes_of(standing.architecture)
    rivals = [r for r in finals if r.is_reference and sizes_of(r.architecture) == mine and not r.failures]
    if standing.is_reference or standing.failures or not rivals:
        return standing
    rival = max(rivals, key=lambda r: -inf if r.accuracy is None else r.accuracy)
    gain = told.gains.get(standing.id) if told else None
    if gain is None:  # without an interval, for the images that chose are those that judged
        gain = Claim((standing.accuracy or 0.0) - (rival.accuracy or 0.0), rival.label, rival.id, UNJUDGED)
    at_rates = ([*each.finals, *(r for r in tuned if r.id == each.id)] for each in (standing, rival))
    return replace(standing, gain=gain, rival=rival.id, sensitivity=sensitivity(*at_rates))


def sizes_of(architecture: Architecture) -> object:
    """What two networks share that differ in their blocks' mixing only: grids, depths, channel MLPs and norm."""
    leaves = (leaf.node for block in architecture.blocks for step in block for leaf in step.leaves())
    widest = max((node.width for node in leaves), default=0)
    grids = tuple(tuple(grid.items()) for grid in architecture.grids)
    return grids, tuple(len(stage.blocks) for stage in architecture.stages), widest, architecture.head
