"""Pages of docs/ are true: their Python runs, as one script without a guard from stdin, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONE_CORE = (
    "import os\nif hasattr(os, 'sched_setaffinity'):\n    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
)
PAGES = {"api.md": "", "own_code.md": ONE_CORE}
"""What stands before a page's own: workers and threads as they come, or on one core."""


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.outside
@pytest.mark.parametrize("page", PAGES)
def test_its_examples_print_what_their_comments_say(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    script = "\n".join(blocks)
    said = re.findall(r"^print\(.*\)  # (.*)$", script, re.MULTILINE)
    assert len(blocks) > 3 and len(said) > 6
    done = subprocess.run(
        [sys.executable, "-"],
        input=PAGES[page] + script,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert [text for text in said if text not in printed] == [], printed


def test_own_code_names_every_example() -> None:
    named = set(re.findall(r"`examples/(\w+\.py)`", text_of("own_code.md")))
    assert named == {path.name for path in (ROOT / "examples").glob("*.py")}
