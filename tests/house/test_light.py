"""What is cheap to import stays cheap; and the examples in the docstrings of einmix are true."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import einmix
import search_spaces

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "ray", "optuna", "matplotlib", "fsspec")
HELP = """
import sys
from nas.__main__ import main

sys.argv = ["nas", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def loaded_by(program: str, folder: Path = ROOT) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after a program, which must end well."""
    check = f"\nimport sys\nprint('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program + check], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "program",
    ["import einmix", "import search_spaces", "import nas.runs.storage", HELP],
    ids=["einmix", "search_spaces", "nas.runs.storage", "nas --help"],
)
def test_nothing_heavy_is_loaded(program: str) -> None:
    assert loaded_by(program) == set()


TRAINING = """
import json
import sys
from pathlib import Path
from random import Random
from nas.data.known import load
from nas.training import worker
from nas.training.trainer import ArchitectureTrainer
from nas.training.recipe import Recipe
from nas.runs.job import Job
from search_spaces import load as load_space

digits = load("digits", data_dir=Path("none"), seed=0, limit=100)
recipe = Recipe.for_dataset(digits, epochs=4)  # a step each: recorded, compared, and done by the recording
space = load_space("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10, width=(8,), depth=(1,))
trainer = ArchitectureTrainer(digits, recipe)
job = Job(json.loads(space.sample(Random(0)).to_json()), "a", 0.01, 0, 4)
assert trainer(job, lambda score: True).state == "complete"
print(*sorted({"torch._dynamo", "sympy", "sklearn", "scipy", "optuna"} & set(sys.modules)), end=".")
"""


@pytest.mark.outside
def test_the_first_training_waits_for_nothing_that_it_does_not_need() -> None:
    """Each of these takes half a second to two seconds to import: torch's compiler, and what reads digits."""
    done = subprocess.run([sys.executable, "-c", TRAINING], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "."


@pytest.mark.outside
@pytest.mark.parametrize("name", [name for name in HEAVY if importlib.util.find_spec(name)])
def test_the_check_finds_what_is_loaded(name: str, tmp_path: Path) -> None:
    """A module that imports a heavy package somewhere inside is caught."""
    (tmp_path / "light.py").write_text("import inner\n")
    (tmp_path / "inner.py").write_text(f"def start():\n    import {name}\nstart()\n")
    assert name in loaded_by("import light", tmp_path)


def test_the_check_fails_with_the_program(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no_such_module"):
        loaded_by("import no_such_module", tmp_path)


def test_help_is_checked_by_the_command_that_people_run() -> None:
    """The entry point of pyproject.toml is the function that the test above calls."""
    assert 'nas = "nas.__main__:main"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


INTERRUPTED = """
import importlib, os, signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
module, function = sys.argv[2].split(":")
getattr(importlib.import_module(module), function)()
"""


@pytest.mark.parametrize("moment", ["nas.cli", "typer", "einmix", "search_spaces.blocks"])
def test_ctrl_c_while_the_command_is_still_imported_is_one_line(moment: str) -> None:
    """As the installed script does it, whose first line is the import of the entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    command = [sys.executable, "-c", INTERRUPTED, moment, project["scripts"]["nas"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = "nas: stopped: finished trainings are on disk, and the same command goes on\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", told)


def test_next_to_nothing_is_imported_before_ctrl_c_is_looked_after() -> None:
    program = "import sys; sys.path.insert(0, '.'); import enum, os; old = set(sys.modules); import nas.__main__"
    program += "; print(*sorted(set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["nas", "nas.__main__", "signal"], done.stderr


@pytest.mark.parametrize(
    "name",
    [
        *("einmix", *(module.name for module in pkgutil.walk_packages(einmix.__path__, "einmix."))),
        *("search_spaces", *(each.name for each in pkgutil.walk_packages(search_spaces.__path__, "search_spaces."))),
    ],
)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert not found.failed


def test_the_examples_of_the_design() -> None:
    found = doctest.testfile(str(ROOT / "docs" / "design.md"), module_relative=False)
    assert found.attempted and not found.failed


def test_the_public_functions_have_examples() -> None:
    names = ("factors", "factor_sets", "mixer", "names", "order", "reach")
    modules = (importlib.import_module(f"einmix.algebra.{name}") for name in names)
    assert all(doctest.testmod(module).attempted for module in modules)
