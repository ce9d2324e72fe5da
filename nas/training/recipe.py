"""How a candidate is trained: the few numbers that all trainings of a run share."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from nas.errors import NasError, nearest
from nas.runs.job import Kind

if TYPE_CHECKING:
    from nas.data.dataset import Dataset

Augment = Literal["none", "shift", "shift+flip"]

Scaling = Literal["none", "fan-in"]

BASE = 32
"""Inputs of the weights that are trained at the rate itself, where rates are scaled: of small networks the width."""

SCALED = f"the rate of a weight that is summed over n > 1 inputs times {BASE} / n"
"""What scaling by fan-in is, in words."""

WORDS = {"augment": Augment, "scaling": Scaling}

LARGE = 10_000
"""From so many training examples on a training takes long, and an epoch holds many steps."""

MIRRORED = "cifar10", "cifar100"  # data sets whose classes stay what they are when mirrored

_BOUNDS = {
    "epochs": (1, math.inf),
    "batch": (1, math.inf),
    "lr": (1e-8, math.inf),
    "weight_decay": (0, math.inf),
    "label_smoothing": (0, 1),
    "warmup": (0, 1),
}  # at least, below


@dataclass(frozen=True)
class Recipe:
    """The recipe of AdamW with linear warm-up and cosine decay to zero.

    `lr` is None where the learning rate is to be found (`nas.loop.rates`); `warmup` is a share of all steps.
    `augment`: "shift" crops at random from the image padded by an eighth of its sides, "shift+flip" also mirrors the
    last spatial axis of every other image. `scaling`: by "fan-in" the rate of every weight is multiplied as
    `nas.training.groups.scales` says.

    >>> Recipe(epochs=5).batch
    64
    """

    epochs: int = 20
    batch: int = 64
    lr: float | None = None
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    warmup: float = 0.1
    augment: Augment = "none"
    scaling: Scaling = "none"

    def __post_init__(self) -> None:
        for name, (least, below) in _BOUNDS.items():
            value = getattr(self, name)
            if name == "lr" and value is None:
                continue
            kind = int if name in ("epochs", "batch") else (int, float)
            if not isinstance(value, kind) or isinstance(value, bool) or not least <= value < below:
                number = "an integer" if kind is int else "a number"
                most = f" and below {below:g}" if below < math.inf else ""
                raise NasError(f"recipe: {name} is {value!r}; expected {number} of at least {least:g}{most}")
        for name, words in WORDS.items():
            if (value := getattr(self, name)) not in get_args(words):
                raise NasError(f"recipe: unknown {name} {value!r}; {nearest(str(value), get_args(words))}")

    @classmethod
    def for_dataset(cls, dataset: Dataset, **overrides: Any) -> Recipe:
        """The recipe that fits the size and the kind of a data set; overrides that are None are left to it."""
        large = len(dataset.train) >= LARGE
        fitting = {
            "epochs": min(20, max(3, round(40_000 / len(dataset.train)))),
            "batch": 128 if large else 64,
            "augment": "shift+flip" if dataset.name in MIRRORED else "none",
        }
        return cls(**fitting | {name: value for name, value in overrides.items() if value is not None})

    @classmethod
    def from_json(cls, values: Any) -> Recipe:
        """The recipe that `to_json` wrote; every field has to be there, and nothing else."""
        names = [field.name for field in fields(cls)]
        values = {"scaling": "none"} | values if isinstance(values, dict) else values
        if not isinstance(values, dict) or (missing := [name for name in names if name not in values]):
            found = f"without {missing[0]!r}" if isinstance(values, dict) else f"as {type(values).__name__}"
            raise NasError(f"recipe: {found}; expected an object with {', '.join(names)}")
        for name in values:
            if name not in names:
                raise NasError(f"recipe: unknown field {name!r}; {nearest(str(name), names)}")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; without a scaling as before there was any, so that a run keeps its name."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("scaling", "none")}


def kind_on(device: str, precision: str = "auto") -> Kind:
    """What is trained on a device of this machine: float32, on a GPU what `precision` says.

    By itself that is TF32 where the GPU has it: bfloat16 was 2% faster at most and mostly slower (docs/log.md). Raises
    NasError for another one where there is no GPU, and for TF32 where the GPU lacks it.
    """
    if device != "cuda":
        if precision not in ("auto", "float32"):
            raise NasError(f"--precision {precision} is for GPUs: on {device} it is float32")
        return Kind(device, "float32")
    if precision in ("auto", "tf32"):
        import torch

        # a torch before 2.7 cannot say; NVIDIA's GPUs have both or neither
        has_it = getattr(
            torch.cuda, "is_tf32_supported", lambda: torch.cuda.is_bf16_supported(including_emulation=False)
        )()
        if precision == "tf32" and not has_it:
            raise NasError("--precision tf32: this GPU does not have it (--precision float32 works on all)")
        precision = "tf32" if has_it else "float32"
    return Kind(device, precision)
