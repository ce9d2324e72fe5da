"""Networks of a run are exported with their weights and what is known of them, whatever stands in the run."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import load_file, save_file
from searches import result_of, tiny

from einmix import Architecture, build, source
from nas.api.export import best_trained, export
from nas.api.saved import SavedRun
from nas.api.search import Session, search
from nas.data.known import load
from nas.errors import NasError
from nas.exports.check import Exported
from nas.options.search import Search
from nas.runs.folder import RunFolder
from nas.runs.result import Result
from nas.training.recipe import Recipe
from nas.training.trainer import weights_of

SPACE = tiny("local")
BEST, OTHER, *_ = [arch for arch in SPACE.enumerate() if arch not in SPACE.references(SPACE.middle).values()]
FULL = SPACE.references(SPACE.middle)["full token mixing"]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are not run in a clean process, which takes seconds and is not what the test is about."""
    monkeypatch.setattr("nas.exports.checked", lambda written, how: written)


def network(architecture: Architecture, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    net: torch.nn.Module = build(architecture)
    return net


def make_run(root: Path, *results: Result, **settings: object) -> SavedRun:
    """A run with these results; weights are kept of all but those of the search."""
    session = Session(Search(space="local", patch=(2,), width=(8,), depth=(1,), ratio=(1,), device="cpu", epochs=3))
    with RunFolder.create_or_open(root, "x", session.settings | {"command": "nas search"} | settings) as run:
        for result in results:
            if run.append(result.to_line()).phase != "search":
                trained = network(Architecture.from_json(result.architecture), result.seed)
                run.save_weights(result, weights_of(trained))
    return SavedRun.open(root, "x")


def finals(architecture: Architecture, *accuracies: float, label: str = "") -> list[Result]:
    return [result_of(architecture, value, phase="final", seed=i, label=label) for i, value in enumerate(accuracies, 1)]


def header(module: Path) -> str:
    text = ast.get_docstring(ast.parse(module.read_text()))
    assert text
    return text


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> list[Exported]:
    """The best network of a run, with its weights, and one of the search alone."""
    root = tmp_path_factory.mktemp("runs")
    saved = make_run(
        root,
        result_of(BEST, 0.95),
        result_of(OTHER, 0.1, "pruned"),
        *finals(BEST, 0.9, 0.94),
        *finals(FULL, 0.8, 0.82, label="full token mixing"),
        recipe=Recipe(epochs=3, lr=0.01, scaling="fan-in").to_json(),
    )
    found = export(saved, [saved.find(BEST.id), saved.find(OTHER.id)], root / "out", "nas export x --top 2")
    assert [each.file for each in found] == [root / "out" / f"local_{arch.id}.py" for arch in (BEST, OTHER)]
    return found


def test_a_network_is_exported_with_the_weights_it_was_trained_to(exported):
    first, second = exported
    assert first.weights == first.file.with_suffix(".safetensors")
    assert second.weights is None
    assert not second.file.with_suffix(".safetensors").exists()
    namespace: dict = {}
    exec(first.file.read_text(), namespace)
    net = namespace["model"]()
    net.load_state_dict(load_file(first.weights), strict=True)
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(net.eval()(x), network(BEST, seed=2).eval()(x))  # seed 2 came to 94%


def test_the_header_tells_what_was_found_and_how(exported):
    text = " ".join(header(exported[0].file).split())
    for fact in (
        f"local-{BEST.id}",
        "found by nas search",
        "digits: 920 training, 230 validation and 288 judge images",
        "accuracy 92.0% on validation (mean of 2 seeds), best of 2 candidates, so optimistic",
        f"gain {BEST.id} and full token mixing: +11.0 points, judged on the images that chose it (same",
        "full token mixing 81.0% (",
        "3 epochs of AdamW, learning rate 0.01",
        "augmentation none; the rate of a weight that is summed over n > 1 inputs times 32 / n",
        "weights seed 2, 3 epochs, validation accuracy 94.0%",
        "uint8 from 0 to 16 or floats from 0 to 1, which preprocess() normalises by channel: mean 4.",
        "exported by nas export x --top 2",
    ):
        assert fact in text


def test_the_longest_training_is_preferred_to_the_best(tmp_path):
    longer = result_of(BEST, 0.6, phase="train", epochs=9)
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9), longer)
    assert best_trained(saved, saved.find(BEST.id)) == longer
    saved.folder.weights_path(longer).unlink()
    assert best_trained(saved, saved.find(BEST.id)).epochs == 3


def test_weights_are_those_of_the_last_time_that_a_training_was_done(tmp_path):
    """On another device a final is trained anew, under the same name."""
    first, again = finals(BEST, 0.9), finals(BEST, 0.8)
    saved = make_run(tmp_path, result_of(BEST, 0.9), *first, *again)
    assert best_trained(saved, saved.find(BEST.id)) == again[0]


@pytest.mark.usefixtures("unchecked")
def test_weights_of_a_run_whose_names_have_no_phase_are_found(tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9))
    path = saved.folder.weights_path(saved.results[1])
    data = path.read_bytes()
    path.rename(path.with_name(path.name.removeprefix("final-")))
    assert best_trained(saved, saved.find(BEST.id)) == saved.results[1]
    (exported,) = export(saved, [saved.find(BEST.id)], tmp_path / "out", "")
    assert load_file(exported.weights).keys() == load_tensors(data).keys()
    assert all(torch.equal(value, load_file(exported.weights)[name]) for name, value in load_tensors(data).items())


HOSTILE = 'x"""\nimport os; os.abort()\n"""\\" \x1b[31m \u202e'


@pytest.mark.usefixtures("unchecked")
def test_hostile_facts_stay_in_the_docstring(tmp_path):
    reference = finals(FULL, 0.8, label=HOSTILE)
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9), *reference)
    settings = saved.folder.settings
    settings["command"] = HOSTILE
    settings["data"]["name"] = HOSTILE
    settings["space"]["name"] = "../" + HOSTILE
    (exported,) = export(saved, [saved.find(BEST.id)], tmp_path / "out", HOSTILE)
    assert exported.file.parent == tmp_path / "out"
    assert "os.abort()" in header(exported.file)
    text = exported.file.read_text()
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    plain = ast.parse(source(BEST, also=saved.preprocessing.text(BEST)))
    assert ast.dump(ast.Module(ast.parse(text).body[1:], [])) == ast.dump(ast.Module(plain.body[1:], []))


def test_weights_of_another_network_are_told(tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9), *finals(OTHER, 0.8))
    (mine,), (others,) = (
        [r for r in saved.results if r.id == arch.id and r.phase == "final"] for arch in (BEST, OTHER)
    )
    shutil.copy(saved.folder.weights_path(others), saved.folder.weights_path(mine))
    with pytest.raises(
        NasError, match=f"architecture {BEST.id} does not take the weights .*local_{BEST.id}.safetensors"
    ):
        export(saved, [saved.find(BEST.id)], tmp_path, "")


def test_what_is_no_file_is_no_weights(tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9))
    path = saved.folder.weights_path(saved.results[1])
    path.unlink()
    os.mkfifo(path)  # on which a read would hang
    assert best_trained(saved, saved.find(BEST.id)) is None


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "huge header", "missing", "extra"])
def test_damaged_weights_are_told_in_a_line(damage, tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9))
    path = saved.folder.weights_path(saved.results[1])
    data, state = path.read_bytes(), load_file(path)
    path.unlink()
    if damage == "missing":
        save_file(dict(list(state.items())[1:]), path)
    elif damage == "extra":
        save_file(state | {"extra": torch.zeros(1)}, path)
    else:
        contents = {"empty": b"", "text": b"weights", "cut": data[: len(data) // 2], "huge header": b"\xff" * 8 + data}
        path.write_bytes(contents[damage])
    with pytest.raises(NasError, match="does not take the weights") as raised:
        export(saved, [saved.find(BEST.id)], tmp_path, "")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9))
    (tmp_path / "file").touch()
    with pytest.raises(NasError, match=r"cannot write .*file: "):
        export(saved, saved.standings, tmp_path / "file", "")


NAMES = [
    *("cat", HOSTILE, "'", '"', "\\", "\\'", "{x}", "', 'b", '"""', "\udc80"),
    *("é😀", "\n", "", "x" * 300, "), exec('1')", "\u2028", "#", "a, b", "`", "\x00"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("rotated", [0, 5, 10, 15])
def test_hostile_class_names_stay_texts(rotated, tmp_path):
    names = (NAMES[rotated:] + NAMES[:rotated])[:10]
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9))
    saved.folder.settings["inputs"]["classes"] = names
    (exported,) = export(saved, [saved.find(BEST.id)], tmp_path / "out", "nas")
    text = exported.file.read_text()
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assigned = {node.targets[0].id: node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)}
    assert assigned.keys() == {"CLASSES", "MEAN", "STD", "TAKES"}
    assert ast.literal_eval(assigned["CLASSES"]) == tuple(names)
    with safe_open(exported.weights, "pt") as file:
        assert json.loads(file.metadata()["classes"]) == names


def test_weights_say_what_they_are_and_what_they_take(exported):
    with safe_open(exported[0].weights, "pt") as file:
        told = file.metadata()
    assert told["id"] == BEST.id
    assert told["score"].startswith("accuracy 92.0% on validation (mean of 2 seeds), best of 2 candidates")
    assert (told["found by"], told["exported by"]) == ("nas search", "nas export x --top 2")
    assert told["pixels"] == "uint8 from 0 to 16 or floats from 0 to 1"
    assert json.loads(told["classes"]) == [str(digit) for digit in range(10)]
    digits = load("digits", data_dir=Path("data"), seed=0)
    assert (json.loads(told["mean"]), json.loads(told["std"])) == (list(digits.mean), list(digits.std))


ALONE = """
import importlib.util, json, sys
import numpy as np
from safetensors.torch import load_file
module, weights, images, labels = sys.argv[1:]
spec = importlib.util.spec_from_file_location("exported", module)
exported = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exported)
assert not {"nas", "einmix", "search_spaces"} & sys.modules.keys()
net = exported.model().eval()
net.load_state_dict(load_file(weights))
images, labels = np.load(images), np.load(labels)
accuracies = []
for raw in (images, images / np.float32(16), images / 16):
    logits = net(exported.preprocess(raw))
    accuracies.append(float((logits.argmax(1).numpy() == labels).mean()))
print(json.dumps([accuracies, exported.CLASSES]))
"""


@pytest.mark.outside
@pytest.mark.usefixtures("unchecked")
def test_raw_images_get_the_accuracy_of_the_run_in_a_process_of_their_own(tmp_path):
    one = {"patch": (2,), "width": (32,), "depth": (1,), "ratio": (1,), "device": "cpu", "workers": 0}
    asked = {
        "trials": 1,
        "top": 1,
        "seeds": 1,
        "epochs": 4,
        "lr": 0.02,
        "images": 500,
        "runs_dir": tmp_path,
        "run": "x",
        "quiet": True,
    } | one
    best = search(space="local", **asked).best
    saved = SavedRun.open(tmp_path, "x")
    (exported,) = export(saved, [saved.find("1")], tmp_path, "nas export x 1")
    judge = saved.located()[1].judge
    paths = [tmp_path / "images.npy", tmp_path / "labels.npy"]
    for path, values in zip(paths, (judge.x, judge.y), strict=True):
        np.save(path, values)
    command = [sys.executable, "-I", "-c", ALONE, exported.file, exported.weights, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    accuracies, classes = json.loads(done.stdout)
    assert accuracies == pytest.approx([best.accuracy] * 3, abs=1.5 / len(judge))
    assert best.accuracy > 0.3
    assert classes == [str(digit) for digit in range(10)]


def test_a_run_of_an_earlier_version_is_prepared_by_its_data(tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9))
    known = saved.preprocessing
    del saved.folder.settings["inputs"]
    assert SavedRun(saved.folder, saved.results).preprocessing == known


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (3, "'inputs' is 3, not an object"),
        ({"takes": {}, "classes": []}, r"run\.json: among its inputs 'takes' is \{\}, not ranges"),
        ({"takes": {"exec": [0, 1, 1]}, "classes": []}, "not ranges of uint8 or float"),
        ({"takes": {"uint8": [0, "x", 1]}, "classes": []}, "'uint8' is .*, not a list of finite numbers"),
        ({"takes": {"uint8": [0, 255, 1]}, "classes": [1]}, r"'classes' is \[1\], not a list of texts"),
        ({"takes": {"uint8": [0, 255, 1]}, "classes": ["a"]}, "1 class names for architecture .*; expected 10"),
    ],
)
def test_inputs_of_other_values_are_told(inputs, message, tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), *finals(BEST, 0.9), inputs=inputs)
    with pytest.raises(NasError, match=message):
        export(saved, [saved.find(BEST.id)], tmp_path / "out", "")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": None}, "'data' is None, not an object"),
        ({"data": {"name": "digits", "train": "many"}}, "'train' is 'many', not a count"),
        ({"recipe": 3}, "'recipe' is 3, not an object"),
        ({"recipe": {}}, "recipe: without 'epochs'"),
        ({"space": {"name": ["local"]}}, r"'name' is \['local'\], not a text"),
        ({"command": 1}, "'command' is 1, not a text"),
    ],
)
def test_a_run_json_of_other_values_is_told(settings, message, tmp_path):
    saved = make_run(tmp_path, result_of(BEST, 0.9), **settings)
    with pytest.raises(NasError, match=message):
        export(saved, saved.standings, tmp_path, "")
