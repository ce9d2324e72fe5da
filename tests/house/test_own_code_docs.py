"""docs/own_code.md is true: its Python runs, as a script without a guard, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "own_code.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ONE_CORE = (
    "import os\nif hasattr(os, 'sched_setaffinity'):\n    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
)


def test_its_examples_print_what_their_comments_say(tmp_path: Path) -> None:
    script = "\n".join(BLOCKS)
    said = re.findall(r"^print\(.*\)  # (.*)$", script, re.MULTILINE)
    assert len(BLOCKS) > 5 and len(said) > 6
    done = subprocess.run(
        [sys.executable, "-"],
        input=ONE_CORE + script,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == said


def test_it_names_every_example() -> None:
    assert set(re.findall(r"`examples/(\w+\.py)`", TEXT)) == {path.name for path in (ROOT / "examples").glob("*.py")}
