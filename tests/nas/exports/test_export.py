"""Exported files run in a clean process and give their networks' outputs; everything else is told in one line."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from searches import tiny

from einmix import Architecture, Stage, build, source
from einmix.kinds import Drop, Linear, Norm, Residual
from nas.errors import NasError
from nas.exports import FORMATS, write_checked
from nas.exports.check import Export, Exported, checked, differences
from nas.exports.module import FORMAT
from nas.exports.preprocessing import Preprocessing
from nas.training.trainer import weights_of
from search_spaces import load as load_space

SPACE = tiny("local")
BEST, OTHER, *_ = [arch for arch in SPACE.enumerate() if arch not in SPACE.references(SPACE.middle).values()]
FULL = SPACE.references(SPACE.middle)["full token mixing"]


def network(architecture: Architecture, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    net: torch.nn.Module = build(architecture)
    return net


def written(folder: Path, architecture: Architecture, text: str | None = None) -> Exported:
    """A module as it is written, or another text in its place."""
    module = folder / f"{architecture.id}.py"
    module.write_text(source(architecture) if text is None else text)
    return Exported(architecture, module, None)


@pytest.mark.slow
def test_every_architecture_of_small_spaces_passes_the_check(tmp_path):
    spaces = [tiny(name, width=(4,)) for name in ("local", "subgrid", "per_channel", "mixed", "grouped")]
    archs = {arch.id: arch for space in spaces for arch in space.enumerate()}
    archs |= {arch.id: arch for space in spaces for arch in space.references(space.middle).values()}
    for space in (  # sequences, volumes, several blocks, every role
        tiny("mixed", {"t": 12}, patch=(3,), depth=(2,)),
        tiny("local", {"d": 4, "h": 4, "w": 6}, width=(4,), depth=(3,)),
        tiny("roles", patch=(1,), depth=(2,)),
    ):
        sampled = [space.sample(Random(seed)) for seed in range(6)]
        archs |= {arch.id: arch for arch in sampled}
    answered = checked([written(tmp_path, arch) for arch in archs.values()], FORMAT)
    assert [each.architecture.id for each in answered] == list(archs)
    assert max(each.difference for each in answered) <= 1e-5


every_format = pytest.mark.parametrize("format", FORMATS)


def kept(architecture: Architecture, folder: Path) -> Path:
    """The weights of a network, as a run keeps them."""
    path = folder / "kept.safetensors"
    path.write_bytes(weights_of(network(architecture, seed=1)))
    return path


@pytest.mark.parametrize(
    "format", [pytest.param(name, marks=[pytest.mark.outside] * bool(how.needs)) for name, how in FORMATS.items()]
)
def test_every_format_gives_the_outputs_of_its_networks_in_a_clean_process(format, tmp_path):
    """With weights and without, with preprocessing and without, on images, sequences and volumes."""
    sequence = tiny("mixed", {"t": 12}, patch=(3,), depth=(2,)).sample(Random(0))
    volume = tiny("local", {"d": 4, "h": 4, "w": 6}, width=(4,)).sample(Random(0))
    prepared = Preprocessing(FULL_RANGE, tuple("0123456789"), (1.5,), (2.0,), "images")
    wanted = [
        Export(BEST, "best", {"title": "the best"}, kept(BEST, tmp_path), prepared),
        *[Export(sequence, "sequence", {}), Export(volume, "volume", {"title": "of a volume"})] * (format != "timm"),
    ]
    found = write_checked(wanted, tmp_path / "out", format)
    assert [each.architecture for each in found] == [each.architecture for each in wanted]
    assert [each.file.stem for each in found] == [each.name for each in wanted]
    assert all(each.file.parent == tmp_path / "out" and each.difference <= 1e-5 for each in found)


@every_format
def test_every_format_refuses_what_cannot_be_in_a_line(format, tmp_path):
    with pytest.raises(NasError, match=f"^architecture {BEST.id} does not take the weights .*"):
        write_checked([Export(BEST, "best", {}, kept(FULL, tmp_path))], tmp_path / "out", format)
    (tmp_path / "file").touch()
    with pytest.raises(NasError, match=r"^cannot write .*file: "):
        write_checked([Export(BEST, "best", {})], tmp_path / "file", format)


def test_an_unknown_format_is_told_with_the_nearest(tmp_path):
    with pytest.raises(NasError, match=r"^no format 'modul': did you mean 'module'\? known: "):
        write_checked([], tmp_path, "modul")


OTHER_OUTPUTS = """
one = model


class Changed(nn.Sequential):
    def forward(self, x):
        return self[0](x)CHANGE

    def load_state_dict(self, state, strict):
        return self[0].load_state_dict(state, strict)


def model():
    return Changed(one())
"""


MORE_WEIGHTS = """
one = model


def model():
    net = one()
    net[0].extra = nn.Parameter(net[0].weight.detach().clone())
    return net
"""


BROKEN = {
    "import numpy\n": "ModuleNotFoundError: it may not import numpy",
    "from nas.errors import NasError\n": "ModuleNotFoundError: it may not import nas",
    "import einmix\n": "ModuleNotFoundError: it may not import einmix",
    "raise ValueError('no')\n": "ValueError: no",
    "model = None\n": "TypeError: 'NoneType' object is not callable",
    "def model(:\n": "SyntaxError: invalid syntax (",
    source(BEST) + MORE_WEIGHTS: "RuntimeError: Error(s) in loading state_dict",
    source(BEST) + OTHER_OUTPUTS.replace("CHANGE", "[:, 0]"): "AssertionError: outputs of shape [4]",
}


@pytest.mark.outside
def test_a_module_that_does_not_run_by_itself_is_told_and_the_others_run(tmp_path):
    modules = []
    for number, text in enumerate([*BROKEN, 'print("0.0")\n' + source(BEST), source(BEST)]):
        (tmp_path / str(number)).mkdir()
        modules.append(written(tmp_path / str(number), BEST, text))
    *broken, printing, sound = differences(modules, FORMAT)
    for answer, message in zip(broken, BROKEN.values(), strict=True):
        assert answer.startswith(message)
    assert max(printing, sound) <= 1e-5  # what a module prints is not taken for an answer


@pytest.mark.outside
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os; os._exit(3)\n", r"the check of exported modules ended early: exit status 3$"),
        ("raise ValueError('a\\n\\x1b[31mb' + 999 * 'c')\n", r"\.py does not run by itself: ValueError: a \[31mbccc"),
    ],
)
def test_a_failed_check_is_one_line(text, message, tmp_path):
    with pytest.raises(NasError, match=message) as raised:
        checked([written(tmp_path, OTHER), written(tmp_path, BEST, text)], FORMAT)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


FULL_RANGE = {"uint8": (0, 255, 1), "float": (0, 1, 255)}


def preprocess_of(takes):
    """Of a network on images of 3 x 2 x 4 (channels, height, width)."""
    space = load_space("local").on(
        {"h": 2, "w": 4}, channels=3, classes=10, patch=(1,), width=(4,), depth=(1,), ratio=(1,)
    )
    arch = next(iter(space.enumerate()))
    namespace: dict = {}
    preprocessing = Preprocessing(takes, tuple("0123456789"), (1.0, 2.0, 3.0), (1.0, 2.0, 4.0), "images")
    exec(source(arch, also=preprocessing.text(arch)), namespace)
    return namespace["preprocess"]


def test_preprocessing_is_what_training_does():
    preprocess = preprocess_of(FULL_RANGE)
    raw = torch.arange(48, dtype=torch.uint8).reshape(2, 3, 2, 4)
    mean, std = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1), torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1)
    for given in (raw, raw.numpy(), raw / 255, (raw / 255).double().numpy()):
        torch.testing.assert_close(preprocess(given), (raw - mean) / std)
    assert preprocess(raw[:0]).shape == (0, 3, 2, 4)


def images(value, *shape):
    return torch.full(shape or (1, 3, 2, 4), value)


@pytest.mark.parametrize(
    ("takes", "given", "message"),
    [
        (
            FULL_RANGE,
            images(0.0, 2, 2, 4, 3),
            r"images of shape \(2, 2, 4, 3\); expected \(any, 3, 2, 4\): b c h w",
        ),
        (FULL_RANGE, images(0.0, 3, 2, 4), r"images of shape \(3, 2, 4\); expected \(any, 3, 2, 4\)"),
        (FULL_RANGE, images(1), "images of torch.int64; expected uint8 from 0 to 255 or floats from 0 to 1$"),
        (FULL_RANGE, images(255.0), "images from 255 to 255; expected uint8 from 0 to 255 or floats from 0 to 1$"),
        (FULL_RANGE, images(-0.1), "images from -0.1 to -0.1; expected"),
        (FULL_RANGE, images(float("nan")), "images from nan to nan; expected"),
        ({"uint8": (0, 16, 1)}, images(17).byte(), "images from 17 to 17; expected uint8 from 0 to 16$"),
        ({"uint8": (0, 255, 1)}, images(0.5), "images of torch.float32; expected uint8 from 0 to 255$"),
        ({"float": (0, 255, 1)}, images(0.5), "images from 0.5 to 0.5; expected floats from 0 to 255$"),
        ({"float": (-5, 7, 1)}, images(200.0), "images from 200 to 200; expected floats from -5 to 7$"),
    ],
)
def test_inputs_that_are_not_like_the_training_data_are_refused(takes, given, message):
    with pytest.raises(ValueError, match=message):
        preprocess_of(takes)(given)


@pytest.mark.outside
def test_a_module_whose_preprocessing_is_another_is_told(tmp_path):
    raw = Preprocessing(FULL_RANGE, tuple("0123456789"), (1.5,), (2.0,), "images")
    other = dataclasses.replace(raw, std=(raw.std[0] * 2,))
    exported = written(tmp_path, BEST, source(BEST, also=other.text(BEST)))
    with pytest.raises(NasError, match="does not give the outputs of its network"):
        checked([dataclasses.replace(exported, preprocessing=raw)], FORMAT)


@pytest.mark.outside
def test_no_number_is_no_output_and_what_is_done_in_training_alone_is_not_compared(tmp_path):
    """Dropout and batch norm's own means: both sides are asked as they will be used, with the weights as kept."""
    noisy = (Residual((Norm("batch"), Linear(8), Drop("dropout", 0.5), Drop("droppath", 0.5))),)
    architecture = replace(BEST, stages=(Stage(BEST.stages[0].embed, (noisy, noisy)),))
    trained = network(architecture)
    trained(3 + 2 * torch.randn(64, 1, 8, 8))  # moves the means that batch norm keeps
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights_of(trained))
    fresh = written(tmp_path, architecture)
    no_number = written(tmp_path, BEST, source(BEST) + OTHER_OUTPUTS.replace("CHANGE", " * float('nan')"))
    untrained, kept, nan = differences([fresh, replace(fresh, weights=weights), no_number], FORMAT)
    assert untrained <= 1e-5 and kept <= 1e-5 and nan != nan


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), 2e-5])
def test_any_difference_but_a_small_one_is_refused(answer, tmp_path, monkeypatch):
    monkeypatch.setattr("nas.exports.check.differences", lambda written, how: [answer] * len(written))
    with pytest.raises(NasError, match=r"does not give the outputs of its network: they differ by (nan|inf|2.0e-05)"):
        checked([written(tmp_path, BEST)], FORMAT)
