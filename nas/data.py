"""Holds a data set in memory, in a training, a validation and a test part."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import NasError, nearest
from nas.formats import (
    Arrays,
    Source,
    compact,
    find_idx,
    read_cifar_binary,
    read_cifar_pickle,
    read_folder,
    read_idx_pair,
    read_npz,
    reading,
)
from nas.generated import GENERATED

SHARE = 0.2  # of what is there: the test part where none is given, then the validation part
MAX_VALIDATION = 5_000  # images, at which an accuracy of 0.9 has a standard error of 0.4%; more costs time only
MIN_CLASS = 5  # images, so that a fifth of a class is one
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts its files
SYNTHETIC = " (synthetic)"  # stands behind the name of generated data wherever that is shown or kept


SHAPES: dict[str, tuple[dict[str, int], int, int]] = {
    "digits": ({"h": 8, "w": 8}, 1, 10),
    "fashion-mnist": ({"h": 28, "w": 28}, 1, 10),
    "cifar10": ({"h": 32, "w": 32}, 3, 10),
    "cifar100": ({"h": 32, "w": 32}, 3, 100),
    "mnist1d": ({"t": 40}, 1, 10),
    "volumes": ({"d": 16, "h": 16, "w": 16}, 1, 8),
}
"""Lengths of the spatial axes, channels and classes of the known data sets, for what needs no data."""

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The classes of Fashion-MNIST by label, https://github.com/zalandoresearch/fashion-mnist."""

NOUNS = {1: "sequences", 2: "images", 3: "volumes"}
"""What examples of so many spatial axes are called."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (sequences, volumes) as `n c *axes` with labels 0 ... classes - 1, in three separate parts.

    `mean` and `std` are those of each channel of the training part; a channel that is constant has std 1.
    `fingerprint` (hex) is equal for two datasets exactly when all three parts and the seed of the split are.
    `names` are the classes in the order of their labels, numbers where nobody named them; `white` is the most that
    bytes can be, where that is known; `notes` say what was converted.

    >>> digits = load("digits", data_dir=Path("data"), seed=0)
    >>> digits.shape, digits.channels, digits.classes, len(digits.train), len(digits.validation), len(digits.test)
    ({'h': 8, 'w': 8}, 1, 10, 1150, 288, 359)
    """

    name: str
    axes: tuple[str, ...]
    train: Arrays = field(repr=False)
    validation: Arrays = field(repr=False)
    test: Arrays = field(repr=False)
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    fingerprint: str
    names: tuple[str, ...] = ()
    white: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Number of channels, 1 for grey images."""
        return int(self.train.x.shape[1])

    @property
    def noun(self) -> str:
        """What an example is, in the plural: by the number of axes."""
        return NOUNS.get(len(self.axes), "examples")

    @property
    def shape(self) -> dict[str, int]:
        """Length of each spatial axis."""
        return dict(zip(self.axes, self.train.x.shape[2:], strict=True))

    def facts(self) -> dict[str, Any]:
        """What a run keeps of its data: sizes, the split's seed and the fingerprint, as JSON values."""
        counts = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        sizes = {"shape": self.shape, "channels": self.channels, "classes": self.classes}
        return {"name": self.name} | sizes | counts | {"seed": self.seed, "fingerprint": self.fingerprint}


def load(name: str, *, data_dir: Path, seed: int, limit: int | None = None) -> Dataset:
    """Loads a data set by its name (a key of `SOURCES`), or from an image folder or an .npz by its path.

    Generated data is called so: "volumes" becomes a data set named "volumes (synthetic)", which loads it again.

    Validation data is a stratified fifth (at most 5,000) of the training data, chosen by `seed`. Where the source has
    no test data, a fixed stratified fifth is held out, the same for every seed. `limit` caps the training images;
    validation and test data stay the same under it. Files found in `data_dir` are used before anything is downloaded.

    Raises: NasError for an unknown name, and for files that are missing, damaged or unfit to train on.
    """
    if limit is not None and limit < 1:
        raise NasError(f"a limit of {limit} training images; expected at least 1")
    with reading(Path(name), "data set"):
        source = _source(name, data_dir)
    classes = _check(source)
    rng = np.random.default_rng(seed)
    train, test, validation = source.train, source.test, source.validation
    if test is None:
        train, test = _hold_out(train, len(train), np.random.default_rng(0))
    if validation is None:
        train, validation = _hold_out(train, MAX_VALIDATION, rng)
    if limit is not None and limit < len(train):
        train = train[_stratified(train.y, limit, rng)]
    if missing := np.flatnonzero(np.bincount(train.y, minlength=classes) == 0).tolist():
        raise NasError(f"{source.origin}: a limit of {limit} leaves no training image of {source.label(missing[0])}")
    mean, std = _moments(train.x)
    parts = train, validation, test
    return Dataset(
        source.title or name,
        source.axes,
        *parts,
        classes,
        mean,
        std,
        seed,
        _fingerprint(parts, seed),
        names=source.names[:classes] or tuple(map(str, range(classes))),
        white=source.white,
        notes=source.notes,
    )


def place_of(name: str) -> Path | None:
    """Where data is that is named by its path, absolute; None for the known data sets."""
    return None if name in SOURCES or name.removesuffix(SYNTHETIC) in GENERATED else Path(name).resolve()


def _source(name: str, data_dir: Path) -> Source:
    """The known data set of this name, else the image folder or .npz at this path."""
    path = Path(name)
    known = name.removesuffix(SYNTHETIC)
    if name in SOURCES or known in GENERATED:
        return SOURCES[known](data_dir)
    if path.is_dir():
        return read_folder(path)
    if path.suffix == ".npz":
        return read_npz(path)
    if path.exists() or len(path.parts) > 1:
        what = "neither an .npz file nor an image folder" if path.exists() else "no such file or folder"
        raise NasError(f"data {name!r}: {what}")
    raise NasError(f"unknown data {name!r}; {nearest(name, SOURCES)}; or the path of an image folder or an .npz file")


def _check(source: Source) -> int:
    """The number of classes, of data that can be trained on; anything else is a NasError."""
    for part in (source.train, source.validation, source.test):
        if part is None:
            continue
        if len(part.x) != len(part.y):
            raise NasError(f"{source.origin}: {len(part.x)} examples with {len(part.y)} labels; expected one for each")
        if part.x.size == 0:
            raise NasError(f"{source.origin}: x has shape {part.x.shape}; expected at least one of everything")
        if part.x.shape[1:] != source.train.x.shape[1:]:
            shapes = f"{part.x.shape[1:]} beside training examples of {source.train.x.shape[1:]}"
            raise NasError(f"{source.origin}: examples of shape (channels first) {shapes}; expected one shape")
        if part.x.dtype != np.uint8 and not np.isfinite(part.x).all():
            raise NasError(f"{source.origin}: x holds NaN or infinity (as float32); expected finite numbers")
    return _check_labels(source)


def _check_labels(source: Source) -> int:
    """The number of classes; the training labels are 0, 1, ... without a gap, others are among them."""
    labels, counts = np.unique(source.train.y, return_counts=True)
    classes = len(labels)
    if classes < 2:
        raise NasError(f"{source.origin}: one class only ({source.label(labels[0])}); expected two or more")
    if (labels != np.arange(classes)).any():
        found = ", ".join(str(label) for label in labels[:8]) + ", ..." * (classes > 8)
        raise NasError(f"{source.origin}: labels {found}; expected 0 to {classes - 1} without a gap")
    least = MIN_CLASS if source.test is None or source.validation is None else 1
    if counts.min() < least:
        rare = source.label(int(counts.argmin()))
        raise NasError(f"{source.origin}: {counts.min()} examples of {rare}; expected {least} or more, to be split")
    for part in (source.validation, source.test):
        if part is not None and not 0 <= part.y.min() <= part.y.max() < classes:
            found = f"labels {part.y.min()} to {part.y.max()}"
            raise NasError(f"{source.origin}: {found} outside the training part; expected 0 to {classes - 1}")
    return classes


def _hold_out(pool: Arrays, most: int, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    """The pool without a stratified share of it, and that share, of `most` examples or fewer."""
    held_out = np.zeros(len(pool), bool)
    held_out[_stratified(pool.y, min(round(SHARE * len(pool)), most), rng)] = True
    return pool[~held_out], pool[held_out]


def _stratified(y: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (ascending) of `size` examples, in which every class has its share, rounded up or down."""
    order = rng.permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    evenly = ((np.arange(size) + 0.5) * len(y) / size).astype(np.int64)
    return np.sort(by_class[evenly])


def _moments(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, which share `n c *axes` with the others."""
    mean = [float(x[:, c].mean(dtype=np.float64)) for c in range(x.shape[1])]
    std = [float(x[:, c].std(dtype=np.float64)) for c in range(x.shape[1])]
    return tuple(mean), tuple(s or 1.0 for s in std)


def _fingerprint(parts: Iterable[Arrays], seed: int) -> str:
    digest = hashlib.sha256(f"seed {seed}".encode())
    for array in (array for part in parts for array in (part.x, part.y)):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _digits(data_dir: Path) -> Source:
    """1,797 images of 8x8 with 17 grey levels, which scikit-learn carries; nothing is read from `data_dir`.

    Its file is read without it: to import it takes longer than anything else before the first training.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise NasError("digits come with scikit-learn, which is not installed: pip install scikit-learn")
    table = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
    return Source("digits", ("h", "w"), Arrays(compact(images.astype(np.uint8)), labels), white=16)


def _generated(data_dir: Path, *, name: str) -> Source:
    """Data of `nas.generated`; nothing is read from `data_dir` or written to it."""
    return replace(GENERATED[name](), title=name + SYNTHETIC)


def _fashion_mnist(data_dir: Path) -> Source:
    folders = data_dir / "fashion-mnist", data_dir / "FashionMNIST" / "raw", data_dir, DEBIAN_FASHION

    def find() -> Source | None:
        for folder in folders:
            train, test = find_idx(folder, "train"), find_idx(folder, "t10k")
            if train and test:
                read, test_read = read_idx_pair(*train), read_idx_pair(*test)
                return Source(str(folder), ("h", "w"), read, test=test_read, names=FASHION)
        return None

    def download() -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(data_dir, download=True)

    wanted = f"put its four idx files into {folders[0]}, or install Debian's package dataset-fashion-mnist"
    return _find_or_download("fashion-mnist", find, download, wanted=wanted)


@dataclass(frozen=True)
class _Cifar:
    """One of the two CIFAR data sets, as https://www.cs.toronto.edu/~kriz/cifar.html offers it."""

    archive: str
    md5: str
    binary: str
    pickled: str
    parts: tuple[str, ...]  # the last one is the test part
    label_bytes: int
    label_key: str
    names: tuple[str, ...] = ()

    def find(self, data_dir: Path) -> Source | None:
        """The data in its binary layout, else in its pickled one."""
        for folder, suffix, read in (
            (data_dir / self.binary, ".bin", partial(read_cifar_binary, label_bytes=self.label_bytes)),
            (data_dir / self.pickled, "", partial(read_cifar_pickle, labels=self.label_key)),
        ):
            paths = [folder / (part + suffix) for part in self.parts]
            if all(path.is_file() for path in paths):
                *train, test = map(read, paths)
                x, y = np.concatenate([part.x for part in train]), np.concatenate([part.y for part in train])
                return Source(str(folder), ("h", "w"), Arrays(x, y), test=test, names=self.names)
        return None

    def download(self, data_dir: Path) -> None:
        """Fetches and unpacks the binary version."""
        from torchvision.datasets.utils import download_and_extract_archive

        download_and_extract_archive(self.url, data_dir, md5=self.md5)

    @property
    def url(self) -> str:
        """Where the archive of the binary version is."""
        return f"https://www.cs.toronto.edu/~kriz/{self.archive}"


_CIFAR10 = _Cifar(
    archive="cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    binary="cifar-10-batches-bin",
    pickled="cifar-10-batches-py",
    parts=("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"),
    label_bytes=1,
    label_key="labels",
    names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_CIFAR100 = _Cifar(
    archive="cifar-100-binary.tar.gz",
    md5="03b5dce01913d631647c71ecec9e9cb8",
    binary="cifar-100-binary",
    pickled="cifar-100-python",
    parts=("train", "test"),
    label_bytes=2,
    label_key="fine_labels",
)


def _cifar(data_dir: Path, *, kind: _Cifar) -> Source:
    wanted = f"unpack {kind.url} into {data_dir}"
    find, download = partial(kind.find, data_dir), partial(kind.download, data_dir)
    return _find_or_download(kind.archive.split("-binary")[0], find, download, wanted=wanted)


def _find_or_download(
    name: str, find: Callable[[], Source | None], download: Callable[[], None], *, wanted: str
) -> Source:
    """What is on disk, else what a download puts there; `wanted` says what the user can do without one."""
    if (source := find()) is not None:
        return source
    try:
        with redirect_stdout(sys.stderr):  # torchvision talks; stdout belongs to tables and JSON
            download()
    except Exception as error:  # no torchvision, one of another torch build, no network, a full disk, a wrong md5
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NasError(f"{name} is not there and cannot be downloaded ({reason}); {wanted}") from error
    if (source := find()) is None:
        raise NasError(f"{name} was downloaded, but its files are not complete; {wanted}")
    return source


SOURCES: Mapping[str, Callable[[Path], Source]] = {
    "digits": _digits,
    "fashion-mnist": _fashion_mnist,
    "cifar10": partial(_cifar, kind=_CIFAR10),
    "cifar100": partial(_cifar, kind=_CIFAR100),
    **{name: partial(_generated, name=name) for name in GENERATED},
}
"""The data sets that are known by name: read from (or downloaded to) a folder, or generated."""
