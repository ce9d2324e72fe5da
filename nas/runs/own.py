"""What is somebody's own in a run: a metric with its name and its direction, a loss, a trainer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, get_args

from nas.errors import NasError, one_line
from nas.runs.job import GoOn, Job, Outcome

Better = Literal["higher", "lower"]

Loss = Callable[[Any, Any], Any]
"""Of the outputs of a network (`b k`) and the labels (`b`) or targets (`b k`) of a batch: their mean loss, a tensor."""

OwnTrainer = Callable[[Job, GoOn, Any], Outcome]
"""Trains a job's architecture on a `nas.data.dataset.Dataset`: a `Trainer` that is also given the data."""

TAKEN = """loss rank id label name front state std n gain gain_low gain_high verdict against params macs MACs seconds ms
latency_ms patch width depth sizes architecture mixers reason lacking halved_batch sensitivity claims"""
"""What a metric cannot be called: tables and rows have columns of these names."""

_LESS = re.compile(r"err|loss|mse|mae|mape|nll|perplex|brier|devian|distance", re.IGNORECASE)
"""Names of figures of which less is better, as a rule: their direction has to be said."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 @%^_.+-]{0,31}")


@dataclass(frozen=True)
class Metric:
    """A metric by its name, and whether a higher or a lower figure is the better one.

    `of` works it out from the outputs of a network and the targets of a whole part (tensors on the CPU, `n k` and `n`
    or `n k`), for the packages' own trainer; a trainer of one's own brings its figures along. Where `better` is not
    said, more is better; raises NasError for names such as rmse, whose direction has to be said.
    Where a score keeps it, more is better: a figure of which less is better has its sign turned there.

    >>> rmse = Metric("rmse", better="lower")
    >>> rmse.kept(0.25), rmse.figure(-0.25), rmse.text(-0.25)
    (-0.25, 0.25, '0.25')
    """

    name: str
    _: KW_ONLY
    better: Better = None  # type: ignore[assignment]  # "higher", but for names of what should be low
    of: Callable[[Any, Any], float] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name in TAKEN.split():
            fact = "a letter, then up to 31 letters, digits or ' @%^_.+-', and no other column of a table"
            raise NasError(f"{one_line(repr(self.name))[:60]} cannot name a metric: {fact}")
        if self.better is None:
            if _LESS.search(self.name):
                raise NasError(
                    f"metric {self.name!r}: say better='lower', or better='higher' where more of it is better"
                )
            object.__setattr__(self, "better", "higher")
        if self.better not in get_args(Better):
            raise NasError(f"better is {one_line(repr(self.better))[:60]}; higher or lower is expected")

    @property
    def is_accuracy(self) -> bool:
        """Whether it is the share of examples that a network is right on, which the packages themselves work out."""
        return self == ACCURACY

    def kept(self, figure: float) -> float:
        """A figure as a score keeps it."""
        return figure if self.better == "higher" else -figure

    def figure(self, kept: float) -> float:
        """What a score keeps, as the figure that it is."""
        return kept if self.better == "higher" else -kept

    def text(self, kept: float) -> str:
        """What a score keeps, in words: a percentage of accuracy, four digits of any other."""
        return f"{kept:.1%}" if self.is_accuracy else f"{self.figure(kept):.4g}"

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "better": self.better}


ACCURACY = Metric("accuracy")


def metric_of(settings: Mapping[str, Any]) -> Metric:
    """The metric of a run by its settings. Raises NasError for one that is damaged."""
    own = settings.get("own")
    kept = own.get("metric") if isinstance(own, Mapping) else None
    if kept is None:
        return ACCURACY
    if not isinstance(kept, Mapping):
        raise NasError(f"run.json: metric is {one_line(repr(kept))[:60]}; expected its name and what is better")
    return Metric(kept.get("name", ""), better=kept.get("better", "higher"))


@dataclass(frozen=True)
class Own:
    """What a search was given of its user's own; what is None is the packages'."""

    metric: Metric | None = None
    loss: Loss | None = None
    trainer: OwnTrainer | None = None
    model: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        if self.metric is not None and not isinstance(self.metric, Metric):
            raise NasError(
                f"metric is {self.metric!r:.60}; expected nas.Metric('f1', of=f1), with better='lower' if so"
            )
        if hasattr(self.model, "named_parameters") and not isinstance(self.model, type):
            raise NasError("model is a module; a function that makes a new one is expected: model=make_model")
        for name in ("loss", "trainer", "model"):
            if (given := getattr(self, name)) is not None and not callable(given):
                raise NasError(f"{name} is {given!r:.60}; a function is expected")
        if self.loss is not None and self.trainer is not None:
            raise NasError("a trainer of your own has its loss itself: give loss= or trainer=, not both")
        if self.metric is None and (self.loss or self.trainer):
            raise NasError("a loss or a trainer of your own takes a metric, too: metric=nas.Metric('rmse', …)")
        if self.metric is not None and self.trainer is None and self.metric.of is None:
            raise NasError(f"metric {self.metric.name!r} needs a function of outputs and targets, of=…, or a trainer=")

    def to_json(self) -> dict[str, Any]:
        """What a run keeps of it: the metric, and the names of functions."""
        functions = {name: getattr(self, name) for name in ("loss", "trainer", "model")}
        kept: dict[str, Any] = {name: name_of(each) for name, each in functions.items() if each is not None}
        return kept | ({} if self.metric is None else {"metric": self.metric.to_json()})

    def check_importable(self) -> None:
        """Raises NasError for what worker processes, which import modules, could not find."""
        given: dict[str, object] = {name: getattr(self, name) for name in ("loss", "trainer", "model")}
        given["metric"] = self.metric and self.metric.of
        for what, function in given.items():
            if function is None:
                continue
            name = name_of(function)
            if name.startswith("__main__.") or "<" in name:
                raise NasError(
                    f"worker processes import {what}= {name}, which is in no module: "
                    "write it into a file of its own, or take workers=0"
                )


def name_of(function: object) -> str:
    """A function by its module and name, or an object by those of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', '?')}.{getattr(named, '__qualname__', '?')}"


def metric_in(own: Own | None) -> Metric:
    """What networks are judged by."""
    return ACCURACY if own is None or own.metric is None else own.metric
