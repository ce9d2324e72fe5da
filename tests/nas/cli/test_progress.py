"""Progress: a line for every training where nobody watches, one bar a phase on a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from searches import Noting, plan, result_of, search_in, tiny

from nas.api.search import search
from nas.executors.serial import Serial
from nas.loop.progress import Lines, Live, watcher
from nas.loop.status import Status
from nas.runs.folder import RunFolder

ARCH, OTHER, *_ = tiny().enumerate()
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def console(*, terminal: bool, width: int = 140) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=width, color_system="truecolor" if terminal else None
    )


def text(of: Console) -> str:
    return of.file.getvalue()  # type: ignore[attr-defined]


def test_a_terminal_gets_the_display_and_a_pipe_lines():
    assert isinstance(watcher(console(terminal=True)), Live)
    assert isinstance(watcher(console(terminal=False)), Lines)


def test_every_training_of_this_session_is_one_line():
    out = console(terminal=False)
    with Lines(out) as lines:
        lines.show(Status("search", 4, done=2, reused=2, last=result_of(ARCH, 0.5)))  # of an earlier one
        done = result_of(ARCH, 0.875)
        for _ in range(2):  # looked at again, as nothing happens
            lines.show(Status("search", 4, done=3, reused=2, last=done))
        lines.show(Status("search", 4, done=4, reused=2, last=result_of(OTHER, None, "failed")))
        lines.show(Status("final", 4, done=1, last=result_of(OTHER, 0.5, label="shared local")))
        lines.say("every architecture\nhas been tried")
    assert text(out).splitlines() == [
        f"searching 3/4  {ARCH.id}  complete  87.5%  {ARCH.params:,} parameters  1.0 s",
        f"searching 4/4  {OTHER.id}  failed  ValueError: no luck  {OTHER.params:,} parameters  1.0 s",
        f"finals 1/4  shared local  complete  50.0%  {OTHER.params:,} parameters  1.0 s",
        "every architecture has been tried",
    ]


def test_the_display_tells_how_far_it_is():
    out = console(terminal=True)
    with Live(out) as live:
        status = Status("search", 8, done=3, running=2, pruned=1, failed=1, best=result_of(ARCH, 0.875))
        live.show(replace(status, started=status.started - 30))
        live.say("by the [way]")
        live.show(Status("final", 6))
    shown = ESCAPES.sub("", text(out))
    for fact in ("searching", "3/8", "2 running · 1 pruned · 1 failed · ", f"best {ARCH.id} 87.5%", "50 s left", "0/6"):
        assert fact in shown
    assert "by the [way]\n" in shown.replace("\r", "")
    assert text(out).endswith("\x1b[?25h")  # the cursor is back


@pytest.mark.parametrize("width", [40, 50, 60, 80, 99, 100, 140])
def test_the_display_cuts_no_figure(width):
    out = console(terminal=True, width=width)
    with Live(out) as live:
        status = Status("tune", 6400, done=3312, running=16, pruned=1234, failed=567, best=result_of(ARCH, 0.875))
        live.show(replace(status, started=status.started - 30))
    shown = ESCAPES.sub("", text(out))
    assert "…" not in shown
    assert "3312/6400" in shown and "0:00:0" in shown
    told = ("16 running", "1234 pruned", "567 failed", f"best {ARCH.id} 87.5%", "28 s left")
    last = shown.strip().splitlines()[-1]
    for part in told:
        last = last.replace(part, "")
    assert not re.sub(r"learning rates|3312/6400|0:00:0\d|[━╸╺ ·]", "", last).strip()
    assert width < 140 or all(part in shown for part in told)


def test_texts_of_a_foreign_run_do_nothing_to_a_terminal():
    hostile = "\x1b[2J\x9b\u202e[red]\r\n"
    failed = replace(result_of(ARCH, None, "failed"), reason=hostile, label=hostile)
    for out in (console(terminal=False), console(terminal=True)):
        with watcher(out) as watching:
            watching.show(Status("search", 2, done=1, failed=1, best=failed, last=failed))
            watching.say(hostile)
        assert "\x1b[2J" not in text(out)
        assert not {"\x9b", "\u202e"} & set(text(out))
        assert "[2J [red]" in text(out)


def test_a_search_from_python_shows_itself_unless_told_not_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nas.api.search.local_executor", lambda *_: Serial(Noting(tmp_path / "log")))
    one = {"patch": (2,), "width": (8,), "depth": (1,), "ratio": (1,), "device": "cpu", "runs_dir": tmp_path}
    asked = {"space": "local", "strategy": "random", "epochs": 3, "trials": 3, "top": 1, "seeds": 1} | one
    search(**asked, run="loud")
    out, err = capsys.readouterr()
    assert (out, err.count("searching ")) == ("", 3)
    search(**asked, run="silent", quiet=True)
    assert capsys.readouterr() == ("", "")


def test_a_search_shows_itself_on_a_terminal(tmp_path):
    out = console(terminal=True)
    with (
        Serial(Noting(tmp_path / "log")) as executor,
        RunFolder.create_or_open(tmp_path, "x", {}) as run,
        watcher(out) as watching,
    ):
        search_in(run, executor, plan(), watcher=watching)
    shown = ESCAPES.sub("", text(out))
    assert "searching" in shown and "6/6" in shown
    finals = len([result for result in run.results() if result.phase == "final"])
    assert f"{finals}/{finals}" in shown
