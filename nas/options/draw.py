"""What can be asked of a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nas.options.common import RUNS, RUNS_DIR
from nas.options.option import option
from nas.options.zoo import Zoo


@dataclass(frozen=True)
class Draw(Zoo):
    """What can be asked of a picture; sizes are for a network of the zoo or a space.

    >>> Draw(theme="dark", width=32).sizes
    ['--width']
    """

    theme: Literal["auto", "light", "dark"] = option(
        "auto", "For light or dark paper; auto follows the reader's choice in an SVG."
    )
    runs_dir: Path = option(RUNS, RUNS_DIR)
