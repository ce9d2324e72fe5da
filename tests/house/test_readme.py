"""README.md and docs/guide.md are true: Python runs, commands exist, mixers read as they say, rooms are folders."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from einmix import Mixer
from nas.cli.main import app

ROOT = Path(__file__).parents[2]
README, GUIDE, CONTRIBUTING = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/guide.md", "CONTRIBUTING.md")
)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README + GUIDE, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = "\n".join(text for language, text in BLOCKS if language == "sh").replace("\\\n", " ").splitlines()
COMMANDS = [line[line.index("nas ") :].partition("  #")[0] for line in SHELL if re.search(r"(^|&& )nas ", line)]
MIXERS = re.findall(r"^\| `([^`]+=[^`]+)` \| `([^`]+ -> [^`]+)` \| `([^`]*)` \|", README, re.MULTILINE)


def name_of(block: str) -> str:
    """The file that a block is, by its first line."""
    found = re.match(r"# (\w+\.py)\n", block)
    assert found, f"a Python block begins with `# NAME.py`, not {block[:40]!r}"
    return found[1]


def python(*arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python blocks as files."""
    folder = tmp_path_factory.mktemp("readme")
    for block in PYTHON:
        (folder / name_of(block)).write_text(block, encoding="utf-8")
    return folder


def test_there_is_something_to_test() -> None:
    assert [name_of(block) for block in PYTHON] == ["use.py", "my_data.py", "my_space.py"]
    assert len(COMMANDS) > 5
    assert len(MIXERS) > 5


def test_it_is_a_front_page() -> None:
    assert len(README.splitlines()) <= 150


def test_the_table_is_that_of_the_run_that_is_kept() -> None:
    """But for what is cut, as the README says."""
    shown = next(text for language, text in BLOCKS if language == "text" and " rank " in text)
    printed = python("-m", "nas", "top", str(ROOT / "runs" / "records" / "subgrid-digits-c6a565"), cwd=ROOT)
    told = {line.rstrip() for line in printed.splitlines()}
    assert [line for line in shown.splitlines() if line not in told] == []


@pytest.mark.outside
def test_python_prints_what_its_comments_say(folder: Path) -> None:
    printed = python("use.py", cwd=folder)
    said = re.findall(r"^print\(.*\)  # (.*)$", PYTHON[0], re.MULTILINE)
    assert said
    for text in said:
        assert text in printed
    assert printed.splitlines()[-1].startswith("best of 4:")


@pytest.mark.outside
def test_own_data_is_read(folder: Path) -> None:
    python("my_data.py", cwd=folder)
    data = next(folder.glob("*.npz")).name
    assert f"--data {data}" in GUIDE
    assert "subgrid" in python("-m", "nas", "spaces", "--data", data, cwd=folder)


@pytest.mark.outside
def test_own_space_is_searched(folder: Path) -> None:
    proposed = python("-m", "nas", "search", "--space", "my_space.py", "--trials", "3", "--dry-run", cwd=folder)
    assert proposed.count("Mix(") >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_and_their_options_exist(command: str) -> None:
    name, *arguments = shlex.split(command)[1:]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert name in commands
    known = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
    assert {argument for argument in arguments if argument.startswith("-")} <= known


@pytest.mark.parametrize(("text", "pattern", "weight"), MIXERS)
def test_mixers_read_as_the_table_says(text: str, pattern: str, weight: str) -> None:
    call = Mixer.parse(text).einmix()
    assert (call["pattern"], call["weight_shape"]) == (pattern, weight)


PACKAGES = ("einmix", "search_spaces", "nas")
_TREE = re.findall(r"^```text\n(einmix/ .*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)[0].splitlines()
ROOMS = {path: words.strip() for path, _, words in (line.partition(" ") for line in _TREE)}
"""Folder -> what CONTRIBUTING.md says of it."""


def test_every_room_has_its_line() -> None:
    """Of a room CONTRIBUTING.md says what the room says of itself, or how that begins."""
    wrong = {}
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")):
        room = f"{file.parent.relative_to(ROOT)}/"
        said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if not said.lower().startswith(ROOMS.get(room, "no line").lower()):
            wrong[room] = said.partition("\n")[0]
    assert wrong == {}


def test_every_line_is_a_folder_and_what_is_beside_the_packages_has_one() -> None:
    assert [room for room in ROOMS if not room.endswith("/") or not ROOMS[room] or not (ROOT / room).is_dir()] == []
    beside = {"tests/", "benchmarks/", "docs/", "runs/", ".ci/"}
    for folder in ("tests", "docs"):  # tests of a room lie in a folder of the same name
        below = (
            path for path in (ROOT / folder).iterdir() if path.is_dir() and path.name not in (*PACKAGES, "__pycache__")
        )
        beside |= {f"{folder}/{path.name}/" for path in below}
    assert beside - set(ROOMS) == set()
