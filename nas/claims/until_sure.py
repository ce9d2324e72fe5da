"""Whether more seeds are worth their time: `--until-sure`, at looks whose number was fixed before the first.

By Bonferroni the looks together keep what was asked, as each has its share of the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nas.claims import contrasts
from nas.claims.claims import Claims, Entry, claims, rival_of

LOOKS = 5, 10, 20
"""Seeds after which finals are looked at; after the last it ends."""

WITHIN = 0.005
"""What taking rank 1 may cost at most, a share."""

Answer = Literal["answered", "open", "hopeless"]


@dataclass(frozen=True)
class Look:
    """What is claimed at a look, and whether two questions about rank 1 are answered.

    `side`: is it ahead of or behind its reference? `cost`: does taking it cost at most `within`? None where there is no
    reference or no other finalist. Hopeless is what the images leave open with any number of seeds. `further` are the
    ids of what is to be trained with more seeds: finalists that may be the best, then their references.
    """

    claims: Claims
    side: Answer | None
    cost: Answer | None
    within: float
    further: tuple[str, ...]

    @property
    def is_last(self) -> bool:
        """Whether nothing is left that more seeds could tell."""
        return "open" not in (self.side, self.cost)


def share(sure: float) -> float:
    """The error of a look, so that all of them together are right with this chance.

    >>> round(share(0.9), 4)
    0.0333
    """
    return (1 - sure) / len(LOOKS)


def look(finalists: Sequence[Entry], references: Sequence[Entry], *, error: float, within: float = WITHIN) -> Look:
    """At finals so far; finalists in ranked order, `error` that of a look."""
    told = claims(finalists, references, error=error)
    whole = [each for each in finalists if not each.failed]
    side, cost = _side(told), _cost(told, whole, within)
    if "open" not in (side, cost):
        return Look(told, side, cost, within, ())
    # rank 1 by loss may be none of the most accurate: it is what the questions are about
    contenders = [each for each in whole if told.may_be_best is None or each.id in (told.first, *told.may_be_best)]
    rivals = [rival.id for each in contenders if (rival := rival_of(each, references))]
    return Look(told, side, cost, within, (*(each.id for each in contenders), *dict.fromkeys(rivals)))


def _side(told: Claims) -> Answer | None:
    gain = told.gain
    if gain is None:
        return None
    if gain.verdict in ("ahead", "behind"):
        return "answered"
    left = gain.half_width_all_seeds
    return "open" if left is None or abs(gain.mean) > left else "hopeless"


def _cost(told: Claims, whole: Sequence[Entry], within: float) -> Answer | None:
    if len(whole) < 2:
        return None
    if told.cost is None:
        return "open"
    if told.cost <= within:
        return "answered"
    left = contrasts.cost([each.judged for each in whole], 0, told.error, all_seeds=True)
    return "open" if left is None or left <= within else "hopeless"
