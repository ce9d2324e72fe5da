"""Reads the files that data sets come in, and trusts none of them."""

from __future__ import annotations

import gzip
import io
import math
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import NasError, counted

MAX_BYTES = 8 << 30  # every worker process holds the data in memory


@dataclass(frozen=True, eq=False)
class Arrays:
    """Examples `x` (`n c *axes`, uint8 or float32) and their labels `y` (`n`, int64)."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: np.ndarray) -> Arrays:
        return Arrays(self.x[index], self.y[index])


@dataclass(frozen=True, eq=False)
class Source:
    """What a data set's files hold: training data always, the other parts where they were given.

    `origin` names the source in messages; `names` are the classes, where the files name them; `title` is what the data
    set is called where that says more than what was asked for. `white` is the most that bytes can be, where that is
    known; `notes` say what was converted.
    """

    origin: str
    axes: tuple[str, ...]
    train: Arrays
    validation: Arrays | None = None
    test: Arrays | None = None
    names: tuple[str, ...] = ()
    title: str = ""
    white: int | None = None
    notes: tuple[str, ...] = ()

    def label(self, index: int) -> str:
        """How a message calls the class of this index."""
        return f"class {self.names[index]!r}" if 0 <= index < len(self.names) else f"label {index}"


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turns whatever a damaged file makes a parser raise into one line that names the file."""
    try:
        yield
    except NasError:
        raise
    except Exception as error:  # numpy, zlib, PIL and pickle promise no list of what they raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NasError(f"{path}: not a readable {expected} ({reason[:200]})") from error


def _check_size(origin: Path, size: int) -> None:
    if size > MAX_BYTES:
        found, most = f"{size / 2**30:,.1f} GiB", f"{MAX_BYTES / 2**30:g} GiB"
        raise NasError(f"{origin}: {found} of data; expected at most {most}, since data is held in memory")


def compact(x: np.ndarray) -> np.ndarray:
    """The same numbers as uint8 (where they were) or float32, contiguous and writable, as torch wants to share them."""
    with np.errstate(over="ignore"):  # what overflows becomes inf, which the caller refuses with a message
        return np.require(x, np.uint8 if x.dtype == np.uint8 else np.float32, ["C", "W"])


def read_idx(path: Path) -> np.ndarray:
    """The unsigned bytes of one idx file, gzipped if it is called `.gz`.

    Two zero bytes, the type (8 is unsigned byte), the number of axes, their lengths as big-endian uint32, the data.
    """
    with reading(path, "idx file"), (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        zero, kind, ndim = struct.unpack(">HBB", file.read(4))
        if zero != 0 or kind != 8:
            raise NasError(f"{path}: not an idx file of unsigned bytes (it does not start with 00 00 08)")
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        _check_size(path, math.prod(shape))
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
        _check_size(path, path.stat().st_size)
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
        _check_size(path, path.stat().st_size)
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


SPATIAL = (("t",), ("h", "w"), ("d", "h", "w"))
NPZ_AXES = {3: "n h w", 4: "n c h w", 5: "n c d h w"}
NPZ_ARRAYS = "x", "y", "x_test", "y_test", "axes", "classes"


def read_npz(path: Path) -> Source:
    """Arrays `x` and `y`, optionally `x_test` and `y_test`; never a pickle.

    x is `n h w` (grey images: three axes are never `n c t`), `n c h w` or `n c d h w`; a string array `axes` says
    otherwise: `np.savez("speech.npz", x=x, y=y, axes="n c t")`, or "n h w c" for channels-last images. A string array
    `classes` names the classes, in the order of their labels.
    """
    with reading(path, ".npz file"):
        with zipfile.ZipFile(path) as archive:
            _check_size(path, sum(_npz_bytes(archive, entry) for entry in archive.infolist()))
        with np.load(path, allow_pickle=False) as file:
            names = sorted(file.files)
            found = {name: np.asarray(file[name]) for name in names if name in NPZ_ARRAYS}
    if not {"x", "y"} <= found.keys() or ("x_test" in found) != ("y_test" in found):
        holds = ", ".join(names) or "nothing"
        raise NasError(f"{path}: holds {holds}; expected arrays x and y, and x_test and y_test both or neither")
    axes = _npz_axes(path, found)
    test = _npz_arrays(path, found, axes, "_test") if "x_test" in found else None
    classes = found.get("classes", np.array([], str))
    if classes.ndim != 1 or classes.dtype.kind != "U":
        raise NasError(f"{path}: classes is {classes.dtype} of shape {classes.shape}; expected texts, one for a class")
    train, called = _npz_arrays(path, found, axes, ""), tuple(map(str, classes))
    if called and len(called) != (labels := len(np.unique(train.y))):
        raise NasError(f"{path}: {len(called)} names of {labels} classes; expected one for each")
    return Source(str(path), _spatial(axes), train, test=test, names=called)


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


def _npz_axes(path: Path, found: dict[str, np.ndarray]) -> list[str]:
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


def _npz_arrays(path: Path, found: dict[str, np.ndarray], axes: list[str], suffix: str) -> Arrays:
    x, y = found["x" + suffix], found["y" + suffix]
    if x.ndim != len(axes) or x.dtype.kind not in "biuf":
        expected = f"numbers of shape '{' '.join(axes)}'"
        raise NasError(f"{path}: x{suffix} is {x.dtype} of shape {x.shape}; expected {expected}")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise NasError(f"{path}: y{suffix} is {y.dtype} of shape {y.shape}; expected one integer label for each x")
    if "c" not in axes:
        x, axes = x[..., None], [*axes, "c"]
    order = "n", "c", *_spatial(axes)
    return Arrays(compact(x.transpose([axes.index(axis) for axis in order])), y.astype(np.int64))


DROPPED = "the alpha channel is dropped, the colours below it stay as they are"
GREY = "1", "L", "LA"
CHANGES = {
    "1": "black and white become 0 and 255",
    "LA": DROPPED,
    "RGBA": DROPPED,
    "P": "the palette's colours become RGB",
}
"""What is said of images that are converted, by PIL's mode; the rarer ones have no words of their own."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}


def read_folder(root: Path) -> Source:
    """Images as `class/*.png`, or as `train/class/*.png` with `test/` and `val/` beside it where they are given.

    Images share one size; they are grey when all files are, else `RGB`. An alpha channel is dropped. What was not so in
    the files is told in the source's notes.
    """
    parts = _subfolders(root)
    if "train" not in parts or not _subfolders(parts["train"]):
        parts = {"train": root}
    elif unknown := sorted(parts.keys() - {"train", "val", "test"}):
        raise NasError(f"{root}: folder {unknown[0]!r} beside train/; expected train/ and optionally val/ and test/")
    names = tuple(_subfolders(parts["train"]))
    listed = {part: _list_images(folder, names) for part, folder in parts.items()}
    mode, size, notes = _common_form(root, [path for images in listed.values() for path, _ in images])
    read = {part: _read_images(images, mode, size) for part, images in listed.items()}
    parts_read = read["train"], read.get("val"), read.get("test")
    return Source(str(root), ("h", "w"), *parts_read, names, white=255, notes=notes)


def _subfolders(folder: Path) -> dict[str, Path]:
    with reading(folder, "folder"):
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {path.name: path for path in inside}


def _list_images(folder: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """The image files of every class, with the index of the class."""
    classes = _subfolders(folder)
    if unknown := sorted(classes.keys() - set(names)):
        raise NasError(f"{folder}: class {unknown[0]!r} is not among the training classes {', '.join(names)}")
    images = [
        (path, names.index(name))
        for name, inside in classes.items()
        for path in sorted(inside.iterdir())
        if path.suffix.lower() in FORMATS
    ]
    if not images:
        raise NasError(f"{folder}: no images; expected one folder for each class, with {' '.join(FORMATS)} files in it")
    return images


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The image in a file, opened only by the decoders of FORMATS and within PIL's own limit of pixels."""
    from PIL import Image

    with reading(path, "image"), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=sorted(set(FORMATS.values()))) as image:
            yield image


def _common_form(root: Path, paths: Sequence[Path]) -> tuple[str, tuple[int, int], tuple[str, ...]]:
    """The mode ("L" or "RGB") and the size (width, height) of all images, from their headers; what is converted."""
    modes: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    for path in paths:
        with _opened(path) as image:
            modes[image.mode] += 1
            sizes[image.size] += 1
            if image.mode.startswith(("I", "F")):
                raise NasError(f"{path}: more than 8 bits a channel; save it with 8, or put the data into an .npz")
    if len(sizes) > 1:
        found = ", ".join(f"{w}x{h} ({count})" for (w, h), count in sizes.most_common(4)) + ", …" * (len(sizes) > 4)
        w, h = sizes.most_common(1)[0][0]
        resize = f"`mogrify -resize {w}x{h}! FILES` (ImageMagick) resizes in place"
        raise NasError(f"{root}: images of {len(sizes)} sizes, {found}; expected one; {resize}")
    mode, (size,) = ("L" if modes.keys() <= set(GREY) else "RGB"), sizes
    _check_size(root, len(paths) * math.prod(size) * len(mode))
    return mode, size, _conversions(root, modes, mode)


def _conversions(root: Path, modes: Mapping[str, int], mode: str) -> tuple[str, ...]:
    """What becomes of the images that are not as all are to be."""
    changes: Counter[str] = Counter()
    for found, count in modes.items():
        if found not in ("L", "RGB"):
            changes[CHANGES.get(found, f"{found} becomes RGB")] += count
        if mode == "RGB" and found in GREY:
            changes["grey becomes RGB, as others have colours"] += count
    total = sum(modes.values())
    return tuple(f"{root}: {count:,} of {counted(total, 'image')}: {change}" for change, count in changes.items())


def _read_images(images: Sequence[tuple[Path, int]], mode: str, size: tuple[int, int]) -> Arrays:
    width, height = size
    x = np.empty((len(images), len(mode), height, width), np.uint8)
    for row, (path, _) in zip(x, images, strict=True):
        with _opened(path) as image:
            row[:] = np.asarray(image.convert(mode)).reshape(height, width, -1).transpose(2, 0, 1)
    return Arrays(x, np.array([label for _, label in images], np.int64))
