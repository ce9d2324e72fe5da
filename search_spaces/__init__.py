"""What is allowed: spaces as declarations, each counted, listed, sampled and walked by the same code.

>>> from search_spaces import load
>>> space = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10, width=(32,), depth=(2,))
>>> space.count()
10404
"""

from __future__ import annotations

import difflib
from pathlib import Path

from search_spaces import grouped, local, mixed, per_channel, roles, subgrid
from search_spaces.errors import SpaceError
from search_spaces.search_space import Budget, Macro, SearchSpace
from search_spaces.space import Family, Space

SPACES: dict[str, Space] = {
    module.SPACE.name: module.SPACE for module in (grouped, local, subgrid, per_channel, mixed, roles)
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
    close = difflib.get_close_matches(name, SPACES, n=3)
    guess = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise SpaceError(f"no space {name!r}: {guess}known: {', '.join(SPACES)}, or the path of a .py file")


def _from_file(path: Path) -> Space:
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        namespace: dict[str, object] = {"__name__": path.stem, "__file__": str(path)}
        exec(code, namespace)
    except OSError as error:
        raise SpaceError(f"cannot read space {str(path)!r}: {error.strerror}") from None
    except Exception as error:
        raise SpaceError(f"{path} failed: {type(error).__name__}: {error}") from error
    space = namespace.get("SPACE")
    if not isinstance(space, Space):
        raise SpaceError(f"{path} declares no space: write SPACE = Space(...), not {type(space).__name__}")
    return space


__all__ = ["SPACES", "Budget", "Family", "Macro", "SearchSpace", "Space", "SpaceError", "load"]
