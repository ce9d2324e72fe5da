"""Holds a data set in memory, in a training, a validation and a test part."""

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nas.data.binary import find_idx, read_cifar_binary, read_cifar_pickle, read_idx_pair
from nas.data.dataset import SYNTHETIC, Dataset, split
from nas.data.generated import GENERATED
from nas.data.images import read_folder
from nas.data.npz import read_npz
from nas.data.sources import Arrays, Source, compact, reading
from nas.errors import NasError, nearest

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")  # where the package dataset-fashion-mnist puts its files


class Sizes(NamedTuple):
    """Lengths of the spatial axes, channels and classes of a data set."""

    shape: dict[str, int]
    channels: int
    classes: int


SHAPES = {
    "digits": Sizes({"h": 8, "w": 8}, channels=1, classes=10),
    "fashion-mnist": Sizes({"h": 28, "w": 28}, channels=1, classes=10),
    "cifar10": Sizes({"h": 32, "w": 32}, channels=3, classes=10),
    "cifar100": Sizes({"h": 32, "w": 32}, channels=3, classes=100),
    "mnist1d": Sizes({"t": 40}, channels=1, classes=10),
    "volumes": Sizes({"d": 16, "h": 16, "w": 16}, channels=1, classes=8),
}
"""The sizes of the known data sets, for what needs no data."""

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
"""The classes of Fashion-MNIST by label, https://github.com/zalandoresearch/fashion-mnist."""


def load(name: str | Source, *, data_dir: Path, seed: int, limit: int | None = None, judged: bool = True) -> Dataset:
    """Loads a data set by its name (a key of `SOURCES`), from an image folder or an .npz by its path, or from a source.

    Generated data is called so: "volumes" becomes a data set named "volumes (synthetic)", which loads it again.

    It is split as `nas.data.dataset.split` says. Files found in `data_dir` are used before anything is downloaded.

    Raises: NasError for an unknown name, and for files that are missing, damaged or unfit to train on.
    """
    if limit is not None and limit < 1:
        raise NasError(f"a limit of {limit} training images; expected at least 1")
    if isinstance(name, Source):
        return split(name, name.origin, seed=seed, limit=limit, judged=judged)
    with reading(Path(name), "data set"):
        source = _source(name, data_dir)
    return split(source, name, seed=seed, limit=limit, judged=judged)


def place_of(name: str | Source) -> Path | None:
    """Where data is that is named by its path, absolute; None for the known data sets, and for what has no name."""
    if isinstance(name, Source):
        return None
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


def _digits(data_dir: Path) -> Source:
    """1,797 images of 8x8 with 17 grey levels, which scikit-learn carries; nothing is read from `data_dir`.

    Its file is read without it: to import it takes longer than anything else before the first training.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise NasError("digits come with scikit-learn, which is not installed: pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)
    return Source("digits", ("h", "w"), Arrays(compact(images), labels), white=16)


def _generated(data_dir: Path, *, name: str) -> Source:
    """Data of `nas.data.generated`; nothing is read from `data_dir` or written to it."""
    return replace(GENERATED[name](), title=name + SYNTHETIC)


def _fashion_folders(data_dir: Path) -> list[Path]:
    return [data_dir / "fashion-mnist", data_dir / "FashionMNIST" / "raw", data_dir, DEBIAN_FASHION]


def _find_fashion(data_dir: Path) -> Path | None:
    """The first folder that has all of its files."""
    parts = "train", "t10k"
    return next((each for each in _fashion_folders(data_dir) if all(find_idx(each, part) for part in parts)), None)


def _fashion_mnist(data_dir: Path) -> Source:
    def find() -> Source | None:
        if (folder := _find_fashion(data_dir)) is None:
            return None
        train, test = find_idx(folder, "train"), find_idx(folder, "t10k")
        assert train and test
        read, test_read = read_idx_pair(*train), read_idx_pair(*test)
        return Source(str(folder), ("h", "w"), read, test=test_read, names=FASHION)

    def download() -> None:
        from torchvision.datasets import FashionMNIST

        FashionMNIST(data_dir, download=True)

    first, *_ = _fashion_folders(data_dir)
    wanted = f"put its four idx files into {first}, or install Debian's package dataset-fashion-mnist"
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

    def read(self, data_dir: Path) -> Source:
        """What is there, else the binary version, fetched and unpacked."""
        url = f"https://www.cs.toronto.edu/~kriz/{self.archive}"

        def download() -> None:
            from torchvision.datasets.utils import download_and_extract_archive

            download_and_extract_archive(url, data_dir, md5=self.md5)

        name, wanted = self.archive.split("-binary")[0], f"unpack {url} into {data_dir}"
        return _find_or_download(name, partial(self._find, data_dir), download, wanted=wanted)

    def find_files(self, data_dir: Path) -> list[Path]:
        """The files of its binary layout, else of its pickled one; none where neither is whole."""
        for folder, suffix in ((data_dir / self.binary, ".bin"), (data_dir / self.pickled, "")):
            paths = [folder / (part + suffix) for part in self.parts]
            if all(path.is_file() for path in paths):
                return paths
        return []

    def _find(self, data_dir: Path) -> Source | None:
        if not (paths := self.find_files(data_dir)):
            return None
        binary = partial(read_cifar_binary, label_bytes=self.label_bytes)
        read = binary if paths[0].suffix == ".bin" else partial(read_cifar_pickle, labels=self.label_key)
        *train, test = map(read, paths)
        x, y = np.concatenate([part.x for part in train]), np.concatenate([part.y for part in train])
        return Source(str(paths[0].parent), ("h", "w"), Arrays(x, y), test=test, names=self.names)


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
    "cifar10": _CIFAR10.read,
    "cifar100": _CIFAR100.read,
    **{name: partial(_generated, name=name) for name in GENERATED},
}
"""The data sets that are known by name: read from (or downloaded to) a folder, or generated."""


def whereabouts(data_dir: Path) -> dict[str, Path | None]:
    """Of the known data sets that have files the folder where they are, read or not; None where they are not."""
    cifar = {name: each.find_files(data_dir) for name, each in (("cifar10", _CIFAR10), ("cifar100", _CIFAR100))}
    found = {name: paths[0].parent if paths else None for name, paths in cifar.items()}
    return {"fashion-mnist": _find_fashion(data_dir), **found}


def shape_of(data: str, data_dir: Path) -> tuple[dict[str, int], int, int]:
    """Shape, channels and classes of the data; those of the well-known sets without loading them."""
    if data in SHAPES:
        return SHAPES[data]
    dataset = load(data, data_dir=data_dir, seed=0)
    return dataset.shape, dataset.channels, dataset.classes
