"""What can be asked of a look at this machine."""

from dataclasses import dataclass
from pathlib import Path

from nas.options.common import DATA_DIR, DEVICE, RUNS, RUNS_DIR
from nas.options.option import Options, option


@dataclass(frozen=True)
class Doctor(Options):
    """What can be asked of a look at this machine.

    >>> Doctor(self_test=False).device
    'auto'
    """

    device: str = option("auto", DEVICE)
    self_test: bool = option(True, "Train and export a tiny network, too: ten seconds.")
    runs_dir: Path = option(RUNS, RUNS_DIR)
    data_dir: Path = option(Path("data"), DATA_DIR)
