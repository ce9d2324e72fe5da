"""The part of an exported module that makes its inputs of raw ones: what it takes, and in which units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.data.dataset import NOUNS
from nas.errors import NasError
from nas.runs.result import take

if TYPE_CHECKING:
    from torch import Tensor

    from einmix import Architecture


WIDTH = 120


FULL = 127
"""Images of bytes above this are of 0 to 255; those that end below could be of any scale."""


Range = tuple[float, float, float]
"""The least and the largest value that may come, and the factor to the units of the training data."""


TEXT = '''
CLASSES = {classes}
MEAN = {mean}  # of the training {noun}, by channel
STD = {std}
TAKES = {takes}  # least, most, and the factor to the units of MEAN


def preprocess({noun}):
    """`{axes}` as they are ({words}) -> what `model()` takes.

    Raises ValueError for another shape, type or range.
    """
    x = torch.as_tensor({noun})
    if tuple(x.shape[1:]) != {shape}:
        raise ValueError(f"{noun} of shape {{tuple(x.shape)}}; expected (any, {sizes}): {axes}, channels first")
    kind = "uint8" if x.dtype == torch.uint8 else "float" if x.is_floating_point() else str(x.dtype)
    if kind not in TAKES:
        raise ValueError(f"{noun} of {{x.dtype}}; expected {words}")
    least, most, factor = TAKES[kind]
    low, high = (float(x.min()), float(x.max())) if len(x) else (least, most)
    if not least <= low <= high <= most{dark}:
        raise ValueError(f"{noun} from {{low:g}} to {{high:g}}; expected {words}")
    mean, std = (torch.tensor(values, device=x.device).reshape({ones}) for values in (MEAN, STD))
    return (x.float() * factor - mean) / std
'''


BYTES = (0, 255, 1)


DARK = ' or (kind == "float" and 0 < high <= 1)'
"""Of floats from 0 to 255: images from 0 to 1 are within that, and would all be black."""


@dataclass(frozen=True)
class Preprocessing:
    """What raw inputs are like: `takes` by type (`uint8` or `float`), moments by channel, class names in order."""

    takes: Mapping[str, Range]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """What a run keeps beside the moments."""
        return {"takes": {kind: list(bounds) for kind, bounds in self.takes.items()}, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, value: dict[str, Any], mean: Sequence[float], std: Sequence[float]) -> Preprocessing:
        """What `to_json` gave, from a file that is not trusted. Raises ValueError."""
        takes = take(value, "takes", "an object")
        bounds = {kind: take(takes, kind, "a list of finite numbers") for kind in takes}
        if not bounds or not bounds.keys() <= {"uint8", "float"} or any(len(each) != 3 for each in bounds.values()):
            raise ValueError(f"'takes' is {takes!r:.100}, not ranges of uint8 or float")
        ranges = {kind: (each[0], each[1], each[2]) for kind, each in bounds.items()}
        return cls(ranges, tuple(take(value, "classes", "a list of texts")), tuple(mean), tuple(std))

    @property
    def words(self) -> str:
        """What it takes, in words: `uint8 from 0 to 255 or floats from 0 to 1`."""
        names = {"uint8": "uint8", "float": "floats"}
        return " or ".join(f"{names[kind]} from {low:g} to {high:g}" for kind, (low, high, _) in self.takes.items())

    @property
    def metadata(self) -> dict[str, str]:
        """What weights carry of it: texts, lists as JSON."""
        lists = {"mean": self.mean, "std": self.std, "classes": self.classes}
        return {"pixels": self.words} | {name: json.dumps(values) for name, values in lists.items()}

    def examples(self, shape: Sequence[int]) -> dict[str, Tensor]:
        """Raw inputs of every type that is taken, and what has to become of them, as training normalises it."""
        import torch

        chance = torch.Generator().manual_seed(1)
        mean, std = (torch.tensor(values).view(-1, *[1] * (len(shape) - 2)) for values in (self.mean, self.std))
        pairs: dict[str, Tensor] = {}
        for kind, (least, most, factor) in self.takes.items():
            raw = least + (most - least) * torch.rand(*shape, generator=chance)
            raw = raw.round().to(torch.uint8) if kind == "uint8" else raw.clamp(least, most)
            pairs |= {f"raw {kind}": raw, f"prepared {kind}": (raw * factor - mean) / std}
        return pairs

    def text(self, architecture: Architecture) -> str:
        """Its Python, for a network; names stand in it as `repr` writes them. Raises NasError for another's."""
        *axes, (_, channels) = architecture.inputs
        shape = channels, *(size for _, size in axes)
        for what, found, expected in (
            ("means", len(self.mean), channels),
            ("deviations", len(self.std), channels),
            ("class names", len(self.classes), architecture.classes),
        ):
            if found != expected:
                raise NasError(f"{found} {what} for architecture {architecture.id}; expected {expected}")
        return TEXT.format(
            classes=_packed(self.classes),
            mean=repr(self.mean),
            std=repr(self.std),
            takes="{" + ", ".join(f'"{kind}": {bounds!r}' for kind, bounds in self.takes.items()) + "}",
            noun=NOUNS.get(len(axes), "examples"),
            axes=" ".join(["b", "c", *(name for name, _ in axes)]),
            words=self.words,
            dark=DARK if self.takes.get("float") == BYTES else "",
            shape=repr(shape),
            sizes=", ".join(map(str, shape)),
            ones=", ".join(["-1", *("1" for _ in axes)]),
        )


def ranges(x: np.ndarray, white: int | None) -> dict[str, Range]:
    """What may come as an input, of a network that was trained on `x`.

    Bytes are of 0 to `white`, where that is known: then floats from 0 to 1 are taken too. Floats from 0 to 1 may come
    as bytes; any others have to come from about where those of the training data are.
    """
    least, most = float(x.min()), float(x.max())
    if x.dtype == np.uint8:
        white = white or (255 if most > FULL else None)
        return {"uint8": BYTES} if white is None else {"uint8": (0, white, 1), "float": (0, 1, white)}
    if least >= 0 and FULL / 255 < most <= 1:
        return {"uint8": (0, 255, 1 / 255), "float": (0, 1, 1)}
    if least >= 0 and FULL < most <= 255:
        return {"uint8": BYTES, "float": BYTES}
    return {"float": (2 * least - most, 2 * most - least, 1)}


def _packed(names: Sequence[str]) -> str:
    """A tuple of texts, on several lines where it is long."""
    literals = [_literal(name) for name in names]
    whole = "(" + ", ".join(literals) + ("," if len(literals) == 1 else "") + ")"
    if len(whole) <= WIDTH - len("CLASSES = "):
        return whole
    lines = [""]
    for literal in literals:
        if len(lines[-1]) + len(literal) + 6 > WIDTH and lines[-1]:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{literal},"
    return "(\n" + "".join(f"    {line}\n" for line in lines) + ")"


def _literal(text: str) -> str:
    """A text as Python reads it, in the quotes of the rest where that needs no more than other quotes."""
    literal = repr(text)
    return literal if '"' in literal or "\\" in literal else f'"{literal[1:-1]}"'
