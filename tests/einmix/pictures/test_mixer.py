"""The picture of a mixer says what the algebra says: read back from its SVG."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from math import prod
from random import Random

import algebra
import numpy as np
import pytest
import svg
from hypothesis import given, settings
from svg import boxes, check_texts

from einmix import Mixer, describe, sample_mixer
from einmix.pictures.grids import Room, draw_channels
from einmix.pictures.mixer import draw_icon, draw_mixer
from einmix.pictures.picture import Picture
from einmix.pictures.shapes import Disc, Line, Rect, Text

CELLS = r"read|plain|tint\d"


@pytest.mark.parametrize("seed", range(24))
def test_letters_and_colours_of_a_grid_are_its_reach(seed: int) -> None:
    """Square by square: the same letter exactly where reach connects, dark exactly what the marked output reads."""
    rng = Random(seed)
    mixer = sample_mixer(rng, h=rng.choice([4, 6, 8]), w=rng.choice([4, 8]), c=4)
    drawn = draw_mixer(mixer).svg
    rows = svg.squares(drawn, CELLS)
    (example,) = svg.marked(drawn, rows)
    reach = mixer.reach()
    h, w = reach.along("h"), reach.along("w")
    assert (len(rows), len(rows[0])) == (len(h), len(w))
    read = {
        place for place in product(range(len(h)), range(len(w))) if h[example[0], place[0]] & w[example[1], place[1]]
    }
    assert {(r, c) for r, row in enumerate(rows) for c, each in enumerate(row) if each.look == "read"} == read
    lettered = {(r, c): each for r, row in enumerate(rows) for c, each in enumerate(row) if (r, c) != example}
    for (one, a), (other, b) in combinations(lettered.items(), 2):
        connected = bool(h[one[0], other[0]] & w[one[1], other[1]])
        if mixer.mixed - {"c"}:
            assert (a.text == b.text) == connected
            if connected:
                assert a.look == b.look
        else:
            assert a.text == b.text == ""
    tints = {each.look for each in lettered.values() if each.look.startswith("tint")}
    sets = {each.text for each in lettered.values() if each.look.startswith("tint")}
    assert len(tints) == min(len(sets), 8)


@pytest.mark.parametrize(
    ("axis", "room"),
    [("m8", 8), ("s2.m4", 4), ("g2.m4", 4), ("m4.s2", 8), ("s2.m2.s2", 4), ("g2.s2.m2", 2), ("s8", 1), ("m2.g4", 8)],
)
def test_a_wall_stands_where_what_is_left_of_the_first_mixed_factor_changes(axis: str, room: int) -> None:
    rows = svg.squares(draw_mixer(Mixer.parse(f"h={axis} w={axis} c=s2")).svg, CELLS)
    across = [other.x - one.x for one, other in pairwise(rows[0])]
    down = [other[0].y - one[0].y for one, other in pairwise(rows)]
    for steps in (across, down):
        assert [step > 1.2 * rows[0][0].side for step in steps] == [after % room == 0 for after in range(1, 8)]


@pytest.mark.parametrize("seed", range(10))
def test_lines_of_a_sequence_are_its_reach(seed: int) -> None:
    rng = Random(seed)
    mixer = sample_mixer(rng, t=rng.choice([8, 12, 16]), c=4)
    picture = draw_mixer(mixer)
    above, below = (sorted(row, key=lambda each: each.x) for row in svg.squares(picture.svg, CELLS))
    pairs = set()
    for line in (shape for shape in picture.shapes if isinstance(shape, Line) and shape.bend):
        (source,) = (place for place, each in enumerate(above) if each.x <= line.x1 <= each.x + each.side)
        (target,) = (place for place, each in enumerate(below) if each.x <= line.x2 <= each.x + each.side)
        pairs.add((line.look, target, source))
    matrix = mixer.reach().along("t")
    assert {pair[1:] for pair in pairs} == {tuple(map(int, pair)) for pair in np.argwhere(matrix)}
    ((_, example),) = svg.marked(picture.svg, [above, below])[:1] or [(0, -1)]
    strong = {source for look, target, source in pairs if look == "readstroke"}
    assert strong == set(np.flatnonzero(matrix[example]).tolist())


@pytest.mark.parametrize("text", ["c=g4.s4", "c=s4.g4", "c=g16", "c=s16", "c=g2.s2.g4", "c=s3.g5"])
def test_discs_have_one_angle_where_channels_share_weights(text: str) -> None:
    (axis,) = Mixer.parse(text).axes
    shapes: list = []
    draw_channels(shapes, axis[1], 0, 0)
    strokes = [
        svg.angle(each) for each in svg.elements(Picture(200, 200, tuple(shapes), "", "").svg) if each.tag == "line"
    ]
    labels = np.diagonal(algebra.axis_labels(axis[1]))
    assert len(strokes) == len(labels) == sum(isinstance(shape, Disc) for shape in shapes)
    for (one, a), (other, b) in combinations(zip(labels, strokes, strict=True), 2):
        assert (one == other) == (a == b)


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("c=s4.m2", [2, 2, 2, 2]),
        ("c=m12", [12]),
        ("c=g2.m8", [8, 8]),
        ("c=m2.s4", [[0, 4], [1, 5], [2, 6], [3, 7]]),
        ("c=m2.g2.m2", [[0, 1, 4, 5], [2, 3, 6, 7]]),
        ("c=m2.s256", [[first, first + 256] for first in range(24)]),
    ],
)
def test_channels_that_mix_are_one_capsule(text: str, sets: list) -> None:
    """With their numbers, where they do not stand together."""
    (axis,) = Mixer.parse(text).axes
    shapes: list = []
    draw_channels(shapes, axis[1], 0, 0)
    capsules = [shape for shape in shapes if isinstance(shape, Rect)]
    inside: list[list] = [[] for _ in capsules]
    for shape in shapes:
        x, y = (shape.x1 + shape.x2) / 2 if isinstance(shape, Line) else shape.x, getattr(shape, "y", 0)
        y = (shape.y1 + shape.y2) / 2 if isinstance(shape, Line) else y - 3
        for held, capsule in zip(inside, capsules, strict=True):
            if capsule.x <= x <= capsule.x + capsule.width and capsule.y <= y <= capsule.y + capsule.height:
                held += [int(shape.text)] if isinstance(shape, Text) else [None] * isinstance(shape, Line)
    numbered = isinstance(sets[0], list)
    assert [each[1:] if numbered else len(each) for each in inside] == sets
    assert [capsule.look == "read" for capsule in capsules] == [True] + [False] * (len(sets) - 1)


@given(algebra.mixers(largest=256))
@settings(max_examples=40)
def test_every_mixer_draws_within_its_picture(mixer: Mixer) -> None:
    picture = draw_mixer(mixer)
    assert svg.elements(picture.svg) and picture.width == 440
    check_texts(picture)
    texts = " ".join(text for text, _ in boxes(picture))
    assert "".join(str(mixer).split()) in "".join(texts.split())
    assert "".join(describe(mixer).split()) in "".join(texts.split())
    weights = prod(f.size * (f.out if f.role == "m" else 1) for _, fs in mixer.axes for f in fs if f.role != "s")
    assert f"{weights:,} weight" in texts
    assert mixer.einmix()["pattern"] in picture.description


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("h=m8.s8 w=m8.s8 c=g512", ["drawn: the first 32 × 32 of 64 × 64 positions", "drawn: 256 of 512 channels"]),
        ("h=s32.m2 w=s32.m2 c=s4", ["reads 4 of 4,096 positions", "Blue: what the marked output reads."]),
        ("t=g16777216 c=g16777216", ["drawn: the first 64 of 16,777,216 positions", "281,474,976,710,656 weights"]),
        ("h=m16777216:1 w=m16777216:1 c=m3:7", ["input: 16,777,216 × 16,777,216", "output: 1 × 1 positions"]),
        ("a=m2.s2 d=m2 e=s3 h=m4.s2 w=m2 c=g4", ["the first 1 × 1 × 1 × 8 × 2 of 4 × 2 × 3 × 8 × 2 positions"]),
        ("t=m16.s4 c=g4", ["reads 16 of 64 positions", "Blue: what the marked output reads."]),
        ("t=m4096 c=g4", ["drawn: the first 64 of 4,096 positions", "reads all 4,096 positions"]),
        ("h=s56.m4:1 w=s56.m4:1 c=m3:96", ["of 224 × 224 inputs", "of 56 × 56 outputs", "3 to 96 channels: all"]),
        ("h=s1024.m16384 c=g4096", ["16,777,216", "as one area"]),
        ("t=m2 c=s1048576", ["1,048,576 channels: weights shared by all channels", "too many to be drawn"]),
        ("a=m4.s4 d=m4.s4 h=m4.s4 w=m4.s4 c=g4", ["drawn: the first"]),
        ("h=m8.g8 w=m8.g8 c=g64", ["as one area", "4,096 × (64 × 64)"]),
        ("h=m2.s2.m2.s2.m2.s2.m2.s2.m2.s2 w=m2.s2.m2.s2.m2.s2.m2.s2 c=s1", ["einops' EinMix knows 26 axes"]),
    ],
)
def test_what_does_not_fit_is_said(text: str, words: list[str]) -> None:
    picture = draw_mixer(Mixer.parse(text))
    assert len(picture.svg) < 400_000
    check_texts(picture)
    told = " ".join(text for text, _ in boxes(picture))
    assert [each for each in words if each not in told] == []


def test_it_is_captioned_as_it_was_written() -> None:
    mixer = Mixer.from_einmix(
        "b c (hI h) (wI w) -> b c (hO h) (wO w)", "c hI wI hO wO", c=64, hI=8, h=4, wI=8, w=4, hO=8, wO=8
    )
    texts = [text for text, _ in boxes(draw_mixer(mixer))]
    assert "b c (hI h) (wI w) → b c (hO h) (wO w)" in texts
    assert "h=m8.s4 w=m8.s4 c=g64" in texts


def test_a_matrix_is_drawn_to_scale_for_each_kind_of_weights() -> None:
    picture = draw_mixer(Mixer.parse("h=m4.s2 w=m4.s2 c=g8"))
    cards = [shape for shape in picture.shapes if isinstance(shape, Rect) and shape.look in ("card", "read")]
    matrices = [shape for shape in cards if shape.x >= 270]
    assert len(matrices) == 8 and {(shape.width, shape.height) for shape in matrices} == {(16 * 0.6, 16 * 0.6)}


def test_positions_are_hatched_only_where_their_weights_differ() -> None:
    def strokes(text: str) -> set[int]:
        picture = draw_mixer(Mixer.parse(text))
        grid = [each for each in svg.elements(picture.svg) if each.tag == "line" and each.number("x2") < 245]
        return {svg.angle(each) for each in grid if each.look in ("stroke", "onreadstroke")}

    assert strokes("h=m4.s2 w=m4.s2 c=g8") == set()
    assert len(strokes("h=g2.m4 w=g2.m4 c=s8")) == 4


@pytest.mark.parametrize("text", ["h=g2.m4 w=g2.m4 c=s8", "h=s2.g4 w=g2.m2.s2 c=s8", "h=m4.g2 w=m8 c=g2.s4"])
def test_the_dark_matrix_is_that_of_the_marked_position(text: str) -> None:
    picture = draw_mixer(Mixer.parse(text))
    dark = [shape for shape in picture.shapes if isinstance(shape, Rect) and shape.look == "read"]
    (matrix,) = [shape for shape in dark if shape.x >= 270]
    strokes = [each for each in svg.elements(picture.svg) if each.tag == "line" and each.look == "onreadstroke"]
    read = [svg.angle(each) for each in strokes if each.number("x2") < 245]
    inside = [each for each in strokes if each.number("x1") >= 270 and each.number("y1") >= matrix.y - 0.1]
    assert max(read) - min(read) <= 1  # lines have one decimal
    assert any(abs(svg.angle(each) - read[0]) <= 1 for each in inside)


def test_an_icon_is_the_sets_without_letters() -> None:
    icon = draw_icon(Mixer.parse("h=m4.s2 w=m4.s2 c=g32"))
    assert (icon.width, icon.height) == (24, 28)
    rows = svg.squares(icon.svg, CELLS)
    assert [[each.look for each in row] for row in rows[:2]] == [["tint0", "tint1"] * 4, ["tint2", "read"] * 4]
    (bar,) = (shape for shape in icon.shapes if isinstance(shape, Rect))
    assert bar.width == pytest.approx(24 * 5 / 12)


def test_rooms_for_discs_are_kept() -> None:
    shapes: list = []
    draw_channels(shapes, Mixer.parse("c=g300").axes[0][1], 0, 0, Room(100, 2, ((20, 10),)))
    assert sum(isinstance(shape, Disc) for shape in shapes) == 20
    assert "drawn: 20 of 300 channels" in " ".join(shape.text for shape in shapes if isinstance(shape, Text))
