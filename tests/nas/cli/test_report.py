"""`nas report` as it is typed, and the page at the end of a search."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from made_up_runs import made_up
from stubs import importing

from nas.__main__ import main

SEARCH = (
    "search --space local --strategy random --patch 2 --width 8 --depth 1 --ratio 1 --epochs 1 --device cpu "
    "--workers 0 --lr 0.005 --trials 2 --top 1 --seeds 1 --images 60 --run x"
)


@pytest.fixture
def nas(tmp_path, monkeypatch, capsys):
    """Runs a command line in this process, in a folder with a run: how it ended, what it printed, what it said."""
    monkeypatch.chdir(tmp_path)
    made_up(tmp_path / "runs", "first")

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nas", *shlex.split(line)])
        status = 0
        try:
            main()
        except SystemExit as leave:
            status = int(leave.code or 0)
        return status, *capsys.readouterr()

    return run


def test_it_writes_into_the_run_and_prints_the_path(nas):
    assert nas("report first") == (0, "runs/first/report.html\n", "")
    assert Path("runs/first/report.html").read_text().startswith("<!doctype html>")
    assert nas("report runs/first -o new/page.html") == (0, "new/page.html\n", "")
    assert Path("new/page.html").stat().st_size > 10_000


def test_several_runs_are_one_page(nas, tmp_path):
    made_up(tmp_path / "runs", "second")
    assert nas("report first second") == (0, "runs/first/reports.html\n", "")
    assert "2 runs side by side" in Path("runs/first/reports.html").read_text()


def test_plots_are_files_too(nas):
    status, out, _ = nas("report first --plots figures")
    assert status == 0 and out.splitlines()[0] == "runs/first/report.html"
    assert sorted(out.splitlines()[1:]) == sorted(map(str, Path("figures").glob("*.svg")))
    assert "figures/ranks.svg" in out


def test_commands_in_the_page_find_runs_elsewhere(nas, tmp_path):
    made_up(tmp_path / "other runs", "third")
    assert nas("report third --runs-dir 'other runs'")[0] == 0
    text = Path("other runs/third/report.html").read_text()
    assert "nas export third" in text and "--runs-dir &#39;other runs&#39;" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("report frist", "nas: no run 'frist' in runs: did you mean 'first'? known: first"),
        ("report first first", "nas: run 'first' is named twice"),
        ("report first -o runs", "nas: runs is a folder: -o takes a file, as in -o runs/report.html"),
        ("report first --serve -o a.html", "nas: --serve writes no file: leave out -o"),
        ("report first --serve --plots x", "nas: --plots is for the page of one run, and not with --serve"),
        ("report first --serve --port 70000", "nas: --port is 70000; 0 to 65535 is expected"),
    ],
)
def test_what_cannot_be_is_a_line(line, said, nas):
    assert nas(line) == (2, "", f"{said}\n")


def test_a_search_writes_its_page_and_says_where(nas):
    status, out, _ = nas(SEARCH)
    assert status == 0 and "report: runs/x/report.html\n" in out
    page = Path("runs/x/report.html")
    assert "Too few seeds to tell" in page.read_text() or "held against" in page.read_text()
    page.unlink()
    assert "report: " not in nas(f"{SEARCH} --no-report")[1] and not page.exists()
    assert "report" not in nas(f"{SEARCH} --json")[1] and page.exists()


def test_a_search_is_not_lost_with_its_page(nas, monkeypatch):
    monkeypatch.setattr("nas.api.report.page", lambda *_, **__: 1 / 0)
    status, out, err = nas(SEARCH)
    assert status == 0 and "Next: nas export" in out
    assert "nas: no report.html was written: ZeroDivisionError: division by zero: `nas report x` tries again\n" in err


@pytest.mark.outside
def test_it_serves_until_ctrl_c(nas, tmp_path):
    command = [sys.executable, "-m", "nas", "report", "first", "--serve"]
    environment = importing() | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout and server.stderr
        address = server.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"data-live=" in answer.read()
        os.kill(server.pid, signal.SIGINT)
        assert server.wait(30) == 0
        assert server.stderr.read().splitlines()[-1] == "nas: ended: the run goes on, if it does"
    assert not (tmp_path / "runs" / "first" / "report.html").exists()
