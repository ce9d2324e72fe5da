"""The part of an exported module that makes its inputs of raw ones: what it takes, and in which units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.errors import NasError

if TYPE_CHECKING:
    from torch import Tensor

    from einmix import Architecture

WIDTH = 120

TEXT = '''
CLASSES = {classes}
MEAN = {mean}  # of the training {noun}, by channel
STD = {std}
TAKES = {takes}  # least, most, and the factor to the units of MEAN


def preprocess({noun}):
    """`{axes}` as they are ({words}) -> what `model()` takes.

    Raises ValueError for another shape, type or range.
    """
    x = {array}({noun})
    if tuple(x.shape[1:]) != {shape}:
        raise ValueError(f"{noun} of shape {{tuple(x.shape)}}; expected (any, {sizes}): {axes}, channels first")
    kind = "uint8" if x.dtype == {uint8} else "float" if {is_float} else str(x.dtype)
    if kind not in TAKES:
        raise ValueError(f"{noun} of {{x.dtype}}; expected {words}")
    least, most, factor = TAKES[kind]
    low, high = (float(x.min()), float(x.max())) if len(x) else (least, most)
    if not least <= low <= high <= most{dark}:
        raise ValueError(f"{noun} from {{low:g}} to {{high:g}}; expected {words}")
    mean, std = ({moments}.reshape({ones}) for values in (MEAN, STD))
    return ({floats} * factor - mean) / std
'''

WORDS = {
    "torch": {
        "array": "torch.as_tensor",
        "uint8": "torch.uint8",
        "is_float": "x.is_floating_point()",
        "floats": "x.float()",
        "moments": "torch.tensor(values, device=x.device)",
    },
    "numpy": {
        "array": "np.asarray",
        "uint8": "np.uint8",
        "is_float": "np.issubdtype(x.dtype, np.floating)",
        "floats": "x.astype(np.float32)",
        "moments": "np.array(values, np.float32)",
    },
}
"""What the text says of tensors of torch, and of arrays of numpy, which other frameworks take."""

DARK = ' or (kind == "float" and 0 < high <= 1)'
"""Of floats from 0 to 255: images from 0 to 1 are within that, and would all be black."""


@dataclass(frozen=True)
class Preprocessing:
    """What raw inputs are like: moments by channel, class names in order, what an example is, in the plural.

    `takes` are, by type (`uint8` or `float`), the least and the largest value that may come, and the factor to the
    units of the training data. `inputs` are axes and channels of an example, where a network's own are not: a model
    that it is only a part of takes them.
    """

    takes: Mapping[str, tuple[float, float, float]]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    noun: str = "examples"
    inputs: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What a run keeps beside the moments."""
        return {"takes": {kind: list(bounds) for kind, bounds in self.takes.items()}, "classes": list(self.classes)}

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

    def text(self, architecture: Architecture, arrays: str = "torch") -> str:
        """Its Python, for a network, on tensors of torch or arrays of "numpy".

        Names stand in it as `repr` writes them. Raises NasError for another network's.
        """
        *axes, (_, channels) = self.inputs or architecture.inputs
        shape = channels, *(size for _, size in axes)
        for what, found, expected in (
            ("means", len(self.mean), channels),
            ("deviations", len(self.std), channels),
            ("class names", len(self.classes), architecture.classes if not self.inputs else len(self.classes)),
        ):
            if found != expected:
                raise NasError(f"{found} {what} for architecture {architecture.id}; expected {expected}")
        return TEXT.format(
            **WORDS[arrays],
            classes=_packed(self.classes),
            mean=repr(self.mean),
            std=repr(self.std),
            takes="{" + ", ".join(f'"{kind}": {bounds!r}' for kind, bounds in self.takes.items()) + "}",
            noun=self.noun,
            axes=" ".join(["b", "c", *(name for name, _ in axes)]),
            words=self.words,
            dark=DARK if self.takes.get("float") == (0, 255, 1) else "",
            shape=repr(shape),
            sizes=", ".join(map(str, shape)),
            ones=", ".join(["-1", *("1" for _ in axes)]),
        )


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
