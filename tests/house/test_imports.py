"""The rooms of the house: what each may import and hold. Every rule is shown to be able to fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from rooms import RULES, House, Plan

ROOTS = ("einmix", "search_spaces", "nas")
BELOW_LOOP = "nas/strategies nas/surrogate nas/executors nas/ranking nas/claims nas/runs"
BELOW_API = f"nas/loop {BELOW_LOOP} nas/options nas/data nas/training nas/executors/cluster nas/loggers nas/exports"
HOUSE = Plan(
    may={
        "einmix": "einmix/pictures einmix/networks einmix/nodes einmix/algebra",
        "einmix/algebra": "",
        "einmix/nodes": "einmix/algebra",
        "einmix/kinds": "einmix/nodes einmix/algebra",
        "einmix/networks": "einmix/kinds einmix/nodes einmix/algebra",
        "einmix/pictures": "einmix/networks einmix/kinds einmix/nodes einmix/algebra",
        "einmix/frameworks": "einmix/networks einmix/nodes",
        "einmix/layers": "einmix/algebra",
        "einmix/slots": "einmix/layers einmix/networks einmix/algebra",
        "search_spaces": "search_spaces/bound search_spaces/blocks einmix",
        "search_spaces/blocks": "einmix",
        "search_spaces/bound": "search_spaces/blocks einmix",
        "search_spaces/zoo": "search_spaces/blocks einmix",
        "search_spaces/sizing": "search_spaces/zoo search_spaces/blocks einmix",
        "nas": "nas/api nas/cli nas/options nas/runs",
        "nas/options": "search_spaces/blocks",
        "nas/runs": "",
        "nas/data": "",
        "nas/claims": "",
        "nas/ranking": "nas/claims nas/runs einmix",
        "nas/audit": "nas/ranking nas/claims nas/runs",
        "nas/report": "nas/report/plots nas/report/figures nas/audit nas/ranking nas/claims nas/runs einmix",
        "nas/report/figures": "nas/audit nas/ranking nas/claims nas/runs einmix",
        "nas/report/plots": "nas/report/figures nas/ranking nas/claims einmix",
        "nas/training": "nas/training/engine nas/runs nas/data einmix",
        "nas/training/engine": "nas/data einmix",
        "nas/surrogate": "einmix einmix/algebra",
        "nas/strategies": "nas/surrogate nas/ranking nas/runs search_spaces einmix",
        "nas/executors": "nas/runs",
        "nas/executors/cluster": "nas/executors nas/runs",
        "nas/loggers": "nas/runs einmix",
        "nas/exports": "einmix",
        "nas/loop": f"{BELOW_LOOP} search_spaces einmix",
        "nas/tabular": f"nas/loop {BELOW_LOOP} search_spaces einmix",
        "nas/api": f"nas/report nas/tabular nas/audit {BELOW_API} search_spaces einmix",
        "nas/cli": "nas/api nas/audit nas/tabular nas/loop nas/exports nas/training nas/ranking nas/claims nas/options"
        " nas/runs nas/data search_spaces einmix",
    },
    lists={
        "einmix/kinds": "",
        "search_spaces": "space suggestions",
        "search_spaces/zoo": "member pyramids",
        "nas/options": "option common",
        "nas/strategies": "strategy",
        "nas/loggers": "feed logger",
        "einmix/frameworks": "words",
        "nas/exports": "check preprocessing carried pretrained",
        "nas/api": "bench compare doctor draw export report search train zoo "  # a file a command
        "defaults own resources resuming rows run saved slots study",
        "nas/cli": "main typed terminal grid tables comparisons",
    },
    outside={
        "torch": "einmix/layers einmix/slots nas/training nas/exports nas/api/resources nas/api/run nas/api/doctor",
        "optuna": "nas/api/run nas/api/study nas/strategies/tpe search_spaces/suggestions",
        "jinja2": "nas/report/page",
        "ray": "nas/executors/cluster nas/loggers",
        "typer": "nas/cli",
        "rich": "nas/cli nas/loop/progress",
        "matplotlib": "einmix/pictures/printing",
    },
    long={},
)


@pytest.fixture(scope="module")
def house() -> House:
    return House.read(*ROOTS)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_is_as_planned(rule: str, house: House) -> None:
    assert sorted(RULES[rule](house, HOUSE)) == []


MADE_UP = Plan(
    may={"low": "low/kinds low/tools", "low/tools": "", "low/kinds": "low/tools"},
    lists={"low/kinds": "base"},
    outside={"torch": "low/tools/parse"},
    long={},
)
CLEAN = {
    "__init__": 'from low.kinds import KINDS\n__all__ = ["KINDS"]\n',
    "errors": "class Bad(Exception): ...\n",
    "tools/__init__": '"""Reads."""\n',
    "tools/parse": "import torch\nfrom low import errors\n",
    "kinds/__init__": "from low.kinds import mix\nKINDS = (mix.Mix,)\n",
    "kinds/base": "class Leaf: ...\n",
    "kinds/mix": """
from low.kinds.base import Leaf
from low.tools import parse
class Mix(Leaf): ...
class Norm(Leaf): ...
def same(node): return isinstance(node, Norm)
""",
}
LATER = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from low.tools.parse import read
"""
ASKS = """
from low import kinds
from low.kinds.mix import Mix, Norm
def asks(node): return isinstance(node, (Mix, kinds.mix.Norm))
"""
CASES = [
    ("no_room", {"cellar/__init__": '"""Dark."""\n'}, {"low/cellar"}),
    ("no_room", {"loose": ""}, {"low/loose"}),
    ("not_allowed", {"tools/up": "from low.kinds.mix import Mix"}, {"low/tools/up -> low/kinds/mix"}),
    ("not_allowed", {"tools/up": "def late():\n    from low.kinds import mix"}, {"low/tools/up -> low/kinds/mix"}),
    ("not_allowed", {"tools/up": "import_module('low.kinds.mix')"}, {"low/tools/up -> low/kinds/mix"}),
    ("not_allowed", {"tools/up": "import low"}, {"low/tools/up -> low"}),
    (
        "circles_of_files",
        {"tools/more": LATER, "tools/parse": "import low.tools.more"},
        {"low/tools/more <-> low/tools/parse"},
    ),
    ("circles_of_rooms", {"tools/up": "from low.kinds import base"}, {"low/kinds <-> low/tools"}),
    ("outside_packages", {"kinds/mix": "def build():\n    import torch.nn"}, {"low/kinds/mix -> torch"}),
    ("outside_packages", {"tools/parse": ""}, {"low/tools/parse -> no torch"}),
    ("not_in_its_list", {"kinds/wrap": ""}, {"low/kinds/wrap"}),
    ("too_many_files", {f"tools/file{i}": "" for i in range(9)}, {"low/tools"}),
    ("too_long", {"tools/parse": "import torch\n" * 351}, {"low/tools/parse"}),
    ("kinds_asked", {"tools/ask": ASKS}, {"low/tools/ask: Norm"}),
    ("kinds_asked", {"tools/ask": "match node:\n    case Norm(): ..."}, {"low/tools/ask: Norm"}),
    ("kinds_asked", {"tools/ask": "same = type(node) is Norm"}, {"low/tools/ask: Norm"}),
    ("hidden", {"KINDS": ""}, {"low/KINDS"}),
    ("privates_taken", {"kinds/mix": "from low.tools.parse import _read"}, {"low/kinds/mix: _read"}),
    ("more_than_a_docstring", {"tools/__init__": '"""Reads."""\nfrom low.tools import parse\n'}, {"low/tools"}),
    ("more_than_a_docstring", {"tools/__init__": ""}, {"low/tools"}),
]


def made_up(folder: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str]) -> House:
    for name, text in (CLEAN | files).items():
        path = folder / "low" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return House.read("low")


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_where_all_is_well(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RULES[rule](made_up(tmp_path, monkeypatch, {}), MADE_UP) == set()


@pytest.mark.parametrize(("rule", "files", "breach"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_can_fail(
    rule: str, files: dict[str, str], breach: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RULES[rule](made_up(tmp_path, monkeypatch, files), MADE_UP) == breach


def test_every_rule_is_shown_to_fail() -> None:
    assert {rule for rule, _, _ in CASES} == set(RULES)
