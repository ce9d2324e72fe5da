"""What a run's figures are worth, from what it has kept: nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nas.audit import better
from nas.audit.better import Against, Candidates, Leader, expected_best
from nas.audit.checklist import Check, Facts, checklist
from nas.audit.correlations import FEWEST_FINISHED, Chain, Correlation, bands_of, chain, correlation, of_figures
from nas.audit.noise import Noise, noise, pair_noise, reliability, spearman_of
from nas.audit.rates import RateOrders, rate_orders
from nas.audit.steps import Step, next_step
from nas.claims import contrasts
from nas.claims.claims import Claims
from nas.errors import NasError
from nas.ranking.objectives import Quality, merit
from nas.ranking.standings import Standing, claims_of, ranked, sizes_of
from nas.runs.bits import unpacked
from nas.runs.job import Score
from nas.runs.result import Result, latest

if TYPE_CHECKING:
    import numpy as np

PLACES = 2, 5
"""Ranks that rank 1 is held against, beside references and random networks."""


@dataclass(frozen=True)
class Audit:
    """Of a run with these results, ranked by a figure; `proxies` are what a proxy gives of networks, by name and id.

    All is worked out when it is asked for, and None (or empty) where the run has too little to say it.
    """

    results: Sequence[Result]
    standings: Sequence[Standing]
    facts: Facts
    by: Quality = "accuracy"
    proxies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @cached_property
    def told(self) -> Claims | None:
        """What is claimed of the finals."""
        return claims_of(self.standings, sizes_of, self.facts.until_sure)

    @cached_property
    def noise(self) -> Noise | None:
        """Of one training of what leads: by the finals of finalists and of the references they are held against."""
        rivals = {standing.rival for standing in self.standings}
        return noise([s.judged for s in self.standings if s.judged and (s.id in rivals or not s.is_reference)])

    @cached_property
    def searched(self) -> list[Result]:
        """The candidates' trainings in the search that came to a score, in the order of submission."""
        found = [each for each in latest(self.results) if each.phase == "search" and each.state != "failed"]
        return sorted((each for each in found if each.scores), key=lambda result: result.number)

    @cached_property
    def epochs(self) -> list[int]:
        """Those at which candidates have scores, the last one being the end."""
        ends = [result.epochs for result in self.searched if result.state == "complete"]
        rungs = [epoch for epoch in self.facts.rungs if ends and epoch < max(ends)]
        return [*rungs, max(ends)] if ends else []

    @cached_property
    def finished(self) -> int:
        """How many candidates came to the end."""
        return sum(result.state == "complete" for result in self.searched)

    @cached_property
    def bands(self) -> np.ndarray:
        """Which band of size each candidate is in."""
        return bands_of([result.params for result in self.searched])

    @cached_property
    def repeats(self) -> float | None:
        """Spearman's correlation of the search's order with that by other seeds and examples, which noise allows."""
        part = self._reliability
        return None if part is None else spearman_of(part)

    @cached_property
    def ceiling(self) -> float | None:
        """The same with the true order: what a figure could come to that knew it."""
        part = self._reliability
        return None if part is None else spearman_of(part**0.5)

    @cached_property
    def rungs(self) -> dict[int, Correlation]:
        """Of the scores at each rung with the order at the end, inside bands of size, by epoch."""
        if not self.epochs:
            return {}
        scores = self._scores(self.by)
        found = {e: correlation(scores, at, self.bands) for at, e in enumerate(self.epochs[:-1])}
        return {epoch: each for epoch, each in found.items() if each}

    @cached_property
    def cheap(self) -> dict[str, Correlation]:
        """The same of sums of training losses (the less the better), parameters, MACs and proxies, by their names."""
        import numpy as np

        if not self.epochs:
            return {}
        early = self.epochs[:-1] or sorted({self.epochs[-1] // 4, self.epochs[-1] // 2} - {0})
        figures = {
            f"training losses to epoch {epoch}": np.array([_sum_of_losses(result, epoch) for result in self.searched])
            for epoch in early
        }
        figures |= {
            "parameters": np.array([float(result.params) for result in self.searched]),
            "MACs": np.array([float(result.macs) for result in self.searched]),
        }
        for name, found in self.proxies.items():
            figures[name] = np.array([found.get(result.id, np.nan) for result in self.searched])
        return of_figures(figures, self._scores(self.by), self.bands)

    @cached_property
    def rates(self) -> RateOrders | None:
        """The orders of the finals at other learning rates."""
        by_seed: dict[int, dict[str, tuple[float, float]]] = {}
        at: dict[float, tuple[int, dict[str, tuple[float, float]]]] = {}
        held = {id for s in self.standings if s.rival for id in (s.id, s.rival)}
        mine = [each for each in latest(self.results) if each.id in held and each.state == "complete" and each.score]
        for each in mine:
            if each.phase == "final" and each.score:
                by_seed.setdefault(each.seed, {})[each.id] = merit(each.score, self.by)
        most = max(map(len, by_seed.values()), default=0)  # only some finals go on until it is sure
        by_seed = {seed: merits for seed, merits in by_seed.items() if len(merits) == most}
        for each in mine:
            if each.phase == "tune" and each.seed in by_seed and each.score:
                at.setdefault(each.lr, (each.seed, {}))[1][each.id] = merit(each.score, self.by)
        return rate_orders(by_seed, at)

    @cached_property
    def better(self) -> dict[str, Against]:
        """By how much rank 1 is better than others, and how probable it is that it is, by what they are.

        References are those of its own sizes.
        """
        found: dict[str, Against | None] = {}
        places = {place: standing for place, standing in ranked(self.standings) if place is not None}
        for place in PLACES:
            if place in places:
                found[f"rank {place}"] = self._than(places[place])
        first = next((sizes_of(s.architecture) for s in self.standings if self.told and s.id == self.told.first), None)
        references = [s for s in self.standings if s.is_reference and s.judged and sizes_of(s.architecture) == first]
        found |= {reference.title: self._than(reference) for reference in references}
        if self._leader and self.candidates:
            found["the mean random network"] = better.than_mean(self._leader, self.candidates)
            found[f"the choice of {self.facts.trials} random ones"] = better.than_best_of(
                self._leader, self.candidates, self.facts.trials
            )
        return {name: each for name, each in found.items() if each is not None}

    @cached_property
    def best_of(self) -> dict[int, float]:
        """The accuracy that the best of so many of the candidates is expected to show in the search (Tang et al.)."""
        reached = [result.score.accuracy for result in self.searched if result.score]
        counts = [2**k for k in range(len(reached).bit_length()) if 2**k <= len(reached)]
        return {k: expected_best(reached, k) for k in dict.fromkeys([*counts, len(reached)]) if k}

    @cached_property
    def candidates(self) -> Candidates | None:
        """What the candidates would come to, of the order that they were tried in."""
        import numpy as np

        if not self._chain or not self._own or not self.noise:
            return None
        own = np.array([result.id not in self.facts.started for result in self.searched])
        drawn = own & (own.cumsum() <= self.facts.random)
        return Candidates(self._chain.expected, self._chain.spread, self._own, self.noise.seeds**2, drawn)

    @cached_property
    def next(self) -> Step:
        """What the next minutes are best spent on."""
        facts = self.facts
        return next_step(
            self.results,
            self.standings,
            self.told,
            self.candidates,
            trials=max(facts.trials, len(self.searched)),
            workers=facts.workers,
            noun=facts.noun,
            compared=facts.compared,
        )

    @cached_property
    def checks(self) -> list[Check]:
        return checklist(self.results, self.standings, self.facts)

    def row(self) -> dict[str, Any]:
        """Its figures as JSON values."""
        rates = self.rates
        return {
            "noise": self.noise and asdict(self.noise),
            "finished": self.finished,
            "repeats": self.repeats,
            "ceiling": self.ceiling,
            "rungs": {str(epoch): asdict(each) for epoch, each in self.rungs.items()},
            "cheap": {name: asdict(each) for name, each in self.cheap.items()},
            "rates": rates
            and {
                "networks": rates.networks,
                "seeds": {str(seed): tau for seed, tau in rates.seeds.items()},
                "rates": {f"{lr:g}": {"tau": tau, "p": rates.p(lr)} for lr, tau in rates.rates.items()},
            },
            "better": {name: asdict(each) for name, each in self.better.items()},
            "best_of": {str(k): value for k, value in self.best_of.items()},
            "next": asdict(self.next),
            "checks": [asdict(check) for check in self.checks],
        }

    @cached_property
    def _chain(self) -> Chain | None:
        """Of the candidates' accuracies."""
        if not self.epochs or self.finished < FEWEST_FINISHED:
            return None
        return chain(self._scores("share"))

    @cached_property
    def _own(self) -> float:
        """The variance over examples of what is a candidate's own in its accuracy; 0 where it is not kept."""
        kept = [result for result in self.searched if result.state == "complete" and result.right and result.score]
        if len(kept) < 2 or not self.facts.validation:
            return 0.0
        m = self.facts.validation
        try:
            return pair_noise([unpacked(each.right, m, each.score.accuracy) for each in kept if each.score]) / m
        except ValueError as error:
            raise NasError(f"of what candidates were right on: {error}") from None

    @cached_property
    def _reliability(self) -> float | None:
        """Of the candidates' order by one training each."""
        if self.candidates is None:
            return None
        _, seen, noise = better.logits_of(self.candidates)
        return reliability(seen, noise, len(self.searched))

    @cached_property
    def _leader(self) -> Leader | None:
        """Rank 1 and its reference, both without failures."""
        gain = self.told.gain if self.told else None
        rival = next((s for s in self.standings if gain and s.id == gain.rival), None)
        if gain is None or gain.se is None or rival is None:
            return None
        scores = [result.score.accuracy for result in rival.finals if result.score]
        return Leader(gain.mean, gain.se**2, sum(scores) / len(scores), len(scores)) if scores else None

    def _than(self, other: Standing) -> Against | None:
        """Of rank 1, or the first of its finalists that failed with no seed."""
        first = next((s for s in self.standings if self.told and s.id == self.told.first), None)
        if first is None or first.judged is None or first.id == other.id:
            return None
        pool = [s.judged for s in self.standings if s.judged and not s.is_reference]
        if other.judged:
            pool = pool if not other.is_reference else [*pool, other.judged]
            found = contrasts.contrast([(1.0, first.judged), (-1.0, other.judged)], pool)
            return Against(found.estimate, found.variance**0.5, found.p_positive) if found else None
        place = next((at for at, result in enumerate(self.searched) if result.id == other.id), None)
        if place is None or not self._leader or not self.candidates:
            return None
        return better.than_candidate(self._leader, self.candidates, place)

    def _scores(self, by: Quality | str) -> np.ndarray:
        """A row a candidate, a column an epoch; the larger the better, of a kind that spreads evenly but for "share".

        Accuracies by their logits, losses by their logarithms.
        """
        import numpy as np

        least = 0.5 / max(self.facts.validation, 1)

        def figure(score: Score) -> float:
            if by == "loss":
                return -float(np.log(max(score.loss, 1e-6)))
            if by == "share":
                return score.accuracy
            share = min(max(score.accuracy, least), 1 - least)
            return float(np.log(share / (1 - share)))

        rows = [{score.epoch: figure(score) for score in result.scores} for result in self.searched]
        found = np.array([[row.get(epoch, np.nan) for epoch in self.epochs] for row in rows])
        lost = np.isnan(found)
        found[np.maximum.accumulate(lost, axis=1)] = np.nan  # what lacks a rung says nothing of later ones
        return found


def _sum_of_losses(result: Result, epoch: int) -> float:
    """The sum of training losses up to an epoch, as the larger the better; NaN where it did not get so far."""
    losses = result.train_loss[:epoch]
    return -sum(losses) if len(losses) == epoch else float("nan")
