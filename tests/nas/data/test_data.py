"""Data sets: what is loaded, how it is split, and what bad files get."""

import gzip
import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from nas.data import known as data
from nas.data import sources as formats
from nas.data.binary import read_cifar_binary, read_cifar_pickle, read_idx
from nas.data.dataset import Dataset, _fingerprint, ranges
from nas.data.images import read_folder
from nas.data.known import load
from nas.data.npz import NPZ_AXES, from_arrays
from nas.data.sources import Arrays
from nas.errors import NasError


def arrays(shape: tuple[int, ...] = (40, 6, 6), classes: int = 4, dtype: type = np.uint8) -> dict[str, np.ndarray]:
    """Random x of this shape, and y that holds every class equally often."""
    x = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    return {"x": x, "y": np.arange(shape[0]) % classes}


def save(path: Path, **found: object) -> str:
    np.savez(path, **found)
    return str(path)


def load_npz(tmp_path: Path, seed: int = 0, limit: int | None = None, **found: object) -> Dataset:
    return load(save(tmp_path / "mine.npz", **found), data_dir=tmp_path, seed=seed, limit=limit)


def parts(dataset: Dataset) -> list[Arrays]:
    assert dataset.judge is not None
    return [dataset.train, dataset.validation, dataset.judge, dataset.test]


# splits


def test_digits(tmp_path: Path) -> None:
    digits = load("digits", data_dir=tmp_path, seed=0)
    assert (digits.shape, digits.channels, digits.classes) == data.SHAPES["digits"] == ({"h": 8, "w": 8}, 1, 10)
    assert [len(part) for part in parts(digits)] == [920, 230, 288, 359]
    assert all(part.x.dtype == np.uint8 and part.y.dtype == np.int64 for part in parts(digits))
    assert digits.mean == pytest.approx((digits.train.x.mean(),))
    assert digits.std == pytest.approx((digits.train.x.std(),))
    images, labels = load_digits(return_X_y=True)
    theirs = sorted((bytes(map(int, image)), int(label)) for image, label in zip(images, labels, strict=True))
    ours = [(x.tobytes(), int(y)) for part in parts(digits) for x, y in zip(part.x, part.y, strict=True)]
    assert sorted(ours) == theirs  # upright, each with its label


def test_parts_share_nothing_and_lose_nothing(tmp_path: Path) -> None:
    x = np.arange(200, dtype=np.float32)[:, None, None]  # every example is its own number
    loaded = load_npz(tmp_path, x=x, y=np.arange(200) % 4)
    seen = np.concatenate([part.x.ravel() for part in parts(loaded)])
    assert sorted(seen) == list(range(200))
    for part in parts(loaded):
        np.testing.assert_array_equal(part.x.ravel() % 4, part.y)


def test_every_class_keeps_its_share(tmp_path: Path) -> None:
    """Of several seeds and limits, since one draw may come near by luck; the order of the labels is no matter."""
    y = np.random.default_rng(7).permutation(np.repeat(np.arange(4), [5, 20, 75, 300]))
    for seed in range(5):
        loaded = load_npz(tmp_path, seed, limit=64, x=np.arange(400)[:, None, None], y=y)
        np.testing.assert_allclose(np.bincount(loaded.test.y, minlength=4), [1, 4, 15, 60], atol=1)
        np.testing.assert_allclose(np.bincount(loaded.judge.y, minlength=4), [0.8, 3.2, 12, 48], atol=1)
        np.testing.assert_allclose(np.bincount(loaded.validation.y, minlength=4), [0.6, 2.6, 9.6, 38.4], atol=1.5)
        np.testing.assert_allclose(np.bincount(loaded.train.y, minlength=4), [0.8, 3.2, 12, 48], atol=1.5)
        assert [len(part) for part in parts(loaded)] == [64, 51, 64, 80]


def test_a_fingerprint_is_that_of_the_parts_and_of_the_split() -> None:
    """One number, one label, one type, another order of the parts, or another seed: another data set."""
    x, y = np.arange(24, dtype=np.uint8).reshape(4, 1, 2, 3), np.arange(4)
    same = [Arrays(x + k, y) for k in range(3)]
    others = []
    for k in range(3):
        changed, labels = x.copy(), y.copy()
        changed[-1, -1, -1, -1] += 100
        labels[-1] = 0
        for other in ((changed, y), (x, labels), (x.astype(np.float32), y), (x.reshape(4, 1, 3, 2), y)):
            others.append([*same[:k], Arrays(other[0] + other[0].dtype.type(k), other[1]), *same[k + 1 :]])
    others += [same[::-1], [same[1], same[0], same[2]]]
    prints = [_fingerprint(each, 0) for each in (same, *others)] + [_fingerprint(same, 1)]
    assert len(set(prints)) == len(prints) == 16
    assert _fingerprint([Arrays(np.asfortranarray(each.x), each.y) for each in same], 0) == prints[0]


def test_the_seed_moves_validation_but_never_what_judges_or_tests() -> None:
    first, again, other = (load("digits", data_dir=Path(), seed=seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert not np.array_equal(first.validation.x, other.validation.x)
    np.testing.assert_array_equal(first.test.x, other.test.x)
    np.testing.assert_array_equal(first.judge.x, other.judge.x)


def test_runs_of_before_have_no_part_that_judges(tmp_path: Path) -> None:
    before = load("digits", data_dir=tmp_path, seed=0, judged=False)
    assert before.judge is None and "judge" not in before.facts()
    assert [len(part) for part in (before.train, before.validation, before.test)] == [1150, 288, 359]
    assert before.fingerprint == "168acbee1e9b3551d892cff7b5537a3c319ffc3a797bc5cc003844b98cf56971"


def test_a_limit_caps_training_data_only(tmp_path: Path) -> None:
    whole, limited = load("digits", data_dir=tmp_path, seed=0), load("digits", data_dir=tmp_path, seed=0, limit=100)
    assert np.bincount(limited.train.y).tolist() == pytest.approx([10] * 10, abs=1)
    assert len(limited.train) == 100
    np.testing.assert_array_equal(whole.validation.x, limited.validation.x)
    np.testing.assert_array_equal(whole.test.x, limited.test.x)
    np.testing.assert_array_equal(whole.judge.x, limited.judge.x)
    assert whole.fingerprint != limited.fingerprint
    assert load("digits", data_dir=tmp_path, seed=0, limit=10**6).fingerprint == whole.fingerprint


def test_validation_data_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.data.dataset.MAX_VALIDATION", 3)
    assert len(load_npz(tmp_path, **arrays()).validation) == 3


def test_given_test_data_stays_whole(tmp_path: Path) -> None:
    test = arrays((12, 6, 6))
    loaded = load_npz(tmp_path, **arrays(), x_test=test["x"], y_test=test["y"])
    assert [len(part) for part in parts(loaded)] == [26, 6, 8, 12]
    np.testing.assert_array_equal(loaded.test.x[:, 0], test["x"])


def test_a_dataset_crosses_processes(tmp_path: Path) -> None:
    loaded = load_npz(tmp_path, **arrays())
    copy = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(copy.train.x, loaded.train.x)
    assert copy.facts() == loaded.facts()


def test_facts_are_json_values(tmp_path: Path) -> None:
    facts = load_npz(tmp_path, seed=3, **arrays()).facts()
    assert facts.pop("fingerprint") and facts.pop("name").endswith("mine.npz")
    counts = {"train": 21, "validation": 5, "test": 8, "judge": 6}
    assert facts == {"shape": {"h": 6, "w": 6}, "channels": 1, "classes": 4, "seed": 3} | counts


def test_a_constant_channel_has_std_1(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((40, 4))
    x = np.stack([np.full((40, 4), 0.1), noise, 5 + noise / 10**4], axis=1)
    loaded = load_npz(tmp_path, x=x, y=np.arange(40) % 2, axes="n c t")
    assert loaded.std[0] == 1.0
    assert 0.2 < loaded.std[1] < 0.4
    assert loaded.std[2] == pytest.approx(loaded.std[1] / 10**4, rel=0.1)  # little is not nothing


def test_loading_digits_does_not_import_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from nas.data.known import load; import nas.training.recipe;"
        "load('digits', data_dir=Path(), seed=0); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion", "unknown data 'fashion'; did you mean 'fashion-mnist'.*path of an image folder or an .npz"),
        ("no/such/folder", "data 'no/such/folder': no such file or folder"),
        ("missing.npz", "missing.npz: not a readable .npz file"),
        (__file__, "neither an .npz file nor an image folder"),
        ("x" * 5000, "not a readable data set"),
    ],
)
def test_unknown_names(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=message):
        load(name, data_dir=tmp_path, seed=0)


def test_limits_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="a limit of 0 training images; expected at least 1"):
        load("digits", data_dir=tmp_path, seed=0, limit=0)
    with pytest.raises(NasError, match=r"digits: a limit of 5 leaves no training image of label \d"):
        load("digits", data_dir=tmp_path, seed=0, limit=5)


# .npz


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((40, 6, 5), None, (1, {"h": 6, "w": 5})),
        ((40, 3, 6, 5), None, (3, {"h": 6, "w": 5})),
        ((40, 2, 4, 6, 5), None, (2, {"d": 4, "h": 6, "w": 5})),
        ((40, 3, 16), "n c t", (3, {"t": 16})),
        ((40, 16), "n t", (1, {"t": 16})),
        ((40, 6, 5, 3), "n h w c", (3, {"h": 6, "w": 5})),
        ((40, 5, 6), "n w h", (1, {"h": 6, "w": 5})),
        ((40, 2, 6, 5, 4), "n c h w d", (2, {"d": 4, "h": 6, "w": 5})),
        ((40, 8, 8, 3), "n c h w", (8, {"h": 8, "w": 3})),
    ],
)
def test_npz_layouts(shape: tuple[int, ...], axes: str | None, expected: object, tmp_path: Path) -> None:
    found = arrays(shape)
    loaded = load_npz(tmp_path, **found, **({"axes": axes} if axes else {}))
    assert (loaded.channels, loaded.shape) == expected
    names = (axes or NPZ_AXES[len(shape)]).split()
    order = [names.index(axis) for axis in ("n", "c", *loaded.axes) if axis in names]
    first = found["x"].transpose(order).reshape(len(found["x"]), loaded.channels, *loaded.shape.values())
    assert all((first == example).all(axis=tuple(range(1, first.ndim))).any() for example in loaded.train.x[:3])


@pytest.mark.parametrize(
    ("source", "kept"),
    [(np.uint8, np.uint8), (np.float64, np.float32), (np.int32, np.float32), (np.float16, np.float32)],
)
def test_numbers_are_kept_compact(source: type, kept: type, tmp_path: Path) -> None:
    loaded = load_npz(tmp_path, **arrays(dtype=source))
    assert all(part.x.dtype == kept and part.x.flags.writeable for part in parts(loaded))
    assert loaded.train.x.max() > 200  # nothing was rescaled or wrapped


def with_nan(value: float) -> np.ndarray:
    x = np.ones((40, 6, 6))
    x[3, 2, 1] = value
    return x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, r"holds x; expected arrays x and y"),
        ({"x": None, "X": np.ones(3)}, "holds X, y; expected arrays x and y"),
        ({"x_test": np.ones((4, 6, 6))}, "x_test and y_test both or neither"),
        ({"y": np.arange(39) % 4}, "40 examples with 39 labels"),
        ({"x": np.ones((40, 6))}, r"x has shape \(40, 6\); expected 'n h w', 'n c h w', 'n c d h w', or an array axes"),
        ({"x": np.ones((40, 0, 6))}, r"x has shape \(40, 1, 0, 6\); expected at least one of everything"),
        ({"x": np.ones((0, 6, 6)), "y": np.ones(0, int)}, "expected at least one of everything"),
        ({"x": np.ones((40, 6, 6, 3))}, r"looks like 'n h w c'; save it with axes='n h w c', or with axes='n c h w'"),
        ({"x": with_nan(np.nan)}, "x holds NaN or infinity"),
        ({"x": with_nan(np.inf)}, "x holds NaN or infinity"),
        ({"x": with_nan(1e300)}, "x holds NaN or infinity .as float32"),
        ({"x": np.full((40, 6, 6), "a")}, "x is <U1 of shape .*; expected numbers of shape 'n h w'"),
        ({"x": np.full((40, 6, 6), 1j)}, "x is complex128"),
        ({"x": np.full((40, 6, 6), None)}, "not a readable .npz file .*allow_pickle"),
        ({"y": np.arange(40) % 4 + 0.5}, "y is float64 .*; expected one integer label for each x"),
        ({"y": np.ones((40, 1), int)}, r"y is int64 of shape \(40, 1\)"),
        ({"y": np.zeros(40, int)}, r"one class only \(label 0\)"),
        ({"y": np.arange(40) % 4 - 1}, "labels -1, 0, 1, 2; expected 0 to 3 without a gap"),
        ({"y": np.arange(40) % 4 * 2}, "labels 0, 2, 4, 6; expected 0 to 3 without a gap"),
        ({"y": np.arange(40) % 4 + 10**15}, "expected 0 to 3 without a gap"),
        ({"y": np.arange(40)}, "1 examples of label 0; expected 5 or more, to be split"),
        ({"axes": "n h h"}, "axes 'n h h'; expected n, c where there are channels, and t, h w or d h w"),
        ({"axes": "h w c"}, "axes 'h w c'; expected n"),
        ({"axes": "n c t h"}, "axes 'n c t h'; expected n"),
        ({"axes": "n c h w"}, "x is uint8 of shape .*; expected numbers of shape 'n c h w'"),
        (
            {"x_test": np.ones((4, 5, 5)), "y_test": np.arange(4)},
            r"\(1, 5, 5\) beside training examples of \(1, 6, 6\)",
        ),
        ({"x_test": np.ones((4, 6, 6)), "y_test": np.arange(4) + 1}, "labels 1 to 4 outside the training part"),
    ],
)
def test_npz_that_cannot_be_trained_on(change: dict[str, object], message: str, tmp_path: Path) -> None:
    found = {name: value for name, value in (arrays() | change).items() if value is not None}
    with pytest.raises(NasError, match=message) as error:
        load_npz(tmp_path, **found)
    assert "mine.npz" in str(error.value) and "\n" not in str(error.value)


def test_npz_larger_than_memory_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", 1 << 20)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((2 << 20, 1, 1), np.uint8), y=np.zeros(1))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(NasError, match=r"0\.0 GiB of data; expected at most 0\.000976562 GiB"):
        load(str(path), data_dir=tmp_path, seed=0)


@pytest.mark.parametrize(("dtype", "fits"), [(np.uint8, True), (bool, False), (np.int8, False), (np.float16, False)])
def test_npz_counts_what_is_kept_not_what_is_on_disk(dtype, fits, tmp_path, monkeypatch):
    """All but uint8 becomes float32: a file of an eighth of a limit can be half of it in memory, or twice."""
    y = np.arange(100) % 2
    x = np.zeros((100, 8, 8), dtype)
    monkeypatch.setattr(formats, "MAX_BYTES", 3 * x.size)
    path = tmp_path / "small.npz"
    np.savez(path, x=x, y=y)
    if fits:
        assert load(str(path), data_dir=tmp_path, seed=0).train.x.dtype == np.uint8
    else:
        with pytest.raises(NasError, match="of data; expected at most"):
            load(str(path), data_dir=tmp_path, seed=0)


# idx: Fashion-MNIST


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def write_fashion(folder: Path, suffix: str = "", open_: Callable = Path.open) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 60), ("t10k", 20)):
        found = arrays((count, 28, 28), classes=10)
        for name, values in (("images-idx3", found["x"]), ("labels-idx1", found["y"])):
            with open_(folder / f"{part}-{name}-ubyte{suffix}", "wb") as file:
                file.write(idx(values))


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without torchvision, without a network and without Debian's package."""
    monkeypatch.setattr(data, "DEBIAN_FASHION", Path("/nonexistent"))
    for name in ("torchvision", "torchvision.datasets", "torchvision.datasets.utils"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("folder", ["fashion-mnist", "FashionMNIST/raw", "."])
@pytest.mark.parametrize(("suffix", "open_"), [("", Path.open), (".gz", gzip.open)])
def test_fashion_mnist_files_are_found(
    folder: str, suffix: str, open_: Callable, tmp_path: Path, no_download: None
) -> None:
    write_fashion(tmp_path / folder, suffix, open_)
    loaded = load("fashion-mnist", data_dir=tmp_path, seed=0)
    assert [len(part) for part in parts(loaded)] == [38, 10, 12, 20]
    assert (loaded.shape, loaded.channels, loaded.classes) == data.SHAPES["fashion-mnist"]
    np.testing.assert_array_equal(loaded.test.x[:, 0], arrays((20, 28, 28), classes=10)["x"])
    assert loaded.test.x.flags.writeable  # torch warns of arrays that are not


def test_debians_fashion_mnist_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_download: None) -> None:
    write_fashion(tmp_path / "debian", ".gz", gzip.open)
    monkeypatch.setattr(data, "DEBIAN_FASHION", tmp_path / "debian")
    assert len(load("fashion-mnist", data_dir=tmp_path / "data", seed=0).test) == 20


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion-mnist", "put its four idx files into .*fashion-mnist, or install Debian's package"),
        ("cifar10", "unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz into"),
        ("cifar100", "unpack https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz into"),
    ],
)
def test_what_to_do_without_a_download(name: str, message: str, tmp_path: Path, no_download: None) -> None:
    with pytest.raises(NasError, match=f"is not there and cannot be downloaded .*; {message}"):
        load(name, data_dir=tmp_path, seed=0)


@pytest.mark.parametrize("complete", [True, False])
def test_cifar_is_downloaded_once(
    complete: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[str, str]] = []

    def download(url: str, root: Path, *, md5: str) -> None:
        print("Downloading", url)
        calls.append((url, md5))
        if complete:
            write_cifar(root, "cifar100", pickled=False)

    monkeypatch.setitem(
        sys.modules, "torchvision.datasets.utils", SimpleNamespace(download_and_extract_archive=download)
    )
    if complete:
        for _ in range(2):
            assert load("cifar100", data_dir=tmp_path, seed=0).classes == 100
    else:
        with pytest.raises(NasError, match=r"cifar-100 was downloaded, but its files are not complete; unpack https"):
            load("cifar100", data_dir=tmp_path, seed=0)
    archive = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    assert calls == [(archive, "03b5dce01913d631647c71ecec9e9cb8")]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not a readable idx file"),
        (b"PK\3\4aaaaaaaa", "does not start with 00 00 08"),
        (idx(np.zeros(8))[:-1], r"its header says \(8,\), which is not the number of bytes"),
        (idx(np.zeros(8)) + b"0", r"its header says \(8,\)"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "GiB of data; expected at most 8 GiB"),
        (struct.pack(">HBB", 0, 8, 200) + bytes(800), "not a readable idx file"),
    ],
)
@pytest.mark.parametrize("name", ["raw", "raw.gz"])
def test_idx_that_is_damaged(raw: bytes, message: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if path.suffix else raw)
    with pytest.raises(NasError, match=message):
        read_idx(path)


# CIFAR


def batch(images: int = 60, classes: int = 10) -> tuple[np.ndarray, list[int]]:
    found = arrays((images, 3072), classes)
    return found["x"], found["y"].tolist()


def python2_pickle(x: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    """A batch as the published files have it: protocol 2 with Python 2's byte strings."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01"
        b"J" + struct.pack("<i", len(x)) + b"M\x00\x0c\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", x.size) + x.tobytes() + b"tb"
    )
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    text = b"U" + bytes([len(key)]) + key
    return b"\x80\x02}q\x01(" + text + b"]q\x05(" + numbers + b"eU\x04dataq\x06" + array + b"u."


TEN = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
CIFAR = {
    # as https://www.cs.toronto.edu/~kriz/cifar.html has it: the test part is the last
    "cifar10": SimpleNamespace(
        binary="cifar-10-batches-bin", pickled="cifar-10-batches-py", parts=TEN, label_bytes=1, label_key="labels"
    ),
    "cifar100": SimpleNamespace(
        binary="cifar-100-binary",
        pickled="cifar-100-python",
        parts=("train", "test"),
        label_bytes=2,
        label_key="fine_labels",
    ),
}


def write_cifar(data_dir: Path, name: str, *, pickled: bool) -> None:
    kind = CIFAR[name]
    folder = data_dir / (kind.pickled if pickled else kind.binary)
    folder.mkdir(parents=True)
    classes = int(name.removeprefix("cifar"))
    for number, part in enumerate(kind.parts):
        x, labels = batch(6 * classes, classes)
        x = x + np.uint8(number)
        if pickled:
            (folder / part).write_bytes(python2_pickle(x, labels, kind.label_key.encode()))
        else:
            rows = [
                bytes([99] * (kind.label_bytes - 1) + [y]) + row.tobytes() for row, y in zip(x, labels, strict=True)
            ]
            (folder / f"{part}.bin").write_bytes(b"".join(rows))


@pytest.mark.parametrize(("name", "counts"), [("cifar10", [192, 48, 60, 60]), ("cifar100", [384, 96, 120, 600])])
def test_cifar_is_the_same_in_both_layouts(name: str, counts: list[int], tmp_path: Path, no_download: None) -> None:
    for pickled in (False, True):
        write_cifar(tmp_path / str(pickled), name, pickled=pickled)
    binary, unpickled = (load(name, data_dir=tmp_path / str(pickled), seed=0) for pickled in (False, True))
    assert [len(part) for part in parts(binary)] == counts
    assert (binary.shape, binary.channels, binary.classes) == data.SHAPES[name]
    assert binary.fingerprint == unpickled.fingerprint
    last = batch(6 * binary.classes, binary.classes)[0] + np.uint8(len(CIFAR[name].parts) - 1)
    np.testing.assert_array_equal(binary.test.x.reshape(len(last), -1), last)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_cifar_pickled_again_by_python_3(protocol: int, tmp_path: Path) -> None:
    x, labels = batch()
    found = {"data": np.asfortranarray(x), "labels": labels}
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(found, protocol))
    if protocol == 2:  # writes bytes as a call of _codecs.encode
        with pytest.raises(NasError, match=r"it asks for _codecs\.encode, which no image data needs"):
            read_cifar_pickle(path, "labels")
    else:
        np.testing.assert_array_equal(read_cifar_pickle(path, "labels").x.reshape(60, -1), x)


def test_a_cut_cifar_file(tmp_path: Path) -> None:
    path = tmp_path / "test_batch.bin"
    path.write_bytes(bytes(3073 * 2 - 1))
    with pytest.raises(NasError, match=r"test_batch\.bin: 6145 bytes; expected records of 3073"):
        read_cifar_binary(path, 1)


X, LABELS = batch()
GOOD = python2_pickle(X[:10], LABELS[:10])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"cos\nsystem\n(S'touch owned'\ntR.", "it asks for os.system"),
        (b"cposix\nsystem\n(S'touch owned'\ntR.", "it asks for posix.system"),
        (b'cbuiltins\neval\n(S\'open("owned", "w")\'\ntR.', "it asks for builtins.eval"),
        (b"(S'touch owned'\nios\nsystem\n.", "it asks for os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'touch owned'\ntR.", "it asks for os.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "it asks for numpy.ndarray.tofile"),
        (b"cnumpy.core.multiarray\nscalar\n.", "it asks for numpy.core.multiarray.scalar"),
        (b"Pmodule\n.", "persistent"),
        (b"\x82\x01.", "not a readable CIFAR batch"),
        (b"N.", "not a readable CIFAR batch"),
        (b"", "not a readable CIFAR batch"),
        (GOOD[:-2], "not a readable CIFAR batch"),
        (GOOD.replace(b"U\x02u1", b"U\x02f4"), "expected unsigned bytes"),
        (GOOD.replace(b"\x06labels", b"\x06labelz"), r"\(.labels.\)"),
        (b"Nr\xff\xff\xff\x7f.", "memo slot 2147483647"),
        (b"Np2147483647\n.", "memo slot 2147483647"),
        (b"\x80\x05\x96\xff\xff\xff\xff\x0f\x00\x00\x00.", "not a readable CIFAR batch"),
    ],
)
def test_a_pickle_runs_nothing(raw: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("batch").write_bytes(raw)
    with pytest.raises(NasError, match=message):
        read_cifar_pickle(Path("batch"), "labels")
    assert not Path("owned").exists()


def test_the_payload_above_would_run_in_a_plain_unpickler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(b"cos\nsystem\n(S'touch owned'\ntR.")
    assert Path("owned").exists()


# image folders


def write_images(
    root: Path, classes: dict[str, int], mode: str = "RGB", size: tuple[int, int] = (6, 4), suffix: str = ".png"
) -> Path:
    for index, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new(mode, size, index + 1).save(root / name / f"{number}{suffix}")
    return root


def load_folder(root: Path) -> Dataset:
    return load(str(root), data_dir=root, seed=0)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("RGBA", 3), ("P", 3), ("LA", 1)])
def test_image_folder(mode: str, channels: int, tmp_path: Path) -> None:
    loaded = load_folder(write_images(tmp_path, {"dog": 10, "cat": 10}, mode))
    assert (loaded.channels, loaded.shape, loaded.classes) == (channels, {"h": 4, "w": 6}, 2)
    assert [len(part) for part in parts(loaded)] == [10, 3, 3, 4]


ALPHA = "the alpha channel is dropped, the colours below it stay as they are"


@pytest.mark.parametrize(
    ("modes", "channels", "notes"),
    [
        ({"L": 6}, 1, []),
        ({"RGB": 6}, 3, []),
        ({"RGBA": 6}, 3, [f"6 of 6 images: {ALPHA}"]),
        ({"L": 5, "LA": 1}, 1, [f"1 of 6 images: {ALPHA}"]),
        ({"RGB": 5, "L": 2}, 3, ["2 of 7 images: grey becomes RGB, as others have colours"]),
        (
            {"RGBA": 4, "LA": 3, "1": 2},
            3,
            [
                f"7 of 9 images: {ALPHA}",
                "5 of 9 images: grey becomes RGB, as others have colours",
                "2 of 9 images: black and white become 0 and 255",
            ],
        ),
        ({"P": 1, "L": 5}, 3, ["1 of 6 images: the palette's", "5 of 6 images: grey becomes RGB"]),
    ],
)
def test_what_is_converted_is_said(modes, channels, notes, tmp_path):
    (tmp_path / "val" / "b").mkdir(parents=True)
    Image.new("RGB" if channels == 3 else "L", (6, 4)).save(tmp_path / "val" / "b" / "x.png")
    for mode, count in modes.items():
        for number in range(count):
            folder = tmp_path / "train" / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (6, 4), 1).save(folder / f"{mode}{number}.png")
    found = read_folder(tmp_path)
    total = sum(modes.values())
    assert found.train.x.shape[1] == channels
    wanted = [note.replace(f"of {total} ", f"of {total + 1} ") for note in notes]  # that in val/ is counted too
    given = sorted(note.removeprefix(f"{tmp_path}: ") for note in found.notes)
    assert [note[: len(want)] for note, want in zip(given, sorted(wanted), strict=True)] == sorted(wanted)


def test_classes_have_the_names_of_their_source(tmp_path: Path) -> None:
    assert load_folder(write_images(tmp_path, {"dog": 10, "cat": 10})).names == ("cat", "dog")
    x, y = np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2
    assert load_npz(tmp_path, x=x, y=y).names == ("0", "1")
    assert load_npz(tmp_path, x=x, y=y, classes=np.array(["no", "yes"])).names == ("no", "yes")
    for classes, message in (
        (["a"], r"1 names of 2 classes; expected one for each"),
        ([1, 2], r"classes is int64 of shape \(2,\); expected texts"),
        ([["a", "b"]], r"classes is <U1 of shape \(1, 2\); expected texts"),
    ):
        with pytest.raises(NasError, match=message):
            load_npz(tmp_path, x=x, y=y, classes=np.array(classes))


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".webp", ".jpg", ".jpeg"])
def test_image_formats(suffix: str, tmp_path: Path) -> None:
    assert load_folder(write_images(tmp_path, {"a": 5, "b": 5}, suffix=suffix)).channels == 3


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    for number in range(10):
        pixels = np.full((4, 6, 3), (number, 100 + number, 200 + number), np.uint8)
        pixels[0, 5] = 7  # top right
        path = tmp_path / "train" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    write_images(tmp_path / "test", {"b": 1})
    train = read_folder(tmp_path).train
    assert train.x[:, :, 1, 1].tolist() == [[n, 100 + n, 200 + n] for n in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]
    assert (train.x[:, :, 0, 5] == 7).all()
    assert train.y.tolist() == [0] * 5 + [1] * 5


def test_image_folder_with_its_own_parts(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cat": 3, "dog": 2})
    write_images(tmp_path / "val", {"dog": 4})
    write_images(tmp_path / "test", {"cat": 1, "dog": 5})
    loaded = load_folder(tmp_path)
    assert loaded.judge is None  # of two dogs none is taken away
    found = [part.y.tolist() for part in (loaded.train, loaded.validation, loaded.test)]
    assert found == [[0, 0, 0, 1, 1], [1] * 4, [0, 1, 1, 1, 1, 1]]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert load_folder(write_images(tmp_path, {"car": 5, "train": 5})).classes == 2


def spoil(path: str, raw: bytes) -> Callable[[Path], None]:
    return lambda root: void((root / path).write_bytes(raw))


def void(_: object) -> None: ...


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: write_images(root, {"a": 1}, size=(5, 5)),
            r"2 sizes, 6x4 \(9\), 5x5 \(1\); expected one; `mogrify",
        ),
        (lambda root: write_images(root, {"bird": 4}), "4 examples of class 'bird'; expected 5 or more, to be split"),
        (lambda root: (root / "empty").mkdir(), None),
        (spoil("a/0.png", b"not an image"), "a/0.png: not a readable image"),
        (spoil("a/0.png", b""), "a/0.png: not a readable image"),
        (lambda root: Image.new("L", (6, 4)).save(root / "a" / "0.png", "gif"), "a/0.png: not a readable image"),
        (lambda root: Image.new("I;16", (6, 4)).save(root / "a" / "0.png"), "a/0.png: more than 8 bits a channel"),
        (lambda root: Image.new("1", (12_000, 12_000)).save(root / "a" / "0.png"), "a/0.png: .*decompression bomb"),
        (lambda root: write_images(root / "train", {"a": 5, "b": 5}), "folder 'a' beside train/; expected train/ and"),
    ],
)
def test_image_folders_that_cannot_be_trained_on(
    change: Callable[[Path], None], message: str | None, tmp_path: Path
) -> None:
    change(write_images(tmp_path, {"a": 5, "b": 5}))
    if message is None:
        assert load_folder(tmp_path).classes == 2
    else:
        with pytest.raises(NasError, match=message) as error:
            load_folder(tmp_path)
        assert str(tmp_path) in str(error.value)


def test_a_cut_image(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 5, "b": 5}, size=(64, 64))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    noise.save(tmp_path / "a" / "0.png")
    raw = (tmp_path / "a" / "0.png").read_bytes()
    (tmp_path / "a" / "0.png").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(NasError, match=r"a/0\.png: not a readable image"):
        load_folder(tmp_path)


def test_empty_folders_and_stray_classes(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="no images; expected one folder for each class"):
        load_folder(tmp_path)
    write_images(tmp_path / "train", {"a": 5, "b": 5})
    write_images(tmp_path / "test", {"c": 1})
    with pytest.raises(NasError, match="test: class 'c' is not among the training classes a, b"):
        load_folder(tmp_path)


# fuzz: whatever is in a file, it is data or a NasError


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with a few bytes replaced, a piece cut out, or another put in."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(raw[: draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))])


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npz(x: bytes, y: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y)
    return file.getvalue()


SMALL = arrays((20, 2, 2), classes=2)
NPY = npy(SMALL["x"]), npy(SMALL["y"])
PNG = io.BytesIO()
Image.fromarray(SMALL["x"].reshape(8, 10)).save(PNG, "png")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def accept_or_refuse(path: Path, raw: bytes, read: Callable[[Path], object]) -> None:
    path.write_bytes(raw)
    try:
        read(path)
    except NasError as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(raw=st.one_of(mutated(npz(*NPY)), mutated(NPY[0]).map(lambda x: npz(x, NPY[1])), st.binary(max_size=64)))
@pytest.mark.filterwarnings("ignore")
def test_fuzzed_npz(scratch: Path, raw: bytes) -> None:
    accept_or_refuse(scratch / "x.npz", raw, lambda path: load(str(path), data_dir=scratch, seed=0))


@settings(max_examples=100, deadline=None)
@given(raw=st.one_of(mutated(idx(SMALL["x"])), mutated(gzip.compress(idx(SMALL["x"])))))
def test_fuzzed_idx(scratch: Path, raw: bytes) -> None:
    accept_or_refuse(scratch / "idx", raw, read_idx)
    accept_or_refuse(scratch / "idx.gz", raw, read_idx)


HEAD, TAIL = GOOD[:90], GOOD[-120:]  # the opcodes around the pixels


@settings(max_examples=200, deadline=None)
@given(raw=st.one_of(mutated(GOOD), mutated(HEAD), mutated(HEAD).map(lambda head: head + GOOD[90:])))
@pytest.mark.filterwarnings("ignore")
def test_fuzzed_pickle(scratch: Path, raw: bytes) -> None:
    accept_or_refuse(scratch / "batch", raw, lambda path: read_cifar_pickle(path, "labels"))


@settings(max_examples=100, deadline=None)
@given(raw=mutated(PNG.getvalue()))
@pytest.mark.filterwarnings("ignore")
def test_fuzzed_image(scratch: Path, raw: bytes) -> None:
    (scratch / "images" / "a").mkdir(parents=True, exist_ok=True)
    accept_or_refuse(scratch / "images" / "a" / "0.png", raw, lambda path: read_folder(path.parents[1]))


X, Y = np.arange(20 * 8 * 8, dtype="float32").reshape(20, 8, 8), np.arange(20) % 2


def test_arrays_are_what_an_npz_of_them_is(tmp_path):
    named = {"x": X[:, None], "y": Y, "x_test": X[:4, None], "y_test": Y[:4], "classes": ["a", "b"]}
    np.savez(tmp_path / "x.npz", **named)
    read = load(str(tmp_path / "x.npz"), data_dir=tmp_path, seed=0)
    tensors = {name: torch.tensor(named[name]) if name != "classes" else named[name] for name in named}
    for arrays in (named, tensors):
        dataset = load(from_arrays(arrays), data_dir=tmp_path, seed=0)
        assert (dataset.name, dataset.names, dataset.fingerprint) == ("arrays", ("a", "b"), read.fingerprint)
    pair = load(from_arrays((X, Y)), data_dir=tmp_path, seed=0)
    assert (pair.shape, pair.channels, pair.classes) == ({"h": 8, "w": 8}, 1, 2)
    assert pair.fingerprint != load(from_arrays((X + 1, Y)), data_dir=tmp_path, seed=0).fingerprint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "data is of type int; expected a name, a path or two arrays (x, y)"),
        ((X, Y, Y), "data is of type tuple; expected a name, a path or two arrays (x, y)"),
        ({"x": X, "labels": Y}, "arrays: no 'labels': did you mean 'axes'? known: axes, classes, x, x_test, y, y_test"),
        ({"x": X}, "arrays: holds x; expected arrays x and y, and x_test and y_test both or neither"),
        ((X[0], Y), "arrays: x has shape (8, 8); expected 'n h w', 'n c h w', 'n c d h w', or an array axes"),
        ((X, np.eye(2)[Y]), "arrays: y is float64 of shape (20, 2); expected one integer label for each x"),
        ((X, [[1], [2, 3]]), "arrays: not a readable array of numbers (setting an array element with a sequence"),
        ((X, Y[:5]), "arrays: 20 examples with 5 labels; expected one for each"),
        ((X * np.nan, Y), "arrays: x holds NaN or infinity (as float32); expected finite numbers"),
    ],
)
def test_arrays_that_are_no_data_are_refused(data, message, tmp_path):
    with pytest.raises(NasError) as raised:
        load(from_arrays(data), data_dir=tmp_path, seed=0)
    assert str(raised.value).startswith(message)


BYTES = {"uint8": (0, 255, 1), "float": (0, 1, 255)}
GREY, COLOUR = np.full((3, 1, 2, 2), 7, np.uint8), np.full((3, 3, 2, 2), 200, np.uint8)
COLOUR[0] = 0


@pytest.mark.parametrize(
    ("x", "white", "takes"),
    [
        (GREY, 16, {"uint8": (0, 16, 1), "float": (0, 1, 16)}),
        (GREY, None, {"uint8": (0, 255, 1)}),  # of what scale is unknown, so floats would be a guess
        (COLOUR, None, BYTES),
        (COLOUR / np.float32(255), None, {"uint8": (0, 255, 1 / 255), "float": (0, 1, 1)}),
        (COLOUR.astype(np.float32), None, {"uint8": (0, 255, 1), "float": (0, 255, 1)}),
        (np.float32([-1, 3]), None, {"float": (-5, 7, 1)}),
    ],
)
def test_what_may_come_follows_from_the_training_data(x, white, takes):
    assert ranges(x, white) == takes
