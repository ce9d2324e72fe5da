"""What commands share: the console, JSON lines, what is said on stderr, a run to read."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.errors import one_line
from nas.exports import FORMATS
from nas.options.common import RUNS, RUNS_DIR

if TYPE_CHECKING:
    from rich.console import Console

    from nas.api.run import Run
    from nas.exports.check import Exported
    from nas.runs.folder import RunFolder
    from nas.runs.result import Result

AsJson = Annotated[bool, typer.Option("--json", help="JSON lines in place of a table.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, or the path of its directory.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="An architecture's rank, as in 1, or its id, or four letters of that.")
]
RunsDir = Annotated[Path, typer.Option(help=RUNS_DIR.help)]
Out = Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")]
As = Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"What is written: {', '.join(FORMATS)}.")]

UNFINISHED = 1
"""The exit status of a command that could not bring some trainings to an end, and says so."""


def say(message: str) -> None:
    """A line on stderr."""
    print(f"nas: {one_line(message)}", file=sys.stderr)


def warn(run: RunFolder) -> None:
    """Says what is amiss with a run and can be passed over."""
    for warning in run.warnings:
        say(f"warning: {warning}")


def opened(runs_dir: Path, name: str) -> Run:
    """A run to read; what is amiss with it and can be passed over is told."""
    from nas.api.run import open_run

    run = open_run(name, runs_dir)
    warn(run.saved.folder)
    return run


def where(runs_dir: Path) -> str:
    """The option by which another command finds the runs of this one."""
    return "" if runs_dir == RUNS else f" --runs-dir {shlex.quote(str(runs_dir))}"


def typed() -> str:
    """The command line, as it can be typed again."""
    return shlex.join(["nas", *sys.argv[1:]])


def written(exported: Exported) -> str:
    """The files of an exported network."""
    return str(exported.file) + (f" and {exported.beside.name}" if exported.beside else "")


def proven(exported: Exported, format: str) -> str:
    """How an exported network was checked."""
    where = f"in a clean process with {FORMATS[format].words} alone"
    off = f" to {exported.difference:.0e}" if exported.difference else ""
    return f"checked {where}, outputs equal{off}"


def console_for() -> Console:
    """Where tables are printed."""
    from rich.console import Console

    # a pipe or a file has no width: tables are then as wide as they need to be read
    return Console(width=None if sys.stdout.isatty() else 140)


def print_words(console: Console, text: str, *, style: str = "") -> None:
    """A sentence: broken between words on a terminal, so that no figure is cut; one line in a file."""
    console.print(text, highlight=False, markup=False, style=style, soft_wrap=not console.is_terminal)


def print_json(value: dict[str, Any]) -> None:
    """One line, strict JSON."""
    print(json.dumps(value, allow_nan=False))


def training_json(result: Result) -> dict[str, Any]:
    """A training as JSON values, without its architecture."""
    return {name: value for name, value in result.to_line().items() if name != "architecture"}
