"""Figures in words: accuracies, gains and what they say, for tables and for the headers of modules."""

from collections.abc import Sequence

from nas.errors import counted, one_line
from nas.ranking.gains import Gain
from nas.ranking.standings import Standing


def accuracy(standing: Standing) -> str:
    """Mean ± standard deviation in percent; of a candidate that did not finish, how far it got."""
    if standing.accuracy is None:
        return "failed"
    value = f"{standing.accuracy:.1%}"
    if standing.std is not None:
        return f"{value[:-1]} ± {100 * standing.std:.1f}%"
    if standing.state == "pruned":
        return f"{value} @ {standing.scores[0].epoch}"
    return value


def gain(standing: Standing) -> str:
    """The paired difference to the best reference, in points."""
    return "" if standing.gain is None else points(standing.gain)


def points(gain: Gain) -> str:
    """A difference in points, with its interval."""
    half = "" if gain.half_width is None else f" ± {100 * gain.half_width:.1f}"
    return f"{100 * gain.mean:+.1f}{half}"


def lacks(standing: Standing) -> str:
    """Which share of the seeds a standing has, and why."""
    seeds = len(standing.lacking) + len(standing.finals)
    why = f", {len(standing.failures)} failed ({one_line(standing.reason)})" if standing.failures else ""
    return f"has {len(standing.finals)} of {counted(seeds, 'seed')}{why}"


def leader(standings: Sequence[Standing]) -> Standing | None:
    """The first of the finalists that were found."""
    return next((standing for standing in standings if standing.finals and not standing.is_reference), None)


def gain_verdict(standing: Standing) -> str:
    """What a finalist's gain says, in words."""
    if standing.failures:
        return f"{standing.id} is held against nothing: it {lacks(standing)}"
    if standing.gain is None:
        return f"{one_line(standing.title)} is held against no reference: none of its sizes was trained with its seeds"
    return judged(one_line(standing.title), standing.gain)


def judged(name: str, gained: Gain) -> str:
    """What a difference says of a network, in words."""
    against, by = one_line(gained.against), f"{points(gained)} points"
    if gained.half_width is None:
        return f"{name} and {against}: {by} on one seed, which says little (--seeds)"
    words = {"ahead": "is ahead of", "behind": "is behind", "open": "cannot be told from"}[gained.verdict]
    return f"{name} {words} {against}: {by}"
