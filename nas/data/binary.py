"""The binary formats of MNIST and CIFAR."""

import gzip
import io
import math
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.sources import Arrays, check_size, compact, reading
from nas.errors import NasError


def read_idx(path: Path) -> np.ndarray:
    """The unsigned bytes of one idx file, gzipped if it is called `.gz`.

    Two zero bytes, the type (8 is unsigned byte), the number of axes, their lengths as big-endian uint32, the data.
    """
    with reading(path, "idx file"), (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        zero, kind, ndim = struct.unpack(">HBB", file.read(4))
        if zero != 0 or kind != 8:
            raise NasError(f"{path}: not an idx file of unsigned bytes (it does not start with 00 00 08)")
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        check_size(path, math.prod(shape))
        raw = file.read(math.prod(shape) + 1)
        if len(raw) != math.prod(shape):
            raise NasError(f"{path}: its header says {shape}, which is not the number of bytes that follow")
        return np.frombuffer(raw, np.uint8).reshape(shape)


def find_idx(folder: Path, part: str) -> tuple[Path, Path] | None:
    """The image and label files of a part ("train" or "t10k") in a folder, gzipped or not."""
    stems = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    found = [path for stem in stems for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()]
    by_stem = {path.name.removesuffix(".gz"): path for path in found}
    return (by_stem[stems[0]], by_stem[stems[1]]) if len(by_stem) == 2 else None


def read_idx_pair(images: Path, labels: Path) -> Arrays:
    """Grey images (`n h w` in the file) and their labels."""
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or y.ndim != 1:
        raise NasError(f"{images.parent}: images {x.shape} with labels {y.shape}; expected 'n h w' and 'n'")
    return Arrays(compact(x[:, None]), y.astype(np.int64))


CIFAR_IMAGE = 3, 32, 32


def read_cifar_binary(path: Path, label_bytes: int) -> Arrays:
    """One `.bin` file: records of label bytes (the last one is the class) and a `c h w` image."""
    record = label_bytes + math.prod(CIFAR_IMAGE)
    with reading(path, "CIFAR file"):
        check_size(path, path.stat().st_size)
        raw = np.fromfile(path, np.uint8)
    if not len(raw) or len(raw) % record:
        raise NasError(f"{path}: {len(raw)} bytes; expected records of {record}")
    rows = raw.reshape(-1, record)
    x, y = rows[:, label_bytes:].reshape(-1, *CIFAR_IMAGE), rows[:, label_bytes - 1]
    return Arrays(compact(x), y.astype(np.int64))


class _PickledDtype:
    def __init__(self, code: bytes | str, *_: object) -> None:
        if code not in (b"u1", "u1"):
            raise ValueError(f"an array of {code!r}, expected unsigned bytes")

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment: nothing to know about bytes."""


class _PickledArray:
    """Stands in for a pickled array of unsigned bytes, so that not even numpy runs on what a file says."""

    array: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, _dtype, fortran, raw = state
        self.array = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: object) -> _PickledArray:
    return _PickledArray()


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dicts, lists, numbers, strings and byte arrays; any other name in the file is refused unlooked-up."""

    ALLOWED = {  # noqa: RUF012 - a constant, never written to
        ("numpy", "ndarray"): _PickledArray,
        ("numpy", "dtype"): _PickledDtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no image data needs")
        return self.ALLOWED[module, name]


def read_cifar_pickle(path: Path, labels: str) -> Arrays:
    """One batch of the "python version", without running anything that it says."""
    with reading(path, "CIFAR batch"):
        check_size(path, path.stat().st_size)
        raw = path.read_bytes()
        # this pass checks every length against the file, and here memo slots too: the unpickler would allocate them
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(raw):
                raise ValueError(f"memo slot {argument}")
        batch = _ArrayUnpickler(io.BytesIO(raw), encoding="bytes").load()
        batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
        x, y = batch["data"].array.reshape(-1, *CIFAR_IMAGE), np.asarray(batch[labels])
        if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
            raise ValueError(f"{labels} {y.shape} of {y.dtype} for {len(x)} images")
        return Arrays(compact(x), y.astype(np.int64))
