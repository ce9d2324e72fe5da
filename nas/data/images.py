"""A folder of images, one subfolder a class."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nas.data.sources import Arrays, Source, check_size, reading
from nas.errors import NasError, counted

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
    check_size(root, len(paths) * math.prod(size) * len(mode))
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
