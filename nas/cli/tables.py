"""Rankings and spaces as tables for a terminal, and the same as JSON values."""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any, get_args

from einmix import Architecture
from einmix.networks.summary import block_mixers, block_words, einmix_line, mixers
from nas.claims.claims import UNJUDGED, UNKNOWN
from nas.claims.words import claim_lines
from nas.cli.grid import Column, Grid
from nas.cli.terminal import console_for, print_json, print_words
from nas.errors import counted, one_line
from nas.ranking.objectives import Figure, Objective, Quality
from nas.ranking.standings import Standing, claims_of, ranked, sizes_of
from nas.ranking.words import accuracy, gain, gain_verdict, lacks, leader, rate_notes, short, sizes
from nas.runs.job import HALVED
from nas.runs.own import ACCURACY
from nas.runs.result import Result

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
        "rank": ["–" if place is None else str(place) for place, _ in shown],
        "architecture": [one_line(s.title) for _, s in shown],
        "sizes": [sizes(s.architecture) for _, s in shown],
        "accuracy": [accuracy(s) for _, s in shown],
        "loss": ["" if s.loss is None else f"{s.loss:.3f}" for _, s in shown],
        "gain": [gain(s) for _, s in shown],
        "n": [str(s.n) for _, s in shown],
        "verdict": [s.gain.verdict if s.gain and s.gain.low is not None else "" for _, s in shown],
        "params": [f"{s.architecture.params:,}" for _, s in shown],
        "MACs": [short(s.architecture.macs) for _, s in shown],
        "ms": ["" if s.latency is None else f"{s.latency:.2f}" for _, s in shown],
        "seconds": [f"{s.seconds:.1f}" for _, s in shown],
        "mixers": [mixers(s.architecture) for _, s in shown],
    }
    metric = shown[0][1].metric.name if shown else "accuracy"
    cells = {metric if name == "accuracy" else name: column for name, column in cells.items()}
    optimised = {COLUMNS.get(name, name) for name in objectives}
    unneeded = {"loss"} - optimised
    unneeded |= {name for name in ("ms", "gain", "verdict") if not any(cells[name])}
    unneeded |= {"front"} if all(s.on_front is None for _, s in shown) else set()
    unneeded |= {"sizes"} if len(set(cells["sizes"])) == 1 else set()
    going = [
        name
        for name in ("mixers", "seconds", "ms", "MACs", "sizes", "params", "n", "verdict", "gain")
        if name not in optimised
    ]
    columns = [
        Column(
            name,
            cells[name],
            words=name in ("architecture", "mixers"),
            left=name == "sizes",
            goes=going_at(name, going),
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


def footnotes(
    standings: Sequence[Standing],
    *,
    noun: str = "images",
    until_sure: float | None = None,
    order: Quality = "accuracy",
    most: int = 3,
) -> list[str]:
    """What the reader of a ranking has to know about its figures, and why what failed did (of the first few).

    `order` is the figure by which candidates are ranked that have no finals.
    """
    tried = counted(sum(s.search is not None for s in standings), "candidate")
    told = claims_of(standings, sizes_of, until_sure)
    metric = standings[0].metric if standings else ACCURACY
    notes = [f"{metric.name}: validation, best of {tried}, so that of the leaders is optimistic"]
    if told or any(result.judge for standing in standings for result in standing.finals):
        where = "of finals and references where they were judged, of others validation"
        notes = [f"{metric.name}: {where}, best of {tried}"]
    if order == "loss":
        notes[0] += "; below the finals by validation loss"
    if not metric.is_accuracy:
        notes[0] += f"; {metric.better} is better"
    if gains := [standing.gain for standing in standings if standing.gain]:
        against = " or ".join(sorted({one_line(gain.against) for gain in gains}))
        sure = (
            f", {100 * (1 - told.error):.3g}% intervals for all of them together"
            if told
            else f", {UNJUDGED}: no interval"
        )
        over = f"over the best reference of the same sizes ({against})"
        notes.append(f"gain: points {over}{sure}" if metric.is_accuracy else f"gain: {metric.name} {over}; {UNKNOWN}")
    notes += claim_lines(told, noun) if told else []
    notes += rate_notes(standings)
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
    notes += [f"{one_line(s.title)} {lacks(s)}: it ranks below those that have them all" for s in lacking[:most]]
    if len(lacking) > most:
        notes.append(f"and {len(lacking) - most} more lack seeds: --json tells which")
    notes += halved((one_line(s.label) or s.id, s.trainings) for s in standings)
    failed = [standing for standing in standings if standing.reason and standing not in lacking]
    notes += [f"{one_line(s.title)} failed: {one_line(s.reason)}" for s in failed[:most]]
    if len(failed) > most:
        notes.append(f"and {len(failed) - most} more failed: --json tells why")
    return notes


def halved(trainings: Iterable[tuple[str, Sequence[Result]]]) -> list[str]:
    """Which of some networks were not trained with the batch that the others were."""
    names = [name for name, results in trainings if any(HALVED in result.extra for result in results)]
    which = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"{which}: trained with half the batch, memory was short for all of it"] if names else []


def architecture_json(architecture: Architecture) -> dict[str, Any]:
    """An architecture as JSON values: its costs, its mixers in both forms."""
    return {
        "id": architecture.id,
        "params": architecture.params,
        "macs": architecture.macs,
        "mixers": [str(mixer) for mixer in architecture.mixers],
        "einmix": [einmix_line(mixer) for mixer in architecture.mixers],
    }


def going_at(name: str, going: Sequence[str]) -> int:
    """When a column goes: from 1 on in this order, 0 for never."""
    return going.index(name) + 1 if name in going else 0


def count(n: int) -> str:
    """An exact count where it can be read, else its magnitude.

    >>> count(9_303), count(10**22), count(10**400)
    ('9,303', '1.00e+22', '1.00e+400')
    """
    return f"{n:,}" if n < 10**12 else f"{Decimal(n):.2e}"


def print_ranking(
    standings: list[Standing],
    name: str,
    most: int,
    as_json: bool,
    *,
    objectives: Sequence[Objective] = (),
    noun: str = "images",
    until_sure: float | None = None,
    order: Quality = "accuracy",
) -> None:
    """The ranking of a run, with what has to be known to read it; in JSON rank 1 has what is claimed of the run."""
    if as_json:
        told = claims_of(standings, sizes_of, until_sure)
        for place, standing in ranked(standings):
            if place is None or place <= most or standing.finals:
                of_run = {"claims": told.row()} if told and place == 1 else {}
                print_json(standing.row(place) | of_run)
        return
    console = console_for()
    tried = sum(standing.search is not None for standing in standings)
    names, title = [objective.name for objective in objectives], f"{name}: {counted(tried, 'candidate')}"
    console.print(ranking(standings, title=title, most=most, objectives=names))
    for note in footnotes(standings, noun=noun, until_sure=until_sure, order=order):
        print_words(console, f"  {note}", style="dim")
    if best := leader(standings):
        print_words(console, gain_verdict(best))


def print_blocks(architecture: Architecture) -> None:
    """A line a mixer, below a line a block where there is more to a block than its mixer."""
    for block in architecture.blocks:
        found, words = block_mixers(block), block_words(block)
        alone = [str(mixer).removesuffix(" +b") for mixer in found] == [words]
        for line in [*([] if alone else [words]), *map(einmix_line, found)]:
            print(f"      {line}")
