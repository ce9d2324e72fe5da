"""Networks for elsewhere: a format is a file here, and proven in a clean process."""

from collections.abc import Sequence
from pathlib import Path

from nas.errors import NasError, nearest
from nas.exports import module
from nas.exports.check import Export, Exported, checked

FORMATS = {"module": module.FORMAT}


def write_checked(wanted: Sequence[Export], folder: Path, format: str = "module") -> list[Exported]:
    """Writes networks in a format. Raises NasError when what is written does not give the networks' outputs."""
    if format not in FORMATS:
        raise NasError(f"no format {format!r}: {nearest(format, FORMATS)}")
    how = FORMATS[format]
    return checked([how.write(each, folder) for each in wanted], how)
