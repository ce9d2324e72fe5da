"""Figures in words: accuracies, gains and what they say, for tables and for the headers of modules."""

from collections.abc import Sequence

from einmix import Architecture
from nas.claims.words import gain_cell, sentence
from nas.errors import counted, one_line
from nas.ranking.sensitivity import Sensitivity, better_rate
from nas.ranking.standings import Standing
from nas.runs.job import Score
from nas.runs.own import Metric

FRAGILE = " !"
"""Marks a lead that another learning rate takes away."""


def parts_in_words(train: int, validation: int, judge: int) -> str:
    """The sizes of the parts that a search uses; 0 examples judge in runs made before there was such a part."""
    first = f"{train:,} training"
    return (
        f"{first}, {validation:,} validation and {judge:,} judge" if judge else f"{first} and {validation:,} validation"
    )


def accuracy(standing: Standing) -> str:
    """The mean in percent; of a candidate that did not finish, how far it got.

    Without a standard deviation: that over seeds is read as an error, and is none.
    """
    if standing.accuracy is None:
        return "failed"
    value = standing.metric.text(standing.accuracy)
    if standing.state == "pruned":
        return f"{value} @ {standing.scores[0].epoch}"
    return value


def gain(standing: Standing) -> str:
    """The difference to the best reference, in points; marked where another learning rate takes a lead away."""
    return "" if standing.gain is None else gain_cell(standing.gain) + FRAGILE * standing.is_fragile


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
    taken = ", which another learning rate takes away" if standing.is_fragile else ""
    return sentence(standing.title, standing.gain) + taken


def rate_notes(standings: Sequence[Standing]) -> list[str]:
    """What other learning rates do to the leads of a search."""
    held = [(standing, found) for standing in standings if (found := standing.sensitivity)]
    if not held:
        return []
    others = " and ".join(f"{lr:g}" for lr in held[0][1].mine if lr != held[0][1].lr)
    notes = []
    if fragile := [_taken(standing, found) for standing, found in held if standing.is_fragile]:
        notes.append(f"gain{FRAGILE}: another learning rate takes this lead away (one seed): {'; '.join(fragile)}")
    elif any(standing.gain and standing.gain.mean > 0 for standing, _ in held):
        notes.append(f"no lead is lost at the learning rates next to the search's, {others} (one seed)")
    if better := better_rate([found for _, found in held]):
        lr, there, here = better
        notes.append(
            f"at a learning rate of {lr:g} the finalists are better (mean validation loss {there:.3f}, not {here:.3f}, "
            f"one seed): another search with --lr {lr:g}"
        )
    return notes


def sizes(architecture: Architecture) -> str:
    """Patch, width and depth in a few characters: `p1 w32 d4`, or `p1x4x4 w32 d4` where patches have several sides."""
    return " ".join(f"{name[0]}{size}" for name, size in patch_width_depth(architecture).items())


def patch_width_depth(architecture: Architecture) -> dict[str, str | int]:
    """Patch (as it is typed), width and depth of a network."""
    grid = architecture.grids[0]
    sides = [length // grid[axis] for axis, length in architecture.inputs[:-1]]
    patch = "x".join(map(str, sides if len(set(sides)) > 1 else sides[:1]))
    return {"patch": patch, "width": grid["c"], "depth": sum(len(stage.blocks) for stage in architecture.stages)}


def short(n: int) -> str:
    """A large number in a few characters.

    >>> short(1888576), short(960), short(10**14)
    ('1.9M', '960', '1e+14')
    """
    for size, unit in ((10**12, ""), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n:.0e}" if not unit else f"{n / size:.1f}{unit}"
    return str(n)


def _taken(standing: Standing, found: Sensitivity) -> str:
    """Where a lead is lost."""
    against = one_line(standing.gain.against) if standing.gain else ""
    told = [
        f"{f'at {lr:g}' if lr else 'each at its best rate'} "
        f"({_figure(mine, standing.metric)}, {against} {_figure(theirs, standing.metric)})"
        for lr, (mine, theirs) in found.lost.items()
    ]
    return f"{one_line(standing.title)} {' and '.join(told)}"


def _figure(score: Score | None, metric: Metric) -> str:
    return metric.text(score.accuracy) if score else "failed"
