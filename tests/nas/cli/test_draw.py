"""`nas draw` and `nas.draw`: by which words what is drawn, where it is written, and what is refused in one line."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import svg

import nas
from einmix import Mixer
from einmix.pictures.mixer import draw_mixer
from nas.cli.main import main
from nas.errors import NasError
from search_spaces import SPACES, load
from search_spaces.zoo import ZOO

RUNS = Path(__file__).resolve().parents[2] / "house" / "runs"
RUN = "macro-digits-f65742"
CALL = '"b c (hI h) (wI w) -> b c (hO h) (wO w)" "c hI wI hO wO" c=64 hI=8 h=4 wI=8 w=4 hO=8 wO=8'


@pytest.fixture
def draw(tmp_path, monkeypatch, capsys) -> Callable[[str], tuple[int, str, str]]:
    """Runs `nas draw …` in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nas", "draw", *shlex.split(line)])
        status = 0
        try:
            main()
        except SystemExit as leave:
            status = int(leave.code or 0)
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("line", "file", "title"),
    [
        ("'h=m8.s4 w=m8.s4 c=g64'", "h-m8.s4-w-m8.s4-c-g64.svg", "h=m8.s4 w=m8.s4 c=g64"),
        ("h=m8.s4 w=m8.s4 c=g64 +b", "h-m8.s4-w-m8.s4-c-g64-b.svg", "h=m8.s4 w=m8.s4 c=g64 +b"),
        (CALL, "h-m8.s4-w-m8.s4-c-g64.svg", "h=m8.s4 w=m8.s4 c=g64"),
        ("'b t c -> b t d' 'c d' d c=4 t=3 d=5", "t-s3-c-m4-5-b.svg", "t=s3 c=m4:5 +b"),
        ("gmlp --width 8 --depth 1", "network-gmlp.svg", "Network gmlp"),
        ("fnet --data mnist1d --width 8", "network-fnet.svg", "Network fnet"),
        ("local --width 8", "space-local.svg", "Space local"),
        (f"{RUN} 1 --runs-dir {RUNS}", None, f"Network {RUN} "),
        ("h=m4 c=g2 -o new/a.svg --theme light", "new/a.svg", "h=m4 c=g2"),
    ],
)
def test_what_is_drawn_is_written_and_its_path_printed(line, file, title, draw, tmp_path):
    status, out, err = draw(line)
    (written,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert (status, out, err) == (0, f"{written.relative_to(tmp_path)}\n", "")
    assert str(written.relative_to(tmp_path)) == file or (file is None and written.name.startswith(f"network-{RUN}-"))
    text = written.read_text(encoding="utf-8")
    assert f"<title>{title}" in text and svg.elements(text)
    assert ("prefers-color-scheme" in text) == ("--theme" not in line)


REFUSED = [
    ("", "Missing argument 'WHAT'"),
    ("mixr", r"'mixr' cannot be drawn: did you mean 'mixer' or 'mixed' or 'dynamixer'\? known: .*; a mixer as 'h=m8"),
    ("mixer:s/17", r"no published size 's/17' of mixer: did you mean 's/16'"),
    ("mixer/s/16", r"no network 'mixer/s/16' in the zoo: did you mean 'mixer:s/16'\?"),
    ("mixer:s/16 --width 8", "mixer:s/16 has a published size: leave --width out"),
    (
        "a b c",
        r"'a b c' cannot be drawn: a mixer as .*, an EinMix call with its sizes, a space, a network of the zoo, RUN",
    ),
    ("gone 1", "no run 'gone' in runs"),
    (f"{RUN} --runs-dir {RUNS}", f"of a run one network is drawn: nas draw {RUN} 1, or another rank or an id"),
    (f"{RUN} zzzz --runs-dir {RUNS}", "zzzz"),
    ("h=m8.x", r"'x' is no factor: 'h=m8.x' \(write a role and a size"),
    ("h=m8 w", r"'w' is no axis: 'h=m8 w' \(write AXIS=FACTORS"),
    ("h=m8 --width 3 --data digits", "--data and --width: a mixer has its sizes; these are for spaces and the zoo"),
    (f"{CALL} --patch 2", "--patch: an EinMix call has its sizes"),
    (f"{RUN} 1 --runs-dir {RUNS} --depth 2", "--depth: a network of a run has its sizes"),
    ("'b c -> b d'", "an EinMix pattern is followed by its weight shape, perhaps a bias shape, and sizes"),
    ("'b c -> b d' c d e", "an EinMix pattern is followed by"),
    ("'b c -> b d' 'c d' c=x d=2", "a size is written once and as a whole number, as in c=64, not 'c=x'"),
    ("'b c -> b d' 'c d' c=2 c=2 d=2", "a size is written once"),
    ("'b c -> b d' 'c d' c=2 d=2 e=3", "has no axis 'e'"),
    ("'b c -> b d' 'c d' c=2", "d"),
    ("subgrid --patch 3", "3"),
    ("none.py", "cannot read space 'none.py'"),
    ("mixer --theme blue", "no --theme 'blue': known: auto, dark, light"),
    ("h=m8 -o a.gif", r"a picture cannot be saved as 'a.gif' \(write .svg, .png, .pdf\)"),
]


@pytest.mark.parametrize(("line", "pattern"), REFUSED)
def test_what_cannot_be_drawn_is_told_in_one_line(line, pattern, draw, tmp_path):
    status, out, err = draw(line)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"nas: .*\n", err) and re.search(pattern, err), err
    assert list(tmp_path.iterdir()) == []


def test_no_name_means_two_things():
    assert set(SPACES) & set(ZOO) == set()


def test_from_python():
    mixer = Mixer.parse("h=m4.s2 w=m4.s2 c=g32")
    assert nas.draw(mixer) == nas.draw(str(mixer)) == draw_mixer(mixer)
    assert nas.draw(str(mixer), theme="dark").theme == "dark"
    found = nas.open_run(RUN, RUNS)[1]
    drawn = nas.draw(found.architecture)
    assert drawn.title == f"Network {found.id}"
    assert drawn.shapes[1:] == nas.draw(RUN, "1", runs_dir=RUNS).shapes[1:] == nas.draw(Path(RUNS, RUN), 1).shapes[1:]
    for wrong in ((), (3.5,), ("h=m8", mixer)):
        with pytest.raises(NasError, match="a mixer, an architecture or words are drawn, not "):
            nas.draw(*wrong)
    with pytest.raises(NasError, match="no option 'them'"):
        nas.draw(mixer, them="dark")


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_one_picture_of_each_family_or_form(name):
    picture = nas.draw(name, width=8, depth=2, shape="4x4x1")
    svg.check_texts(picture)
    texts = [text for text, _ in svg.boxes(picture)]
    assert [idea for idea in load(name).ideas if idea not in texts] == []
    assert texts[0] == f"Space {name}"
    if not load(name).forms:
        mixers = [text for text in texts if re.fullmatch(r"h=\S+ w=\S+ c=\S+", text)]
        assert len(mixers) == len(load(name).families)
        assert all(Mixer.parse(text).mixed for text in mixers)
