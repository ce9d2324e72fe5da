"""What networks are judged by: accuracy, or a metric of somebody's own with its name and its direction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, get_args

from nas.errors import NasError, one_line

Better = Literal["higher", "lower"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 @%^_.+-]{0,31}")


@dataclass(frozen=True)
class Metric:
    """A metric by its name, and whether a higher or a lower figure is the better one.

    `of` works it out from the outputs of a network and the targets of a whole part (tensors on the CPU, `n k` and `n`
    or `n k`), for the packages' own trainer; a trainer of one's own brings its figures along.
    Where a score keeps it, more is better: a figure of which less is better has its sign turned there.

    >>> rmse = Metric("rmse", better="lower")
    >>> rmse.kept(0.25), rmse.figure(-0.25), rmse.text(-0.25)
    (-0.25, 0.25, '0.25')
    """

    name: str
    _: KW_ONLY
    better: Better = "higher"
    of: Callable[[Any, Any], float] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or self.name == "loss":
            shown = one_line(repr(self.name))[:60]
            raise NasError(f"{shown} cannot name a metric: a letter, then up to 31 letters, digits or ' @%^_.+-'")
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
