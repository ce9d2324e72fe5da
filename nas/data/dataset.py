"""A data set: its parts, scaled and split."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.data.sources import Arrays, Source
from nas.errors import NasError

SHARE = 0.2  # of what is there: the test part where none is given, then the judge and the validation part

MAX_JUDGE = 10_000  # images, on which the difference of two good networks is known to a third of a point

MAX_VALIDATION = 5_000  # images, at which an accuracy of 0.9 has a standard error of 0.4%; more costs time only

MIN_CLASS = 5  # images, so that a fifth of a class is one

FULL = 127  # images of bytes above this are of 0 to 255; those that end below could be of any scale

SYNTHETIC = " (synthetic)"  # stands behind the name of generated data wherever that is shown or kept

NOUNS = {1: "sequences", 2: "images", 3: "volumes"}
"""What examples of so many spatial axes are called."""

Range = tuple[float, float, float]
"""The least and the largest value that may come, and the factor to the units of the training data."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images (sequences, volumes) as `n c *axes` with labels 0 ... classes - 1, in four separate parts.

    Instead of labels there may be targets (`n k`) for a loss of somebody's own: then `classes` is how many numbers each
    example has.

    Networks are trained on `train`, chosen by `validation`, and those that were chosen judged by `judge`; runs made
    before there was such a part have none. `test` is for what is trained and compared in the end.
    `mean` and `std` are those of each channel of the training part; a channel that is constant has std 1.
    `fingerprint` (hex) is equal for two datasets exactly when all parts and the seed of the split are.
    `names` are the classes in the order of their labels, numbers where nobody named them; `white` is the most that
    bytes can be, where that is known; `notes` say what was converted.

    >>> digits = load("digits", data_dir=Path("data"), seed=0)
    >>> digits.shape, digits.channels, digits.classes, len(digits.train), len(digits.validation), len(digits.test)
    ({'h': 8, 'w': 8}, 1, 10, 920, 230, 359)
    >>> len(digits.judge)
    288
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
    judge: Arrays | None = field(default=None, repr=False)

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
        counts |= {} if self.judge is None else {"judge": len(self.judge)}
        sizes = {"shape": self.shape, "channels": self.channels, "classes": self.classes}
        return {"name": self.name} | sizes | counts | {"seed": self.seed, "fingerprint": self.fingerprint}


def split(source: Source, name: str, *, seed: int, limit: int | None = None, judged: bool = True) -> Dataset:
    """The data set of a source, which is called so unless the source has a title.

    Where the source has no test data, a stratified fifth is held out, then one that judges (at most 10,000; not as
    `judged` says, nor where a class has less than five examples), both the same for every seed. Validation data is a
    stratified fifth (at most 5,000) of what is left, chosen by `seed`. `limit` caps the training images; the other
    parts stay the same under it. Raises NasError for what cannot be trained on.
    """
    classes = _check(source)
    rng = np.random.default_rng(seed)
    train, test, validation = source.train, source.test, source.validation
    if test is None:
        train, test = _hold_out(train, len(train), np.random.default_rng(0))
    judge = None
    if judged and np.bincount(source.train.strata).min() >= MIN_CLASS:
        train, judge = _hold_out(train, MAX_JUDGE, np.random.default_rng(1))
    if validation is None:
        train, validation = _hold_out(train, MAX_VALIDATION, rng)
    if limit is not None and limit < len(train):
        train = train[_stratified(train.strata, limit, rng)]
    kinds = int(source.train.strata.max()) + 1
    if missing := np.flatnonzero(np.bincount(train.strata, minlength=kinds) == 0).tolist():
        raise NasError(f"{source.origin}: a limit of {limit} leaves no training image of {source.label(missing[0])}")
    mean, std = _moments(train.x)
    return Dataset(
        name=source.title or name,
        axes=source.axes,
        train=train,
        validation=validation,
        test=test,
        classes=classes,
        mean=mean,
        std=std,
        seed=seed,
        fingerprint=_fingerprint((train, validation, test, *([] if judge is None else [judge])), seed),
        names=source.names[:classes] or tuple(map(str, range(classes))),
        white=source.white,
        notes=source.notes,
        judge=judge,
    )


def ranges(x: np.ndarray, white: int | None) -> dict[str, Range]:
    """What may come as an input, by its type, of a network that was trained on `x`.

    Bytes are of 0 to `white`, where that is known: then floats from 0 to 1 are taken too. Floats from 0 to 1 may come
    as bytes; any others have to come from about where those of the training data are.
    """
    least, most = float(x.min()), float(x.max())
    if x.dtype == np.uint8:
        white = white or (255 if most > FULL else None)
        return {"uint8": (0, 255, 1)} if white is None else {"uint8": (0, white, 1), "float": (0, 1, white)}
    if least >= 0 and FULL / 255 < most <= 1:
        return {"uint8": (0, 255, 1 / 255), "float": (0, 1, 1)}
    if least >= 0 and FULL < most <= 255:
        return {"uint8": (0, 255, 1), "float": (0, 255, 1)}
    return {"float": (2 * least - most, 2 * most - least, 1)}


def _check(source: Source) -> int:
    """The number of classes (or of targets), of data that can be trained on; anything else is a NasError."""
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
        if part.y.shape[1:] != source.train.y.shape[1:]:
            raise NasError(f"{source.origin}: y of shape {part.y.shape}; expected as many numbers for each")
        if not np.isfinite(part.y).all():
            raise NasError(f"{source.origin}: y holds NaN or infinity; expected finite numbers")
    return _check_labels(source) if source.train.y.ndim == 1 else int(source.train.y.shape[1])


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
    held_out[_stratified(pool.strata, min(round(SHARE * len(pool)), most), rng)] = True
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
