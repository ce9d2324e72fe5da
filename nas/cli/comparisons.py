"""Comparisons as tables for a terminal, and the same as JSON values."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from nas.api.compare import Comparison
from nas.claims.contrasts import ERROR
from nas.claims.words import gain_cell, sentence
from nas.cli.grid import Column, Grid
from nas.cli.tables import COLUMNS, going_at, halved
from nas.errors import counted, one_line
from nas.ranking.gains import Compared
from nas.ranking.words import short, sizes
from nas.runs.result import Result
from search_spaces.sizing.scaling import Cost


def comparison_table(compared: Sequence[Compared], *, title: str, match: Cost = "params") -> Grid:
    """The found network, then those that it is compared with, each with its size, its figures and the difference.

    What they `match` in never goes.
    """
    found = compared[0]
    cells = {
        "network": [f"{each.title} (found)" if each.is_found else each.name for each in compared],
        "sizes": [sizes(each.architecture) for each in compared],
        "params": [f"{each.architecture.params:,}" for each in compared],
        "MACs": [short(each.architecture.macs) for each in compared],
        "lr": ["" if each.lr is None else f"{each.lr:g}" for each in compared],
        "test accuracy": [_test_accuracy(each) for each in compared],
        "n": [str(len(each.accuracies)) for each in compared],
        "ms": ["" if each.ms is None else f"{each.ms:.1f}" for each in compared],
        "ratio": ["" if (ratio := _ratio(each, found)) is None else f"{ratio:.2f}" for each in compared],
        "found - it": ["" if each.difference is None else gain_cell(each.difference) for each in compared],
    }
    going = [name for name in ("ratio", "lr", "MACs", "ms", "sizes", "n", "params") if name != COLUMNS[match]]
    columns = [
        Column(name, cells[name], words=name == "network", left=name == "sizes", goes=going_at(name, going))
        for name in cells
    ]
    return Grid(columns, title, ends=[number for number, each in enumerate(compared) if each.is_found])


def verdict(found: str, other: Compared) -> str:
    """What a difference says, in words."""
    if other.difference is None:
        return f"{found} is not compared with {other.name}: {other.undecided}"
    return sentence(found, other.difference)


def comparison_notes(comparison: Comparison, compared: Sequence[Compared], *, most: int = 3) -> list[str]:
    """What the reader of a comparison has to know about its figures, and why what failed did (of the first few)."""
    conditions = comparison.conditions
    data, of_run = comparison.dataset, comparison.saved.setting("data.name", "a text")
    where = f"on {one_line(of_run)}, other data" if comparison.is_elsewhere else "on validation data of this set"
    notes = [
        f"test accuracy: {counted(len(data.test), 'test image')}, each training tested once, after "
        f"{counted(comparison.recipe.epochs, 'epoch')}; mean over n seeds that no choice was made with",
        _rates_words(comparison),
        f"the found network was chosen {where}; no choice was made with test data",
        _intervals_words(compared, len(data.test)),
        f"ms: a forward pass of {counted(conditions.batch, 'image')}, {conditions.device}, "
        f"{counted(conditions.threads, 'thread')}, median of {conditions.repeats} in turn with the others; "
        "ratio: to the found network's",
    ]
    if comparison.found != comparison.standing.architecture:
        was = comparison.standing.architecture
        notes.append(f"the found network was carried to this size or data: as found it is {sizes(was)}, {was.params:,}")
    if others := comparison.at_other_patches:
        names = ", ".join(others)
        notes.append(f"{names}: nothing of this size at a patch of {comparison.patch}, so at the nearest that has it")
    if edge := [each.name for each in compared if each.at_edge]:
        notes.append(f"the best lr of {', '.join(edge)} is at the end of those tried: with --lrs it may do better")
    notes += halved((each.name, each.tested) for each in compared)
    failed = [each for each in compared if each.reason]
    return notes + [f"{each.name} failed: {one_line(each.reason)}" for each in failed[:most]]


def _intervals_words(compared: Sequence[Compared], images: int) -> str:
    """What the differences are of, and what their intervals cover, if there are any."""
    tested = f"found - it: points of test accuracy, tested on {counted(images, 'image')}"
    rivals, sure = sum(1 for each in compared if each.difference and each.difference.low is not None), 1 - ERROR
    if not rivals:
        return tested
    if rivals == 1:
        return f"{tested}; the interval ({sure:.0%}) covers seeds and images, not other training data"
    covered = f"cover seeds, images and {rivals} rivals, not other training data"
    return f"{tested}; the intervals ({sure:.0%} together) {covered}"


def _rates_words(comparison: Comparison) -> str:
    rates = ", ".join(f"{lr:g}" for lr in comparison.lrs)
    if len(comparison.lrs) == 1:
        return f"lr: {rates} for all, not chosen"
    further = "" if comparison.asked.lrs else " and beyond, in steps of 3, while the last is the best"
    epochs, most = comparison.tuning_epochs, comparison.recipe.epochs
    then = f", the best two again after {most}" if epochs < most else ""
    how = f"on validation data after {counted(epochs, 'epoch')}{then}, with a seed of its own"
    return f"lr: each network's best of {rates}{further}: {how}"


def comparison_json(each: Compared, found: Compared) -> dict[str, Any]:
    """A row of a comparison as JSON values; accuracies are shares, differences too."""
    accuracies, gained = each.accuracies, each.difference
    return {
        "name": each.name,
        "start": each.start,
        "found": each.is_found,
        "id": each.architecture.id,
        "params": each.architecture.params,
        "macs": each.architecture.macs,
        "sizes": sizes(each.architecture),
        "lr": each.lr,
        "validation": _by_rate(each.tuned),
        **({"decided": _by_rate(each.decided)} if each.decided else {}),
        "test": {"mean": fmean(accuracies.values()) if accuracies else None, "std": _std(each), "n": len(accuracies)},
        "seeds": {str(seed): accuracy for seed, accuracy in accuracies.items()},
        "ms": each.ms,
        "ratio": _ratio(each, found),
        "difference": gained and gained.row(),
        "verdict": None if each.is_found else verdict(found.title, each),
        "seconds": fmean(r.seconds for r in (*each.tuned, *each.tested)) if each.tuned else None,
        "reason": each.reason,
    }


def _by_rate(tried: Sequence[Result]) -> dict[str, float | None]:
    return {f"{result.lr:g}": result.score.accuracy if result.score else None for result in tried}


def _test_accuracy(each: Compared) -> str:
    if not each.accuracies:
        return "untested" if each.undecided and not each.reason else "failed"
    return f"{fmean(each.accuracies.values()):.1%}"


def _std(each: Compared) -> float | None:
    return stdev(each.accuracies.values()) if len(each.accuracies) > 1 else None


def _ratio(each: Compared, found: Compared) -> float | None:
    return each.ms / found.ms if each.ms and found.ms else None
