"""What can be asked of spaces that are only looked at."""

from dataclasses import dataclass
from pathlib import Path

from nas.options.common import DATA, DATA_DIR, PATCHES, SIZES
from nas.options.option import Options, option
from search_spaces.blocks.patch import Patch


@dataclass(frozen=True)
class Spaces(Options):
    """On which data spaces are, and with which sizes; nothing leaves these to the space.

    >>> Spaces(width=(16, 32)).data
    'digits'
    """

    data: str = option("digits", DATA)
    patch: tuple[Patch, ...] = option((), PATCHES)
    width: tuple[int, ...] = option((), SIZES)
    depth: tuple[int, ...] = option((), SIZES)
    ratio: tuple[int, ...] = option((), SIZES)
    data_dir: Path = option(Path("data"), DATA_DIR)
