"""What a page says of a run: headlines and sentences, each of them made from its claims, its audit, its counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean

from einmix.networks.architecture import Slotted
from nas.audit.words import next_line, noise_lines
from nas.claims.claims import TOO_FEW
from nas.claims.words import before_finals, claim_lines, gain_cell, signed
from nas.errors import counted, one_line
from nas.ranking.standings import Standing
from nas.ranking.words import FRAGILE, accuracy, gain_verdict, lacks, rate_notes, short
from nas.report.figures.facts import RunFacts
from nas.runs.result import latest

ID = re.compile("[0-9a-f]{10}")


def headline(run: RunFacts) -> str:
    """The verdict on rank 1 in a line: `beats` only where its interval leaves out zero and no other rate takes it."""
    best = run.leader
    if best is None:
        return "No finals yet"
    name, gain = one_line(best.title), best.gain
    if best.failures:
        return f"{name} leads and lacks seeds"
    if gain is None:
        return f"{name} is held against no reference"
    against = one_line(gain.against)
    if gain.low is None:
        unsure = f"Too few seeds to tell {name} from {against}"
        return unsure if gain.verdict == TOO_FEW else f"{name} was {gain.verdict}"
    if gain.verdict == "ahead":
        by = f"{name} beats {against} by {signed(gain.mean).lstrip('+')} points"
        return f"{name} is ahead of {against}, which another learning rate takes away" if best.is_fragile else by
    if gain.verdict == "behind":
        every = [standing.gain for standing in run.finalists]
        nothing = all(each and each.verdict == "behind" for each in every)
        return f"Nothing found beats {against}" if nothing else f"{name} is behind {against}"
    return f"{name} is not told apart from {against}"


def deck(run: RunFacts) -> str:
    """What the headline's figures are, in a sentence or two."""
    best = run.leader
    if best is None:
        return " ".join([_under_way(run), _best_so_far(run)]).strip()
    where = f"{run.told.judge:,} {run.noun} that chose nothing" if run.told else f"the {run.noun} that chose it"
    rival = next((standing for standing in run.references if best.gain and standing.id == best.gain.rival), None)
    against = f" against {accuracy(rival)}" if rival else ""
    seeds = f", over {counted(best.n, 'seed')}{' each' * bool(rival)}"
    alike = ", trained alike at the same patch, width and depth" if rival else ""
    told = f"{accuracy(best)}{against} of {where}{seeds}{alike}."
    if best.failures:
        told += f" {sentence(gain_verdict(best))}"
    elif best.gain and best.gain.low is not None and best.gain.high is not None:
        told += f" The difference, {gain_cell(best.gain)} points, {_zero(best)}."
    return told if run.tried >= run.trials else f"{told} {_under_way(run)}"


def _zero(best: Standing) -> str:
    told = best.gain is not None and best.gain.verdict in ("ahead", "behind")
    return "leaves out zero" if told else "does not leave out zero"


def _under_way(run: RunFacts) -> str:
    of = f"{run.tried:,} of {run.trials:,}" if run.tried < run.trials else f"{run.tried:,}"
    return f"Candidates tried so far: {of}."


def _best_so_far(run: RunFacts) -> str:
    scored = [each for each in run.networks if each.standing.accuracy is not None and each.kind == "complete"]
    if not scored:
        return ""
    first = scored[0].standing
    return (
        f"First so far is {one_line(first.title)} with {accuracy(first)} of the {run.noun} that choose, so optimistic."
    )


def won(run: RunFacts) -> str:
    """How the first paragraph is called: won is what is ahead and stays so."""
    gain = run.leader.gain if run.leader else None
    return "What won" if run.leader and gain and gain.verdict == "ahead" and not run.leader.is_fragile else "What leads"


def what(run: RunFacts) -> str:
    """Of the leader what it is."""
    best = run.leader
    if best is None:
        return ""
    tried = f"one of {counted(run.tried, 'candidate')}" if run.tried > 1 else "the only candidate"
    if isinstance(best.architecture, Slotted):
        slots = counted(len(best.architecture.slots), "slot")
        return f"{tried}: mixers for {slots}, of which alone multiply-accumulates are counted."
    grid, blocks = best.architecture.grids[0], len(best.architecture.blocks)
    positions = " x ".join(str(n) for axis, n in grid.items() if axis != "c")
    return f"{tried}: {counted(blocks, 'block')} of {counted(grid['c'], 'channel')} on {positions} positions."


def how_much(run: RunFacts) -> list[str]:
    """Of every finalist what its gain says, then of all together."""
    lines = [gain_verdict(standing) for standing in run.finalists[:3]]
    lines += [line for line in _claims(run) if "finalists together" in line]
    if front := [one_line(each.title) for each in run.standings if each.finals and each.on_front]:
        figures = " and ".join(objective.name for objective in run.objectives)
        lines.append(f"on the front of {figures}, by means over seeds: {', '.join(front)}")
    lines += [f"{one_line(each.title)} {lacks(each)}" for each in run.standings if each.finals and each.lacking]
    return sentences(lines)


def how_sure(run: RunFacts) -> list[str]:
    """What the intervals cover, what seeds and images leave open, what other learning rates do."""
    if run.leader is None:
        return sentences(_before_finals(run))
    lines = [line for line in _claims(run) if "finalists together" not in line]
    rates = [line.removeprefix(f"gain{FRAGILE}: ") for line in rate_notes(run.standings)]  # a mark of tables
    return sentences([*lines, *rates, *(noise_lines(run.audit)[:1] if run.audit.noise else [])])


def _before_finals(run: RunFacts) -> list[str]:
    """What the finals to come will not tell."""
    first = next((each.standing for each in run.networks if each.kind == "complete"), None)
    judge, seeds = run.audit.facts.judge, run.audit.facts.asked[-1] or run.audit.facts.asked[0]
    if first is None or first.accuracy is None or not judge or not seeds:
        return []
    return before_finals(1 - first.accuracy, judge, seeds, run.noun)


def _claims(run: RunFacts) -> list[str]:
    return claim_lines(run.told, run.noun) if run.told else []


def what_it_costs(run: RunFacts) -> list[str]:
    """Of the leader its size and time beside its reference's; of the run its trainings and time."""
    lines, best = [], run.leader
    if best is not None:
        rival = next((each for each in run.references if each.id == best.rival), None)
        mine, other = best.architecture, rival.architecture if rival else None
        params = f"{mine.params:,} parameters{_than(mine.params, other.params if other else 0)}"
        macs = f"{short(mine.macs)} multiply-accumulates{_than(mine.macs, other.macs if other else 0)}"
        time = f"{best.seconds:.1f} s to train{_than(best.seconds, rival.seconds if rival else 0)}"
        held = f" (beside {one_line(rival.title)})" if rival else ""
        lines.append(f"{params}, {macs}, {time}{held}")
        if best.latency is not None:
            lines.append(f"a forward pass of it took {best.latency:.2f} ms where it was trained")
    count = len(run.audit.results)
    if count:
        lines.append(f"the run has {counted(count, 'training')}, whose times add up to {duration(run.seconds)}")
    return sentences(lines)


def _than(mine: float, other: float) -> str:
    """By how much more it is, in percent."""
    return f" ({100 * (mine / other - 1):+.0f}%)" if other else ""


def what_is_open(run: RunFacts) -> list[str]:
    """What the audit would do next, and what has met the test data."""
    tested = next((check.told for check in run.audit.checks if check.name == "test data"), "")
    lines = [f"test data: {tested}"] if tested else []
    lines += _tested(run)
    failed = [check.name for check in run.audit.checks if check.passed is False]
    if failed:
        lines.append(f"of the checklist did not pass: {', '.join(failed)}")
    return sentences([f"next: {next_line(run.audit)}", *lines])


def _tested(run: RunFacts) -> list[str]:
    """What `nas train` of its networks came to on test data."""
    found: dict[tuple[str, int], list[float]] = {}
    for result in latest(run.audit.results):
        if result.phase == "train" and result.test:
            found.setdefault((result.id, result.epochs), []).append(result.test.accuracy)
    titles = {standing.id: standing.title for standing in run.standings}
    return [
        f"{one_line(titles.get(id, id))}, trained over {counted(epochs, 'epoch')}: test accuracy {fmean(shares):.1%} "
        f"(n={len(shares)})"
        for (id, epochs), shares in found.items()
    ]


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(12.34), duration(600), duration(9000)
    ('12.3 s', '10.0 minutes', '2.5 hours')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def sentences(lines: Sequence[str]) -> list[str]:
    return [sentence(line) for line in lines]


def sentence(line: str) -> str:
    """A line that stands below a table as a sentence; an id at its beginning stays as it is.

    >>> sentence("judged on 288 images"), sentence("ce666c7b5b is ahead"), sentence("abcdefabcd is ahead")
    ('Judged on 288 images.', 'ce666c7b5b is ahead.', 'abcdefabcd is ahead.')
    """
    line = one_line(line)
    first = line.partition(" ")[0].rstrip(":,")
    if first.isalpha() and not ID.fullmatch(first):
        line = line[:1].upper() + line[1:]
    return line if line.endswith((".", "!", "?")) else f"{line}."
