"""TensorBoard: event files in the run's folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.loggers.logger import Logger
from nas.runs.folder import RunFolder


@contextmanager
def opened(run: RunFolder, folder: Path) -> Iterator[Any]:
    from ray.tune.logger import TBXLoggerCallback

    yield TBXLoggerCallback()


LOGGER = Logger(
    ("ray.tune.logger", "tensorboardX"),
    opened,
    calm={"RAY_USAGE_STATS_ENABLED": "0"},
    chatty=("ray.tune", "tensorboardX"),
)
