"""Pictures as files and in pages: themes, suffixes, words for those who do not see, widths of texts."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import svg
from PIL import Image

import einmix
from einmix import Mixer, PatternError
from einmix.pictures.mixer import draw_mixer
from einmix.pictures.picture import Picture, sheet
from einmix.pictures.shapes import LOOKS, TINTS, Disc, Line, Rect, Text, broken, fitting, moved, style, width_of
from search_spaces.zoo import ZOO, Inputs

MIXER = Mixer.parse("h=m4.s2 w=m4.s2 c=g8")


@pytest.fixture(scope="module")
def picture() -> Picture:
    return draw_mixer(MIXER)


def test_an_svg_stands_alone(picture: Picture) -> None:
    """Title and description first, nothing that is run or fetched, and no ids that another one in a page might have."""
    root = ElementTree.fromstring(picture.svg)
    assert [each.tag.removeprefix(svg.NAMESPACE) for each in root][:2] == ["title", "desc"]
    assert (root[0].text, root.get("role")) == (str(MIXER), "img")
    assert "a 4 x 4 subgrid in steps of 2, weights per channel" in (root[1].text or "")
    assert not re.search(r"\bid=|<script|url\(|href|clip-path|--", picture.svg)
    assert {each.tag for each in svg.elements(picture.svg)} <= {"rect", "circle", "line", "path", "text"}


def test_text_is_text_and_what_could_be_markup_is_not() -> None:
    strange = "<b>&'\"</script>"
    drawn = Picture(9, 9, (Text("ink", 1, 2, strange, 3),), strange, strange)
    root = ElementTree.fromstring(drawn.svg)
    assert [root[0].text, root[1].text, svg.elements(drawn.svg)[-1].text] == [strange] * 3


def test_themes(picture: Picture) -> None:
    light, dark = LOOKS["ink"].fill
    auto, on_light, on_dark = (picture.themed(theme).svg for theme in ("auto", "light", "dark"))
    assert auto.index(light) < auto.index("prefers-color-scheme:dark") < auto.index(dark)
    assert light in on_light and dark not in on_light and "prefers" not in on_light
    assert dark in on_dark and light not in on_dark and "prefers" not in on_dark
    assert all(svg.elements(each)[0].look == "paper" for each in (auto, on_light, on_dark))
    with pytest.raises(PatternError, match="no theme 'blue'"):
        picture.themed("blue")  # type: ignore[arg-type]


def test_only_looks_that_are_used_have_rules(picture: Picture) -> None:
    ruled = set(re.findall(r"\.em-(\w+)\{", picture.svg))
    assert ruled == {each.look for each in svg.elements(picture.svg)}
    assert "<style>" not in picture.markup() and style({"ink"}, "light") in picture.markup(style({"ink"}, "light"))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_contrasts(dark: bool) -> None:
    """Text on all that it stands on, and what is read against every tint, also without colour."""
    ink, muted, read, on_read, paper = (LOOKS[n].fill[dark] for n in ("ink", "muted", "read", "onread", "paper"))
    assert min(contrast(ink, each) for each in (paper, *(tint[dark] for tint in TINTS))) > 4.6
    assert contrast(muted, paper) > 4.6 and contrast(on_read, read) > 4.6
    assert min(contrast(read, tint[dark]) for tint in TINTS) > 3
    for number in range(6):
        assert contrast(on_read if number == 0 else ink, LOOKS[f"shade{number}"].fill[dark]) > 3


def test_files(picture: Picture, tmp_path: Path) -> None:
    for theme, corner in (("auto", 255), ("dark", 0x14)):
        path = picture.themed(theme).save(tmp_path / f"{theme}.png")  # type: ignore[arg-type]
        with Image.open(path) as image:
            assert image.size == (2 * picture.width, 2 * picture.height)
            assert image.convert("RGB").getpixel((1, 1))[0] == corner
            rows = svg.squares(picture.svg, "read")
            looks = [image.convert("RGB").getpixel((int(2 * each.x + 8), int(2 * each.y + 8))) for each in rows[0]]
        wanted = LOOKS["read"].fill[theme == "dark"]
        assert {"#{:02x}{:02x}{:02x}".format(*each) for each in looks} == {wanted}
    assert picture.save(str(tmp_path / "a.pdf")).read_bytes().startswith(b"%PDF")
    assert picture.save(tmp_path / "a.svg").read_text() == picture.svg + "\n"


def test_every_shape_and_anchor_prints(tmp_path: Path) -> None:
    shapes = [
        Rect("card", 1, 1, 5, 5),
        Disc("read", 5, 5, 2),
        Line("edge", 0, 0, 9, 9),
        Line("edge", 0, 0, 9, 9, 1, "level"),
    ]
    texts = [
        Text("ink", 20, 20, "$a$ × →", 8, anchor, turned=turned)
        for anchor in ("start", "middle", "end")
        for turned in (0, 1)
    ]
    Picture(40, 40, (*shapes, *texts), "all", "All.").save(tmp_path / "a.png")  # type: ignore[arg-type]


def test_files_that_cannot_be_written(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PatternError) as wrong:
        picture.save("subgrid.gif")
    assert wrong.value.summary == "a picture cannot be saved as 'subgrid.gif' (write .svg, .png, .pdf)"
    with pytest.raises(OSError):
        picture.save(tmp_path / "no" / "a.svg")
    imported = builtins.__import__

    def without(name: str, *given: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PatternError) as wrong:
        picture.save(tmp_path / "a.png")
    told = ".png takes matplotlib, which is not installed (pip install 'einmix-nas[pictures]', or save as .svg)"
    assert wrong.value.summary == told


def test_notebooks_show_mixers_pictures_and_architectures(picture: Picture) -> None:
    shown: Any = MIXER
    assert shown._repr_svg_() == picture.svg == picture._repr_svg_()
    arch: Any = ZOO["mixer"].at(Inputs({"h": 4, "w": 4}, 1, 3), patch=1, width=8, depth=1)
    assert arch.id in ElementTree.fromstring(arch._repr_html_())[0].text
    assert isinstance(arch, einmix.Architecture)


def test_a_sheet_has_all_its_pictures_by_name(picture: Picture) -> None:
    whole = sheet("Two", "of a kind", [("first", picture), ("second", picture)])
    svg.check_texts(whole)
    texts = [text for text, _ in svg.boxes(whole)]
    assert texts[0] == "Two" and {"of a kind", "first", "second"} <= set(texts)
    assert texts.count(str(MIXER)) == 2
    assert len(svg.elements(whole.svg)) == 2 * len(picture.shapes) + 5
    assert "second: Mixing pattern" in whole.description


def test_texts_are_broken_cut_and_moved_by_their_width() -> None:
    lines = broken("a 4 x 4 subgrid in steps of 2, weightsweightsweights", 10, 60)
    assert "".join(lines).replace(" ", "") == "a4x4subgridinstepsof2,weightsweightsweights"
    assert all(width_of(line, 10) <= 60 for line in lines) and len(lines) > 3
    text = Text("ink", 0, 0, "h=m4.s2 w=m4.s2", 13, mono=True)
    assert fitting(text, 200) == text
    assert fitting(text, 100).size == pytest.approx(13 * 100 / text.width)
    assert fitting(text, 30).text.endswith("…") and fitting(text, 30).width <= 30
    (line, disc) = moved([Line("edge", 1, 2, 3, 4), Disc("read", 5, 6, 7)], 10, 20)
    assert line == Line("edge", 11, 22, 13, 24) and disc == Disc("read", 15, 26, 7)


def test_printed_texts_are_no_wider_than_planned() -> None:
    """matplotlib's letters, at the size that they get, against the widths that pictures are laid out by."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    from einmix.pictures.printing import NARROWED

    words = "reads the 16 positions D in 4 channels: weights per group of 8, 8,192 weights 32 × (16 × 16)"
    for kind, given in (("sans", {}), ("bold", {"bold": True}), ("mono", {"mono": True})):
        family = "DejaVu Sans Mono" if kind == "mono" else "DejaVu Sans"
        font = FontProperties(family=family, weight="bold" if kind == "bold" else "normal", size=100 * NARROWED[kind])
        printed = TextPath((0, 0), words, prop=font).get_extents().width
        assert 0.9 < printed / width_of(words, 100, **given) < 1.02, kind
