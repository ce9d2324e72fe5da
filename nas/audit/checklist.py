"""What was done as it should be, after "Best practices for scientific research on NAS" (Lindauer and Hutter, 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.audit.better import FEWEST_RANDOM
from nas.claims.until_sure import LOOKS
from nas.errors import counted, one_line
from nas.ranking.standings import Standing
from nas.runs.result import Result, latest

SEEDS = 5
"""Seeds of finals from which on how much they vary is known well enough."""


@dataclass(frozen=True)
class Facts:
    """What the settings of a run say of how it was made.

    `random` is how many candidates were drawn at random, after the networks that it `started` with (ids); `lr` is None
    where the run found its rate itself; `asked` are the numbers of seeds that its first and its latest session asked
    for, `until_sure` is as in the latest. `compared` are the ids of its networks that `nas compare` has tested.
    """

    validation: int
    judge: int
    rungs: tuple[int, ...]
    trials: int
    random: float
    workers: int
    lr: float | None
    asked: tuple[int, ...]
    until_sure: float | None = None
    started: frozenset[str] = frozenset()
    compared: frozenset[str] = frozenset()
    noun: str = "images"


@dataclass(frozen=True)
class Check:
    """One of the checklist: whether it `passed`, None where it does not apply, and why in words."""

    name: str
    passed: bool | None
    told: str


def checklist(results: Sequence[Result], standings: Sequence[Standing], facts: Facts) -> list[Check]:
    """Of a run, by its results and settings."""
    return [
        _splits(facts),
        _seeds(standings, facts),
        _looks(facts),
        _tests(results, facts),
        _references(standings),
        _random(results, facts),
        _failures(results),
        _tuning(results, facts),
        _versions(results),
    ]


def _splits(facts: Facts) -> Check:
    if not facts.judge:
        return Check("splits", False, f"finals are judged on the {facts.validation:,} {facts.noun} that chose them")
    return Check(
        "splits", True, f"{facts.validation:,} {facts.noun} choose, {facts.judge:,} others judge; test data is apart"
    )


def _seeds(standings: Sequence[Standing], facts: Facts) -> Check:
    finals = [standing for standing in standings if standing.finals]
    if not finals:
        return Check("seeds", False, "there are no finals yet")
    least, lacking = min(standing.n for standing in finals), sum(bool(standing.lacking) for standing in finals)
    told = f"at least {counted(least, 'seed')} of each finalist and reference"
    if lacking:
        return Check("seeds", False, f"{counted(lacking, 'network')} of the finals lack seeds: the same command again")
    return Check("seeds", least >= SEEDS, told + ("" if least >= SEEDS else f", {SEEDS} are wanted"))


def _looks(facts: Facts) -> Check:
    if facts.until_sure is not None:
        looks = ", ".join(map(str, LOOKS))
        told = f"--until-sure looks after {looks} seeds, however it turns out: each look has its share of the error"
        return Check("looks", True, told)
    if len(set(facts.asked)) > 1:
        asked = ", then ".join(map(str, facts.asked))
        return Check("looks", False, f"{asked} seeds were asked for: one look at the finals is in no interval")
    return Check("looks", True, "the number of seeds was asked for once")


def _tests(results: Sequence[Result], facts: Facts) -> Check:
    tested = {result.id for result in results if result.test} | facts.compared
    if len(tested) > 1:
        told = f"{len(tested)} of its networks have met it: the best of them there is optimistic"
        return Check("test data", False, told)
    return Check("test data", True, f"{'one' if tested else 'none'} of its networks has met it")


def _references(standings: Sequence[Standing]) -> Check:
    best = next((standing for standing in standings if standing.finals and not standing.is_reference), None)
    if best is None or best.gain is None:
        return Check("references", False, "rank 1 is held against no reference of its sizes")
    return Check("references", True, f"rank 1 is held against {one_line(best.gain.against)}, trained and judged alike")


def _random(results: Sequence[Result], facts: Facts) -> Check:
    tried = len({result.id for result in results if result.phase == "search"} - facts.started)
    if not tried:
        return Check("random search", None, "no candidate has been tried yet")
    drawn = int(min(facts.random, tried))
    if drawn == tried:
        return Check("random search", None, f"all {counted(tried, 'candidate')} were drawn at random")
    told = f"{drawn} of {counted(tried, 'candidate')} were drawn at random"
    enough = drawn >= FEWEST_RANDOM
    return Check("random search", enough, told + ("" if enough else ": too few to be a baseline"))


def _failures(results: Sequence[Result]) -> Check:
    failed = [each for each in latest(results) if each.state == "failed" and each.phase != "tune"]
    if failed:
        told = f"{counted(len(failed), 'training')} failed, the last with {one_line(failed[-1].reason)[:60]}"
        return Check("failures", False, told)
    return Check("failures", True, "no training failed for good")


def _tuning(results: Sequence[Result], facts: Facts) -> Check:
    if facts.lr is not None:
        told = f"the learning rate {facts.lr:g} was given: what it took to find it is not in the run"
        return Check("tuning", False, told)
    if not any(result.phase == "search" for result in results):
        return Check("tuning", None, "no learning rate has been found yet")
    seconds = sum(result.seconds for result in results if result.phase == "tune")
    whole = sum(result.seconds for result in results)
    share = f"{seconds / whole:.0%}" if whole else "0%"
    return Check("tuning", True, f"the learning rate was found in the run; rates took {seconds:.0f} s, {share} of all")


def _versions(results: Sequence[Result]) -> Check:
    found = {tuple(sorted(result.versions.items())) for result in results if result.versions}
    kinds = {(result.extra.get("device"), result.extra.get("precision")) for result in results if result.versions}
    if len(found) == 1 and len(kinds) == 1 and all(result.versions for result in results if result.state != "failed"):
        return Check("code", True, ", ".join(f"{name} {version}" for name, version in next(iter(found))))
    if len(found) > 1:
        return Check("code", False, f"{len(found)} different sets of versions: --json has that of every training")
    if len(kinds) > 1:
        return Check("code", False, f"trained on {len(kinds)} kinds of device or precision")
    return Check("code", False, "not every training says with which versions it was done")
