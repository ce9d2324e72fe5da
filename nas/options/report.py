"""What can be asked of a page of runs."""

from dataclasses import dataclass
from pathlib import Path

from nas.options.common import RUNS, RUNS_DIR
from nas.options.option import Options, option


@dataclass(frozen=True)
class Report(Options):
    """What can be asked of the page of a run, or of several.

    >>> Report(serve=True).port
    0
    """

    serve: bool = option(False, "Serve the page on this machine alone; it follows the run until Ctrl-C.")
    port: int = option(0, "The port to serve on (0: any that is free).", least=0, most=65535)
    plots: Path | None = option(None, "A folder to write the plots to as well, as SVG files.")
    runs_dir: Path = option(RUNS, RUNS_DIR)
