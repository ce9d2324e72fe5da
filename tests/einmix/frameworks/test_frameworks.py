"""Texts for other frameworks: every kind of node has its words there, and what has none is refused by name."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import pytest
from kinds import CASES, network

from einmix import PatternError, source
from einmix.frameworks import FRAMEWORKS
from einmix.kinds import Dynamic
from search_spaces.zoo import ZOO, Inputs

every_framework = pytest.mark.parametrize("name", FRAMEWORKS)
CALL = re.compile(r"(?<![\w.])([A-Z]\w+)\(")


@every_framework
def test_every_kind_has_its_words(name):
    """All that a text calls by a name of its own is defined or imported in it; no name is torch's."""
    for case, (nodes, grid) in CASES.items():
        text = source(network(nodes, grid), {"title": case}, framework=FRAMEWORKS[name])
        known = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        known |= {
            each.asname or each.name
            for node in ast.walk(ast.parse(text))
            if hasattr(node, "names")
            for each in node.names
        }
        called = {
            node.func.id
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        builtins = {"int", "len", "range", "enumerate", "zip", "sum", "min", "dict", "super", "print", "list"}
        assert called <= known | builtins | {"layer", "f", "prepare", "uniform"}, case
        assert "torch" not in text.replace("as torch's", ""), case


@every_framework
def test_texts_of_the_zoo_are_narrow_and_have_a_function_for_what_repeats(name):
    for member in ZOO.values():
        arch = member.at(Inputs({"h": 16, "w": 8}, 3, 10), patch=2, width=-(-24 // member.step) * member.step, depth=2)
        text = source(arch, {"title": member.name}, framework=FRAMEWORKS[name])
        assert max(map(len, text.splitlines())) <= 120
        ours = re.findall(r"^def (\w+)", source(arch), re.MULTILINE)
        assert {each for each in ours if each not in ("start_at", "start_normal", "fourier")} <= set(
            re.findall(r"^def (\w+)", text, re.MULTILINE)
        )


@every_framework
def test_what_a_framework_has_no_word_for_is_refused_by_name(name):
    words = {call: word for call, word in FRAMEWORKS[name].words.items() if call != "Dynamic"}
    poorer = replace(FRAMEWORKS[name], words=words)
    with pytest.raises(PatternError, match=f"{name} has no Dynamic: this network cannot be written for it") as raised:
        source(network((Dynamic("h", segments=2),)), framework=poorer)
    assert f"einmix/frameworks/{name}.py" in str(raised.value)
