"""What is allowed: spaces as declarations, each counted, listed, sampled and walked by the same code.

>>> from search_spaces import load
>>> space = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10, width=(32,), depth=(2,))
>>> space.count()
10404
"""

import runpy
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path

from search_spaces import grouped, local, macro, mixed, per_channel, roles, subgrid
from search_spaces.bound.networks import Skeleton
from search_spaces.bound.proposals import Budget
from search_spaces.bound.space import BoundSpace
from search_spaces.errors import SpaceError, known
from search_spaces.space import Family, Space
from search_spaces.suggestions import suggest, suggest_mixer

SPACES: dict[str, Space] = {
    module.SPACE.name: module.SPACE for module in (grouped, local, subgrid, per_channel, mixed, roles, macro)
}
"""The shipped spaces, by name."""


def load(name: str) -> Space:
    """A shipped space by its name, or the `SPACE` of a Python file (the file is run: it is code that you trust).

    Raises SpaceError for an unknown name or a file that declares no space.
    """
    if name in SPACES:
        return SPACES[name]
    if name.endswith(".py"):
        return _from_file(Path(name))
    raise SpaceError(f"no space {name!r}: {known(name, SPACES)}, or the path of a .py file")


def _from_file(path: Path) -> Space:
    if not path.is_file():
        raise SpaceError(f"cannot read space {str(path)!r}: there is no such file")
    try:
        with redirect_stdout(sys.stderr):  # what it prints is none of a command's answer
            space = runpy.run_path(str(path)).get("SPACE")
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        fact = " ".join(f"{type(error).__name__}: {error}".split())
        raise SpaceError(f"space {str(path)!r} failed{where}: {fact}") from error
    if not isinstance(space, Space):
        found = " ".join(repr(space).split())[:80]
        raise SpaceError(f"{str(path)!r} declares no space: write SPACE = Space(...), not {found}")
    return space


__all__ = [
    "SPACES",
    "BoundSpace",
    "Budget",
    "Family",
    "Skeleton",
    "Space",
    "SpaceError",
    "load",
    "suggest",
    "suggest_mixer",
]
