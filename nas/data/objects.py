"""Data sets of other libraries, as they are held in Python: torch's, and those of Hugging Face's datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.npz import GIVEN, from_arrays
from nas.data.sources import Source, check_size, reading
from nas.errors import NasError, one_line

EXAMPLES, LABELS = ("image", "img", "x", "pixels"), ("label", "labels", "y", "target")
"""Columns that are taken where their kind does not say what they are."""


def given(data: Any, *, targets: bool = False) -> Source:
    """Arrays, or a data set of another library, read into memory: it is split as all data is. Raises NasError.

    Of torch it is a map-style `Dataset` of pairs (x, y), of Hugging Face a `Dataset`, or a `DatasetDict` with `train`
    and perhaps `test`. Images of Pillow's are `h w` or `h w c`, tensors as `from_arrays` says.
    """
    if _is_of(data, "datasets"):
        return from_arrays(_hugging_face(data), targets=targets)
    if _is_of(data, "torch.utils.data"):
        if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
            raise NasError("a torch IterableDataset has no length: a Dataset of pairs (x, y) is expected")
        return from_arrays(_arrays(_pairs(data), len(data)), targets=targets)
    return from_arrays(data, targets=targets)


def _is_of(data: object, package: str) -> bool:
    return any(f"{base.__module__}.".startswith(f"{package}.") for base in type(data).__mro__)


def _pairs(data: Any) -> Iterable[tuple[Any, Any]]:
    for number in range(len(data)):
        pair = data[number]
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise NasError(f"example {number} of the data is of type {type(pair).__name__}; a pair (x, y) is expected")
        yield pair[0], pair[1]


def _hugging_face(data: Any) -> dict[str, Any]:
    """The arrays of a `Dataset`, or of the parts of a `DatasetDict`, with the names of classes where it has some."""
    if not isinstance(data, Mapping):
        data = {"train": data}
    if "train" not in data:
        raise NasError(f"the data has the parts {', '.join(map(str, data))}; train is expected, and perhaps test")
    if not all(hasattr(rows, "__len__") for rows in data.values()):
        raise NasError("the data is streamed, without a length: load it whole, as a Dataset")
    features = data["train"].features
    x = _column(features, ("Image", "Array2D", "Array3D", "Array4D"), EXAMPLES)
    y = _column(features, ("ClassLabel",), LABELS)
    found: dict[str, Any] = {}
    for part, suffix in (("train", ""), ("test", "_test")):
        if part in data:
            rows = data[part]
            arrays = _arrays(zip(rows[x], rows[y], strict=True), len(rows))
            found |= {name if name == "axes" else name + suffix: value for name, value in arrays.items()}
    names = getattr(features[y], "names", None)
    return found | ({"classes": np.array([one_line(str(name)) for name in names])} if names else {})


def _column(features: Mapping[str, Any], kinds: tuple[str, ...], names: tuple[str, ...]) -> str:
    """The first column of such a kind, else of such a name."""
    found = [name for name, feature in features.items() if type(feature).__name__ in kinds]
    found += [name for name in names if name in features]
    if not found:
        raise NasError(f"the data has the columns {', '.join(features)}; one of {', '.join(names)} is expected")
    return found[0]


def _arrays(pairs: Iterable[tuple[Any, Any]], number: int) -> dict[str, Any]:
    """Pairs as arrays `x` and `y`; images of Pillow's name their axes."""
    xs, ys, axes = [], [], ""
    for x, y in pairs:
        is_image = hasattr(x, "getbands")
        with reading(Path(GIVEN), "array of numbers"):
            xs.append(np.asarray(x.detach().cpu() if hasattr(x, "detach") else x))
            ys.append(np.asarray(y.detach().cpu() if hasattr(y, "detach") else y))
        if is_image:
            axes = "n h w c" if xs[-1].ndim == 3 else "n h w"
        if len(xs) == 1:
            check_size(Path(GIVEN), number * xs[0].size * (1 if xs[0].dtype == np.uint8 else 4))
    if len(shapes := {each.shape for each in xs}) != 1:
        few = " and ".join(map(str, sorted(shapes)[:2])) or "none"
        raise NasError(f"{GIVEN}: examples of shapes {few}; expected one shape: resize or crop them first")
    return {"x": np.stack(xs), "y": np.stack(ys)} | ({"axes": axes} if axes else {})
