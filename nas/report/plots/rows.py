"""Plots of rows: a network, a level or a difference a row, with its name beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from nas.claims.claims import Claim
from nas.claims.words import gain_cell
from nas.errors import one_line
from nas.ranking.standings import Standing
from nas.report.figures.facts import RunFacts
from nas.report.figures.importance import Importance, Level
from nas.report.figures.series import Share
from nas.report.plots.files import alone
from nas.report.plots.paths import Axis, cut, evenly
from nas.report.plots.svg import Scale, by_error, linear, linear_ticks, share_ticks, tag

DOTS = 60
"""Dots that are drawn of a level, evenly by rank."""


@dataclass(frozen=True)
class Row:
    """A row of a plot of rows: what it is called, what stands under that, and what is drawn at its height."""

    label: str
    under: str
    draw: Callable[[float], list[Markup]]
    is_code: bool = False


@dataclass(frozen=True)
class Rows:
    """A plot of rows: places along it are in percent, heights in pixels, so that texts keep their size at any width.

    `name` is what it is called for those who do not see it, `high` the height of a row, `always` stands below all rows.
    """

    rows: Sequence[Row]
    axis: Axis
    name: str
    high: int = 44
    always: Sequence[Markup] = ()

    @property
    def bottom(self) -> int:
        return self.high * len(self.rows) + 8

    def drawn(self) -> list[Markup]:
        """All but the labels."""
        lines = [
            part
            for tick in self.axis.ticks
            for x in (at(self.axis, tick.value),)
            for part in (
                tag("line", class_="gr", x1=x, x2=x, y1=4, y2=self.bottom),
                tag("text", tick.label, class_="tk", x=x, y=self.bottom + 16, text_anchor="middle"),
            )
        ]
        lines.append(tag("line", class_="ax", x1="0%", x2="100%", y1=self.bottom, y2=self.bottom))
        drawn = [part for number, row in enumerate(self.rows) for part in row.draw(self.middle(number))]
        return [*lines, *self.always, *drawn]

    def middle(self, number: int) -> float:
        return 4 + self.high * (number + 0.5)

    def __html__(self) -> str:
        """As it stands in a page: labels are text beside the plot."""
        labels = [
            tag("span", tag("b", row.label, class_="mono" if row.is_code else None), *_under(row)) for row in self.rows
        ]
        plot = {"class_": "ch fl", "width": "100%", "height": self.bottom + 22, "role": "group"}
        return tag(
            "div",
            tag("div", *labels, class_=f"labs r{self.high}", aria_hidden="true"),
            tag("svg", *self.drawn(), **plot, aria_label=self.name, tabindex=0, data_walk=""),
            tag("p", self.axis.title, class_="axt", aria_hidden="true"),
            class_="rows",
        )

    def file(self) -> str:
        """As an SVG that stands alone."""
        labels = []
        for number, row in enumerate(self.rows):
            y, is_above = self.middle(number) + 4.5, self.high > 40 and bool(row.under)
            end = 216 if is_above or not row.under else 184
            name = "mono" if row.is_code else None
            labels.append(tag("text", row.label, class_=name, x=end, y=y - 7 * is_above, text_anchor="end"))
            if row.under:
                labels.append(tag("text", row.under, class_="tk", x=216, y=y + 8 * is_above, text_anchor="end"))
        plot = tag("svg", *self.drawn(), x=230, width=470, height=self.bottom + 22, overflow="visible")
        title = tag("text", self.axis.title, class_="ti", x=700, y=self.bottom + 38, text_anchor="end")
        view = f"0 0 720 {self.bottom + 50}"
        whole = tag("svg", tag("title", self.name), *labels, plot, title, class_="ch", viewBox=view, role="img")
        return alone(whole, 720, self.bottom + 50)


def _under(row: Row) -> list[Markup]:
    return [tag("i", row.under)] if row.under else []


def at(axis: Axis, value: float) -> str:
    """A place along rows."""
    return f"{axis.scale(value):.2f}%"


def dot(x: str, y: float, kind: str, id: str) -> Markup:
    if kind == "reference":
        return tag("use", href="#dia", class_="pt ref", x=x, y=y, data_id=id)
    return tag("circle", class_="pt fnd", cx=x, cy=y, r=4.6, data_id=id)


def seeds(run: RunFacts) -> Rows | None:
    """What finalists and references reached with each seed, and in the mean."""
    shown = [*run.finalists, *(reference for reference in run.references if reference.finals)]
    if not shown:
        return None
    found = [100 * score.accuracy for standing in shown for score in standing.scores]
    lead = [100 * score.accuracy for standing in run.finalists for score in standing.scores]
    rivals = {standing.rival for standing in run.finalists}
    held = [100 * score.accuracy for standing in shown if standing.id in rivals for score in standing.scores]
    # what is far behind, and nobody is held against, is off the scale
    least = min([min(lead) - 2.5 * max(max(lead) - min(lead), 1.0), *held]) if lead else min(found)
    scale = linear([value for value in found if value >= least], 4, 96)
    axis = Axis(
        scale,
        linear_ticks(scale, 14),
        f"accuracy, %: a mark a seed, the stroke is their mean; on {run.noun} "
        + ("that chose nothing" if run.told else "that chose them"),
    )

    def drawn(standing: Standing) -> Row:
        kind = "reference" if standing.is_reference else "final"
        figure = f"{100 * (standing.accuracy or 0.0):.1f}"

        def draw(y: float) -> list[Markup]:
            if 100 * (standing.accuracy or 0.0) < scale.low:
                return [tag("text", f"← off the scale, at {figure}", class_="tk", x="1%", y=y + 4.5)]
            mean = at(axis, 100 * (standing.accuracy or 0.0))
            name = "ref-l" if kind == "reference" else "fnd-l"
            line = tag("line", class_=name, x1=mean, x2=mean, y1=y - 11, y2=y + 11)
            marks = [dot(at(axis, 100 * s.accuracy), y, kind, standing.id) for s in standing.scores]
            return [line, *marks]

        return Row(cut(standing.title, 24), figure, draw, not standing.is_reference)

    told = "; ".join(f"{one_line(s.title)} {100 * (s.accuracy or 0.0):.1f}" for s in shown)
    return Rows([drawn(standing) for standing in shown], axis, f"Accuracy of each seed; means in percent: {told}")


def interval(axis: Axis, y: float, low: float, mean: float, high: float, id: str) -> list[Markup]:
    """An estimate with its interval, in the units of the axis."""
    left, middle, right = (at(axis, value) for value in (low, mean, high))
    caps = [tag("line", class_="fnd-l", x1=x, x2=x, y1=y - 5, y2=y + 5) for x in (left, right)]
    return [tag("line", class_="fnd-l", x1=left, x2=right, y1=y, y2=y), *caps, dot(middle, y, "final", id)]


def intervals(claims: Sequence[tuple[str, str, Claim]], title: str, *, is_code: bool = True) -> Rows | None:
    """Differences in points with their intervals, by name and id; none of those without an interval."""
    told = [(name, id, claim) for name, id, claim in claims if claim.low is not None and claim.high is not None]
    if not told:
        return None
    ends = [100 * end for _, _, claim in told for end in (claim.low, claim.high, 0.0) if end is not None]
    scale = linear(ends, 4, 96)
    axis = Axis(scale, linear_ticks(scale, 16), title)

    def drawn(name: str, id: str, claim: Claim) -> Row:
        def draw(y: float) -> list[Markup]:
            low, mean, high = (100 * (value or 0.0) for value in (claim.low, claim.mean, claim.high))
            return interval(axis, y, low, mean, high, id)

        return Row(cut(name, 24), "", draw, is_code)

    zero = tag("line", class_="ink2", x1=at(axis, 0), x2=at(axis, 0), y1=4, y2=30 * len(told) + 8)
    name = f"{title}: " + "; ".join(f"{one_line(name)} {gain_cell(claim)}" for name, _, claim in told)
    return Rows([drawn(*each) for each in told], axis, name, high=30, always=[zero])


@dataclass(frozen=True)
class Spark:
    """A small scale of accuracies, the same in each row of a table: 70 x 12 units."""

    scale: Scale

    @classmethod
    def over(cls, accuracies: Sequence[float | None], examples: int) -> Spark:
        return cls(by_error([share for share in accuracies if share is not None], 4, 66, examples))

    @property
    def head(self) -> Markup:
        """Its two ticks with the most between them."""
        ticks = share_ticks(self.scale, 22)
        texts = [
            tag("text", tick.label, x=self.scale(tick.value), y=10, text_anchor="middle")
            for tick in dict.fromkeys([ticks[0], ticks[-1]] if ticks else [])
        ]
        return tag("svg", *texts, viewBox="0 0 70 12", aria_hidden="true")

    def of(self, accuracy: float | None, kind: str) -> Markup:
        """A network's place on it; nothing of one without an accuracy."""
        if accuracy is None:
            return Markup("")
        x, name = self.scale(accuracy), {"final": "pt-fin", "pruned": "pt-prn"}.get(kind, "pt-cmp")
        if kind == "reference":
            return tag("svg", tag("use", href="#dia", class_="ref", x=x, y=6), viewBox="0 0 70 12", aria_hidden="true")
        return tag("svg", tag("circle", class_=name, cx=x, cy=6, r=3.2), viewBox="0 0 70 12", aria_hidden="true")


def strip(levels: Sequence[Level], axis: Axis, name: str) -> Rows:
    """What was reached at each level: some of the candidates as dots, the median as a stroke."""

    def drawn(level: Level) -> Row:
        pairs = evenly(sorted(zip(level.values, level.ids, strict=True)), DOTS)

        def draw(y: float) -> list[Markup]:
            marks = [tag("circle", class_="pt pt-one", cx=at(axis, v), cy=y, r=3, data_id=id) for v, id in pairs]
            mid = at(axis, median(level.values))
            return [*marks, tag("line", class_="med", x1=mid, x2=mid, y1=y - 8, y2=y + 8)]

        return Row(level.name, f"{len(level.values)}", draw)

    told = "; ".join(
        f"{level.name}: median {100 * median(level.values):.1f} of {len(level.values)}" for level in levels
    )
    return Rows([drawn(level) for level in levels], axis, f"{name}. {told}", high=24)


def share_axis(values: Sequence[float], examples: int, title: str) -> Axis:
    """Of accuracies along rows."""
    scale = by_error(values, 3, 97, examples)
    return Axis(scale, share_ticks(scale, 12), title)


def meter(found: Importance) -> Markup:
    """Which share a choice explains alone: a bar, its interval as a line; a ring for what it does beyond the others."""

    def along(share: float) -> str:
        return f"{100 * share:.1f}%"

    alone = f"{along(found.alone)} alone ({along(found.low)} to {along(found.high)})"
    told = f"{found.name}: {alone}, {along(found.beyond)} beyond the others"
    return tag(
        "svg",
        tag("rect", class_="m-room", x=0, y=2, width="100%", height=12),
        tag("rect", class_="m-bar", x=0, y=2, width=along(found.alone), height=12),
        tag("line", class_="m-half", x1=along(found.low), x2=along(found.high), y1=8, y2=8),
        tag("line", class_="m-line", x1=along(found.low), x2=along(found.high), y1=8, y2=8),
        tag("circle", class_="m-ring", cx=along(found.beyond), cy=8, r=5.5),
        class_="meter",
        width="100%",
        height=16,
        role="img",
        aria_label=told,
    )


def parameters(found: Sequence[Share]) -> Markup:
    """A bar of where a network's parameters are; parts with room have their number in it, those that mix are dark."""
    whole, past = sum(share.params for share in found), 0
    parts: list[Markup] = []
    for share in found:
        left, wide = 100 * past / whole, 100 * share.params / whole
        past += share.params
        name = "p-mix" if share.mixes else "p-rest"
        words = tag("title", f"{share.name}: {share.params:,} parameters, {wide:.1f}%")
        parts.append(
            tag("rect", words, class_=name, x=f"{left:.2f}%", y=2, width=f"{max(wide - 0.15, 0.1):.2f}%", height=24)
        )
        if wide > 9:
            inside = {"x": f"{left + wide / 2:.2f}%", "text_anchor": "middle"}
            parts.append(tag("text", f"{share.params:,}", class_="p-on" if share.mixes else "p-off", y=19, **inside))
            parts.append(
                tag(
                    "text",
                    share.name.replace(", ", ": ") if wide > 18 else share.name.split(", ")[-1].removeprefix("the "),
                    class_="tk",
                    y=42,
                    **inside,
                )
            )
    told = "; ".join(f"{share.name} {share.params:,}" for share in found)
    return tag("svg", *parts, class_="ch pbar", width="100%", height=48, role="img", aria_label=f"Parameters: {told}")


def shares(found: Sequence[Importance]) -> Rows | None:
    """How much each choice explains, with its interval; a ring is what it does beyond the others."""
    if not found:
        return None
    scale = linear([0, *(100 * each.high for each in found)], 3, 97)
    axis = Axis(scale, linear_ticks(scale, 14), "% of the differences: alone (95%), and beyond the others (ring)")

    def drawn(each: Importance) -> Row:
        def draw(y: float) -> list[Markup]:
            zero, alone_, low, high, beyond = (
                at(axis, 100 * x) for x in (0, each.alone, each.low, each.high, each.beyond)
            )
            bar = tag("line", class_="m-thick", x1=zero, x2=alone_, y1=y, y2=y)
            line = tag("line", class_="m-line", x1=low, x2=high, y1=y, y2=y)
            return [bar, line, tag("circle", class_="m-ring", cx=beyond, cy=y, r=5.5)]

        return Row(cut(each.name, 34), "", draw)

    told = "; ".join(f"{each.name} {100 * each.alone:.0f}%" for each in found)
    return Rows([drawn(each) for each in found], axis, f"What choices explain alone: {told}", high=30)
