"""What can be asked of the making of a table of record."""

from dataclasses import dataclass
from pathlib import Path

from nas.options.common import DATA_DIR, DEVICE, RUNS, RUNS_DIR, WORKERS
from nas.options.option import Options, option


@dataclass(frozen=True)
class Bench(Options):
    """What can be asked of the making of a table; None leaves it to the machine.

    >>> Bench(part=2, parts=4).table
    'digits'
    """

    table: str = option("digits", "digits, mnist1d or fashion-mnist.")
    part: int = option(1, "Train this part only.", least=1)
    parts: int = option(1, "Of so many parts.", least=1)
    run: str | None = option(None, "The run's name (default: table-NAME).")
    device: str = option("auto", DEVICE)
    workers: int | None = option(None, WORKERS)
    runs_dir: Path = option(RUNS, RUNS_DIR)
    data_dir: Path = option(Path("data"), DATA_DIR)
