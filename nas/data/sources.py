"""Reads the files that data sets come in, and trusts none of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from nas.errors import NasError

MAX_BYTES = 8 << 30  # every worker process holds the data in memory


@dataclass(frozen=True, eq=False)
class Arrays:
    """Examples `x` (`n c *axes`, uint8 or float32) and their labels `y` (`n`, int64), or targets (`n k`, float32)."""

    x: np.ndarray
    y: np.ndarray

    @property
    def strata(self) -> np.ndarray:
        """What has its share in every part (`n`): the labels; targets are all of one kind."""
        return self.y if self.y.ndim == 1 else np.zeros(len(self.y), np.int64)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: np.ndarray) -> Self:
        return type(self)(self.x[index], self.y[index])


@dataclass(frozen=True, eq=False)
class Source:
    """What a data set's files hold: training data always, the other parts where they were given.

    `origin` names the source in messages; `names` are the classes, where the files name them; `title` is what the data
    set is called where that says more than what was asked for. `white` is the most that bytes can be, where that is
    known; `notes` say what was converted.
    """

    origin: str
    axes: tuple[str, ...]
    train: Arrays
    validation: Arrays | None = None
    test: Arrays | None = None
    names: tuple[str, ...] = ()
    title: str = ""
    white: int | None = None
    notes: tuple[str, ...] = ()

    def label(self, index: int) -> str:
        """How a message calls the class of this index."""
        return f"class {self.names[index]!r}" if 0 <= index < len(self.names) else f"label {index}"


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turns whatever a damaged file makes a parser raise into one line that names the file."""
    try:
        yield
    except NasError:
        raise
    except Exception as error:  # numpy, zlib, PIL and pickle promise no list of what they raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NasError(f"{path}: not a readable {expected} ({reason[:200]})") from error


def check_size(origin: Path, size: int) -> None:
    """Raises NasError for more bytes than are to be held in memory."""
    if size > MAX_BYTES:
        found, most = f"{size / 2**30:,.1f} GiB", f"{MAX_BYTES / 2**30:g} GiB"
        raise NasError(f"{origin}: {found} of data; expected at most {most}, since data is held in memory")


def compact(x: np.ndarray) -> np.ndarray:
    """The same numbers as uint8 (where they were) or float32, contiguous and writable, as torch wants to share them."""
    with np.errstate(over="ignore"):  # what overflows becomes inf, which the caller refuses with a message
        return np.require(x, np.uint8 if x.dtype == np.uint8 else np.float32, ["C", "W"])
