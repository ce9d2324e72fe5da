"""Networks for elsewhere: a format is a file here, and proven in a clean process."""

from collections.abc import Sequence
from pathlib import Path

from einmix.networks.architecture import Slotted
from nas.errors import NasError, nearest
from nas.exports import module
from nas.exports.check import Export, Exported, checked

FORMATS = {"module": module.FORMAT}


def write_checked(wanted: Sequence[Export], folder: Path, format: str = "module") -> list[Exported]:
    """Writes networks in a format. Raises NasError where that cannot be, or does not give their outputs."""
    if format not in FORMATS:
        raise NasError(f"no format {format!r}: {nearest(format, FORMATS)}")
    how = FORMATS[format]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [how.write(each, folder) for each in wanted]
        if any(isinstance(each.architecture, Slotted) for each in written):  # it takes the rest of the model to run
            return written
    except OSError as error:
        raise NasError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    return checked(written, how)
