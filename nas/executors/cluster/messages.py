"""What driver and conductor say to each other, beside the news of the desk; a driver that has ended says None."""

from dataclasses import dataclass

from nas.executors.packing import MOST
from nas.runs.job import Job

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, which is started and ended with the search."""


@dataclass(frozen=True)
class Settings:
    """What a conductor is to do: which cluster, how many lanes (0: as many as there is room for), on what.

    `sharing` is how many share a GPU at first (`packing`), unless `gpus_per_trial` says their share. `bundle` are the
    trainings of one network that are one model at most. `patience` are
    the seconds that a lane waits for jobs, `folder` is the conductor's own, for sockets, logs and what Tune writes.
    """

    address: str
    workers: int = 0
    cpus: int = 1
    device: str = "cpu"
    gpus_per_trial: float | None = None
    sharing: int = MOST
    bundle: int = 1
    patience: float = 60.0
    folder: str = ""


@dataclass(frozen=True)
class Submit:
    """Jobs to do, by their numbers, before all others where they are `first`."""

    jobs: dict[int, Job]
    first: bool = False


@dataclass(frozen=True)
class Answer:
    """Whether a job goes on after a rung."""

    number: int
    epoch: int
    go_on: bool


@dataclass(frozen=True)
class Joined:
    """The cluster, with what it has in all: CPU, GPU, memory (bytes)…"""

    resources: dict[str, float]


@dataclass(frozen=True)
class Capacity:
    """How many lanes there can be now."""

    lanes: int


@dataclass(frozen=True)
class Note:
    """Something that a user should know."""

    text: str


@dataclass(frozen=True)
class Failed:
    """The conductor cannot go on."""

    reason: str
