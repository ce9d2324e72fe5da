"""What can be asked of a search, with the only defaults there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.errors import NasError

LEAST = {
    "trials": 1,
    "top": 1,
    "seeds": 1,
    "seed": 0,
    "workers": 0,
    "max_params": 1,
    "min_params": 0,
    "max_macs": 1,
    "images": 1,
}
MOST = {"seed": 2**31 - 1, "seeds": 999, "workers": 2**12}


@dataclass(frozen=True)
class Options:
    """What can be asked of a search; None (or nothing) leaves it to the data, the space or the machine.

    >>> Options(space="local").trials
    64
    """

    space: str = "subgrid"
    data: str = "digits"
    trials: int = 64
    minutes: float | None = None
    strategy: str = "tpe"
    start: tuple[str, ...] = ()
    objective: str = "accuracy"
    max_params: int | None = None
    min_params: int | None = None
    max_macs: int | None = None
    patch: tuple[int | tuple[int, ...], ...] = ()
    width: tuple[int, ...] = ()
    depth: tuple[int, ...] = ()
    ratio: tuple[int, ...] = ()
    draw: str | None = None
    epochs: int | None = None
    lr: float | None = None
    batch: int | None = None
    weight_decay: float | None = None
    label_smoothing: float | None = None
    augment: str | None = None
    images: int | None = None
    prune: bool = True
    top: int = 3
    seeds: int | None = None
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    ray: str | None = None
    gpus_per_trial: float | None = None
    run: str | None = None
    retry_failed: bool = False
    log: tuple[str, ...] = ()
    runs_dir: Path = Path("runs")
    data_dir: Path = Path("data")
    storage: str | None = None
    command: str = ""

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            check_range(name, getattr(self, name), least, MOST.get(name))
        if self.minutes is not None and not self.minutes > 0:
            raise NasError(f"--minutes is {self.minutes:g}; more than 0 is expected")
        if self.gpus_per_trial is not None and not self.gpus_per_trial > 0:
            raise NasError(f"--gpus-per-trial is {self.gpus_per_trial:g}; more than 0 is expected")
        if self.gpus_per_trial is not None and self.ray is None:
            raise NasError("--gpus-per-trial is for --ray; without it, --workers says how many train at once")
        if self.ray == "":
            raise NasError("--ray is empty; HOST:PORT, auto or local is expected")
        if self.ray is not None and self.workers == 0:
            raise NasError("--workers is 0, at least 1 is expected with --ray")
        if self.min_params and self.max_params and self.min_params > self.max_params:
            raise NasError(f"--min-params {self.min_params} is more than --max-params {self.max_params}")


def check_range(name: str, value: int | None, least: int, most: int | None = None) -> None:
    """Raises NasError for an option that is less, or more, than it can be."""
    if value is not None and (value < least or (most is not None and value > most)):
        expected = f"at least {least}" if most is None else f"{least} to {most}"
        raise NasError(f"--{name.replace('_', '-')} is {value}; {expected} is expected")
