"""The one error that `nas` shows to its user: a line on stderr, exit status 2."""

import difflib
from collections.abc import Iterable

MOST = 12
"""So many known names are listed."""


class NasError(Exception):
    """What the user asked for cannot be done; the message says why and what to write instead."""


def one_line(text: str) -> str:
    """A text from anywhere as one line that does nothing to a terminal: no control characters, no line breaks.

    >>> one_line("loss is\\n\\x1b[31mnan")
    'loss is [31mnan'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def counted(n: int, noun: str) -> str:
    """So many of something, in words; `noun` is the word for one.

    >>> counted(1, "seed"), counted(2_000, "candidate")
    ('1 seed', '2,000 candidates')
    """
    return f"{n:,} {noun}" + "s" * (n != 1)


def nearest(wanted: str, known: Iterable[str]) -> str:
    """The known names, those nearest to the wanted one first, as the end of an error message.

    >>> nearest("subgird", ["local", "subgrid"])
    "did you mean 'subgrid'? known: local, subgrid"
    """
    names = sorted(known)
    close = difflib.get_close_matches(wanted, names, n=3)
    guess = "did you mean " + " or ".join(repr(name) for name in close) + "? " if close else ""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return guess + "known: " + (", ".join(names[:MOST]) or "(none)") + more


OUT_OF_MEMORY = "out of memory"
"""So the reason begins of a training for which memory was short."""

_SHORT_OF_MEMORY = OUT_OF_MEMORY, "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, in torch's words: "CUDA out of memory", on the CPU "can't allocate memory"."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's, not imported here
    return named or any(words in str(error) for words in _SHORT_OF_MEMORY)
