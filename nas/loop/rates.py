"""Learning rates: which are tried of networks that are to share one, and which is taken."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import exp, inf, isfinite, log
from statistics import fmean

from einmix import Architecture
from nas.errors import NasError, one_line
from nas.loop.past import DIVERGED
from nas.runs.job import RANKED, Job, Key
from nas.runs.result import Result
from search_spaces import BoundSpace

FACTOR = 3
"""From one learning rate to the next."""

FIRST = (0.015, 0.045)
"""The rates that a search begins with: next to the best ones of small networks on small images (docs/log.md)."""

MOST = 6

POOR = 2
"""So many times the loss of another network make one tell little: on digits in patches of 1 it is 8 (docs/log.md)."""

LEAST = 1e-6
"""A loss from which on nothing is told apart."""

Losses = Mapping[float, float]
"""Logarithm of the validation loss by learning rate, or a mean of such; infinite where a training failed."""

Train = Callable[[Sequence[tuple[Job, Architecture]]], Mapping[Key, Result]]
"""The results of some jobs, but for those that could not be brought to an end."""


def sweep(
    groups: Mapping[str, Mapping[str, Architecture]],
    rates: Mapping[str, Sequence[float]],
    train: Train,
    *,
    job: Callable[[Architecture, float], Job],
    widen: bool = True,
) -> dict[str, tuple[Result, ...]]:
    """Of every group of networks, each by its label, the trainings at the group's rates; a `job` says how.

    Where the best rate of a group is the least or the largest one the next one beyond is tried as well, up to `MOST`.
    """
    asked, results = dict(rates), dict[Key, Result]()
    while True:
        rounds = range(max(map(len, asked.values()), default=0))
        every = [(name, asked[name][n]) for n in rounds for name in groups if n < len(asked[name])]
        jobs = [
            (replace(job(network, lr), label=label), network)
            for name, lr in every
            for label, network in groups[name].items()
        ]
        results |= train([each for each in jobs if each[0].key not in results])
        ids = {name: {network.id for network in networks.values()} for name, networks in groups.items()}
        found = {name: tuple(each for each in results.values() if each.id in ids[name]) for name in groups}
        more = {name: lr for name in groups if (lr := next_rate(losses_of(found[name]))) and lr not in asked[name]}
        if not widen or not more:
            return found
        asked |= {name: (*asked[name], lr) for name, lr in more.items()}


def find_rate(
    networks: Mapping[str, Architecture],
    rates: Sequence[float],
    train: Train,
    *,
    job: Callable[[Architecture, float], Job],
    say: Callable[[str], object],
) -> float | None:
    """The one rate for some networks, each by its label, that a sweep from some rates on finds; it is said, too.

    None where some trainings could not be brought to an end. Raises NasError where all failed.
    """
    began = time.monotonic()
    (results,) = sweep({"": networks}, {"": rates}, train, job=job).values()
    tried, losses = sorted({result.lr for result in results}), losses_of(results)
    if len(results) < len(networks) * len(tried) or not tried or next_rate(losses) is not None:
        return None
    lr, seconds = found_rate(losses), time.monotonic() - began
    if lr is None:
        raise NasError(f"no learning rate is found: all trainings failed ({results[-1].reason}); --lr says one")
    took = f" in {seconds:.0f} s" if seconds >= 1 else ""  # none is trained where a run goes on
    edge = ", none beyond: --lr goes further" if lr in (tried[0], tried[-1]) else ""
    said = voices(results)
    on = " and ".join(one_line(label) for label, network in networks.items() if network.id in said)
    say(f"learning rate {lr:g}, found{took} on {on} ({tried[0]:g} to {tried[-1]:g} tried{edge})")
    return lr


def losses_of(results: Iterable[Result]) -> dict[float, float]:
    """The mean of the `voices` of networks at each rate at which all of these were trained, from the least rate on."""
    found = voices(results).values()
    rates = sorted(set().union(*found).intersection(*found))
    return {lr: fmean(each[lr] for each in found) for lr in rates}


def voices(results: Iterable[Result]) -> dict[str, Losses]:
    """The logarithms of the losses of each network that has a say in the rate, by its id; infinite where it failed.

    A network that at its best has over `POOR` times the loss of another at its best can hardly learn: its rate says
    little of what is looked for, and it has no say; nor has one that always failed, and never since its loss was no
    number, unless all did.
    """
    by_network: dict[str, dict[float, float]] = defaultdict(dict)
    told: set[str] = set()
    for each in results:
        score = each.score if each.state == "complete" else None
        by_network[each.id][each.lr] = log(max(score.loss, LEAST)) if score else inf
        told |= {each.id} if score or each.reason.startswith(DIVERGED) else set()
    least = {id: min(found.values()) for id, found in by_network.items()}
    most = min(least.values(), default=inf) + log(POOR)
    return {id: found for id, found in by_network.items() if (id in told or not told) and not most < least[id] < inf}


def best_rates(losses: Losses) -> list[float]:
    """The rates at which nothing failed, that of the least loss first; of equals the least rate."""
    return sorted((lr for lr in losses if isfinite(losses[lr])), key=lambda lr: (losses[lr], lr))


def next_rate(losses: Losses) -> float | None:
    """The rate beyond the best where that is the last one on its side; a lower one where all failed."""
    if not losses or len(losses) >= MOST:
        return None
    lower, upper = around(min(losses))[0], around(max(losses))[1]
    best = best_rates(losses)
    if best and best[0] == max(losses):
        return upper
    return lower if not best or best[0] == min(losses) else None


def found_rate(losses: Losses) -> float | None:
    """The lowest point of the parabola, over the logarithms of rates, through the best one and its neighbours.

    It is at most half a step from the best. Where there is no neighbour, or one that failed, it is the best itself;
    None where all failed.

    >>> found_rate({0.01: 0.5, 0.03: 0.4, 0.09: 0.4})
    0.052
    """
    rates, best = sorted(losses), next(iter(best_rates(losses)), None)
    if best is None or best in (rates[0], rates[-1]):
        return best
    at = rates.index(best)
    (x0, y0), (x1, y1), (x2, y2) = ((log(lr), losses[lr]) for lr in rates[at - 1 : at + 2])
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)  # its slopes half way, of which one falls, one rises
    if not isfinite(right - left):
        return best
    return _rounded(exp((x0 + x1) / 2 + (x2 - x0) / 2 * left / (left - right)))


def around(lr: float) -> tuple[float, float]:
    """The rates next to one."""
    return _rounded(lr / FACTOR), _rounded(lr * FACTOR)


def _rounded(lr: float) -> float:
    """A rate in two digits."""
    return float(f"{lr:.2g}")


def swept_networks(space: BoundSpace) -> dict[str, Architecture]:
    """The networks on which a search finds its rate, by their labels: references that mix positions.

    Two, for one alone tells little: full token mixing at the middle sizes and at that of the other patches where it is
    cheapest, or beside shared local patches where no other one leaves several positions.
    """
    middle, name = space.middle, "full token mixing"
    others = [replace(middle, patch=patch) for patch in space.sizes["patch"] if patch != middle.patch]
    full = {
        each.patch: space.references(each)[name]
        for each in others
        if any(n > 1 for axis, n in space.grid(each).items() if axis != "c")
    }
    if not full:
        return {label: each for label, each in space.references(middle).items() if label != "channels only"}
    patch = min(full, key=lambda patch: full[patch].macs)
    return {name: space.references(middle)[name], f"{name} (p{patch})": full[patch]}


def rate_of(results: Iterable[Result]) -> float | None:
    """The learning rate of a search, which all of its trainings have; None before the first one."""
    return next((result.lr for result in results if result.phase in RANKED), None)
