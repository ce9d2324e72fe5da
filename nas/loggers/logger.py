"""What a logger is: a service that trainings are told to by one of Ray Tune's own callbacks."""

import textwrap
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.errors import one_line
from nas.runs.folder import RunFolder

PATIENCE = 90.0
"""Seconds that the end of a search waits for a logger that gets no training done."""


@dataclass(frozen=True)
class Logger:
    """A logger: the modules that it needs, and its callback, ready to log trials, while it is open.

    `open` is given the run and a folder of the run that is the logger's; `check` raises NasError where there is nowhere
    to log to. `calm` are environment variables that keep its libraries from reporting to their makers, and from
    printing; the warnings of the Python loggers in `chatty` are said, and nobody sees their chatter. `links` are
    symbolic links that it makes, by name; nothing goes on in there.
    """

    modules: tuple[str, ...]
    open: Callable[[RunFolder, Path], AbstractContextManager[Any]]
    check: Callable[[], None] = lambda: None
    calm: Mapping[str, str] = field(default_factory=dict)
    chatty: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def short(error: BaseException) -> str:
    """An error in a line."""
    return cut(str(error)) or type(error).__name__


def cut(text: str) -> str:
    """A text as a line of 200 characters at most."""
    return textwrap.shorten(one_line(text), 200, placeholder=" …")
