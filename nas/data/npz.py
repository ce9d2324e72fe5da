"""Arrays of a NumPy archive, or given as they are."""

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.sources import Arrays, Source, check_size, compact, reading
from nas.errors import NasError, nearest

SPATIAL = (("t",), ("h", "w"), ("d", "h", "w"))

NPZ_AXES = {3: "n h w", 4: "n c h w", 5: "n c d h w"}

GIVEN = "arrays"
"""What data is called that has no place of its own."""

NPZ_ARRAYS = "x", "y", "x_test", "y_test", "axes", "classes"


def read_npz(path: Path) -> Source:
    """Arrays `x` and `y`, optionally `x_test` and `y_test`; never a pickle.

    x is `n h w` (grey images: three axes are never `n c t`), `n c h w` or `n c d h w`; a string array `axes` says
    otherwise: `np.savez("speech.npz", x=x, y=y, axes="n c t")`, or "n h w c" for channels-last images. A string array
    `classes` names the classes, in the order of their labels.
    """
    with reading(path, ".npz file"):
        with zipfile.ZipFile(path) as archive:
            check_size(path, sum(_npz_bytes(archive, entry) for entry in archive.infolist()))
        with np.load(path, allow_pickle=False) as file:
            names = sorted(file.files)
            found = {name: np.asarray(file[name]) for name in names if name in NPZ_ARRAYS}
    return _checked(str(path), found, names)


def from_arrays(data: Any, *, targets: bool = False) -> Source:
    """Arrays `(x, y)`, or by the names that they have in an .npz, as NumPy or torch has them. Raises NasError.

    With `targets` y may also be numbers to be predicted: `n` floats, or `n k` of any kind.

    >>> from_arrays((np.zeros((20, 8, 8)), np.arange(20) % 2)).axes
    ('h', 'w')
    """
    try:
        named = data if isinstance(data, Mapping) else dict(zip(("x", "y"), data, strict=True))
    except (TypeError, ValueError):
        raise NasError(f"data is of type {type(data).__name__}; expected a name, a path or two arrays (x, y)") from None
    if unknown := sorted(named.keys() - set(NPZ_ARRAYS)):
        raise NasError(f"{GIVEN}: no {unknown[0]!r}: {nearest(str(unknown[0]), NPZ_ARRAYS)}")
    with reading(Path(GIVEN), "array of numbers"):
        plain = {name: each.detach().cpu() if hasattr(each, "detach") else each for name, each in named.items()}
        found = {name: np.asarray(each) for name, each in plain.items()}
    check_size(Path(GIVEN), sum(each.size * (1 if each.dtype == np.uint8 else 4) for each in found.values()))
    return replace(_checked(GIVEN, found, sorted(found), targets=targets), title=GIVEN)


def _checked(path: str, found: dict[str, np.ndarray], names: Sequence[str], *, targets: bool = False) -> Source:
    """Arrays as a source, of all that were there by name."""
    if not {"x", "y"} <= found.keys() or ("x_test" in found) != ("y_test" in found):
        holds = ", ".join(names) or "nothing"
        raise NasError(f"{path}: holds {holds}; expected arrays x and y, and x_test and y_test both or neither")
    axes = _npz_axes(path, found)
    test = _npz_arrays(path, found, axes, "_test", targets=targets) if "x_test" in found else None
    classes = found.get("classes", np.array([], str))
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise NasError(f"{path}: classes is {classes.dtype} of shape {classes.shape}; expected texts, one for a class")
    train, called = _npz_arrays(path, found, axes, "", targets=targets), tuple(map(str, classes))
    labels = len(np.unique(train.y)) if train.y.ndim == 1 else train.y.shape[1]
    if called and len(called) != labels:
        raise NasError(f"{path}: {len(called)} names of {labels} classes; expected one for each")
    return Source(path, _spatial(axes), train, test=test, names=called)


def _npz_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """What an array takes in memory, as it is read or as it is kept: `compact` makes four bytes of one."""
    if not entry.filename.endswith(".npy"):
        return entry.file_size
    with archive.open(entry) as file:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    kept = np.int64 if entry.filename.startswith("y") else np.uint8 if dtype == np.uint8 else np.float32
    return max(entry.file_size, math.prod(shape) * np.dtype(kept).itemsize)


def _npz_axes(path: str, found: dict[str, np.ndarray]) -> list[str]:
    """The names of x's axes, as given or by the number of axes."""
    shape = found["x"].shape
    if "axes" in found:
        axes = str(found["axes"]).split()
        if "n" not in axes or _spatial(axes) not in SPATIAL or len(set(axes)) < len(axes):
            found_axes = f"axes {' '.join(axes)!r}"
            raise NasError(f"{path}: {found_axes}; expected n, c where there are channels, and t, h w or d h w")
        return axes
    if len(shape) not in NPZ_AXES:
        known = ", ".join(f"{axes!r}" for axes in NPZ_AXES.values())
        raise NasError(f"{path}: x has shape {shape}; expected {known}, or an array axes that names them ('n c t')")
    axes = NPZ_AXES[len(shape)].split()
    if len(shape) > 3 and shape[-1] <= 4 < min(shape[1:-1]):
        given, last = " ".join(axes), " ".join(["n", *axes[2:], "c"])
        choice = f"save it with axes={last!r}, or with axes={given!r} if that is what it is"
        raise NasError(f"{path}: x has shape {shape}, which looks like {last!r}; {choice}")
    return axes


def _spatial(axes: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(axes) - {"n", "c"}))  # d, h, w: the alphabet agrees with the usual order


def _npz_arrays(path: str, found: dict[str, np.ndarray], axes: list[str], suffix: str, *, targets: bool) -> Arrays:
    x, y = found["x" + suffix], found["y" + suffix]
    if x.ndim != len(axes) or x.dtype.kind not in "biuf":
        expected = f"numbers of shape '{' '.join(axes)}'"
        raise NasError(f"{path}: x{suffix} is {x.dtype} of shape {x.shape}; expected {expected}")
    if is_target := targets and (y.ndim == 2 or (y.ndim == 1 and y.dtype.kind == "f")) and y.dtype.kind in "biuf":
        y = y.reshape(len(y), -1)
    elif y.ndim != 1 or y.dtype.kind not in "iu":
        raise NasError(f"{path}: y{suffix} is {y.dtype} of shape {y.shape}; expected one integer label for each x")
    if "c" not in axes:
        x, axes = x[..., None], [*axes, "c"]
    order = "n", "c", *_spatial(axes)
    x = compact(x.transpose([axes.index(axis) for axis in order]))
    return Arrays(x, compact(y.astype(np.float32)) if is_target else y.astype(np.int64))
