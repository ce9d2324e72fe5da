"""To add a thing is one file and one entry in its list: a copy of the packages gets both, and then the list's contract.

Of a copy, since it is proven so that nothing else has to know of it, be it made when the packages are imported.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("einmix", "search_spaces", "nas", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Addition:
    """A file of CONTRIBUTING.md; what is written to other files, and before what; the tests of its contract."""

    file: str
    entries: Mapping[str, Mapping[str, str]]
    contract: str
    least: int
    """How many tests there are for every member of the list, or more."""


GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
WRITTEN = dict(re.findall(r"whole\s+of\s+`(\S+)`:\n\n```python\n(.*?)```", GUIDE, re.DOTALL))
"""The files of CONTRIBUTING.md, which are added as they are written there."""

READ_JSONL = """def read_jsonl(folder: Path) -> list[Logged]:
    found = []
    for path in folder.glob("jsonl/**/*.jsonl"):
        facts, *rows = map(json.loads, path.read_text().splitlines())
        curves = {name: {row["training_iteration"]: row[name] for row in rows if name in row} for name in CURVE}
        name = str(path.parent.relative_to(folder / "jsonl"))
        found.append(Logged(name, {fact: str(value) for fact, value in facts.items()}, curves))
    return found


"""

ADDITIONS = {
    "flip": Addition(
        "einmix/kinds/flip.py",
        {
            "einmix/kinds/__init__.py": {
                "from einmix.kinds.gate ": "from einmix.kinds.flip import Flip\n",
                "Mix, Linear, Norm": "Flip, ",
            },
            "tests/kit/kinds.py": {
                "    Gate,\n": "    Flip,\n",
                '        "residual": ': '        "flip": (Flip(first),),\n',
            },
        },
        "tests/einmix/kinds/test_nodes.py",
        least=15,
    ),
    "by_halves": Addition(
        "search_spaces/by_halves.py",
        {
            "search_spaces/__init__.py": {
                "grouped, local, macro": "by_halves, ",
                "grouped, local, subgrid": "by_halves, ",
            }
        },
        "tests/search_spaces/test_spaces.py",
        least=19,
    ),
    "randformer": Addition(
        "search_spaces/zoo/randformer.py",
        {
            "search_spaces/zoo/__init__.py": {
                "    resmlp,\n": "    randformer,\n",
                "        raft.MEMBER,": "        randformer.MEMBER,\n",
            },
            "tests/search_spaces/zoo/test_zoo.py": {'"resmlp-tutorial", "fnet"': '"randformer", '},
        },
        "tests/search_spaces/zoo/test_zoo.py",
        least=13,
    ),
    "climb": Addition(
        "nas/strategies/climb.py",
        {
            "nas/strategies/__init__.py": {
                "from nas.strategies.fast_tpe ": "from nas.strategies.climb import Climb\n",
                '    "exhaustive": exhaustive,': '    "climb": Climb,\n',
            },
            "nas/options/search.py": {" or exhaustive.": ", climb"},
        },
        "tests/nas/strategies/test_strategies.py",
        least=20,
    ),
    "jsonl": Addition(
        "nas/loggers/jsonl.py",
        {
            "nas/loggers/__init__.py": {"mlflow, tensorboard": "jsonl, ", '"mlflow": ': '"jsonl": jsonl.LOGGER, '},
            "nas/options/common.py": {"mlflow,wandb.": "jsonl,"},
            "tests/nas/loggers/test_loggers.py": {
                "READ = {": READ_JSONL,
                '"tensorboard": read_': '"jsonl": read_jsonl, ',
            },
        },
        "tests/nas/loggers/test_loggers.py",
        least=2,
    ),
    "tally": Addition(
        "nas/cli/tally.py",
        {"nas/cli/__init__.py": {"train, zoo\n": "tally, ", '    "zoo": zoo.app': '    "tally": tally.tally,\n'}},
        "tests/nas/cli/test_cli.py",
        least=2,
    ),
    "bundle": Addition(
        "nas/exports/bundle.py",
        {
            "nas/exports/__init__.py": {
                "flax, hf, keras, module": "bundle, ",
                '"module": module.FORMAT': '"bundle": bundle.FORMAT, ',
            }
        },
        "tests/nas/exports/test_export.py",
        least=2,
    ),
}


def add(addition: Addition, root: Path) -> None:
    """Writes the file, and its entry into the list (of a kind of node, an example into the contract's)."""
    assert not (root / addition.file).exists()
    (root / addition.file).write_text(WRITTEN[addition.file])
    for name, entries in addition.entries.items():
        text = (root / name).read_text()
        for before, entry in entries.items():
            assert text.count(before) == 1, before
            text = text.replace(before, entry + before)
        (root / name).write_text(text)


def test_every_file_of_the_guide_is_added():
    assert WRITTEN.keys() == {addition.file for addition in ADDITIONS.values()}


@pytest.fixture
def ran(tmp_path) -> Callable[..., str]:
    """Runs a module of Python's in a copy to which all is added; what it prints, once it succeeds."""
    for copied in COPIED:
        copy = shutil.copytree if (ROOT / copied).is_dir() else shutil.copy2
        copy(ROOT / copied, tmp_path / copied)
    for addition in ADDITIONS.values():
        add(addition, tmp_path)

    def run(*command: str) -> str:
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_what_is_added_has_types(ran):
    ran("mypy", *WRITTEN)


@pytest.mark.outside
def test_one_file_and_one_entry_are_enough(ran):
    """All is added at once."""
    contracts = [addition.contract for addition in ADDITIONS.values()]
    printed = ran("pytest", "-n", "0", "-v", "-k", " or ".join([*ADDITIONS, "names_them_all"]), *contracts)
    for name, addition in ADDITIONS.items():
        passed = re.findall(rf"^{addition.contract}::\S+\[.*{name}.*\] PASSED", printed, re.MULTILINE)
        assert len(passed) >= addition.least, printed
