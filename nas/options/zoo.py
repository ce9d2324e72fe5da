"""What can be asked of a network of the literature."""

from dataclasses import dataclass
from pathlib import Path

from nas.errors import NasError
from nas.options.common import DATA_DIR
from nas.options.option import Options, flag, option
from search_spaces.blocks.patch import Patch

SIZES = ("data", "shape", "patch", "width", "depth", "classes")
"""The options that say of which size a network is."""


@dataclass(frozen=True)
class Zoo(Options):
    """What can be asked of a network that is not at a published size; None leaves it to the data, or to a default.

    >>> Zoo(width=32, depth=2).sizes
    ['--width', '--depth']
    """

    data: str | None = option(None, "The data whose shape and classes it gets (default: digits).")
    shape: str | None = option(None, "Inputs of another shape, channels last, as in 32x32x3; --classes says how many.")
    patch: Patch | None = option(
        None, "Positions an axis of a patch, or for each as in 1x4x4 (default: some 64 patches).", least=1, most=2**16
    )
    width: int | None = option(None, "Channels (default: 64).", least=1, most=2**16)
    depth: int | None = option(None, "Blocks (default: 4).", least=1, most=1024)
    classes: int | None = option(None, "Classes (default: those of the data).", least=1, most=2**20)
    data_dir: Path = option(Path("data"), DATA_DIR)

    def __post_init__(self) -> None:
        if self.data is not None and self.shape is not None:
            raise NasError("--data has a shape: leave --shape out, or --data")
        super().__post_init__()

    @property
    def sizes(self) -> list[str]:
        """The options that are set, as they are typed."""
        return [flag(name) for name in self.given if name in SIZES]
