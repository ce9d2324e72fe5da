"""The plots: figures drawn as plain SVG, which needs no script, prints, and takes its colours from the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from nas.errors import one_line
from nas.report.figures.series import Costs, Curve, Point, Ranks
from nas.report.plots.svg import (
    Scale,
    Tick,
    by_error,
    dots,
    linear,
    linear_ticks,
    log_ticks,
    logarithmic,
    path,
    share_ticks,
    short,
    tag,
)

WIDTH, HEIGHT = 560.0, 340.0
"""Units of a plot with paths."""

LEFT, RIGHT, TOP, BOTTOM = 46.0, 436.0, 24.0, 292.0
"""Where its axes are; beside them is room for labels."""

LINES, MARKS = 150, 200
"""How many curves and marks by themselves are drawn; the rest of the marks are one element."""

T = TypeVar("T")

ORDER = {"pruned": 0, "complete": 1, "reference": 2, "final": 3}
"""What is drawn above what."""

CURVES = {"pruned": "cv-prn", "complete": "cv-cmp", "reference": "cv-ref", "final": "cv-fin"}

POINTS = {"pruned": "pt-prn", "complete": "pt-cmp", "reference": "ref", "final": "pt-fin"}


@dataclass(frozen=True)
class Axis:
    """A scale with its ticks and title."""

    scale: Scale
    ticks: Sequence[Tick]
    title: str


def frame(x: Axis, y: Axis, name: str, *inside: object) -> Markup:
    """A plot with both axes; `name` is what it is called for those who do not see it."""
    lines: list[Markup] = []
    for tick in y.ticks:
        at = y.scale(tick.value)
        lines.append(tag("path", class_="gr", d=path([(LEFT, at), (RIGHT, at)])))
        lines.append(tag("text", tick.label, class_="tk", x=LEFT - 8, y=at + 4.5, text_anchor="end"))
    for tick in x.ticks:
        at = x.scale(tick.value)
        lines.append(tag("path", class_="ax", d=path([(at, BOTTOM), (at, BOTTOM + 5)])))
        lines.append(tag("text", tick.label, class_="tk", x=at, y=BOTTOM + 20, text_anchor="middle"))
    lines.append(tag("path", class_="ax", d=path([(LEFT, BOTTOM), (RIGHT, BOTTOM)])))
    lines.append(tag("text", y.title, class_="ti", x=0, y=11))
    lines.append(tag("text", x.title, class_="ti", x=(LEFT + RIGHT) / 2, y=HEIGHT - 7, text_anchor="middle"))
    view = f"0 0 {WIDTH:g} {HEIGHT:g}"
    return tag(
        "svg", *lines, *inside, class_="ch", viewBox=view, role="group", aria_label=name, tabindex=0, data_walk=""
    )


def mark(x: float, y: float, kind: str, id: str) -> Markup:
    """A network's point: filled, hollow where it was pruned, a rhomb of a reference."""
    if kind == "reference":
        return tag("use", href="#dia", class_=f"pt {POINTS[kind]}", x=x, y=y, data_id=id)
    radius = {"final": 5.0, "complete": 3.5}.get(kind, 3.2)
    return tag("circle", class_=f"pt {POINTS.get(kind, 'pt-prn')}", cx=x, cy=y, r=radius, data_id=id)


def labelled(wanted: Sequence[tuple[float, str, str]]) -> list[Markup]:
    """Labels right of the axes at these heights, pushed apart where they would touch: height, text, class."""
    placed, above = [], TOP - 16.0
    for at, text, name in sorted(wanted):
        above = max(at + 4.5, above + 16)
        placed.append((above, text, name))
    over = max(0.0, (placed[-1][0] if placed else 0.0) - BOTTOM - 4)
    return [tag("text", cut(text), class_=name, x=RIGHT + 9, y=y - over) for y, text, name in placed]


def cut(text: str, most: int = 18) -> str:
    """A name that has room.

    >>> cut("2c1b079035 (given by somebody)")
    '2c1b079035 (given…'
    """
    text = one_line(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most so many of some items, evenly spaced, with the first and the last.

    >>> evenly([0, 1, 2, 3, 4], 3)
    [0, 2, 4]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(at * (len(items) - 1) / (most - 1))] for at in range(most)]


def drawn_curves(curves: Sequence[Curve]) -> list[Curve]:
    """Those that are drawn, the uppermost last: all finalists and references, of the others the best and some more."""
    first = [curve for curve in curves if curve.kind in ("final", "reference")]
    others = [curve for curve in curves if curve.kind not in ("final", "reference")]
    kept = [*others[: LINES // 2], *evenly(others[LINES // 2 :], LINES - LINES // 2)]
    return sorted([*first, *kept], key=lambda curve: ORDER.get(curve.kind, 0))


def losses(curves: Sequence[Curve], leader: str, floor: float) -> Markup | None:
    """Training losses by epoch, above the least that label smoothing leaves, on a logarithmic scale."""
    drawn = [curve for curve in drawn_curves(curves) if curve.losses]
    values = [loss - floor for curve in drawn for loss in curve.losses if loss > floor]
    epochs = max((len(curve.losses) for curve in drawn), default=0)
    if not values or epochs < 2:
        return None
    y = logarithmic(values, BOTTOM, TOP)
    x = Scale(1, epochs, LEFT, RIGHT)
    lines, ends = [], []
    for curve in drawn:
        points = [(x(at), y(loss - floor)) for at, loss in enumerate(curve.losses, 1) if loss > floor]
        lines.append(line(points, curve, leader))
        ends += end_label(points, curve, leader)
    above = f" above {floor:.2f}, the least that label smoothing leaves" if floor else ""
    axes = counting_axis(x, "epoch"), Axis(y, log_ticks(y, 26), f"training loss{above}")
    return frame(*axes, f"Training losses of {len(drawn)} networks by epoch", *lines, *labelled(ends))


def accuracies(curves: Sequence[Curve], leader: str, examples: int) -> Markup | None:
    """Validation accuracies after the epochs at which there are some."""
    drawn = [curve for curve in drawn_curves(curves) if curve.scores]
    epochs = sorted({epoch for curve in drawn for epoch, _ in curve.scores})
    if len(epochs) < 2:
        return None
    y = by_error([share for curve in drawn for _, share in curve.scores], BOTTOM, TOP, examples)
    x = Scale(epochs[0], epochs[-1], LEFT, RIGHT)
    lines, points, ends = [], [], []
    for curve in drawn:
        places = [(x(epoch), y(share)) for epoch, share in curve.scores]
        lines.append(line(places, curve, leader))
        points.append(mark(*places[-1], curve.kind, curve.id))
        ends += end_label(places, curve, leader)
    ticks = x.apart([Tick(epoch, str(epoch)) for epoch in epochs], 26)
    axes = Axis(x, ticks, "epoch"), Axis(y, share_ticks(y, 24), "validation accuracy, %, spaced by the error")
    return frame(*axes, f"Validation accuracies of {len(drawn)} networks", *lines, *points, *labelled(ends))


def line(points: Sequence[tuple[float, float]], curve: Curve, leader: str) -> Markup:
    name = "cv-win" if curve.id == leader else CURVES.get(curve.kind, "cv-prn")
    return tag("path", class_=f"cv {name}", d=path(points), data_id=curve.id)


def end_label(points: Sequence[tuple[float, float]], curve: Curve, leader: str) -> list[tuple[float, str, str]]:
    """The leader's and the references' names stand at the ends of their curves."""
    if not points or not (curve.id == leader or curve.kind == "reference"):
        return []
    return [(points[-1][1], curve.title, "b wn" if curve.id == leader else "rf")]


def counting_axis(x: Scale, title: str) -> Axis:
    """Of whole numbers."""
    ticks = [tick for tick in linear_ticks(x, 44) if tick.value == int(tick.value)]
    return Axis(x, ticks or [Tick(x.high, short(x.high))], title)


def cost(found: Costs, leader: str, examples: int) -> Markup:
    """Accuracy against a cost: trainings of the search with their front, finalists joined to their mean over seeds."""
    seen = [share for point in found.points for share in (point.accuracy, point.judged) if share is not None]
    places = [point.cost for point in found.points]
    is_log = min(places) > 0 and max(places) > 8 * min(places)
    x = (logarithmic if is_log else linear)(places, LEFT, RIGHT)
    y = by_error(seen, BOTTOM, TOP, examples)
    ticks = log_ticks(x, 52) if is_log else linear_ticks(x, 70)
    axes = Axis(x, ticks, found.name + " (log scale)" * is_log), Axis(y, share_ticks(y, 24), "accuracy, %")
    ordered = sorted(found.points, key=lambda point: ORDER.get(point.kind, 0))
    first = {point.id for point in found.points[:MARKS]}  # the best ones
    marks = [tag("path", class_="front", d=path(stairs(found.front, x, y)))] if found.front else []
    rest = [point for point in ordered if point.id not in first and point.accuracy is not None]
    marks.append(tag("path", class_="pt-rest", d=dots([(x(p.cost), y(p.accuracy or 0.0)) for p in rest])))
    ends = []
    for point in (point for point in ordered if point.id in first):
        marks += drawn_point(point, x, y)
        if point.id == leader or point.kind == "reference":
            height = y(point.judged if point.judged is not None else point.accuracy or 0.0)
            ends.append((height, point.title, "b wn" if point.id == leader else "rf"))
    return frame(*axes, f"Accuracy against {found.name} of {len(found.points)} networks", *marks, *labelled(ends))


def drawn_point(point: Point, x: Scale, y: Scale) -> list[Markup]:
    """What it had in the search, hollow where its mean over seeds is joined to it."""
    at, found = x(point.cost), []
    if point.judged is not None:
        if point.accuracy is not None and point.kind == "final":
            found.append(tag("path", class_="fnd-l", d=path([(at, y(point.accuracy)), (at, y(point.judged))])))
            found.append(tag("circle", class_="fnd2", cx=at, cy=y(point.accuracy), r=3.5, data_id=point.id))
        return [*found, mark(at, y(point.judged), point.kind, point.id)]
    return [mark(at, y(point.accuracy or 0.0), point.kind, point.id)]


def stairs(front: Sequence[Point], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """A front as what is reached at each cost."""
    places: list[tuple[float, float]] = []
    for point in front:
        at, height = x(point.cost), y(point.accuracy or 0.0)
        places += [(at, places[-1][1]), (at, height)] if places else [(at, height)]
    return [*places, (RIGHT, places[-1][1])]


def rank_lines(found: Ranks, leader: str, titles: dict[str, str]) -> Markup:
    """Ranks at the rungs, the end, and in the finals: a line a candidate."""
    columns = len(found.epochs) + bool(found.ends)
    x = Scale(0, columns - 1, LEFT, RIGHT)
    y = Scale(1, max(*found.counts, 2), TOP + 26, BOTTOM, lambda value: value**0.5)  # room for the first ranks
    kept = evenly(list(found.lines), LINES)
    wanted = dict.fromkeys([*kept, *found.ends])
    lines, ends = [], []
    for id in sorted(wanted, key=lambda id: (id in found.ends, id == leader)):
        places = [(x(at), y(place)) for at, place in enumerate(found.lines.get(id, ())) if place is not None]
        name = "cv-win" if id == leader else "cv-fin" if id in found.ends else "cv-cmp" if len(places) > 2 else "cv-prn"
        if id in found.ends:
            places.append((x(columns - 1), y(found.ends[id])))
            ends.append((places[-1][1], titles.get(id, id), "b wn" if id == leader else "mono"))
        lines.append(tag("path", class_=f"cv {name}", d=path(places), data_id=id))
        lines.append(tag("path", class_="rk", d=dots(places)))
    heads = [(f"epoch {epoch}", f"{count} left") for epoch, count in zip(found.epochs, found.counts, strict=True)]
    heads += [("finals", "over seeds")] * bool(found.ends)
    texts = []
    for at, (first, second) in enumerate(heads):
        anchor = "start" if not at else "middle"
        texts.append(tag("text", first, class_="b", x=x(at) - 14 * (not at), y=13, text_anchor=anchor))
        texts.append(tag("text", second, class_="tk", x=x(at) - 14 * (not at), y=29, text_anchor=anchor))
    ticks = y.apart([Tick(place, str(place)) for place in (1, 4, 16, 64, 256, 1024, 4096)], 18)
    scale = [
        tag("text", tick.label, class_="tk", x=LEFT - 24, y=y(tick.value) + 4.5, text_anchor="end") for tick in ticks
    ]
    view, name = f"0 0 {WIDTH:g} {HEIGHT - 30:g}", "Ranks of candidates over the rungs of the search"
    inside = [*texts, *scale, *lines, *labelled(ends)]
    return tag("svg", *inside, class_="ch", viewBox=view, role="group", aria_label=name, tabindex=0, data_walk="")


def over_trials(runs: Sequence[tuple[str, Sequence[float]]], examples: int) -> Markup | None:
    """The best validation accuracy so far against candidates that came to their end, a line a run."""
    told = [(name, found) for name, found in runs if found]
    if not any(len(found) > 1 for _, found in told):
        return None
    y = by_error([share for _, found in told for share in found], BOTTOM, TOP, examples)
    x = Scale(1, max(len(found) for _, found in told), LEFT, RIGHT)
    lines, ends = [], []
    for number, (name, found) in enumerate(told):
        places = [(x(count), y(share)) for count, share in enumerate(found, 1)]
        lines.append(tag("path", class_=f"cv s{number % 4}", d=path(places)))
        lines.append(tag("path", class_="rk", d=dots(places[-1:])))
        ends.append((places[-1][1], name if len(name) <= 18 else f"{name[:9]}…{name[-8:]}", f"t{number % 4}"))
    axes = (
        counting_axis(x, "candidates that came to their end"),
        Axis(y, share_ticks(y, 24), "best validation accuracy so far, %"),
    )
    return frame(*axes, "Best validation accuracy so far, by run", *lines, *labelled(ends))
