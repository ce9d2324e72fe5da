"""Plain files, never reached through a symbolic link, and written whole or not at all."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nas.errors import NasError


def open_plain(path: Path, flags: int) -> int:
    """Opens a plain file, never through a symbolic link; never a pipe or device, on which a read could hang."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, f"{path.name} is a symbolic link, not a plain file")
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, f"{path.name} is no plain file")
    return file


def read_plain(path: Path) -> bytes:
    """What a plain file holds."""
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read()


def write_whole(path: Path, data: bytes, *, writer: str = "") -> None:
    """Writes a file so that it is either whole or as it was, whenever the power fails.

    It is written beside as NAME.tmp; where several may write it at once as NAME.WRITER.tmp, each for itself.
    """
    unfinished = path.with_suffix(f".{writer}.tmp" if writer else ".tmp")
    descriptor = open_plain(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):
        sync_folder(folder)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder last, as fsync makes the content of a file."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """An operating-system error as the user's one line."""
    try:
        yield
    except OSError as error:
        raise NasError(f"cannot {what}: {error.strerror or error}") from error
