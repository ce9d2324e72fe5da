"""What some minutes more are best spent on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from nas.audit.better import Candidates, more_candidates
from nas.claims.claims import Claim, Claims
from nas.claims.until_sure import LOOKS
from nas.ranking.sensitivity import better_rate
from nas.ranking.standings import Standing
from nas.runs.result import Result

MINUTES = 10

WORTH = 0.001
"""Gain (a share) below which more candidates are not worth their time."""


@dataclass(frozen=True)
class Step:
    """What to do, and what is expected of it, in words."""

    what: str
    why: str


def next_step(
    results: Sequence[Result],
    standings: Sequence[Standing],
    told: Claims | None,
    candidates: Candidates | None,
    *,
    trials: int,
    workers: int,
    noun: str = "images",
    compared: Collection[str] = (),
) -> Step:
    """The first of: what has to be mended, another rate, seeds, examples, candidates; else a look at test data."""
    finals = [standing for standing in standings if standing.finals]
    if not finals:
        return Step("the same command again", "there are no finals yet")
    if lacking := [standing for standing in finals if standing.lacking]:
        return Step("the same command again", f"{len(lacking)} of the finals lack seeds")
    if (held := [each for s in finals if (each := s.sensitivity)]) and (better := better_rate(held)):
        lr, there, here = better
        return Step(
            f"another search with --lr {lr:g}",
            f"the finalists are better there: mean validation loss {there:.3f}, not {here:.3f} (one seed)",
        )
    gain = told.gain if told else None
    if told is None or gain is None:
        why = "finals were judged on what chose them" if told is None else "rank 1 has no reference of its sizes"
        return Step("another --run", why)
    if gain.verdict not in ("ahead", "behind"):
        return _open(finals, told.first, gain, workers, noun)
    why = f"rank 1 is {gain.verdict}"
    if candidates is not None:
        count = _fit(fmean(result.seconds for result in results if result.phase == "search"), workers)
        gained = more_candidates(candidates, trials, count)
        points = f"{100 * gained:.1f} points are expected of them"
        if gained >= WORTH:
            return Step(
                f"more candidates: --trials {trials + count}", f"about {count} fit in {MINUTES} minutes; {points}"
            )
        why = f"about {count} more candidates fit in {MINUTES} minutes, and {points}"
    if told.first in compared:
        return Step("nothing here, but other data, a larger space, longer training", f"{why}; it has been compared")
    return Step("`nas compare`: the best against the literature, on test data", why)


def _open(finals: Sequence[Standing], first: str | None, gain: Claim, workers: int, noun: str) -> Step:
    """Where rank 1 is not told from its reference."""
    left = gain.half_width_all_seeds
    if left is not None and abs(gain.mean) <= left:
        why = f"with any number of seeds the gain would be known to ± {100 * left:.1f} points"
        return Step(f"more {noun} that judge", why)
    of = [standing for standing in finals if standing.id in (first, gain.rival)]
    had = min(standing.n for standing in of)
    if had >= LOOKS[-1]:
        return Step(f"more {noun} that judge", f"{had} seeds have not told it, and --until-sure has no more")
    more = max(1, min(_fit(sum(standing.seconds for standing in of), workers), LOOKS[-1] - had))
    several = any(standing.on_front is not None for standing in finals)  # objectives, of which it knows one
    what = f"more seeds: {f'--seeds {had + more}' if several else '--until-sure 0.9'}"
    if gain.low is None or gain.high is None or gain.se is None or gain.se_all_seeds is None:
        return Step(what, "they are too few to tell")
    fixed, now = gain.se_all_seeds**2, (gain.high - gain.low) / 2
    then = now * sqrt(fixed + max(0.0, gain.se**2 - fixed) * had / (had + more)) / gain.se  # at the quantile of today
    return Step(
        what,
        f"{more} more of rank 1 and its reference fit in {MINUTES} minutes: the gain would be known to "
        f"± {100 * then:.1f} points, now it is ± {100 * now:.1f}",
    )


def _fit(seconds: float, workers: int) -> int:
    """How many trainings of so many seconds fit in the time."""
    return int(60 * MINUTES * max(workers, 1) / max(seconds, 1e-3))
