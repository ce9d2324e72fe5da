"""Generated data: the same everywhere, what it says it is, and no class betrayed by anything but its form."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from nas.data import known as data
from nas.data.dataset import Dataset
from nas.data.generated import GENERATED, SOLIDS, Solid
from nas.data.known import load
from nas.data.sources import Arrays, Source
from nas.errors import NasError


@pytest.fixture(scope="module")
def made() -> dict[str, Source]:
    """Every generated data set, made once."""
    return {name: make() for name, make in GENERATED.items()}


@pytest.fixture
def once(made: dict[str, Source], monkeypatch: pytest.MonkeyPatch) -> None:
    """`load` takes what was made already."""
    for name, source in made.items():
        monkeypatch.setitem(GENERATED, name, lambda source=source: source)


def parts(source: Source) -> tuple[Arrays, Arrays]:
    assert source.test is not None
    return source.train, source.test


def digest(source: Source) -> str:
    """Of both parts to three decimals: the last bit of a logarithm is the C library's, not ours."""
    arrays = [array for part in parts(source) for array in (part.x, part.y)]
    return hashlib.sha256(b"".join(np.round(1000.0 * each).astype("<i8").tobytes() for each in arrays)).hexdigest()


# what is there


@pytest.mark.parametrize(
    ("name", "axes", "shape", "counts", "kind"),
    [
        ("mnist1d", ("t",), (1, 40), (4_000, 1_000), np.float32),
        ("volumes", ("d", "h", "w"), (1, 16, 16, 16), (2_400, 600), np.uint8),
    ],
)
def test_shapes(
    name: str,
    axes: tuple[str, ...],
    shape: tuple[int, ...],
    counts: tuple[int, int],
    kind: type,
    made: dict[str, Source],
) -> None:
    source = made[name]
    assert source.axes == axes
    for part, count in zip(parts(source), counts, strict=True):
        assert (part.x.shape, part.x.dtype, part.y.dtype) == ((count, *shape), kind, np.int64)
        assert part.x.flags.c_contiguous and part.x.flags.writeable


@pytest.mark.parametrize(("name", "spread"), [("mnist1d", 0.15), ("volumes", 0.0)])
def test_class_balance(name: str, spread: float, made: dict[str, Source]) -> None:
    for part in parts(made[name]):
        counts = np.bincount(part.y)
        np.testing.assert_allclose(counts, counts.mean(), rtol=spread)


@pytest.mark.parametrize("name", GENERATED)
def test_no_example_twice(name: str, made: dict[str, Source]) -> None:
    x = np.concatenate([part.x.reshape(len(part), -1) for part in parts(made[name])])
    assert len(np.unique(x, axis=0)) == len(x)


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(("name", "counts"), [("mnist1d", [2_560, 640, 1_000]), ("volumes", [1_536, 384, 600])])
def test_loaded(name: str, counts: list[int], made: dict[str, Source], tmp_path: Path) -> None:
    loaded = load(name, data_dir=tmp_path, seed=0)
    assert (loaded.shape, loaded.channels, loaded.classes) == data.SHAPES[name]
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == counts
    np.testing.assert_array_equal(loaded.test.x, parts(made[name])[1].x)  # the source's own test part, untouched


# what it is called


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that is made in no time, in place of the generated sets."""
    few = Arrays(np.zeros((40, 1, 4), np.uint8), np.arange(40) % 4)
    for name in GENERATED:
        monkeypatch.setitem(GENERATED, name, lambda: Source("few", ("t",), few))


def load_here(name: str) -> Dataset:
    return load(name, data_dir=Path(), seed=0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", GENERATED)
def test_synthetic_data_is_called_so_and_loads_by_that_name_too(name: str) -> None:
    loaded = load_here(name)
    assert loaded.name == loaded.facts()["name"] == f"{name} (synthetic)"
    again = load_here(loaded.name)
    assert (again.name, again.fingerprint) == (loaded.name, loaded.fingerprint)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits (synthetic)", r"unknown data 'digits \(synthetic\)'; known: "),
        ("mnist1d (synthetic) (synthetic)", "unknown data .*known: .*mnist1d"),
        ("volume", "did you mean 'volumes'"),
        ("mnist-1d", "did you mean 'mnist1d'.* known: cifar10, cifar100, digits, fashion-mnist, mnist1d, volumes; or"),
        ("VOLUMES", "unknown data 'VOLUMES'; .*known: .*volumes"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(NasError, match=message):
        load_here(name)


def test_every_known_set_has_its_shape_listed() -> None:
    assert data.SHAPES.keys() == data.SOURCES.keys() >= GENERATED.keys()


@pytest.mark.parametrize("name", GENERATED)
def test_docstrings_say_where_the_data_comes_from(name: str) -> None:
    words = {"mnist1d": ("Greydanus and Kobak", "2011.14439", "Apache-2.0"), "volumes": ("Synthetic", "made for this")}
    assert all(each in (GENERATED[name].__doc__ or "") for each in words[name])


# the same everywhere


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mnist1d", "97f1d85008a07168ff01b08ed804c3862641cfc9a5eec7b07df6b52cbfcecdf7"),
        ("volumes", "8945e3d781296b288990f9f2a183d5e4e7023aa6599cde02a7cef8180dfc3b34"),
    ],
)
def test_the_data_is_always_the_same(name: str, expected: str, made: dict[str, Source]) -> None:
    assert digest(made[name]) == expected


def test_mnist1d_is_what_its_authors_generate(made: dict[str, Source]) -> None:
    """Figures printed from `mnist1d.data.make_dataset()` of mnist1d 0.0.2.post1."""
    train, test = parts(made["mnist1d"])
    np.testing.assert_allclose(train.x[0, 0, :4], [-0.33200567, -0.47191037, -0.77869708, -1.00974083], rtol=1e-6)
    np.testing.assert_allclose(train.x[-1, 0, -3:], [-1.21624513, -1.46494170, -1.65099286], rtol=1e-6)
    np.testing.assert_allclose(test.x[0, 0, :4], [-0.07877078, -0.21073171, -0.09175138, 0.28267112], rtol=1e-6)
    assert train.y[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert test.y[:12].tolist() == [2, 6, 3, 9, 4, 3, 1, 9, 5, 2, 0, 7]
    assert np.bincount(train.y).tolist() == [398, 396, 411, 394, 394, 402, 401, 404, 402, 398]


ALONE = """
import os, sys
from pathlib import Path
import numpy as np
np.random.seed(7)
before = np.random.get_state()[1].tolist()
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ours = os.path.realpath(os.fsdecode(arguments[0])).startswith(os.getcwd())
        opened.extend([event] * bool(writes or ours))
    elif event.startswith(("socket.", "os.mkdir", "shutil.", "tempfile.", "urllib")):
        opened.append(event)
from nas.data.known import load
import scipy.ndimage, scipy.spatial.transform, sklearn
sys.addaudithook(watch)
for name in sys.argv[1:]:
    print(load(name, data_dir=Path("data"), seed=0).fingerprint)
assert not opened, opened
assert np.random.get_state()[1].tolist() == before, "numpy's global generator was used"
assert "torch" not in sys.modules and "matplotlib" not in sys.modules
open("mine", "w").close()
assert opened == ["open"], "the hook sees nothing"
"""


@pytest.mark.outside
@pytest.mark.usefixtures("once")
def test_another_process_makes_the_same_and_touches_no_disk_no_network_no_global_seed(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-B", "-c", ALONE, *GENERATED],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root, "PYTHONHASHSEED": "5"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [load_here(name).fingerprint for name in GENERATED]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# solids


GRID = np.stack(np.meshgrid(*[(np.arange(120) + 0.5) / 120 * 2.4 - 1.2] * 3, indexing="ij")).reshape(3, -1)


@pytest.mark.parametrize("solid", SOLIDS.values(), ids=SOLIDS)
def test_solids_have_the_volume_and_the_reach_that_they_say(solid: Solid) -> None:
    inside = solid.distance(*GRID) < 0
    assert inside.mean() * 2.4**3 == pytest.approx(solid.volume, rel=0.02)
    assert np.sqrt((GRID[:, inside] ** 2).sum(0).max()) == pytest.approx(solid.reach, rel=0.03)


def flat(part: Arrays) -> np.ndarray:
    """Volumes as rows of numbers around 0, about as large as 1."""
    return (part.x.reshape(len(part), -1).astype(np.float32) - 128) / 25


def brightness(part: Arrays) -> np.ndarray:
    return flat(part).sum(1, keepdims=True)


def size(part: Arrays) -> np.ndarray:
    """How many voxels are not of the shade around the solid."""
    return (abs(flat(part)) > 1).sum(1, keepdims=True)


@pytest.mark.parametrize("measure", [brightness, size])
def test_neither_brightness_nor_size_gives_a_solid_away(
    measure: Callable[[Arrays], np.ndarray], made: dict[str, Source]
) -> None:
    train, test = parts(made["volumes"])
    vote = KNeighborsClassifier(51).fit(measure(train), train.y)
    assert vote.score(measure(test), test.y) < 0.2  # chance is 0.125; 0.10 and 0.13 were measured


def test_a_linear_classifier_does_not_tell_solids_apart_but_their_forms_do(made: dict[str, Source]) -> None:
    train, test = parts(made["volumes"])
    linear = LogisticRegression(C=1e-5).fit(flat(train), train.y)
    assert linear.score(flat(test), test.y) < 0.3  # 0.20 was measured, the best of five strengths
    of_contrast = LogisticRegression(C=1e-5).fit(abs(flat(train)), train.y)
    assert of_contrast.score(abs(flat(test)), test.y) > 0.6  # 0.83 was measured
