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

ROOT = Path(__file__).parents[2]
COPIED = ("einmix", "search_spaces", "nas", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Addition:
    """A file with what it holds; of other files what is written there, and before what; the tests of its contract."""

    file: str
    text: str
    entries: Mapping[str, Mapping[str, str]]
    contract: str
    least: int
    """How many tests there are for every member of the list, or more."""


HALVES = '''"""By halves: one half of an axis with the other, or all of it; channels in pairs, or each by itself."""

from search_spaces.space import Family, Space

SPACE = Space("by_halves", "halves or all", (Family("halves", "m2.s*|m*", "g*.s2|g*"),))
'''

CLIMB = '''"""Climb: a neighbour of the best so far, or at random where all of them are known."""

from nas.ranking.objectives import teaches
from nas.strategies.random_search import RandomSearch


class Climb:
    """Local search by one objective, begun anew wherever a better network is told."""

    ahead = False

    def __init__(self, space, budget, seed, objectives):
        self.space, self.budget, self.objectives = space, budget, objectives
        self.uniform = RandomSearch(space, budget, seed, objectives)
        self.best, self.ahead_of_all = None, float("-inf")

    def ask(self):
        for near in self.space.neighbours(self.best) if self.best else ():
            if self.budget.admits(near.params, near.macs) and self.uniform.take(near):
                return near
        return self.uniform.ask()

    def expect(self, architecture):
        self.uniform.expect(architecture)

    def tell(self, architecture, result):
        self.uniform.tell(architecture, result)
        if result.score and teaches(result, self.objectives):
            figure = self.objectives[0].sign * self.objectives[0].of(result, result.score)
            if figure > self.ahead_of_all:
                self.best, self.ahead_of_all = architecture, figure
'''

BUNDLE = '''"""A network as one file that torch loads: its text and its weights."""

from einmix import source
from nas.errors import NasError
from nas.exports.check import Exported, Format

LOAD = """
def load(file, weights):
    kept, names = torch.load(file), {"__name__": "exported"}
    exec(kept["text"], names)
    net = names["model"]().eval()
    net.load_state_dict(kept["weights"] or read(weights), strict=True)
    return net, names.get("preprocess")
"""


def write(wanted, folder):
    import torch
    from safetensors.torch import load_file

    inputs = wanted.preprocessing
    text = source(wanted.architecture, wanted.facts, inputs.text(wanted.architecture) if inputs else "")
    file = folder / f"{wanted.name}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({"text": text, "weights": load_file(wanted.weights) if wanted.weights else {}}, file)
    except OSError as error:
        raise NasError(f"cannot write {error.filename or file}: {error.strerror}") from None
    return Exported(wanted.architecture, file, wanted.weights, inputs)


FORMAT = Format(write, LOAD, ("torch", "einops"))
'''

(FLIP,) = re.findall(r'```python\n(""".*?)```', (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)

ADDITIONS = {
    "flip": Addition(
        "einmix/kinds/flip.py",
        FLIP,
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
        HALVES,
        {
            "search_spaces/__init__.py": {
                "grouped, local, macro": "by_halves, ",
                "grouped, local, subgrid": "by_halves, ",
            }
        },
        "tests/search_spaces/test_spaces.py",
        least=19,
    ),
    "climb": Addition(
        "nas/strategies/climb.py",
        CLIMB,
        {
            "nas/strategies/__init__.py": {
                "from nas.strategies.exhaustive ": "from nas.strategies.climb import Climb\n",
                '    "exhaustive": Exhaustive,': '    "climb": Climb,\n',
            }
        },
        "tests/nas/strategies/test_strategies.py",
        least=20,
    ),
    "bundle": Addition(
        "nas/exports/bundle.py",
        BUNDLE,
        {
            "nas/exports/__init__.py": {
                "module\nfrom nas.exports.check": "bundle, ",
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
    (root / addition.file).write_text(addition.text)
    for name, entries in addition.entries.items():
        text = (root / name).read_text()
        for before, entry in entries.items():
            assert text.count(before) == 1, before
            text = text.replace(before, entry + before)
        (root / name).write_text(text)


def test_one_file_and_one_entry_are_enough(tmp_path):
    for copied in COPIED:
        copy = shutil.copytree if (ROOT / copied).is_dir() else shutil.copy2
        copy(ROOT / copied, tmp_path / copied)
    for addition in ADDITIONS.values():
        add(addition, tmp_path)
    contracts = [addition.contract for addition in ADDITIONS.values()]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-v", "-k", " or ".join(ADDITIONS), *contracts]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, addition in ADDITIONS.items():
        passed = re.findall(rf"^{addition.contract}::\S+\[.*{name}.*\] PASSED", done.stdout, re.MULTILINE)
        assert len(passed) >= addition.least, done.stdout
