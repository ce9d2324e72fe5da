"""Claims in words: cells of tables, the lines below them, sentences."""

from collections.abc import Sequence
from math import ceil

from nas.claims.claims import TOO_FEW, Claim, Claims, smallest_gain
from nas.claims.until_sure import LOOKS, Look
from nas.errors import counted, one_line

COARSE = 100
"""Examples up to which it is said how much one of them is."""


def gain_cell(claim: Claim) -> str:
    """A difference in points, with its interval where there is one: `+1.9 (+0.2 to +3.6)`; or in its own unit."""
    if claim.low is None or claim.high is None:
        return f"{claim.mean:+.3g}" if claim.unit else signed(claim.mean)
    return f"{signed(claim.mean)} ({signed(claim.low)} to {signed(claim.high)})"


def sentence(name: str, claim: Claim) -> str:
    """What a difference says of a network."""
    name, against, by = one_line(name), one_line(claim.against), signed(claim.mean)
    if claim.unit:
        better = "better" if claim.mean >= 0 else "worse"
        return f"{name} and {against}: {abs(claim.mean):.3g} of {claim.unit} {better}, {claim.verdict}"
    if claim.low is None or claim.high is None:
        why = f"{TOO_FEW} (--seeds)" if claim.verdict == TOO_FEW else claim.verdict
        return f"{name} and {against}: {by} points, {why}"
    words = {"ahead": "is ahead of", "behind": "is behind"}.get(claim.verdict, "cannot be told from")
    return f"{name} {words} {against}: {by} points ({signed(claim.low)} to {signed(claim.high)})"


def claim_lines(told: Claims, noun: str = "images") -> list[str]:
    """What is said below a table of finals; `noun` is the word for the examples."""
    if not told.finalists:
        return []
    gain = told.gain
    lines = [*_together(told), *_best(told), _judge(told, noun)]
    if gain and gain.half_width_all_seeds is not None:
        lines.append(
            f"with any number of seeds rank {told.rank(told.first or '')}'s gain would be known to "
            f"± {at_most(gain.half_width_all_seeds)} points; beyond that it takes more {noun}"
        )
    if told.searched is not None and told.first:
        lines.append(f"in the search rank {told.rank(told.first)} had {told.searched:.1%}, on the {noun} that chose it")
    return lines


def before_finals(q: float, m: int, n: int, noun: str = "images") -> list[str]:
    """What finals on `m` examples with `n` seeds will not tell, where the search's best errs on a share `q`."""
    least = f"{100 * smallest_gain(q, m, n):.1f}"
    lines = [
        f"on {_examples(m, noun)} and {counted(n, 'seed')} a gain below about {least} points will mostly not be told "
        "from none"
    ]
    return [*lines, f"one {_one(noun)} is {100 / m:.1f} points"] if m <= COARSE else lines


def look_lines(seen: Look, seeds: int, noun: str = "images") -> list[str]:
    """What a look after so many seeds found of each of its questions."""
    told, gain = seen.claims, seen.claims.gain
    if told.first is None:
        return []
    sure = f"{100 * (1 - len(LOOKS) * told.error):.3g}% sure after {counted(seeds, 'seed')}"
    rank, limit, lines = told.rank(told.first), f"{100 * seen.within:g}", []
    if gain and seen.side:
        against = one_line(gain.against)
        lines.append(
            {
                "answered": f"{sure}: {rank} is {gain.verdict}{' of' * (gain.verdict == 'ahead')} {against}",
                "open": f"not {sure}: more seeds may tell {rank} from {against}",
                "hopeless": f"not {sure}: more seeds would not tell {rank} from {against}; it takes more {noun}",
            }[seen.side]
        )
    if seen.cost:
        less = f"whether taking {rank} costs at most {limit} points"
        lines.append(
            {
                "answered": f"{sure}: taking {rank} costs at most {limit} points",
                "open": f"not {sure}: more seeds may tell {less}",
                "hopeless": f"not {sure}: more seeds would not tell {less}; it takes more {noun}",
            }[seen.cost]
        )
    return lines


def signed(share: float) -> str:
    """A difference in points, which keeps its sign where it rounds to zero.

    >>> signed(0.0189), signed(-0.0002), signed(0)
    ('+1.9', '-0.0', '0.0')
    """
    return f"{100 * share:+.1f}" if abs(share) > 1e-12 else "0.0"  # less is the sum's rounding


def at_most(share: float) -> str:
    """A bound in points, rounded up: it would be none otherwise.

    >>> at_most(0.0086), at_most(0.009), at_most(0.0001)
    ('0.9', '0.9', '0.1')
    """
    return f"{ceil(round(1000 * share, 6)) / 10:.1f}"


def _together(told: Claims) -> list[str]:
    """Of one finalist it would say the gain again."""
    claim, count = told.together, len(told.gains)
    if claim is None or count < 2:
        return []
    inside = ""
    if claim.low is not None and claim.high is not None:
        inside = f" ({_sure(told)}: {signed(claim.low)} to {signed(claim.high)})"
    by = f"{signed(claim.mean)} points over {one_line(claim.against)}"
    return [f"the {count} finalists together: {by}{inside}: {claim.verdict}"]


def _best(told: Claims) -> list[str]:
    if told.may_be_best is None or told.cost is None or not told.first:
        return []
    ranks = [str(told.rank(id)) for id in told.may_be_best]
    taken = f"; taking {told.rank(told.first)} costs at most {at_most(told.cost)} points" if told.cost else ""
    return [f"the best of the finalists {_which(ranks)} ({_sure(told)}){taken}"]


def _which(ranks: Sequence[str]) -> str:
    if len(ranks) < 3:
        return f"may be {' or '.join(ranks)}" if len(ranks) == 2 else f"is {ranks[0]}"
    return f"may be any of {', '.join(ranks)}"


def _judge(told: Claims, noun: str) -> str:
    """What judged, and what intervals cover, if there are any."""
    judged, count = f"judged on {_examples(told.judge, noun)} that chose nothing", len(told.finalists)
    if told.may_be_best is None and all(each.low is None for each in told.gains.values()):
        return f"{judged}; {TOO_FEW} (--seeds)" if told.gains else judged
    what = f"seeds, {noun} and {count} finalists" if count > 1 else f"seeds and {noun}"
    return f"{judged}; the intervals cover {what}, not other training data"


def _sure(told: Claims) -> str:
    return f"{100 * (1 - told.error):.3g}%"


def _one(noun: str) -> str:
    """The word for one of them."""
    return noun.removesuffix("s")


def _examples(m: int, noun: str) -> str:
    return counted(m, _one(noun))
