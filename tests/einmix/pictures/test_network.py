"""The picture of a network: what one output reads after every block, against its reach multiplied out."""

from __future__ import annotations

from functools import cache
from itertools import product
from random import Random

import numpy as np
import pytest
import svg
from algebra import network, nodes
from svg import boxes, check_texts

from einmix import Architecture
from einmix.kinds import Shift
from einmix.nodes.node import reach_of
from einmix.pictures.blocks import LARGEST, draw_blocks
from einmix.pictures.field import columns, reads, seen
from einmix.pictures.grids import FILLED
from einmix.pictures.network import draw_network
from einmix.pictures.shapes import Rect
from search_spaces import SPACES, BoundSpace, load
from search_spaces.zoo import ZOO, Inputs

SHAPES = {"line": ({"t": 12}, 2), "image": ({"h": 8, "w": 8}, 1), "volume": ({"d": 4, "h": 4, "w": 4}, 1)}


@cache
def space_on(name: str, shape: str) -> BoundSpace:
    axes, channels = SHAPES[shape]
    sizes = {"patch": (2,), "width": (8,), "depth": (2,) if name == "macro" else (3,), "ratio": (2,)}
    return load(name).on(axes, channels=channels, classes=3, **sizes)


def drawn_from(name: str, seed: int, shape: str = "image") -> Architecture:
    return space_on(name, shape).sample(Random(seed))


def written_out(architecture: Architecture) -> list[set[tuple[int, ...]]]:
    """What the example reads after every block, by joint matrices over positions and channels."""
    first, *parts = [part for part in architecture.parts if part.role != "head"]
    grid = [n for axis, n in first.after.items() if axis != "c"]
    whole = np.eye(np.prod([*first.after.values()]), dtype=bool)
    found = []
    blocks = iter(seen(architecture))
    for part in parts:
        whole = reach_of(part.steps, part.before).matrix() @ whole
        if part.role == "block":
            rows = whole.reshape(*part.after.values(), *grid, -1)[next(blocks).example]
            found.append(set(map(tuple, np.argwhere(rows.any((0, -1))).tolist())))
    return found


NETWORKS = [
    *((name, seed, "image") for name in SPACES for seed in range(2)),
    *(("macro", seed, "image") for seed in range(2, 10)),
    *((name, 1, shape) for name in ("mixed", "macro") for shape in ("line", "volume")),
]


@pytest.mark.parametrize(("name", "seed", "shape"), NETWORKS)
def test_what_is_read_is_the_reach_of_all_blocks_so_far(name: str, seed: int, shape: str) -> None:
    architecture = drawn_from(name, seed, shape)
    assert [set(each.positions) for each in seen(architecture)] == written_out(architecture)


def test_all_channels_of_an_output_count_together() -> None:
    """Groups of channels that are shifted apart, with nothing that mixes channels."""
    shifts = [(Shift((("h", 1), ("h", -1), ("w", 1), ("w", by))),) for by in (-1, 2)]
    apart = network("h=s6 w=s6 c=m1:4", *((shift,) for shift in shifts))
    found = seen(apart)
    assert [set(each.positions) for each in found] == written_out(apart)
    assert [len(each.positions) for each in found] == [5, 8]


def test_a_later_example_reads_the_earlier_one() -> None:
    two = next(a for seed in range(50) if len((a := drawn_from("macro", seed)).stages) == 2)
    found = seen(two)
    assert found[0].example in found[-1].positions
    assert len(found[0].example) == 2 and found[-1].part.stage == 1


def test_one_layer_reads_what_its_matrix_says() -> None:
    (step,) = network("h=s4 w=s4 c=m1:2", (nodes("h=m2.s2 w=s4 c=s2"),)).blocks[0]
    matrix = step.reach.matrix().reshape(4, 4, 2, 4, 4, 2)
    for example in product(range(4), range(4)):
        assert reads(step.reach, example) == set(map(tuple, np.argwhere(matrix[example].any((0, -1))).tolist()))


@pytest.mark.parametrize("seed", range(6))
def test_numbers_and_shades_are_the_blocks_that_first_reach(seed: int) -> None:
    """Square by square in what is drawn below every block."""
    architecture = drawn_from("macro" if seed % 2 else "roles", seed)
    first: dict[tuple[int, ...], int] = {}
    for column, picture in zip(columns(architecture), draw_blocks(architecture), strict=True):
        for position in column.block.positions:
            first.setdefault(position, column.block.number)
        rows = svg.squares(picture.svg, r"shade\d|plain", LARGEST * FILLED)[-4:]
        found = svg.marked(picture.svg, rows)[-1]
        shades: dict[int, set[str]] = {}
        for place in product(range(4), range(4)):
            square = rows[place[0]][place[1]]
            read = place in column.block.positions
            assert (square.look != "plain") == read
            if read:
                shades.setdefault(first[place], set()).add(square.look)
            if place != found:
                assert square.text == (str(first[place]) if read else "")
        assert all(len(looks) == 1 for looks in shades.values())
        assert [min(shades[number]) for number in sorted(shades)] == sorted(set().union(*shades.values()))
        words = " ".join(text for text, _ in boxes(picture))
        assert f"reads {len(column.block.positions)} of 16" in words


def test_blocks_in_which_nothing_differs_are_one_column() -> None:
    arch = ZOO["mixer"].at(Inputs({"h": 8, "w": 8}, 1, 3), patch=2, width=8, depth=5)
    (column,) = columns(arch)
    assert (column.name, len(column.blocks)) == ("Blocks 1 to 5", 5)
    picture = draw_network(arch, "mixer")
    assert picture.title == "Network mixer"
    texts = [text for text, _ in boxes(picture)]
    assert "reads 16 of 16" in texts and "Blocks 1 to 5" in texts


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_is_drawn_with_all_its_layers(name: str) -> None:
    arch = ZOO[name].at(Inputs({"h": 16, "w": 16}, 3, 3), patch=4, width=ZOO[name].step * 2, depth=2)
    picture = draw_network(arch, name)
    assert svg.elements(picture.svg)
    check_texts(picture)
    texts = "".join("".join(text.split()) for text, _ in boxes(picture))
    for leaf in (leaf for block in arch.blocks for step in block for leaf in step.leaves()):
        if leaf.touched - {"c"}:
            text = leaf.node.text.removeprefix("mix ").partition(";")[0].partition(" c=")[0]
            assert "".join(text.split()) in texts, text


@pytest.mark.parametrize(("name", "seed", "shape"), NETWORKS[-8:])
def test_a_network_stays_within_its_picture(name: str, seed: int, shape: str) -> None:
    arch = drawn_from(name, seed, shape)
    picture = draw_network(arch)
    check_texts(picture)
    assert picture.title == f"Network {arch.id}"
    assert f"{arch.params:,} parameters" in " ".join(text for text, _ in boxes(picture))


def test_the_bar_is_all_parameters_to_scale() -> None:
    arch = drawn_from("subgrid", 3)
    picture = draw_network(arch)
    bars = [shape for shape in picture.shapes if isinstance(shape, Rect) and shape.height == 22]
    assert sum(bar.width + 0.5 for bar in bars) == pytest.approx(picture.width - 64, abs=0.5)
    (dark, *_) = (bar.width for bar in bars if bar.look == "read")
    count = sum(leaf.cost[0] for step in arch.blocks[0] for leaf in step.leaves() if leaf.touched - {"c"})
    assert dark + 0.5 == pytest.approx((picture.width - 64) * count / arch.params, abs=0.5)


def test_what_never_reaches_and_what_is_left_out_is_said() -> None:
    apart = network("h=s2.m2:1 w=s2.m2:1 c=m1:4", (nodes("h=s2 w=s2 c=m4"),))
    words = " ".join(text for text, _ in boxes(draw_network(apart)))
    assert "positions stay apart" in words and "reads 1 of 4" in words
    assert "3 of 4 positions never reach it before the mean over positions at the end." in words
    steps = [nodes(f"t={text} c=s2") for text in ("s2.m2.s16", "s16.m2.s2", "m2.s32", "s4.m2.s8", "s8.m2.s4", "s32.m2")]
    long = network("t=s64 c=m1:2", *((steps[i % 6],) for i in range(24)))
    picture = draw_network(long)
    assert "Blocks 16 to 23 are left out." in [text for text, _ in boxes(picture)]


def test_a_large_grid_is_drawn_in_part_and_without_numbers() -> None:
    arch = network("h=s80 w=s80 c=m1:2", (nodes("h=s40.m2 w=s80 c=s2"),))
    picture = draw_network(arch)
    texts = [text for text, _ in boxes(picture)]
    assert "drawn: the first 64 × 64 of 80 × 80" in texts and "reads 2 of 6,400" in texts
    assert len(picture.svg) < 400_000
