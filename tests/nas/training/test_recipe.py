"""Recipes: defaults that fit the data, bounds, and JSON that is read strictly."""

from types import SimpleNamespace

import pytest

from nas.errors import NasError
from nas.training.recipe import Recipe, kind_on


def dataset(name: str, images: int) -> SimpleNamespace:
    return SimpleNamespace(name=name, train=range(images))


@pytest.mark.parametrize(
    ("name", "images", "epochs", "batch", "augment"),
    [
        ("digits", 1_150, 20, 64, "none"),
        ("mine.npz", 9_999, 4, 64, "none"),
        ("fashion-mnist", 10_000, 4, 128, "none"),
        ("fashion-mnist", 55_000, 3, 128, "none"),
        ("cifar10", 45_000, 3, 128, "shift+flip"),
        ("cifar100", 20_000, 3, 128, "shift+flip"),
        ("mine.npz", 10_000_000, 3, 128, "none"),
    ],
)
def test_defaults_fit_the_data(name: str, images: int, epochs: int, batch: int, augment: str) -> None:
    recipe = Recipe.for_dataset(dataset(name, images))
    assert (recipe.epochs, recipe.batch, recipe.augment) == (epochs, batch, augment)


def test_what_is_not_asked_for() -> None:
    """The recipe of all figures in the README and in docs/, but for the rate, which is found since 2026-11-27."""
    assert Recipe() == Recipe(20, 64, lr=None, weight_decay=0.05, label_smoothing=0.1, warmup=0.1, augment="none")
    assert Recipe().to_json() == {
        "epochs": 20, "batch": 64, "lr": None, "weight_decay": 0.05, "label_smoothing": 0.1, "warmup": 0.1,
        "augment": "none",
    }  # fmt: skip


def test_overrides_win_and_none_means_the_default() -> None:
    recipe = Recipe.for_dataset(dataset("cifar10", 45_000), epochs=7, lr=None, augment="none", batch=None)
    assert recipe == Recipe(epochs=7, batch=128, augment="none")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs is 0; expected an integer of at least 1"),
        ("epochs", 2.0, "epochs is 2.0; expected an integer"),
        ("epochs", True, "epochs is True; expected an integer"),
        ("batch", -1, "batch is -1"),
        ("batch", "64", "batch is '64'"),
        ("lr", 0, "lr is 0; expected a number of at least 1e-08"),
        ("lr", float("nan"), "lr is nan"),
        ("lr", float("inf"), "lr is inf"),
        ("weight_decay", -0.1, "weight_decay is -0.1"),
        ("label_smoothing", 1, "label_smoothing is 1; expected a number of at least 0 and below 1"),
        ("warmup", 1.5, "warmup is 1.5"),
        ("augment", "shfit", "unknown augment 'shfit'; did you mean 'shift'"),
        ("augment", None, "unknown augment None"),
        ("scaling", "fanin", "unknown scaling 'fanin'; did you mean 'fan-in'"),
    ],
)
def test_bounds(field: str, value: object, message: str) -> None:
    with pytest.raises(NasError, match=message):
        Recipe(**{field: value})
    with pytest.raises(NasError, match=message):
        Recipe.from_json(Recipe().to_json() | {field: value})


def test_json_round_trip() -> None:
    recipe = Recipe(epochs=3, lr=0.01, augment="shift+flip", scaling="fan-in")
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({key: value for key, value in Recipe().to_json().items() if key != "lr"}, "without 'lr'; expected an object"),
        (Recipe().to_json() | {"momentum": 0.9}, "unknown field 'momentum'"),
        ([1, 2], "as list"),
        (None, "as NoneType"),
    ],
)
def test_json_is_read_strictly(values: object, message: str) -> None:
    with pytest.raises(NasError, match=message):
        Recipe.from_json(values)


@pytest.mark.parametrize(
    ("device", "asked", "halves", "precision"),
    [
        ("cpu", "auto", False, "float32"),
        ("mps", "float32", False, "float32"),
        ("cuda", "auto", True, "tf32"),
        ("cuda", "auto", False, "float32"),
        ("cuda", "tf32", True, "tf32"),
        ("cpu", "tf32", False, None),
        ("cuda", "tf32", False, None),
        ("cuda", "bfloat16", False, "bfloat16"),
    ],
)
def test_a_precision_is_that_of_the_device_unless_a_gpu_is_asked_for_another(
    device: str, asked: str, halves: bool, precision: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_tf32_supported", lambda: halves, raising=False)
    if precision is None:
        with pytest.raises(NasError, match=r"^--precision tf32(: this GPU | is for GPUs: on cpu it is float32$)"):
            kind_on(device, asked)
    else:
        assert kind_on(device, asked) == (device, precision)
