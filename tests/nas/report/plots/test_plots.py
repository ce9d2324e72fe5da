"""Plots: well-formed, escaped, within their picture, and nothing where there is nothing to draw."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from math import log10

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up_runs import facts_of
from markupsafe import escape

from einmix import Mixer
from nas.report.drawn import Drawn
from nas.report.figures import series
from nas.report.plots import paths, rows
from nas.report.plots.icons import Icons
from nas.report.plots.paths import HEIGHT, MARKS, WIDTH, evenly, labelled
from nas.report.plots.svg import (
    Scale,
    Tick,
    by_error,
    linear,
    linear_ticks,
    log_ticks,
    logarithmic,
    number,
    share_ticks,
    short,
    tag,
)

SHARES = st.floats(0, 1)
VALUES = st.floats(-1e6, 1e6)
HOSTILE = "</svg><script>alert(1)</script>\"'&"


def parsed(markup: object) -> ET.Element:
    return ET.fromstring(f"<div>{escape(markup)}</div>")


@given(st.lists(VALUES, min_size=1), st.sampled_from([10.0, 30.0, 70.0]))
def test_linear_ticks_are_round_on_the_axis_and_apart(values, least):
    scale = linear(values, 0, 400)
    ticks = linear_ticks(scale, least)
    places = [scale(tick.value) for tick in ticks]
    assert all(scale.low - 1e-6 * abs(scale.low) <= tick.value <= scale.high + 1e-6 * abs(scale.high) for tick in ticks)
    assert len(ticks) <= 400 / least + 1
    assert places == sorted(places)
    assert all(after - before >= least * 0.999 for before, after in pairwise(places))


@given(st.lists(st.floats(1e-6, 1e9), min_size=1), st.sampled_from([20.0, 50.0]))
def test_logarithmic_ticks_are_on_the_axis_and_apart(values, least):
    scale = logarithmic(values, 0, 400)
    places = [scale(tick.value) for tick in log_ticks(scale, least)]
    assert all(-1e-6 <= place <= 400 + 1e-6 for place in places)
    assert all(abs(after - before) >= least * 0.99 for before, after in pairwise(places))


@given(st.lists(SHARES, min_size=1), st.integers(10, 10_000))
def test_accuracies_are_spaced_by_their_errors(shares, examples):
    scale = by_error(shares, 300, 0, examples)
    places = [scale(share) for share in shares]
    assert all(-1e-6 <= place <= 300 + 1e-6 for place in places)
    assert all(0 <= scale(tick.value) <= 300 for tick in share_ticks(scale, 24))
    in_order = [place for _, place in sorted(zip(shares, places, strict=True))]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(in_order))


def test_from_90_to_95_is_as_far_as_from_98_to_99():
    scale = by_error([0.5, 0.999], 0, 1, 10_000)
    assert scale(0.95) - scale(0.9) == pytest.approx(scale(0.99) - scale(0.98))
    assert share_ticks(scale, 0.02)[0].label == "50"


def test_a_scale_of_one_value_has_a_middle():
    assert Scale(3, 3, 0, 10)(3) == 5
    assert Scale(1, 100, 0, 10, log10)(10) == 5
    assert Scale(1, 2, 0, 10)(99) == 10
    assert [tick.label for tick in Scale(0, 10, 0, 100).apart([Tick(0, "a"), Tick(1, "b"), Tick(5, "c")], 20)] == [
        "a",
        "c",
    ]


@given(st.lists(st.floats(24, 292), max_size=8))
def test_labels_never_touch(heights):
    found = [parsed(label)[0] for label in labelled([(at, f"name {at}", "b") for at in heights])]
    places = [float(label.get("y")) for label in found]
    assert all(after - before >= 15.9 for before, after in pairwise(places))
    assert all(place <= HEIGHT for place in places)


@given(st.lists(st.integers(), max_size=300), st.integers(2, 50))
def test_some_of_many_are_evenly_spaced_with_both_ends(items, most):
    found = evenly(items, most)
    assert len(found) == min(len(items), most)
    if items:
        assert (found[0], found[-1]) == (items[0], items[-1])


def test_what_is_written_is_escaped():
    assert "<script" not in tag("text", HOSTILE, aria_label=HOSTILE)
    assert parsed(tag("text", HOSTILE, aria_label=HOSTILE))[0].get("aria-label") == HOSTILE
    assert (number(1e-9), number(-0.25), number(3), number(2.5)) == ("0", "-0.25", "3", "2.5")
    assert (short(999), short(1000), short(0.1234567)) == ("999", "1k", "0.1235")


def within(svg: ET.Element) -> bool:
    """Whether all points and texts lie in the picture."""
    ends = [(float(e.get("x")), float(e.get("y"))) for e in svg.iter() if e.tag in ("text", "use")]
    ends += [(float(e.get("cx")), float(e.get("cy"))) for e in svg.iter("circle")]
    return all(-40 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in ends)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return facts_of(tmp_path_factory.mktemp("runs"), candidates=40, timed=True, label=HOSTILE)


def test_plots_of_a_run_are_well_formed_and_inside(run):
    leader = run.leader.id
    curves = series.curves(run)
    drawn = [
        paths.losses(curves, leader, run.floor),
        paths.accuracies(curves, leader, 200),
        *(paths.cost(each, leader, 200) for each in series.costs(run)),
        paths.rank_lines(series.ranks(run), leader, {}),
        paths.over_trials([("a", [0.5, 0.6, 0.7]), (HOSTILE, [0.4, 0.8])], 200),
    ]
    for markup in drawn:
        assert markup and "<script" not in markup
        assert within(parsed(markup)[0])
        assert parsed(markup)[0].get("aria-label")


def test_every_network_with_an_accuracy_has_its_mark(run):
    for found in series.costs(run):
        marks = parsed(paths.cost(found, run.leader.id, 200))
        ids = {mark.get("data-id") for mark in marks.iter() if "pt" in (mark.get("class") or "").split()}
        assert ids == {point.id for point in found.points}


def test_of_very_many_the_best_have_marks_and_the_rest_are_one_line():
    points = tuple(series.Point(f"n{at}", "", "pruned", 100 + at, 0.9 - at / 1e4) for at in range(3000))
    markup = paths.cost(series.Costs("parameters", points, ()), "", 1000)
    assert markup.count("<circle") == MARKS
    rest = next(e for e in parsed(markup).iter("path") if e.get("class") == "pt-rest")
    assert rest.get("d").count("M") == 3000 - MARKS
    assert len(markup) < 120_000


def test_rows_of_a_run_say_their_figures(run):
    seeds = parsed(rows.seeds(run))
    svg = next(seeds.iter("svg"))
    marks = [mark for mark in svg.iter() if "pt" in (mark.get("class") or "").split()]
    assert len(marks) == sum(standing.n for standing in [*run.finalists, *run.references])
    assert f"{100 * run.leader.accuracy:.1f}" in svg.get("aria-label")
    told = rows.intervals([(s.title, s.id, s.gain) for s in run.finalists], "points")
    assert parsed(told) is not None and "<script" not in escape(told)
    assert rows.intervals([], "points") is None


def test_nothing_is_drawn_of_nothing(tmp_path):
    run = facts_of(tmp_path, candidates=0, finals=0)
    assert rows.seeds(run) is None
    assert paths.losses([], "", 0.0) is None and paths.accuracies([], "", 10) is None
    assert paths.over_trials([("a", [0.5])], 10) is None
    drawn = str(paths.over_trials([("a", [0.5, 0.6]), ("one-of-a-long-name-48b9e8", [0.7]), ("none", [])], 10))
    assert ">a<" in drawn and ">one-of-a-…e-48b9e8<" in drawn and "none" not in drawn


def test_a_meter_and_a_strip_say_what_they_show():
    from nas.report.figures.importance import Importance, Level

    levels = (Level(HOSTILE, tuple("abc"), (0.5, 0.6, 0.7)), Level("2", ("d",), (0.9,)))
    meter = parsed(rows.meter(Importance("patch", 0.5, 0.4, 0.6, 0.1, levels)))[0]
    assert meter.get("aria-label") == "patch: 50.0% alone (40.0% to 60.0%), 10.0% beyond the others"
    drawn = rows.strip(levels, rows.share_axis([0.5, 0.9], 100, "accuracy"), "patch")
    assert "median 60.0 of 3" in escape(drawn) and "<script" not in escape(drawn)
    assert len(list(parsed(drawn).iter("circle"))) == 4


@pytest.mark.parametrize(
    ("mixer", "read"),
    [("h=m2.s2 w=m2.s2 c=g4.s8", 4), ("h=m4 w=s4 c=s8", 4), ("t=s2.m8 c=g8", 8), ("d=m2 h=m4 w=m4", 32)],
)
def test_an_icon_is_drawn_once_and_is_dark_where_it_reads(mixer, read):
    icons, one = Icons(), Mixer.parse(mixer)
    first, again = icons.use(one), icons.use(one)
    assert first == again == icons.use(Mixer.parse(f"{mixer} +b"))
    symbols = parsed(icons.symbols())
    (symbol,) = symbols.iter("symbol")
    dark = [e for e in symbol.iter("path") if e.get("class") == "i-hi"]
    assert sum(e.get("d").count("M") for e in dark) == read


@given(st.lists(st.tuples(st.integers(1, 10**7), SHARES), min_size=1, max_size=40))
def test_any_costs_can_be_drawn(pairs):
    assume(pairs)
    points = tuple(series.Point(f"n{at}", "", "complete", cost, share) for at, (cost, share) in enumerate(pairs))
    markup = paths.cost(series.Costs("parameters", points, tuple(series.front(points))), "n0", 100)
    assert within(parsed(markup)[0])


def test_files_stand_alone(run):
    files = Drawn.of(run).files()
    assert set(files) == {
        "training-losses",
        "validation-accuracies",
        "cost-parameters",
        "cost-multiply-accumulates",
        "cost-latency",
        "ranks",
        "seeds",
        "gains",
        "choices",
        "families",
    }
    for text in files.values():
        found = ET.fromstring(text)
        assert found.tag == "{http://www.w3.org/2000/svg}svg" and float(found.get("width")) > 500
        assert "var(" not in text and "prefers-color-scheme:dark" in text
        assert "<script" not in text and "href=" not in text.replace('href="#dia"', "")


def test_a_run_without_anything_has_no_files(tmp_path):
    assert Drawn.of(facts_of(tmp_path, candidates=0, finals=0)).files() == {}
