"""What tables of record say about mixing patterns: the figures of docs/findings.md.

    python benchmarks/findings.py              # of every table in runs/tables/, as Markdown
    python benchmarks/findings.py --pictures   # docs/pictures/findings-TABLE.svg anew, of what each says

A statement is a difference of mean accuracies of two sets of networks that are alike in all else, in points, as
`benchmarks/differences.py` has it. Intervals are of 95% for all statements about a table together (Bonferroni).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import fmean

import numpy as np
from differences import Difference, Networks, Pair, claims, difference, together
from table_peers import answers

from einmix import Architecture
from einmix.algebra.factors import divisors
from nas.claims.contrasts import ERROR, Contrast, Judged
from nas.report.plots.paths import Axis
from nas.report.plots.rows import Row, Rows, at, interval
from nas.report.plots.svg import linear, linear_ticks, tag
from nas.tabular.table import Table, mixer_of

TABLES, PICTURES = Path("runs/tables"), Path("docs/pictures")
NEAR = 0.25
"""Networks whose mixers are within this share of each other's parameters have as many."""


@dataclass(frozen=True)
class Statement:
    """A question, what is held against what, their difference, and what may be said of it."""

    question: str
    words: str
    of: Difference
    found: Contrast

    @property
    def label(self) -> str:
        """Its words where there is little room.

        >>> found = Contrast(0, 1, 1, 0)
        >>> Statement("", "subgrids (m2.s2, m2.s2) against patches (s2.m2, s2.m2)", Difference(found), found).label
        'subgrids – patches'
        """
        return re.sub(r" \(.*?\)", "", self.words).replace(" against ", " – ")


def channels(networks: Networks) -> Iterator[tuple[str, str, list[Pair]]]:
    """Sharing over channels, grouping, weights of every channel's own: at equal positions, and at equal parameters."""
    shared, *groups, own = kinds(networks)
    middle = groups[len(groups) // 2] if groups else own

    def held(one: str, other: str, of: Sequence[Architecture]) -> list[Pair]:
        return [(networks.moved(n, c=one), networks.moved(n, c=other)) for n in of]

    start = networks.of_channels(shared)
    question = "Weights shared over channels, or groups' and channels' own? (equal positions and MACs)"
    for one, other in [*((each, shared) for each in (*groups, own)), *((each, own) for each in groups)]:
        yield question, f"{one} against {other}", held(one, other, start)
    question = f"The same at equal parameters of the mixers (within {NEAR:.0%}), whatever the positions"
    for one, other in dict.fromkeys(((own, shared), (middle, shared), (middle, own))):
        every = product(networks.of_channels(one), networks.of_channels(other))
        near = [(a, b) for a, b in every if abs(weights(a) - weights(b)) <= NEAR * min(weights(a), weights(b))]
        if near:
            low, high = (f"{100 * end:+.1f}" for end in without_one(networks, near))
            words = f"as many parameters: {one} against {other} ({low} to {high} without any one network)"
            yield question, words, near


def without_one(networks: Networks, pairs: Sequence[Pair]) -> tuple[float, float]:
    """The least and the most that the mean over pairs is where any one network is left out, with all of its pairs."""
    accuracy = {each.id: float(networks.right(each).mean()) for pair in pairs for each in pair}
    gains = np.array([accuracy[one.id] - accuracy[other.id] for one, other in pairs])
    kept = (np.array([id not in (one.id, other.id) for one, other in pairs]) for id in accuracy)
    means = [float(gains[each].mean()) for each in kept if each.any()]
    return min(means), max(means)


def kinds(networks: Networks) -> list[str]:
    """Factors of the channels from all sharing to each its own."""
    width = networks.table.declared.width
    return [f"s{width}", *(f"g{n}.s{width // n}" for n in divisors(width)[1:-1]), f"g{width}"]


def weights(network: Architecture) -> int:
    """The parameters of its mixers."""
    return sum(mixer.params for mixer in network.mixers)


def positions(networks: Networks) -> Iterator[tuple[str, str, list[Pair]]]:
    """Patches, subgrids, both, one axis or two, weights by position: over all groupings of the channels."""
    axes = list(networks.table.facts["data"]["shape"])
    places = sorted({tuple(answers(mixer)[axis] for axis in axes) for mixer in networks.by_mixer})
    every = {
        place: [n for mixer, n in networks.by_mixer.items() if tuple(answers(mixer)[a] for a in axes) == place]
        for place in places
    }

    def held(*of: tuple[tuple[str, ...], tuple[str, ...]]) -> list[Pair]:
        """Pairs of these factors along the axes, alike in their channels."""
        return [(networks.moved(n, **dict(zip(axes, one, strict=True))), n) for one, other in of for n in every[other]]

    if len(axes) == 1:
        yield from along_line(held, max(int(n[1:]) for (n,) in places if n[1:].isdigit()))
    else:
        yield from along_grid(held)


def along_line(held: Callable[..., list[Pair]], n: int) -> Iterator[tuple[str, str, list[Pair]]]:
    """Of one axis with n positions: neighbourhoods of all sizes against as many positions in steps."""
    sizes = [k for k in divisors(n) if 1 < k < n]
    question = "Patches or subgrids? (equal MACs, all groupings of the channels)"
    for k in sizes:
        words = f"m{k}.s{n // k} (steps of {n // k}) against s{n // k}.m{k} (neighbours)"
        yield question, words, held(((f"m{k}.s{n // k}",), (f"s{n // k}.m{k}",)))
    if n % 4 == 0:
        both = f"m2.s{n // 4}.m2"
        for other, what in ((f"s{n // 4}.m4", "neighbours"), (f"m4.s{n // 4}", "steps")):
            yield question, f"{both} (neighbours and steps) against {other} ({what})", held(((both,), (other,)))
    question = "More positions (so many times the MACs of mixing)"
    for other, one in pairwise([*sizes, n]):
        for mine, theirs in zip(of_size(one, n), of_size(other, n), strict=False):
            yield question, f"{mine} against {theirs}", held(((mine,), (theirs,)))
    question = "Weights by position, or shared by them? (equal MACs)"
    for name, by, shared in (("subgrids", "m{}.g{}", "m{}.s{}"), ("patches", "g{1}.m{0}", "s{1}.m{0}")):
        pairs = [((by.format(k, n // k),), (shared.format(k, n // k),)) for k in sizes]
        yield question, f"{name} of {', '.join(map(str, sizes))}: g against s", held(*pairs)


def of_size(k: int, n: int) -> list[str]:
    """So many of a line's positions in steps, and as neighbours; all of them are both."""
    return [f"m{k}.s{n // k}", f"s{n // k}.m{k}"] if k < n else [f"m{n}"] * 2


def along_grid(held: Callable[..., list[Pair]]) -> Iterator[tuple[str, str, list[Pair]]]:
    """Of two axes with 4 positions each."""
    local, subgrid, full = ("s2.m2", "s2.m2"), ("m2.s2", "m2.s2"), ("m4", "m4")
    both = [("s2.m2", "m2.s2"), ("m2.s2", "s2.m2")]
    down, across = ("m4", "s4"), ("s4", "m4")
    question = "Patches, subgrids, or both? (equal MACs, all groupings of the channels)"
    yield question, "subgrids (m2.s2, m2.s2) against patches (s2.m2, s2.m2)", held((subgrid, local))
    words = "one of each (s2.m2, m2.s2) against patches"
    yield question, words, held(*((each, local) for each in both))
    yield question, "one of each against subgrids", held(*((each, subgrid) for each in both))
    question = "Along one axis or two? (equal MACs)"
    for name, axis in (("all of the height (m4, s4)", down), ("all of the width (s4, m4)", across)):
        yield question, f"{name} against subgrids", held((axis, subgrid))
    yield question, "all of the height against the width", held((down, across))
    words = "the same by position (g4 along the other axis in place of s4)"
    yield question, words, held((("m4", "g4"), ("g4", "m4")))
    question = "All positions against a quarter of them (four times the MACs of mixing)"
    yield question, "full (m4, m4) against subgrids", held((full, subgrid))
    question = "Weights by position, or shared by them? (equal MACs)"
    yield question, "subgrids m2.g2 against m2.s2", held((("m2.g2", "m2.g2"), subgrid))
    yield question, "patches g2.m2 against s2.m2", held((("g2.m2", "g2.m2"), local))


def statements(networks: Networks) -> list[Statement]:
    asked = [each for ask in (channels, positions) for each in ask(networks)]
    found = [difference(networks, pairs) for *_, pairs in asked]
    return [
        Statement(question, words, each, said)
        for (question, words, _), each, said in zip(asked, found, claims(found), strict=True)
    ]


HEAD = "| | pairs ahead | points | 95%, of all together | |\n|---|---|---|---|---|"


def row(words: str, of: Difference, found: Contrast, error: float) -> str:
    """A difference in points, its interval, and what may be said."""
    low, high = (f"{100 * end:+.1f}" for end in found.interval(error))
    estimate = f"{100 * found.estimate:+.1f}"
    return f"| {words} | {of.ahead} of {of.pairs} | {estimate} | {low} to {high} | {found.verdict(error)} |"


def levels(networks: Networks) -> Iterator[str]:
    """How accurate networks are at all, and how much seeds move them, by the channels of those that mix all axes."""
    yield "| channels | accuracy | most by | seeds' standard deviation |\n|---|---|---|---|"
    for kind in kinds(networks):
        of = networks.of_channels(kind)
        judged = [Judged.of(networks.right(network)) for network in of]
        first = max(range(len(of)), key=lambda at: judged[at].accuracy)
        spread = max(0.0, fmean(each.seeds for each in judged)) ** 0.5
        mean, most = (f"{100 * value:.1f}%" for value in (fmean(x.accuracy for x in judged), judged[first].accuracy))
        positions = mixer_of(of[first]).split(" c=")[0]
        yield f"| {kind} | {mean} | {most}, `{positions}` | {100 * spread:.1f} |"


def lines(networks: Networks, found: Sequence[Statement]) -> Iterator[str]:
    error = ERROR / len(found)
    more, df = together([each.of for each in found])
    seeds = (
        f"seeds move them {more:.1f} times as much as independent ones would (variance, {df:.0f} degrees of freedom)"
    )
    yield f"### {networks.table.facts['table']['name']}: {len(found)} statements; {seeds}\n"
    yield f"**The {len(networks.mixing())} networks that mix along all axes**\n"
    yield from levels(networks)
    yield ""
    for question in dict.fromkeys(each.question for each in found):
        yield f"**{question}**\n"
        yield HEAD
        for each in (each for each in found if each.question == question):
            yield row(each.words, each.of, each.found, error)
        yield ""


def picture(name: str, found: Sequence[Statement]) -> Rows:
    """The intervals of all statements about a table, question by question."""
    intervals = ((each, each.found.interval(ERROR / len(found))) for each in found)
    spans = [(each, 100 * low, 100 * high) for each, (low, high) in intervals]
    scale = linear([0.0, *(end for _, low, high in spans for end in (low, high))], 4, 96)
    axis = Axis(scale, linear_ticks(scale, 16), "points of accuracy, with 95% intervals of all together")

    def question(words: str) -> Row:
        return Row("", "", lambda y: [tag("text", words, class_="tk", x=-214, y=y + 8)])

    def answer(each: Statement, low: float, high: float) -> Row:
        mean = 100 * each.found.estimate
        return Row(each.label, "", lambda y: interval(axis, y, low, mean, high, each.label))

    rows: list[Row] = []
    for asked in dict.fromkeys(each.question for each, *_ in spans):
        rows += [question(asked), *(answer(*span) for span in spans if span[0].question == asked)]
    zero = tag("line", class_="ink2", x1=at(axis, 0), x2=at(axis, 0), y1=4, y2=26 * len(rows) + 8)
    told = "; ".join(f"{each.label} {100 * each.found.estimate:+.1f}" for each, *_ in spans)
    return Rows(rows, axis, f"{name}: differences of accuracy in points: {told}", high=26, always=[zero])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", type=Path, default=sorted(TABLES.glob("*.parquet")))
    parser.add_argument("--lr", type=float, help="all networks at this rate, in place of each at its own")
    parser.add_argument("--pictures", action="store_true", help="draw them, in place of Markdown")
    asked = parser.parse_args()
    for path in asked.tables:
        networks = Networks(Table.read(path), asked.lr)
        found = statements(networks)
        if asked.pictures:
            to = PICTURES / f"findings-{path.stem}.svg"
            to.write_text(picture(path.stem, found).file(), encoding="utf-8")
        else:
            print(*lines(networks, found), sep="\n")


if __name__ == "__main__":
    main()
