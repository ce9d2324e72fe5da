"""Rankings and spaces as tables for a terminal, and the same as JSON values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, get_args

from einmix import Architecture, Mixer
from einmix.networks.summary import mixers
from nas.errors import counted, one_line
from nas.grid import Column, Grid
from nas.ranking.gains import CONFIDENCE, Gain
from nas.ranking.objectives import Figure
from nas.ranking.standings import Standing, ranked
from nas.runs.job import HALVED
from nas.runs.result import Result
from search_spaces.blocks.patch import patch_from

if TYPE_CHECKING:
    from nas.api.compare import Compared, Comparison
    from search_spaces.sizing.scaling import Cost

MIXERS = 20
"""Characters from which on mixers stand in a table."""

COLUMNS = {name: name for name in get_args(Figure)} | {"macs": "MACs", "latency": "ms"}
"""What objectives are called in a table."""


def ranking(standings: Sequence[Standing], *, title: str, most: int, objectives: Collection[str] = ()) -> Grid:
    """Finalists, references, then the others as far as the search took them: at most `most` ranks beyond finals.

    The columns of objectives never go.
    """
    shown = [row for row in ranked(standings) if row[1].finals or row[0] is None or row[0] <= most]
    cells = {
        "front": ["*" if s.on_front else "" for _, s in shown],
        "rank": [_place(place) for place, _ in shown],
        "architecture": [one_line(s.title) for _, s in shown],
        "sizes": [sizes(s.architecture) for _, s in shown],
        "accuracy": [accuracy(s) for _, s in shown],
        "loss": ["" if s.loss is None else f"{s.loss:.3f}" for _, s in shown],
        "gain": [gain(s) for _, s in shown],
        "n": [str(s.n) for _, s in shown],
        "params": [f"{s.architecture.params:,}" for _, s in shown],
        "MACs": [short(s.architecture.macs) for _, s in shown],
        "ms": ["" if s.latency is None else f"{s.latency:.2f}" for _, s in shown],
        "seconds": [f"{s.seconds:.1f}" for _, s in shown],
        "mixers": [mixers(s.architecture) for _, s in shown],
    }
    optimised = {COLUMNS.get(name, name) for name in objectives}
    unneeded = {"loss"} - optimised
    unneeded |= {"ms"} if not any(cells["ms"]) else set()
    unneeded |= {"front"} if all(s.on_front is None for _, s in shown) else set()
    unneeded |= {"sizes"} if len(set(cells["sizes"])) == 1 else set()
    unneeded |= {"gain"} if not any(cells["gain"]) else set()
    going = [
        name for name in ("mixers", "seconds", "ms", "MACs", "sizes", "params", "n", "gain") if name not in optimised
    ]
    columns = [
        Column(
            name,
            cells[name],
            words=name in ("architecture", "mixers"),
            left=name == "sizes",
            goes=_place_of(name, going),
            least=MIXERS if name == "mixers" else 0,
        )
        for name in cells
        if name not in unneeded
    ]
    last = max((number for number, (_, s) in enumerate(shown) if s.finals or s.is_reference), default=-1)
    last_found = max((number for number, (_, s) in enumerate(shown) if s.finals and not s.is_reference), default=-1)
    dim = [number for number, (_, standing) in enumerate(shown) if standing.is_reference]
    below = [f"{place:>3} {one_line(s.title)}  {mixers(s.architecture)}" for place, s in shown if place is not None]
    return Grid(columns, title, dim=dim, ends=(last_found, last), below={"mixers": below})


def sizes(architecture: Architecture) -> str:
    """Patch, width and depth in a few characters: `p1 w32 d4`, or `p1x4x4 w32 d4` where patches have several sides."""
    grid = architecture.grids[0]
    patch = patch_from(length // grid[axis] for axis, length in architecture.inputs[:-1])
    depth = sum(len(stage.blocks) for stage in architecture.stages)
    return f"p{patch} w{grid['c']} d{depth}"


def _place(place: int | None) -> str:
    return "–" if place is None else str(place)


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
    """The paired difference to the best reference in points, with its interval."""
    return "" if standing.gain is None else _points(standing.gain)


def _points(gain: Gain) -> str:
    half = "" if gain.half_width is None else f" ± {100 * gain.half_width:.1f}"
    return f"{100 * gain.mean:+.1f}{half}"


def footnotes(standings: Sequence[Standing], *, most: int = 3) -> list[str]:
    """What the reader of a ranking has to know about its figures, and why what failed did (of the first few)."""
    tried = sum(standing.search is not None for standing in standings)
    notes = [f"accuracy: validation, best of {counted(tried, 'candidate')}, so that of the leaders is optimistic"]
    if gains := [standing.gain for standing in standings if standing.gain]:
        against = " or ".join(sorted({one_line(gain.against) for gain in gains}))
        *fewer, most_seeds = sorted({gain.n for gain in gains})
        seeds = " or ".join([*map(str, fewer), counted(most_seeds, "seed")])
        notes.append(
            f"gain: points over the best reference of the same sizes ({against}), mean of the differences over "
            f"{seeds}, {CONFIDENCE:.0%} interval (t)"
        )
    if any(standing.on_front for standing in standings):
        notes.append(
            "front: * where no other is as good in all objectives and better in one; of finalists and references by "
            "their means over the seeds, of the others by the search"
        )
    if any(standing.state == "pruned" for standing in standings):
        notes.append("@ e: pruned after e epochs")
    if any(standing.latency for standing in standings):
        from nas.training.latency import Conditions

        kept = Conditions("")
        notes.append(
            f"ms: a forward pass of {kept.batch} examples where it was trained, {counted(kept.threads, 'thread')}, "
            f"median of {kept.repeats}; seconds: a training's"
        )
    lacking = [standing for standing in standings if standing.lacking]
    notes += [f"{one_line(s.title)} {_lacks(s)}: it ranks below those that have them all" for s in lacking[:most]]
    if len(lacking) > most:
        notes.append(f"and {len(lacking) - most} more lack seeds: --json tells which")
    notes += _halved((one_line(s.label) or s.id, s.trainings) for s in standings)
    failed = [standing for standing in standings if standing.reason and standing not in lacking]
    notes += [f"{one_line(s.title)} failed: {one_line(s.reason)}" for s in failed[:most]]
    if len(failed) > most:
        notes.append(f"and {len(failed) - most} more failed: --json tells why")
    return notes


def _halved(trainings: Iterable[tuple[str, Sequence[Result]]]) -> list[str]:
    """Which of some networks were not trained with the batch that the others were."""
    names = [name for name, results in trainings if any(HALVED in result.extra for result in results)]
    which = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"{which}: trained with half the batch, memory was short for all of it"] if names else []


def _lacks(standing: Standing) -> str:
    """Which share of the seeds a standing has, and why."""
    seeds = len(standing.lacking) + len(standing.finals)
    why = f", {len(standing.failures)} failed ({one_line(standing.reason)})" if standing.failures else ""
    return f"has {len(standing.finals)} of {counted(seeds, 'seed')}{why}"


def as_json(place: int | None, standing: Standing) -> dict[str, Any]:
    """A standing as JSON values; `place` is None for a reference."""
    gained = standing.gain
    return {
        "rank": place,
        "id": standing.id,
        "label": standing.label,
        "name": standing.name,
        "front": standing.on_front,
        "state": standing.state,
        "accuracy": standing.accuracy,
        "std": standing.std,
        "n": standing.n,
        "lacking": list(standing.lacking),
        "loss": standing.loss,
        "gain": gained
        and {"mean": gained.mean, "half_width": gained.half_width, "n": gained.n, "against": gained.against},
        "params": standing.architecture.params,
        "macs": standing.architecture.macs,
        "seconds": standing.seconds,
        "halved_batch": any(HALVED in result.extra for result in standing.trainings),
        "reason": standing.reason,
        "mixers": [str(mixer) for mixer in standing.architecture.mixers],
    } | ({} if standing.latency is None else {"latency_ms": standing.latency})


def architecture_json(architecture: Architecture) -> dict[str, Any]:
    """An architecture as JSON values: its costs, its mixers in both forms."""
    return {
        "id": architecture.id,
        "params": architecture.params,
        "macs": architecture.macs,
        "mixers": [str(mixer) for mixer in architecture.mixers],
        "einmix": [einmix_line(mixer) for mixer in architecture.mixers],
    }


def comparison(compared: Sequence[Compared], *, title: str, match: Cost = "params") -> Grid:
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
        "found - it": ["" if each.difference is None else _points(each.difference) for each in compared],
    }
    going = [name for name in ("ratio", "lr", "MACs", "ms", "sizes", "n", "params") if name != COLUMNS[match]]
    columns = [
        Column(
            name,
            cells[name],
            words=name == "network",
            left=name == "sizes",
            goes=_place_of(name, going),
        )
        for name in cells
    ]
    return Grid(columns, title, ends=[number for number, each in enumerate(compared) if each.is_found])


def _place_of(name: str, going: Sequence[str]) -> int:
    """When a column goes: from 1 on in this order, 0 for never."""
    return going.index(name) + 1 if name in going else 0


def verdict(found: str, other: Compared) -> str:
    """What a difference says, in words."""
    gained = other.difference
    if gained is None:
        return f"{found} is not compared with {other.name}: {other.undecided}"
    return _judged(found, gained)


def leader(standings: Sequence[Standing]) -> Standing | None:
    """The first of the finalists that were found."""
    return next((standing for standing in standings if standing.finals and not standing.is_reference), None)


def gain_verdict(standing: Standing) -> str:
    """What a finalist's gain says, in words."""
    if standing.failures:
        return f"{standing.id} is held against nothing: it {_lacks(standing)}"
    if standing.gain is None:
        why = "it failed with a seed" if standing.failures else "none of its sizes was trained with its seeds"
        return f"{one_line(standing.title)} is held against no reference: {why}"
    return _judged(one_line(standing.title), standing.gain)


def _judged(name: str, gained: Gain) -> str:
    against, points = one_line(gained.against), _points(gained) + " points"
    if gained.half_width is None:
        return f"{name} and {against}: {points} on one seed, which says little (--seeds)"
    words = {"ahead": "is ahead of", "behind": "is behind", "open": "cannot be told from"}[gained.verdict]
    return f"{name} {words} {against}: {points}"


def comparison_notes(comparison: Comparison, compared: Sequence[Compared], *, most: int = 3) -> list[str]:
    """What the reader of a comparison has to know about its figures, and why what failed did (of the first few)."""
    conditions = comparison.conditions
    data, of_run = comparison.dataset, comparison.opened.setting("data.name", "a text")
    where = f"on {one_line(of_run)}, other data" if comparison.is_elsewhere else "on validation data of this set"
    notes = [
        f"test accuracy: {counted(len(data.test), 'test image')}, each training tested once, after "
        f"{counted(comparison.recipe.epochs, 'epoch')}; mean ± std over n seeds that no choice was made with",
        _rates_words(comparison),
        f"the found network was chosen {where}; no choice was made with test data",
        f"found - it: points of test accuracy, mean of the differences by seed, {CONFIDENCE:.0%} interval (t), each by "
        "itself; it covers the seeds, not the choice of images",
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
    notes += _halved((each.name, each.tested) for each in compared)
    failed = [each for each in compared if each.reason]
    return notes + [f"{each.name} failed: {one_line(each.reason)}" for each in failed[:most]]


def _rates_words(comparison: Comparison) -> str:
    """How the learning rates were chosen."""
    rates = ", ".join(f"{lr:g}" for lr in comparison.lrs)
    if len(comparison.lrs) == 1:
        return f"lr: {rates} for all, not chosen"
    further = "" if comparison.comparing.lrs else " and beyond, in steps of 3, while the last is the best"
    how = f"on validation data after {counted(comparison.tuning_epochs, 'epoch')}, with a seed of its own"
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
        "validation": {f"{r.lr:g}": r.score.accuracy if r.score else None for r in each.tuned},
        "test": {"mean": fmean(accuracies.values()) if accuracies else None, "std": _std(each), "n": len(accuracies)},
        "seeds": {str(seed): accuracy for seed, accuracy in accuracies.items()},
        "ms": each.ms,
        "ratio": _ratio(each, found),
        "difference": gained and {"mean": gained.mean, "half_width": gained.half_width, "n": gained.n},
        "verdict": None if each.is_found else verdict(found.title, each),
        "seconds": fmean(r.seconds for r in (*each.tuned, *each.tested)) if each.tuned else None,
        "reason": each.reason,
    }


def _test_accuracy(each: Compared) -> str:
    if not each.accuracies:
        return "failed"
    mean, std = fmean(each.accuracies.values()), _std(each)
    return f"{mean:.1%}" if std is None else f"{100 * mean:.1f} ± {100 * std:.1f}%"


def _std(each: Compared) -> float | None:
    return stdev(each.accuracies.values()) if len(each.accuracies) > 1 else None


def _ratio(each: Compared, found: Compared) -> float | None:
    return each.ms / found.ms if each.ms and found.ms else None


def einmix_line(mixer: Mixer) -> str:
    """The EinMix call of a mixer, as it would stand in code.

    >>> einmix_line(Mixer.parse("t=m8 c=s4"))
    "Mix('b ti c -> b to c', weight_shape='ti to', ti=8, to=8, c=4)"
    """
    call = mixer.einmix()
    pattern = call.pop("pattern")
    return f"Mix({pattern!r}, " + ", ".join(f"{name}={value!r}" for name, value in call.items()) + ")"


def short(n: int) -> str:
    """A large number in a few characters.

    >>> short(1888576), short(960), short(10**14)
    ('1.9M', '960', '1e+14')
    """
    for size, unit in ((10**12, ""), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n:.0e}" if not unit else f"{n / size:.1f}{unit}"
    return str(n)


def count(n: int) -> str:
    """An exact count where it can be read, else its magnitude.

    >>> count(9_303), count(10**22), count(10**400)
    ('9,303', '1.00e+22', '1.00e+400')
    """
    return f"{n:,}" if n < 10**12 else f"{Decimal(n):.2e}"
