"""Data sets of other libraries, the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from nas.data.objects import given
from nas.errors import NasError

RNG = np.random.default_rng(0)
LABELS = np.arange(20) % 2
COLOUR = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)


def hugging_face(images: np.ndarray) -> datasets.Dataset:
    kinds = datasets.Features({"label": datasets.ClassLabel(names=["cat", "dog"]), "picture": datasets.Image()})
    return datasets.Dataset.from_dict(
        {"label": LABELS.tolist(), "picture": [Image.fromarray(image) for image in images]}, features=kinds
    )


def test_images_of_hugging_face() -> None:
    found = given(hugging_face(COLOUR))
    assert (found.axes, found.names, found.test) == (("h", "w"), ("cat", "dog"), None)
    assert np.array_equal(found.train.x, COLOUR.transpose(0, 3, 1, 2)) and np.array_equal(found.train.y, LABELS)
    parts = datasets.DatasetDict({"train": hugging_face(COLOUR[..., 0]), "test": hugging_face(COLOUR[..., 1])})
    found = given(parts)
    assert found.test is not None and np.array_equal(found.test.x[:, 0], COLOUR[..., 1])
    assert np.array_equal(found.train.x[:, 0], COLOUR[..., 0]) and found.train.x.dtype == np.uint8


def test_columns_by_their_names() -> None:
    x = RNG.normal(size=(20, 4, 4))
    found = given(datasets.Dataset.from_dict({"x": x.tolist(), "y": LABELS.tolist(), "z": LABELS.tolist()}))
    assert np.allclose(found.train.x[:, 0], x) and found.names == ()
    numbers = datasets.Dataset.from_dict({"x": x.tolist(), "target": RNG.normal(size=20).tolist()})
    assert given(numbers, targets=True).train.y.shape == (20, 1)


class Pairs(Dataset[Any]):
    def __init__(self, *pairs: Any) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Any:
        return self.pairs[index]


def test_datasets_of_torch() -> None:
    x = torch.rand(20, 1, 4, 4)
    found = given(TensorDataset(x, torch.from_numpy(LABELS)))
    assert np.array_equal(found.train.x, x.numpy()) and np.array_equal(found.train.y, LABELS)
    assert given(TensorDataset(x, torch.rand(20, 3)), targets=True).train.y.shape == (20, 3)
    images = given(Pairs(*((Image.fromarray(image), int(y)) for image, y in zip(COLOUR, LABELS, strict=True))))
    assert images.train.x.shape == (20, 3, 6, 5)


def test_arrays_are_what_they_were() -> None:
    assert given((COLOUR[..., 0], LABELS)).train.x.shape == (20, 1, 6, 5)


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


SPLIT = datasets.DatasetDict({"all": hugging_face(COLOUR)})
STREAM = hugging_face(COLOUR).to_iterable_dataset()
TEXTS = datasets.Dataset.from_dict({"text": ["a"], "label": [0]})
SEVERAL = Pairs((np.zeros((2, 2)), 0), (np.zeros((3, 2)), 1))
FLOATS = Pairs((np.zeros((2, 2)), 0.5), (np.zeros((2, 2)), 1.5))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Endless(), "a torch IterableDataset has no length: a Dataset of pairs"),
        (Pairs(1, 2), "example 0 of the data is of type int; a pair"),
        (SEVERAL, r"examples of shapes \(2, 2\) and \(3, 2\); expected one"),
        (Pairs(), "examples of shapes none; expected one shape"),
        (FLOATS, "y is float64 of shape"),
        (TEXTS, "the data has the columns text, label; one of image"),
        (SPLIT, "the data has the parts all; train is expected"),
        (STREAM, "the data is streamed, without a length: load it whole"),
        (3, r"data is of type int; expected a name, a path or two arrays"),
    ],
)
def test_what_is_no_data(data: Any, words: str) -> None:
    with pytest.raises(NasError, match=words):
        given(data)
