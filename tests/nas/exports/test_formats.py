"""Every format: what it takes, what it refuses, and that people load it as they load what they know."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
import torch
from kinds import CASES, WIDTH, cases, network
from safetensors.torch import load_file, save_file
from searches import tiny

from einmix import Architecture, PatternError, build, source
from einmix.frameworks import FRAMEWORKS
from einmix.kinds import Linear
from nas.errors import NasError
from nas.exports import FORMATS, hf, onnx, timm, write_checked
from nas.exports.check import Export, Exported, fresh
from nas.exports.preprocessing import Preprocessing
from search_spaces import load as load_space
from search_spaces.zoo import ZOO, Inputs

IMAGE = {"h": 4, "w": 3}
IMAGES_ALONE = {"timm"}
SPACES = ("grouped", "local", "macro", "mixed", "per_channel", "roles", "subgrid")

every_format = pytest.mark.parametrize("format", FORMATS)
scripted = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def every_kind() -> Architecture:
    """One network with all kinds of nodes, in their order."""
    found = cases(IMAGE)
    same = ("shift in turns, edges kept", "shift around", "shuffle", "norms", "mix", "weights circulant", "weights cos")
    names = (*same, "conv", "unfold", "wrap", "dynamic", "reweight", "gate", "split", "sum", "concat", "drop")
    return network((*(node for name in names for node in (*found[name], Linear(WIDTH))), *found["all together"]))


def moved(file: Path) -> Path:
    """Weights of which none is left at a start of zero or one."""
    chance, weights = torch.Generator().manual_seed(0), load_file(file)
    for name, value in weights.items():
        if value.is_floating_point():
            value += 0.1 * (torch.rand if name.endswith("var") else torch.randn)(value.shape, generator=chance)
    save_file(weights, file)
    return file


def exported(architectures: dict[str, Architecture], folder: Path, format: str) -> list[Exported]:
    """Written and checked, fifty in a process."""
    wanted = [
        Export(each, name, {}, moved(fresh(each, folder / f"{name}.weights"))) for name, each in architectures.items()
    ]
    return [found for at in range(0, len(wanted), 50) for found in write_checked(wanted[at : at + 50], folder, format)]


def small(name: str) -> Architecture:
    found = ZOO[name]
    return found.at(Inputs({"h": 8, "w": 8}, 3, 10), patch=2, width=-(-8 // found.step) * found.step, depth=2)


def drawn(space: str) -> Architecture:
    sizes = {} if space == "macro" else {"patch": (2,), "width": (8,), "depth": (2,), "ratio": (2,)}
    return load_space(space).on({"h": 8, "w": 8}, channels=1, classes=10, **sizes).sample(Random(1))


@pytest.mark.outside
@every_format
def test_every_format_says_every_kind_of_node(format, tmp_path):
    (found,) = exported({"kinds": every_kind()}, tmp_path, format)
    assert found.difference <= 1e-5
    (tmp_path / "plain").touch()  # others may read what was written as they may read anything else
    written = [found.beside or found.file, *found.file.glob("*"), found.file]
    modes = {file.stat().st_mode for file in written if file.is_file()}
    assert modes == {(tmp_path / "plain").stat().st_mode}


@pytest.mark.slow
@every_format
def test_every_format_says_every_space_and_all_of_the_zoo(format, tmp_path):
    found = {space: drawn(space) for space in SPACES} | {name: small(name) for name in ZOO}
    assert max(each.difference for each in exported(found, tmp_path, format)) <= 1e-5


@pytest.mark.slow
@every_format
def test_every_format_says_every_option_of_every_kind(format, tmp_path):
    """On lines, images and volumes, but for those that are for images alone."""
    found = {
        f"case {number}": network(nodes, grid)
        for number, (nodes, grid) in enumerate(CASES.values())
        if len(grid) == 2 or format not in IMAGES_ALONE
    }
    assert max(each.difference for each in exported(found, tmp_path, format)) <= 1e-5


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("format", [format for format, how in FORMATS.items() if how.needs])
def test_a_package_that_is_not_installed_is_said_with_the_extra(format, tmp_path, monkeypatch):
    how = FORMATS[format]
    monkeypatch.setattr("nas.exports.find_spec", lambda name: None if name in how.needs else object())
    missing = " and ".join(how.needs)
    isn = "is" if len(how.needs) == 1 else "are"
    message = rf"^format {format} takes {missing}, which {isn} not installed: pip install 'einmix-nas\[{format}\]'$"
    with pytest.raises(NasError, match=message):
        write_checked([], tmp_path, format)


def test_timm_has_images_alone(tmp_path):
    sequence = tiny("mixed", {"t": 12}, patch=(3,)).sample(Random(0))
    with pytest.raises(NasError, match=r"^timm has networks for images alone, not for inputs of t c$"):
        write_checked([Export(sequence, "x", {})], tmp_path, "timm")


@pytest.mark.parametrize("format", ["flax", "keras"])
def test_a_network_that_a_framework_has_no_words_for_leaves_no_file(format, tmp_path, monkeypatch):
    monkeypatch.delitem(FRAMEWORKS[format].words, "nn.Linear")
    with pytest.raises(PatternError, match=f"^{format} has no nn.Linear"):
        write_checked([Export(small("mixer"), "x", {})], tmp_path, format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.outside
def test_facts_of_others_stay_texts(tmp_path):
    hostile = 'a|b\n---\n<script>"""*x*`\x1b[31m\udc80'
    facts = {"title": hostile, "found by": hostile}
    wanted = Export(small("mixer"), "x", facts, fresh(small("mixer"), tmp_path / "weights"))
    onnx.write(wanted, tmp_path)
    timm.write(wanted, tmp_path)
    folder = hf.write(wanted, tmp_path).file
    json.loads((folder / "config.json").read_text())
    card = (folder / "README.md").read_text()
    (line,) = (line for line in card.splitlines() if line.startswith("| found by"))
    assert line == r'| found by | a\|b --- \<script\>"""\*x\*\` \[31m |'
    assert card.splitlines().count("---") == 2  # around the head


# ---------------------------------------------------------------------------------------------------- as others load


def imported(file: Path, name: str = "exported_module") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.outside
@scripted
def test_a_module_is_scripted_exported_and_compiled(tmp_path):
    """Any batch; what compiles is one graph."""
    check_compilers(small("hire"), tmp_path)


@pytest.mark.slow
@scripted
@pytest.mark.parametrize("name", [*ZOO, *SPACES])
def test_modules_are_scripted_exported_and_compiled(name, tmp_path):
    check_compilers(small(name) if name in ZOO else drawn(name), tmp_path)


def check_compilers(architecture: Architecture, folder: Path) -> None:
    (folder / "one.py").write_text(source(architecture))
    net = imported(folder / "one.py").model().eval()
    *axes, channels = (size for _, size in architecture.inputs)
    x = torch.randn(3, channels, *axes)
    batch = ({0: torch.export.Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(net, (x[:2],), dynamic_shapes=batch).module()
        torch._dynamo.reset()
        compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
        for one in (program, compiled, torch.jit.script(net)):
            torch.testing.assert_close(one(x), net(x))


@pytest.mark.outside
def test_onnx_says_what_it_is_and_takes_any_batch(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    architecture = small("mixer")
    facts = {"title": "a mixer", "score": "accuracy 90%"}
    inputs = Preprocessing({"uint8": (0, 255, 1)}, tuple("0123456789"), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "images")
    (found,) = write_checked([Export(architecture, "x", facts, None, inputs)], tmp_path, "onnx")
    assert found.weights is None and found.file == tmp_path / "x.onnx"
    session = runtime.InferenceSession(found.file)
    told = session.get_modelmeta().custom_metadata_map
    assert (told["title"], told["score"], told["id"]) == ("a mixer", "accuracy 90%", architecture.id)
    assert json.loads(told["mean"]) == [1, 2, 3] and told["pixels"] == "uint8 from 0 to 255"
    assert [session.get_inputs()[0].name, session.get_outputs()[0].name] == ["input", "logits"]
    for batch in (1, 7):
        (logits,) = session.run(None, {"input": torch.zeros(batch, 3, 8, 8).numpy()})
        assert logits.shape == (batch, 10)


@pytest.mark.outside
def test_hf_is_loaded_changed_and_kept_again(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    architecture = small("gmlp")
    weights = moved(fresh(architecture, tmp_path / "weights"))
    (found,) = write_checked([Export(architecture, "net", {"title": "a gMLP"}, weights)], tmp_path, "hf")
    network = imported(found.file / "modeling.py").Network
    net = network.from_pretrained(found.file)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in load_file(weights).items())
    config = json.loads((found.file / "config.json").read_text())
    assert Architecture.from_json(config["architecture"]).id == config["id"] == architecture.id
    assert (config["input_shape"], config["num_classes"], config["params"]) == ([3, 8, 8], 10, architecture.params)
    card = (found.file / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: pytorch\n") and f"| parameters | {architecture.params:,} |" in card
    with torch.no_grad():
        net[-1].bias += 1
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "README.md").touch()
    net.save_pretrained(tmp_path / "again")
    again = network.from_pretrained(tmp_path / "again")
    assert torch.equal(again[-1].bias, net[-1].bias)
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == config


@pytest.mark.outside
def test_timm_creates_it_with_features_and_another_head(tmp_path):
    library = pytest.importorskip("timm")
    architecture = ZOO["smlp"].make(Inputs({"h": 16, "w": 16}, 3, 10), patch=2, width=(8, 16), depth=(1, 1))
    weights = moved(fresh(architecture, tmp_path / "weights"))
    inputs = Preprocessing({"float": (0, 1, 255)}, tuple("0123456789"), (51.0,) * 3, (102.0,) * 3, "images")
    (found,) = write_checked([Export(architecture, "My-Net", {}, weights, inputs)], tmp_path, "timm")
    module = imported(found.file)
    (name,) = module.__all__
    assert name == "einmix_my_net" and library.list_models("einmix_my_net", pretrained=True)
    x, net = torch.randn(2, 3, 16, 16), library.create_model(name, pretrained=True).eval()
    with torch.no_grad():
        plain = build(architecture).eval()
        plain.load_state_dict(load_file(weights))
        torch.testing.assert_close(net(x), plain(x))
        features = library.create_model(name, features_only=True)
        assert [tuple(each.shape) for each in features(x)] == [(2, 8, 8, 8), (2, 4, 4, 16)]
        assert (features.feature_info.channels(), features.feature_info.reduction()) == ([8, 16], [2, 4])
        pooled = net.forward_head(net.forward_features(x), pre_logits=True)
        assert pooled.shape == (2, net.num_features) == library.create_model(name, num_classes=0)(x).shape
        net.reset_classifier(3)
        assert net(x).shape == (2, 3) == library.create_model(name, pretrained=True, num_classes=3)(x).shape
    data = library.data.resolve_model_data_config(net)
    assert data["input_size"] == (3, 16, 16) and data["mean"] == (0.2,) * 3 and data["std"] == (0.4,) * 3
    with pytest.raises(ValueError, match=r"^it takes in_chans=3, img_size=\(16, 16\) and global_pool='avg'$"):
        library.create_model(name, in_chans=1)


TRAINED = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
import jax, jax.numpy as jnp

spec = spec_from_file_location("exported", sys.argv[1])
exported = module_from_spec(spec)
spec.loader.exec_module(exported)
net, x = exported.model(), jax.random.normal(jax.random.key(1), (4, 4, 4, 3))
kept = jax.jit(net.init)(jax.random.key(0), x)
training = jax.jit(lambda kept: net.apply(kept, x, mutable=["batch_stats"], rngs={"dropout": jax.random.key(2)}))
y, new = training(kept)
assert y.shape == (4, 3) and not jnp.allclose(y, jax.jit(net.apply)(kept, x))
means = [jax.tree.leaves(each["batch_stats"]) for each in (kept, new)]
assert any(not jnp.array_equal(a, b) for a, b in zip(*means))
grads = jax.jit(jax.grad(lambda p: net.apply({**kept, "params": p}, x).sum()))(kept["params"])
zero = [path for path, g in jax.tree_util.tree_leaves_with_path(grads) if not g.any()]
print(len(zero))
"""


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("flax"), reason="of another extra")
def test_flax_starts_and_trains(tmp_path):
    """Batch norm and dropout know training by what the caller gives; frozen weights have no gradient."""
    (found,) = exported({"kinds": every_kind()}, tmp_path, "flax")
    done = subprocess.run([sys.executable, "-c", TRAINED, found.file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1


ON_JAX = """
import json, os, sys
os.environ["KERAS_BACKEND"] = "jax"
from importlib.util import module_from_spec, spec_from_file_location
import keras
import numpy as np
from safetensors.numpy import load_file

spec = spec_from_file_location("exported", sys.argv[1])
exported = module_from_spec(spec)
spec.loader.exec_module(exported)
net, kept = exported.model(), load_file(sys.argv[1].removesuffix(".py") + ".safetensors")
net.set_weights([kept[name] for name in sorted(kept)])
x = load_file(sys.argv[2])["x"]
net.compile(optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
print(json.dumps(net.predict(x, verbose=0).tolist()))
net.fit(x, np.array([0, 1, 2, 0]), verbose=0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("keras") and find_spec("jax")), reason="of another extra")
def test_keras_runs_and_trains_on_another_backend(tmp_path):
    (found,) = exported({"kinds": every_kind()}, tmp_path, "keras")
    x = torch.randn(4, WIDTH, 4, 3)
    save_file({"x": x}, tmp_path / "x")
    command = [sys.executable, "-c", ON_JAX, found.file, tmp_path / "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    net = build(every_kind()).eval()
    net.load_state_dict(load_file(tmp_path / "kinds.weights"))
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), net(x).detach(), atol=1e-5, rtol=1e-5)
