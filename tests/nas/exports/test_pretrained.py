"""Weights of timm's networks in the zoo's, and back: the same outputs; what does not fit is told in a line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from einmix import Architecture, build
from nas.cli.main import main
from nas.errors import NasError
from nas.exports.pretrained import ours, put, theirs
from search_spaces.zoo import ZOO, Inputs

BLOCKS = {
    "mixer": {},
    "resmlp": {"block_layer": "ResBlock", "norm_layer": "Affine", "mlp_ratio": 4},
    "gmlp": {"block_layer": "SpatialGatingBlock", "mlp_layer": "GatedMlp", "mlp_ratio": 6},
}
"""What timm's class is given, its layers by their names."""
MORE = {"mixer": {"eps": 1e-6}, "gmlp": {"eps": 1e-6}, "convmixer": {"kernel": 7}}
KNOWN = [name for name, found in ZOO.items() if found.timm]

every_network = pytest.mark.parametrize("name", KNOWN)


def timms(name: str, classes: int = 7) -> nn.Module:
    """A network of timm's with two blocks, each of its weights moved a little from where it starts."""
    timm = pytest.importorskip("timm")
    if name == "convmixer":
        net = timm.models.convmixer.ConvMixer(12, 2, kernel_size=7, patch_size=4, num_classes=classes)
    else:
        models = timm.models.mlp_mixer
        given = {name: getattr(models, each) if isinstance(each, str) else each for name, each in BLOCKS[name].items()}
        net = models.MlpMixer(classes, 16, patch_size=4, num_blocks=2, embed_dim=12, **given)
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                value += 0.1 * (torch.rand if "var" in key else torch.randn)(value.shape, generator=chance)
    return net.eval()


def same(name: str, depth: int = 2) -> Architecture:
    inputs = Inputs({"h": 16, "w": 16}, 3, 7)
    return ZOO[name].make(inputs, patch=4, width=12, depth=depth, **MORE.get(name, {}))


@every_network
def test_weights_go_there_and_back_with_the_same_outputs(name: str) -> None:
    theirs_, architecture = timms(name), same(name)
    table, x = ZOO[name].timm.table(2), torch.randn(2, 3, 16, 16)
    net = build(architecture).eval()
    net.load_state_dict(ours(architecture, table, theirs_.state_dict()))
    with torch.no_grad():
        torch.testing.assert_close(net(x), theirs_(x))
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
        shapes = {key: value.shape for key, value in theirs_.state_dict().items()}
        theirs_.load_state_dict(theirs(architecture, table, net.state_dict(), shapes))
        torch.testing.assert_close(theirs_(x), net(x))


@every_network
def test_published_sizes_have_all_names_of_timms(name: str) -> None:
    """The smallest published size of each: every tensor of timm's has a place, of its size."""
    timm = pytest.importorskip("timm")

    size, model = {
        "mixer": ("s/32", "mixer_s32_224"),
        "resmlp": ("s12", "resmlp_12_224"),
        "gmlp": ("ti/16", "gmlp_ti16_224"),
        "convmixer": ("1024/20", "convmixer_1024_20_ks9_p14"),
    }[name]
    architecture = ZOO[name].published(size)
    found = ours(
        architecture, ZOO[name].timm.table(len(architecture.stages[0].blocks)), timm.create_model(model).state_dict()
    )
    assert (
        sum(value.numel() for key, value in found.items() if "running" not in key and "num_" not in key)
        == architecture.params
    )


def test_the_number_of_classes_is_that_of_the_weights(tmp_path: Path) -> None:
    save_file(timms("mixer", classes=11).state_dict(), tmp_path / "timms")
    found = put(same("mixer"), ZOO["mixer"].timm.table(2), tmp_path / "timms", tmp_path / "ours")
    assert found.classes == 11 == len(load_file(tmp_path / "ours")["7.bias"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("norm.bias"), r"^among the weights is no 'norm.bias', which becomes '5.bias' of \w+$"),
        (lambda w: w.update(extra=torch.zeros(1)), r"^among the weights is 'extra', which \w+ does not have$"),
        (
            lambda w: w.update({"blocks.1.mlp_tokens.fc1.weight": torch.zeros(6, 15)}),
            r"^among the weights 'blocks.1.mlp_tokens.fc1.weight' is \[6, 15\], from which '3.f.1.weight' of "
            r"\[4, 4, 6, 1\] cannot be made$",
        ),
    ],
)
def test_other_weights_are_told(change: Callable[[dict], object], message: str) -> None:
    given = timms("mixer").state_dict()
    change(given)
    with pytest.raises(NasError, match=message):
        ours(same("mixer"), ZOO["mixer"].timm.table(2), given)


@pytest.fixture
def zoo(tmp_path, monkeypatch, capsys) -> Callable[[str], tuple[int, str, str]]:
    """Runs `nas zoo …` in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nas", "zoo", *shlex.split(line)])
        status = 0
        try:
            main()
        except SystemExit as leave:
            status = int(leave.code or 0)
        return status, *capsys.readouterr()

    return run


@pytest.mark.outside
def test_the_command_writes_a_module_with_them(zoo, tmp_path: Path) -> None:
    net, x = timms("resmlp"), torch.randn(2, 3, 16, 16)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    status, out, err = zoo(
        "load resmlp --shape 16x16x3 --patch 4 --width 12 --depth 2 --from weights.safetensors -o out"
    )
    assert (status, err) == (0, "") and "checked in a clean process with torch and einops alone" in out
    (module,) = Path("out").glob("resmlp_*.py")
    namespace: dict = {}
    exec(module.read_text(), namespace)
    loaded = namespace["model"]().eval()
    loaded.load_state_dict(load_file(module.with_suffix(".safetensors")))
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), net(x))
    assert "weights        those of weights.safetensors" in module.read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vip --from x", "nas: no weights of timm's are known for vip: they are for mixer, resmlp, gmlp, convmixer\n"),
        ("mixer --from no.safetensors", "nas: cannot read weights from no.safetensors: "),
        ("mixer --from text", "nas: cannot read weights from text: "),
    ],
)
def test_the_command_refuses_in_a_line(line: str, message: str, zoo, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("weights")
    status, out, err = zoo(f"load {line}")
    assert (status, out, err.count("\n")) == (2, "", 1) and err.startswith(message)
