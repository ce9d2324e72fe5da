"""The examples run as a reader runs them, at a small size: from a clean process, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = {path.name: path for path in (ROOT / "examples").glob("*.py")}
SAYS = {
    "lightning_loop.py": "best of 2 trials: ",
    "multi_label.py": "<Run multi-label: 2 candidates, best ",
    "optuna_study.py": "best of 2 trials: ",
    "own_model.py": "<Run own-model: 2 candidates, best ",
    "own_trainer_regression.py": "<Run regression: 2 candidates, best ",
    "ray_tuner.py": "best of 2 trials: ",
}


ONE_CORE = """
import os, runpy, sys
if hasattr(os, "sched_setaffinity"):  # threads that wait for one another compute more slowly than one
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.outside
@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    small = {"TRIALS": "2", "EPOCHS": "2", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", ONE_CORE, str(EXAMPLES[name])],
        cwd=tmp_path,
        env=os.environ | small,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[name] in done.stdout


def test_all_are_run_and_say_what_they_take() -> None:
    assert SAYS.keys() == EXAMPLES.keys()
    for path in EXAMPLES.values():
        doc = path.read_text(encoding="utf-8").split('"""')[1]
        assert "pip install " in doc and f"python examples/{path.name}" in doc, path
