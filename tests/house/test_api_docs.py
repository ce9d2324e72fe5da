"""docs/api.md is true: its Python runs, as a script without a guard that comes from stdin, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_its_examples_print_what_their_comments_say(tmp_path: Path) -> None:
    script = "\n".join(BLOCKS)
    said = re.findall(r"^print\(.*\)  # (.*)$", script, re.MULTILINE)
    assert len(BLOCKS) > 3 and len(said) > 7
    done = subprocess.run(
        [sys.executable, "-"],
        input=script,
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
