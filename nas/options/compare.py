"""What can be asked of a comparison with networks of the literature."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from nas.errors import NasError
from nas.options.common import COMMAND, DATA_OF_RUN, DEVICE, LOG, WORKERS
from nas.options.option import Options, option
from search_spaces.blocks.patch import Patch

AGAINST = ("mixer", "resmlp", "gmlp", "vip", "raft", "dynamixer")


@dataclass(frozen=True)
class Compare(Options):
    """What can be asked of a comparison; None (or nothing) leaves it to the run, the data or the machine.

    >>> Compare(against=("vip",)).match
    'params'
    """

    FACTS: ClassVar = ("networks", "data.name", "data_path", "versions")

    against: tuple[str, ...] = option(AGAINST, "Networks of the zoo, with commas; `nas zoo` lists them.", run="how")
    id: str | None = option(None, "The network to compare: by rank or id (default: the best).", run="comparison")
    data: str | None = option(None, "Other data than the run's: the network is carried to it.", run="data")
    match: Literal["params", "macs"] = option("params", "What is equal within 5%: params or macs.", run="comparison")
    budget: int | None = option(
        None, "Scale all to so many (default: what the network has).", least=1, run="comparison"
    )
    seeds: int | None = option(
        None, "Seeds that are tested (default: 5, for large data 3).", least=1, most=1000, run="how"
    )
    lrs: tuple[float, ...] = option(
        (), "Learning rates to choose from, with commas (default: the run's, by threes).", run="lrs"
    )
    epochs: int | None = option(None, "Epochs (default: those of the run).", least=1, run="recipe")
    images: int | None = option(None, "Training images to use (default: those of the run).", least=1, run="data")
    patch: Patch | None = option(None, "Patch of the others (default: the network's own).", least=1, run="comparison")
    depth: int | None = option(
        None, "Least blocks of the others (default: the network's own).", least=1, most=64, run="comparison"
    )
    device: str = option("auto", DEVICE)
    workers: int | None = option(None, WORKERS)
    log: tuple[str, ...] = option((), LOG)
    data_dir: Path | None = option(None, DATA_OF_RUN)
    command: str = option("", COMMAND)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.against:
            raise NasError(f"--against names nobody: write names of the zoo, as in {','.join(AGAINST[:3])}")
