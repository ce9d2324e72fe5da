"""What tables of record say about mixing patterns: the figures of docs/findings.md.

    python benchmarks/findings.py              # of every table in runs/tables/, as Markdown
    python benchmarks/findings.py --pictures   # docs/pictures/findings-TABLE.svg anew, of what each says

A statement is a difference of mean test accuracies of two sets of networks that are alike in all else, in points. Every
network is taken at its own learning rate: of the table's the one with the least validation loss (mean over seeds).
Accuracies are those on what neither trained nor chose (the parts `judge` and `test`), over the table's seeds. Intervals
are those of `nas.claims`, over seeds and examples, of 95% for all statements about a table together (Bonferroni).
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
from table_peers import answers

from einmix import Architecture, Mixer
from einmix.algebra.factors import divisors
from nas.claims.contrasts import ERROR, Contrast, Judged, contrast
from nas.report.plots.paths import Axis
from nas.report.plots.rows import Row, Rows, at, interval
from nas.report.plots.svg import linear, linear_ticks, tag
from nas.runs.job import Key
from nas.tabular.table import Table, mixer_of

TABLES, PICTURES = Path("runs/tables"), Path("docs/pictures")
PARTS = "judge", "test"
NEAR = 0.05
"""Networks within this share of parameters have as many."""

Pair = tuple[Architecture, Architecture]


@dataclass(frozen=True)
class Statement:
    """A question, what is held against what, and the difference in accuracy of so many pairs of networks."""

    question: str
    words: str
    pairs: int
    found: Contrast

    @property
    def label(self) -> str:
        """Its words where there is little room.

        >>> Statement("", "subgrids (m2.s2, m2.s2) against patches (s2.m2, s2.m2)", 6, Contrast(0, 1, 1, 0)).label
        'subgrids – patches'
        """
        return re.sub(r" \(.*?\)", "", self.words).replace(" against ", " – ")


class Networks:
    """The networks of a table by their one mixer, each at its own learning rate."""

    def __init__(self, table: Table):
        self.table = table
        self.by_mixer = {mixer_of(network): network for network in table.networks.values()}
        self._judged: dict[str, Judged] = {}

    def judged(self, network: Architecture) -> Judged:
        if network.id not in self._judged:
            cells = self._cells(network, self.own_rate(network))
            bits = [np.concatenate([cell.bits[part][: self.table.sizes[part]] for part in PARTS]) for cell in cells]
            self._judged[network.id] = Judged.of(np.array(bits))
        return self._judged[network.id]

    def own_rate(self, network: Architecture) -> float:
        def loss(lr: float) -> float:
            return fmean(float(cell.losses["validation"][-1]) for cell in self._cells(network, lr))

        return min(self.table.declared.rates, key=loss)

    def _cells(self, network: Architecture, lr: float):  # type: ignore[no-untyped-def]
        declared = self.table.declared
        return [self.table.cells[Key(network.id, lr, seed, declared.epochs)] for seed in declared.seeds]

    def moved(self, network: Architecture, **axes: str) -> Architecture:
        """The network whose mixer has these factors along these axes, and is alike in all else."""
        factors = answers(mixer_of(network)) | axes
        return self.by_mixer[" ".join(f"{axis}={text}" for axis, text in factors.items()) + " +b"]


def roles(mixer: Mixer, axis: str) -> str:
    return "".join(factor.role for factor in dict(mixer.axes)[axis])


def difference(networks: Networks, pairs: Sequence[Pair]) -> Contrast:
    """The mean accuracy of the first ones less that of the second ones."""
    weights: dict[str, float] = {}
    every = {each.id: each for pair in pairs for each in pair}
    for one, other in pairs:
        weights[one.id] = weights.get(one.id, 0.0) + 1 / len(pairs)
        weights[other.id] = weights.get(other.id, 0.0) - 1 / len(pairs)
    judged = {id: networks.judged(each) for id, each in every.items()}
    found = contrast([(weight, judged[id]) for id, weight in weights.items()], list(judged.values()))
    assert found is not None, "three seeds of two networks are enough"
    return found


def sharing(networks: Networks, axes: list[str], width: int) -> list[Architecture]:
    """Those that mix along all axes, with weights that all channels share."""
    mixing = [n for n in networks.by_mixer.values() if all("m" in roles(n.mixers[0], axis) for axis in axes)]
    return [n for n in mixing if answers(mixer_of(n))["c"] == f"s{width}"]


def channels(networks: Networks, axes: list[str], width: int) -> Iterator[tuple[str, str, list[Pair]]]:
    """Sharing over channels, grouping, weights of every channel's own: at equal positions and multiply-accumulates."""
    shared, own = f"s{width}", f"g{width}"
    groups = [f"g{n}.s{width // n}" for n in (2**k for k in range(1, 12)) if n < width and width % n == 0]
    start = sharing(networks, axes, width)
    question = "Weights shared over channels, or groups' and channels' own? (equal positions and MACs)"
    for channel in (*groups, own):
        yield question, f"{channel} against {shared}", [(networks.moved(n, c=channel), n) for n in start]
    for channel in groups:
        yield (
            question,
            f"{channel} against {own}",
            [(networks.moved(n, c=channel), networks.moved(n, c=own)) for n in start],
        )
    question = f"The same at equal parameters (within {NEAR:.0%}), whatever the positions"
    for one, other in ((own, shared), (groups[len(groups) // 2], shared), (groups[len(groups) // 2], own)):
        mine, theirs = ([networks.moved(n, c=c) for n in start] for c in (one, other))
        near = [(a, b) for a, b in product(mine, theirs) if abs(a.params - b.params) <= NEAR * b.params]
        if near:
            yield question, f"{one} against {other}", near


def positions(networks: Networks, axes: list[str], width: int) -> Iterator[tuple[str, str, list[Pair]]]:
    """Patches, subgrids, both, one axis or two, weights by position: over all groupings of the channels."""
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
    question = "More positions (so many times the MACs of mixing)"
    for other, one in pairwise([*sizes, n]):
        mine = f"m{one}" if one == n else f"m{one}.s{n // one}"
        yield question, f"{mine} against m{other}.s{n // other}", held(((mine,), (f"m{other}.s{n // other}",)))
    question = "Weights by position, or shared by them? (equal MACs)"
    for name, by, shared in (("subgrids", "m{}.g{}", "m{}.s{}"), ("patches", "g{1}.m{0}", "s{1}.m{0}")):
        pairs = [((by.format(k, n // k),), (shared.format(k, n // k),)) for k in sizes]
        yield question, f"{name} of {', '.join(map(str, sizes))}: g against s", held(*pairs)


def along_grid(held: Callable[..., list[Pair]]) -> Iterator[tuple[str, str, list[Pair]]]:
    """Of two axes with 4 positions each."""
    local, subgrid, full = ("s2.m2", "s2.m2"), ("m2.s2", "m2.s2"), ("m4", "m4")
    both, one = [("s2.m2", "m2.s2"), ("m2.s2", "s2.m2")], [("m4", "s4"), ("s4", "m4")]
    question = "Patches, subgrids, or both? (equal MACs, all groupings of the channels)"
    yield question, "subgrids (m2.s2, m2.s2) against patches (s2.m2, s2.m2)", held((subgrid, local))
    words = "one of each (s2.m2, m2.s2) against patches"
    yield question, words, held(*((each, local) for each in both))
    yield question, "one of each against subgrids", held(*((each, subgrid) for each in both))
    question = "Along one axis or two? (equal MACs)"
    yield question, "all of one axis (m4, s4) against subgrids", held(*((each, subgrid) for each in one))
    yield question, "all of one axis against patches", held(*((each, local) for each in one))
    question = "All positions against a quarter of them (four times the MACs of mixing)"
    yield question, "full (m4, m4) against subgrids", held((full, subgrid))
    question = "Weights by position, or shared by them? (equal MACs)"
    yield question, "subgrids m2.g2 against m2.s2", held((("m2.g2", "m2.g2"), subgrid))
    yield question, "patches g2.m2 against s2.m2", held((("g2.m2", "g2.m2"), local))


def statements(table: Table) -> list[Statement]:
    networks, shape = Networks(table), list(table.facts["data"]["shape"])
    asked = [each for ask in (channels, positions) for each in ask(networks, shape, table.declared.width)]
    return [Statement(question, words, len(pairs), difference(networks, pairs)) for question, words, pairs in asked]


HEAD = "| | pairs | points | 95%, of all together | |\n|---|---|---|---|---|"


def row(words: str, pairs: int, found: Contrast, error: float) -> str:
    """A difference in points, its interval, and what may be said."""
    low, high = (f"{100 * end:+.1f}" for end in found.interval(error))
    return f"| {words} | {pairs} | {100 * found.estimate:+.1f} | {low} to {high} | {found.verdict(error)} |"


def lines(table: Table, found: Sequence[Statement]) -> Iterator[str]:
    error = ERROR / len(found)
    yield f"### {table.facts['table']['name']}: {len(found)} statements\n"
    for question in dict.fromkeys(each.question for each in found):
        yield f"**{question}**\n"
        yield HEAD
        for each in (each for each in found if each.question == question):
            yield row(each.words, each.pairs, each.found, error)
        yield ""


def picture(name: str, found: Sequence[Statement]) -> Rows:
    """The intervals of all statements about a table, question by question."""
    spans = [(each, *(100 * end for end in each.found.interval(ERROR / len(found)))) for each in found]
    scale = linear([0.0, *(end for _, *ends in spans for end in ends)], 4, 96)
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
    parser.add_argument("--pictures", action="store_true", help="draw them, in place of Markdown")
    asked = parser.parse_args()
    for path in asked.tables:
        table = Table.read(path)
        if asked.pictures:
            to = PICTURES / f"findings-{path.stem}.svg"
            to.write_text(picture(path.stem, statements(table)).file(), encoding="utf-8")
        else:
            print(*lines(table, statements(table)), sep="\n")


if __name__ == "__main__":
    main()
