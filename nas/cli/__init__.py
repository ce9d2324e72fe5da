"""The command line: a command is one file here and one entry in the list."""

from collections.abc import Callable

from typer import Typer

from nas.cli import audit, bench, compare, doctor, draw, export, replay, report, runs, search, spaces, train, zoo

COMMANDS: dict[str, Callable[..., None] | Typer] = {
    "search": search.search,
    "spaces": spaces.spaces,
    "top": runs.top,
    "show": runs.show,
    "audit": audit.audit,
    "report": report.report,
    "export": export.export,
    "train": train.train,
    "compare": compare.compare,
    "replay": replay.replay,
    "draw": draw.draw,
    "doctor": doctor.doctor,
    "zoo": zoo.app,
    "bench": bench.app,
}
"""By what is typed, in the order in which help lists them; an app is a command with commands of its own."""
