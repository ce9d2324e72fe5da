"""The one error of `search_spaces`."""

from collections.abc import Collection
from difflib import get_close_matches


class SpaceError(ValueError):
    """A space that does not exist, does not fit the data, or holds nothing that meets a budget."""


def known(wanted: str, names: Collection[str]) -> str:
    """What a name may have been meant to be, and the names that there are, as the end of a message."""
    close = get_close_matches(wanted.lower(), names, n=3)
    guess = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"{guess}known: {', '.join(names)}"
