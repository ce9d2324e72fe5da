"""Progress of a search: a live display where a terminal is, plain lines where none is."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from nas.errors import one_line
from nas.loop.status import Quiet, Status, Watcher
from nas.runs.result import Result

TITLES = {
    "search": "searching",
    "final": "finals",
    "train": "training",
    "tune": "learning rates",
    "compare": "comparing",
}

WIDE = 100
"""Columns of a terminal from which on there is room for a bar."""

BETWEEN = " · "


class Lines:
    """One line for every training that ends."""

    def __init__(self, console: Console):
        self.console = console
        self._shown: Result | None = None

    def show(self, status: Status) -> None:
        result = status.last
        if result is None or result is self._shown or status.done == status.reused:
            return
        self._shown = result
        outcome = one_line(result.reason) if result.state == "failed" else _score(status, result)
        name = one_line(result.label) or _name(status, result)
        rate = f"  lr {result.lr:g}" if status.phase == "tune" else ""
        left = _duration(status.seconds_left) if status.phase in ("tune", "compare") else ""
        self._print(
            f"{_title(status)} {status.done}/{status.total}  {name}{rate}  {result.state}  {outcome}  "
            f"{result.params:,} parameters  {result.seconds:.1f} s" + (f"  ({left} left)" if left else "")
        )

    def say(self, text: str) -> None:
        self._print(one_line(text))

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Live:
    """A bar a phase, with what runs, what was pruned or failed, the best so far and the time left."""

    def __init__(self, console: Console):
        self.is_wide = console.width >= WIDE
        shape: list[ProgressColumn] = [TextColumn("{task.description:>14}"), BarColumn(bar_width=24)]
        self.progress = Progress(
            *(shape if self.is_wide else [TextColumn("{task.description}")]),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def show(self, status: Status) -> None:
        title = _title(status)
        if title not in self._tasks:
            self._tasks[title] = self.progress.add_task(title, total=status.total, detail="")
        counts = f"{status.done}/{status.total}"
        before = 14 + 1 + 24 if self.is_wide else len(title)
        room = self.progress.console.width - before - len(counts) - len(" " * 3 + "0:00:00")
        detail = Text(BETWEEN).join(_parts(status, room))
        self.progress.update(self._tasks[title], completed=status.done, total=status.total, detail=detail.markup)

    def say(self, text: str) -> None:
        self.progress.console.print(one_line(text), highlight=False, markup=False)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def _title(status: Status) -> str:
    return status.title or TITLES[status.phase]


def _parts(status: Status, room: int) -> list[Text]:
    """What is told of a phase in so many characters: all of it, or without what says least."""
    left, best = _duration(status.seconds_left), status.best
    parts = {  # by how early they go
        "2 running": Text(f"{status.running} running") if status.running else None,
        "1 pruned": Text(f"{status.pruned} pruned") if status.pruned else None,
        "3 failed": Text(f"{status.failed} failed", style="red") if status.failed else None,
        "4 best": Text(f"best {_name(status, best)} {_score(status, best)}") if best else None,
        "5 left": Text(f"{left} left") if left else None,
    }
    told = {key: text for key, text in parts.items() if text}
    while told and sum(len(text) + len(BETWEEN) for text in told.values()) - len(BETWEEN) > room:
        del told[min(told)]
    return list(told.values())


def watcher(console: Console | None = None) -> Live | Lines:
    """The live display where it can be seen; on stderr, unless another console is given."""
    console = console or Console(stderr=True, width=None if sys.stderr.isatty() else 140)
    return Live(console) if console.is_terminal else Lines(console)


def shown(given: Watcher | None, quiet: bool) -> AbstractContextManager[Watcher]:
    """Whoever is shown the progress: the watcher that is given, nobody, or else who looks at stderr."""
    chosen = Quiet() if quiet else given
    return watcher() if chosen is None else nullcontext(chosen)


def _duration(seconds: float | None) -> str:
    """About how long: `40 s`, `12 min`; nothing where that is unknown or over."""
    if not seconds:
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _name(status: Status, result: Result) -> str:
    """The id, and the name that a network brought along."""
    return f"{result.id} ({status.names[result.id]})" if result.id in status.names else result.id


def _score(status: Status, result: Result) -> str:
    return status.metric.text(result.score.accuracy) if result.score else ""
