"""What can be asked of a longer training of one network of a run."""

from dataclasses import dataclass
from pathlib import Path

from nas.options.common import DATA_OF_RUN, DEVICE, LOG, WORKERS
from nas.options.option import Options, option


@dataclass(frozen=True)
class Train(Options):
    """What can be asked of a longer training; None leaves it to the run or the machine.

    >>> Train(epochs=60).seeds
    1
    """

    epochs: int | None = option(None, "Epochs (default: three times those of the search).", least=1)
    seeds: int = option(1, "How many seeds.", least=1, most=2**16)
    lr: float | None = option(None, "Learning rate (default: the search's --lr, or found).")
    data: str | None = option(None, "The run's data, where it is no longer where it was.")
    device: str = option("auto", DEVICE)
    workers: int | None = option(None, WORKERS)
    log: tuple[str, ...] = option((), LOG)
    data_dir: Path | None = option(None, DATA_OF_RUN)
