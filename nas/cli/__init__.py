"""The command line: a command is one file here and one entry in the list."""

from collections.abc import Callable

from typer import Typer

from nas.cli import audit, bench, compare, doctor, export, replay, runs, search, spaces, train, zoo

COMMANDS: dict[str, Callable[..., None] | Typer] = {
    "search": search.search,
    "spaces": spaces.spaces,
    "top": runs.top,
    "show": runs.show,
    "audit": audit.audit,
    "export": export.export,
    "train": train.train,
    "compare": compare.compare,
    "replay": replay.replay,
    "zoo": zoo.app,
    "bench": bench.app,
    "doctor": doctor.doctor,
}
"""By what is typed, in the order in which help lists them; an app is a command with commands of its own."""
