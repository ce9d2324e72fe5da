"""The pictures of the documents are those that the code draws, and a document shows each of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import svg

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made, shots = _loaded("pictures"), _loaded("screenshots")


@pytest.mark.parametrize("name", made.PICTURES)
def test_a_picture_is_current(name: str) -> None:
    """If not: python docs/pictures.py."""
    picture = made.PICTURES[name]()
    svg.check_texts(picture)
    assert picture.svg + "\n" == (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")


def test_every_picture_is_drawn_and_shown() -> None:
    page = (DOCS / "pictures.md").read_text(encoding="utf-8")
    ours = {path.stem for path in (DOCS / "pictures").glob("*.svg") if not path.stem.startswith("findings-")}
    assert ours == set(made.PICTURES)  # test_findings.py has the others
    assert [name for name in made.PICTURES if f"(pictures/{name}.svg)" not in page] == []


def test_screenshots_are_of_the_page_as_it_is_made_now() -> None:
    """If not: python docs/screenshots.py."""
    assert shots.DIGEST.read_text(encoding="utf-8").strip() == shots.digest(shots.page())
    page = (DOCS / "report.md").read_text(encoding="utf-8")
    assert {path.name for path in (DOCS / "pictures").glob("*.png")} == set(shots.SHOTS)
    assert [name for name in shots.SHOTS if f"(pictures/{name})" not in page] == []


def test_the_tutorial_s_sub_grids_are_the_mixer_s() -> None:
    """Letters in and out, four by four dots a sub-grid, and lines only from a position to its own sub-grid."""
    picture = made.tutorial()
    reach = made.TUTORIAL.reach()
    h, w = reach.along("h"), reach.along("w")
    rows = svg.squares(picture.svg, r"read|tint\d")
    for row, line in enumerate(rows):
        left, right = line[:8], line[8:]
        for column, square in enumerate(left):
            assert square.text == "ABCD"[2 * (row % 2) + column % 2]
            assert right[column].text in (square.text, "")
            assert right[column].look == square.look == ("read" if h[3, row] and w[5, column] else square.look)
    assert svg.marked(picture.svg, rows) == [(3, 13)]
    dots = [each for each in svg.elements(picture.svg) if each.tag == "circle" and each.given["r"] == "6.5"]
    assert len(dots) == 64 and sum(each.look == "read" for each in dots) == 16
    straight = [
        each for each in svg.elements(picture.svg) if each.tag == "line" and each.look in ("edge", "readstroke")
    ]
    assert len(straight) == 4 * 16 * 15 // 2 + 1
