"""To add a thing is one file and one entry in its list: a copy of the packages gets both, and then the list's contract.

Of a copy, since it is proven so that nothing else has to know of it, be it made when the packages are imported.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("einmix", "search_spaces", "nas", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Addition:
    """A file with what it holds; the list, and what is written there in place of what; whose contract it then keeps."""

    file: str
    text: str
    listed: str
    entry: Mapping[str, str]
    contract: str
    least: int
    """How many tests there are for every member of the list, or more."""


HALVES = '''"""By halves: one half of an axis with the other, or all of it; channels in pairs, or each by itself."""

from search_spaces.space import Family, Space

SPACE = Space("by_halves", "halves or all", (Family("halves", "m2.s*|m*", "g*.s2|g*"),))
'''

ADDITIONS = {
    "by_halves": Addition(
        "search_spaces/by_halves.py",
        HALVES,
        "search_spaces/__init__.py",
        {"import grouped, ": "import grouped, by_halves, ", "in (grouped, ": "in (grouped, by_halves, "},
        "tests/search_spaces/test_spaces.py",
        least=19,
    ),
}


def add(addition: Addition, root: Path) -> None:
    """Writes the file, and its entry into the list; no other file is touched."""
    assert not (root / addition.file).exists()
    (root / addition.file).write_text(addition.text)
    text = (root / addition.listed).read_text()
    for old, new in addition.entry.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (root / addition.listed).write_text(text)


@pytest.mark.parametrize("name", ADDITIONS)
def test_one_file_and_one_entry_are_enough(name, tmp_path):
    for copied in COPIED:
        copy = shutil.copytree if (ROOT / copied).is_dir() else shutil.copy2
        copy(ROOT / copied, tmp_path / copied)
    add(ADDITIONS[name], tmp_path)
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-k", name, ADDITIONS[name].contract]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= ADDITIONS[name].least, done.stdout
