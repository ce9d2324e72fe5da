"""A finished training as a JSON line, read back so strictly that all else can rely on it."""

import json
import math
import re
import reprlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self, get_args

from nas.errors import NasError
from nas.runs.job import METRIC, Key, Phase, Score, State

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an architecture's id may look like: it becomes part of file names."""

LARGEST = 1e100  # of a loss, say, which in float32 ends at 3e38

_DEPTH = 100  # an architecture nests some ten levels deep; Python's own limit is 1000 calls


@dataclass(frozen=True)
class Result:
    """One finished training as its line in results.jsonl tells it.

    `params` and `macs` (per image) are the architecture's costs, `number` its place in the order of submission.

    >>> from nas.runs.job import Job, Outcome, record
    >>> job, outcome = Job({}, "a1", lr=0.01, seed=0, epochs=2), Outcome("complete", (Score(2, 0.5, 0.9),))
    >>> Result.from_line(record(job, outcome, params=8, macs=16, number=0)).score
    Score(epoch=2, loss=0.5, accuracy=0.9)
    """

    architecture: dict[str, Any]
    id: str
    lr: float
    seed: int
    epochs: int
    phase: Phase
    label: str
    params: int
    macs: int
    number: int
    state: State
    scores: tuple[Score, ...]
    train_loss: tuple[float, ...]
    seconds: float
    test: Score | None
    reason: str
    traceback: str
    extra: dict[str, Any]
    judge: Score | None = None
    right: str = ""

    @property
    def key(self) -> Key:
        """What makes two trainings of a run the same one."""
        return Key(self.id, self.lr, self.seed, self.epochs)

    @property
    def score(self) -> Score | None:
        """The last evaluation on the validation split, if there was one."""
        return self.scores[-1] if self.scores else None

    @property
    def counts(self) -> Score | None:
        """The evaluation that counts: of a final on the part that judges, where there is one, else `score`."""
        return self.judge or self.score

    @property
    def latency(self) -> float | None:
        """Milliseconds of a forward pass, where they were measured (`training.latency`, on the training's device)."""
        ms = self.extra.get("latency_ms")
        return float(ms) if ms is not None and is_finite(ms) and ms > 0 else None

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the packages it was trained with; empty where its line says none."""
        found = self.extra.get("versions")
        return {name: str(version) for name, version in found.items()} if isinstance(found, dict) else {}

    def to_line(self) -> dict[str, Any]:
        """The JSON line, as `nas.runs.job.record` makes it."""
        scores = [asdict(score) for score in self.scores]
        met = {name: score and asdict(score) for name, score in (("test", self.test), ("judge", self.judge))}
        return vars(self) | {"scores": scores, "train_loss": list(self.train_loss)} | met

    @classmethod
    def from_line(cls, line: dict[str, Any]) -> Self:
        """The result that a JSON line tells; fields that are not known are passed over.

        Raises ValueError that names the field which is missing or of the wrong kind.
        """
        values = {name: take(_LATER | line, name, kind) for name, kind in _FIELDS.items()}
        exact = {
            "lr": float(values["lr"]),
            "seconds": float(values["seconds"]),
            "scores": tuple(_score(score) for score in values["scores"]),
            "train_loss": tuple(float(loss) for loss in values["train_loss"]),
            "test": values["test"] and _score(values["test"]),
            "judge": values["judge"] and _score(values["judge"]),
        }
        result = cls(**values | exact)
        if METRIC not in result.extra:
            for score in filter(None, (*result.scores, result.test, result.judge)):
                if not 0 <= score.accuracy <= 1:
                    raise ValueError(f"'accuracy' is {score.accuracy}, not a share from 0 to 1")
        return result


def latest(results: Iterable[Result]) -> list[Result]:
    """Of every training its last line: one that failed may have been tried again."""
    last: dict[tuple[Phase, Key], Result] = {}
    for result in results:
        last.pop((result.phase, result.key), None)
        last[result.phase, result.key] = result
    return list(last.values())


def file_name(key: Key, phase: str = "") -> str:
    """The name of a file that belongs to a training, of a phase; NasError for an id that could lead elsewhere.

    >>> file_name(Key("a1", 3e-4, 7, 20), "final")
    'final-a1-lr0.0003-s7-e20.safetensors'
    """
    id, lr, seed, epochs = key
    if not ID.fullmatch(id):
        raise NasError(f"{id!r} cannot name a file of weights: an id is up to 64 letters, digits, '_' and '-'")
    return (f"{phase}-" if phase else "") + f"{id}-lr{float(lr)!r}-s{seed:d}-e{epochs:d}.safetensors"


def take(line: dict[str, Any], name: str, kind: str) -> Any:
    """The field `name` of a JSON object, checked to be of one of these kinds; ValueError if it is not.

    >>> take({"lr": "fast"}, "lr", "a finite number")
    Traceback (most recent call last):
    ValueError: 'lr' is 'fast', not a finite number
    """
    if name not in line:
        raise ValueError(f"{name!r} is missing")
    if not _KINDS[kind](line[name]):
        raise ValueError(f"{name!r} is {reprlib.repr(line[name])}, not {kind}")
    return line[name]


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes: numbers finite, integers below 2^63, at most 100 levels; else ValueError.

    >>> read_object(b'{"loss": NaN}')
    Traceback (most recent call last):
    ValueError: NaN is no finite number
    """
    try:
        value = json.loads(data.decode(), parse_constant=_float, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 ({error.reason} at byte {error.start + 1})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    level: list[Any] = [value]
    for _ in range(_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return value
    raise ValueError("nested too deeply")


def _children(node: Any) -> Collection[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _float(text: str) -> float:
    """Serves NaN and Infinity, which Python's json would let in, and 1e999, which it makes infinite."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def _int(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= 2**63:
        raise ValueError(f"{text[:20]} is too large")
    return value


def _score(value: dict[str, Any]) -> Score:
    return Score(value["epoch"], float(value["loss"]), float(value["accuracy"]))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def is_finite(value: Any) -> bool:
    """Whether a value is a number that sums and means of many such numbers stay finite with.

    >>> is_finite(0.5), is_finite(float("nan")), is_finite(1e300), is_finite("0.5")
    (True, False, False, False)
    """
    return type(value) is int or (isinstance(value, float) and abs(value) < LARGEST)


def _is_score(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_count(value.get("epoch"))
        and is_finite(value.get("loss"))
        and is_finite(value.get("accuracy"))
    )


def _list_of(is_item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(is_item(item) for item in value)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "an object": lambda value: isinstance(value, dict),
    "a text": lambda value: isinstance(value, str),
    "an id": lambda value: isinstance(value, str) and ID.fullmatch(value) is not None,
    "an integer": lambda value: type(value) is int,
    "a count": _is_count,
    "a finite number": is_finite,
    "a list of finite numbers": _list_of(is_finite),
    "a list of counts": _list_of(_is_count),
    "a list of sizes": _list_of(lambda value: _is_count(value) or _list_of(_is_count)(value)),
    "true or false": lambda value: isinstance(value, bool),
    "a list of texts": _list_of(lambda value: isinstance(value, str)),
    "a score or null": lambda value: value is None or _is_score(value),
    "a list of scores": _list_of(_is_score),
    " or ".join(get_args(Phase)): lambda value: value in get_args(Phase),
    " or ".join(get_args(State)): lambda value: value in get_args(State),
}

_FIELDS = {
    "architecture": "an object",
    "id": "an id",
    "lr": "a finite number",
    "seed": "an integer",
    "epochs": "a count",
    "phase": " or ".join(get_args(Phase)),
    "label": "a text",
    "params": "a count",
    "macs": "a count",
    "number": "a count",
    "state": " or ".join(get_args(State)),
    "scores": "a list of scores",
    "train_loss": "a list of finite numbers",
    "seconds": "a finite number",
    "test": "a score or null",
    "reason": "a text",
    "traceback": "a text",
    "extra": "an object",
    "judge": "a score or null",
    "right": "a text",
}

_LATER: dict[str, Any] = {"judge": None, "right": ""}  # what lines of older runs do not have
