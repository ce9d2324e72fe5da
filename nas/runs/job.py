"""What is sent to a worker and what comes back: plain values that cross processes and become JSON lines."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

State = Literal["complete", "pruned", "failed"]

Phase = Literal["search", "final", "train", "tune", "compare"]
"""`tune` tries a learning rate, for whatever command; `compare` is a comparison's; the others are of searches."""

RANKED: tuple[Phase, ...] = ("search", "final")

TESTED: tuple[Phase, ...] = ("train", "compare")
"""What is trained in these phases meets the test data, once, at its end; finals meet the part that judges."""

BUNDLED: tuple[Phase, ...] = ("final", "tune", "compare")
"""What is trained in these phases may be trained as one with its like: short enough for nothing of it to be kept."""

FIRST_SEEDS: dict[Phase, int] = {"search": 0, "final": 1, "tune": 1_000, "compare": 1_001, "train": 10_000}
"""Where the seeds of each phase begin, from the run's own: no choice is judged by the seeds that it was made with."""


class Kind(NamedTuple):
    """What a training was trained on. Figures of different kinds are not averaged."""

    device: str
    precision: str


CPU = Kind("cpu", "float32")


class Key(NamedTuple):
    """What makes two trainings of a phase the same one; recipe, data and split are fixed by the run."""

    id: str
    lr: float
    seed: int
    epochs: int


CURVES, BITS, CPU_SECONDS = "curves", "bits", "cpu_seconds"
"""What the `extra` of an outcome has: by part the mean loss and the right examples after every epoch, and which at the
end (`nas.runs.bits`); the processor's time for training alone, which other work on the machine does not lengthen."""

METRIC = "metric"
"""Among the `extra` of an outcome: the name of a metric of somebody's own, which stands where accuracy does."""

HALVED = "halved_batch"
"""Among the `extra` of an outcome: the batch that it was trained with, where memory was short for that of the run."""


@dataclass(frozen=True)
class Job:
    """One training to do: an architecture at a learning rate, a seed and a number of epochs.

    `rungs` are the epochs (ascending, below `epochs`) after which the driver is asked whether to go on;
    with `weights` the trained weights come back too. One that is `alone` has its device for itself: where memory is
    short even so, it may be trained with half the batch. One that is `single` is not trained as one with others.
    """

    architecture: dict[str, Any]
    id: str
    lr: float
    seed: int
    epochs: int
    phase: Phase = "search"
    rungs: tuple[int, ...] = ()
    label: str = ""
    weights: bool = False
    alone: bool = False
    single: bool = False

    @property
    def key(self) -> Key:
        """What makes two trainings the same one."""
        return Key(self.id, self.lr, self.seed, self.epochs)

    def is_like(self, other: "Job") -> bool:
        """Whether the two differ in seed or rate alone, so that they can be trained as one, with nobody to ask."""
        bundled = self.phase in BUNDLED and not self.rungs and not self.single
        return bundled and self == replace(other, lr=self.lr, seed=self.seed)


@dataclass(frozen=True)
class Score:
    """One evaluation on the validation split (or on test data), after `epoch` epochs."""

    epoch: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Outcome:
    """How a training ended: its curve, or the reason why it failed (with the traceback kept).

    `judge` is the evaluation of a final on the part that judges, `right` the examples that a complete training was
    right on where it ended (`nas.runs.bits`): of that part, of test data, or in a search of the validation part.
    `weights` are those of a complete one as safetensors, where its job asks for them; they are no part of its line.
    """

    state: State
    scores: tuple[Score, ...] = ()
    train_loss: tuple[float, ...] = ()
    seconds: float = 0.0
    test: Score | None = None
    reason: str = ""
    traceback: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    judge: Score | None = None
    right: str = ""
    weights: bytes = field(default=b"", repr=False)

    def to_line(self) -> dict[str, Any]:
        """Its part of the JSON line: all but the weights."""
        return {name: value for name, value in asdict(self).items() if name != "weights"}  # bytes are not copied


GoOn = Callable[[Score], bool]
"""Called by a trainer at a rung; False means: stop here, the candidate is pruned."""

Trainer = Callable[[Job, GoOn], Outcome]
"""Trains one job. It may raise: the executor turns an exception into a failed outcome, and nothing else does."""


@runtime_checkable
class Bundler(Protocol):
    """A trainer that can also train a bundle: jobs that are like one another, as one."""

    @property
    def origin(self) -> dict[str, Any]:
        """What a line says of where it trains."""

    def together(self, bundle: Sequence[Job]) -> list[Outcome | Exception]:
        """What became of each job; it raises where they cannot be trained as one."""


UNTOLD = "rungs", "weights", "alone", "single"
"""What a job's line does not say."""


def record(job: Job, outcome: Outcome, **facts: Any) -> dict[str, Any]:
    """The JSON line of a finished training."""
    line = {name: value for name, value in asdict(job).items() if name not in UNTOLD}
    return line | facts | outcome.to_line()
