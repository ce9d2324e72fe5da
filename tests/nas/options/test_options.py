"""All options: typed they mean what they are called, their limits are told, run.json keeps what they say, docs tell."""

from __future__ import annotations

import importlib.util
import json
import pickle
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from typer.testing import CliRunner

from nas.api.search import Session
from nas.cli.typed import READERS, takes
from nas.errors import NasError
from nas.options import OPTIONS, Options, Search
from nas.options.option import declared, flag, option

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Polite(Search):
    """A search with one option more, which nothing else knows of."""

    nice: int = option(0, "How willingly it waits.", least=0, most=19, run="how")


COMMANDS = OPTIONS | {"polite": Polite}
ALL = [(command, name) for command, options in COMMANDS.items() for name in declared(options)]
TYPED = [(command, name) for command, name in ALL if declared(COMMANDS[command])[name][1].help]
LIMITED = [(command, name) for command, name in ALL if declared(COMMANDS[command])[name][1].limits]


def value_of(options: type[Options], name: str) -> tuple[str | None, Any]:
    """What can be typed that is not the default, and what it means; None for a flag."""
    kind, option = declared(options)[name]
    if kind is bool:
        return None, not getattr(options, name)
    if get_origin(kind) is Literal:
        text = next(each for each in get_args(kind) if each != getattr(options, name))
        return text, text
    if kind in READERS:
        text = {"lrs": "0.25,0.5", "patch": "3"}.get(name, "6,7" if kind == tuple[int, ...] else "vip,raft")
        return text, READERS[kind](text, name)
    plain = get_args(kind)[0] if get_args(kind) else kind
    number = min(max(option.least, 0) + 5, option.most)
    return (str(number), plain(number)) if plain in (int, float) else (f"{name}-here", plain(f"{name}-here"))


def asked_by(options: type[Options], words: list[str]) -> Options:
    """The options that a command is given for these words."""
    found: list[Options] = []
    app = typer.Typer()

    @app.command()
    @takes(options)
    def command(asked) -> None:  # type: ignore[no-untyped-def]
        found.append(asked)

    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize(("command", "name"), TYPED)
def test_an_option_means_what_it_is_called(command: str, name: str) -> None:
    """From the words to the values: none is forgotten, none stands in another's place; nothing else is given."""
    options = COMMANDS[command]
    text, value = value_of(options, name)
    beside = {"ray": "local"} if name == "gpus_per_trial" else {}  # it is for a cluster
    words = [f"--{'no-' * (value is False)}{flag(name)[2:]}", *([] if text is None else [text])]
    asked = asked_by(options, [*words, *(word for key in beside for word in (flag(key), beside[key]))])
    named = beside | {name: value}
    assert getattr(options(), name) != value
    assert {key: each for key, each in asked.given.items() if key != "command"} == named
    own = [field.name for field in fields(asked) if field.name != "command"]
    assert [getattr(asked, each) for each in own] == [getattr(options(**named), each) for each in own]


@pytest.mark.parametrize(("command", "name"), LIMITED)
def test_what_is_beyond_its_limits_is_told(command: str, name: str) -> None:
    options = COMMANDS[command]
    option = declared(options)[name][1]
    least = max(option.least, option.above + 1)
    beside = {"ray": "local"} if name == "gpus_per_trial" else {}
    beyond = [least - 1, *([] if option.most == inf else [option.most + 1]), *([float("nan")] * (option.above == 0))]
    for value in beyond:
        with pytest.raises(NasError) as raised:
            options(**beside | {name: value})
        shown = str(value) if isinstance(value, int) else f"{value:g}"
        assert str(raised.value) == f"{flag(name)} is {shown}; {option.limits} is expected"
    for value in (least, option.most):
        if value < inf:
            assert getattr(options(**beside | {name: value}), name) == value


def test_a_word_that_is_none_of_those_known_is_told() -> None:
    with pytest.raises(NasError, match=r"^no --match 'macss': did you mean 'macs'\? known: macs, params$"):
        OPTIONS["compare"](match="macss")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_keeps_what_its_options_say(command: str) -> None:
    """As JSON; what may differ is among it, or a fact that is no option."""
    options = COMMANDS[command]
    kept = options().kept("what") | options().kept("how")
    assert json.loads(json.dumps(kept)) == kept
    assert options().kept("how").keys() == options.may_differ() - set(options.FACTS)
    assert not options.may_differ() & options().kept("what").keys()
    assert not set(options.FACTS) & declared(options).keys()


def test_options_are_given_by_name_or_by_place_and_none_says_nothing() -> None:
    asked = Search("local", trials=64, lr=None)
    assert asked.given == {"space": "local", "trials": 64}
    assert pickle.loads(pickle.dumps(asked)).given == asked.given and Search().given == {}
    with pytest.raises(TypeError, match="no_such"):
        Search(no_such=1)


def test_the_document_is_written_from_the_fields() -> None:
    """Write it again with `python docs/options.py`."""
    spec = importlib.util.spec_from_file_location("page", ROOT / "docs" / "options.py")
    assert spec and spec.loader
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    assert page.written() == page.PAGE.read_text(encoding="utf-8")
    assert "| `--nice` | 0 | 0 to 19 | how | How willingly it waits. |" in page.section("polite", Polite)


def test_an_option_that_no_other_code_knows_of_is_typed_checked_and_kept(tmp_path) -> None:
    """One field is all there is to it."""
    asked = Polite(nice=3, space="local", device="cpu", run="x", runs_dir=tmp_path)
    assert asked.kept("how")["nice"] == 3 and "nice" in Polite.may_differ()
    assert Session(asked).settings["nice"] == 3
