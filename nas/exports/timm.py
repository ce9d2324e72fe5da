"""A network as one module that registers itself with timm, with its weights beside it."""

import re
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from einmix import Architecture, source
from einmix.networks.source import stage_ends
from nas.errors import NasError
from nas.exports.check import Export, Exported, Format
from nas.exports.module import with_facts
from nas.exports.preprocessing import Preprocessing

NETWORK = '''
from pathlib import Path

from timm.models import build_model_with_cfg, register_model

default_cfgs = {{
    "{name}": {{
        "file": str(Path(__file__).with_suffix(".safetensors")),
        {config},
    }}
}}
FEATURES = [
    {features},
]


class Network(nn.Sequential):
    """`model()` as timm has its networks: features (`b h w c`), then a head that can be another one."""

    output_fmt = "NHWC"

    def __init__(self, num_classes={classes}, in_chans={channels}, img_size={image}, global_pool="avg"):
        super().__init__(*model())
        if (in_chans, tuple(img_size), global_pool) != ({channels}, {image}, "avg"):
            raise ValueError("it takes in_chans={channels}, img_size={image} and global_pool='avg'")
        self.num_classes, self.feature_info = {classes}, FEATURES
        self.num_features = self.head_hidden_size = {width}
        if num_classes != {classes}:
            self.reset_classifier(num_classes)

    def forward_features(self, x):
        for layer in list(self)[:-2]:
            x = layer(x)
        return x

    def forward_head(self, x, pre_logits: bool = False):
        x = self[-2](x)
        return x if pre_logits else self[-1](x)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))

    def get_classifier(self):
        return self[-1]

    def reset_classifier(self, num_classes: int, global_pool: str | None = None):
        self.num_classes = num_classes
        self[-1] = nn.Linear({width}, num_classes) if num_classes else nn.Identity()


@register_model
def {name}(pretrained: bool = False, **options):
    """The network by its name: `timm.create_model("{name}")`."""
    features = {{"feature_cls": "hook", "out_indices": tuple(range(len(FEATURES)))}}
    return build_model_with_cfg(Network, "{name}", pretrained, feature_cfg=features, **options)
'''

LOAD = """
import importlib.util, os, sys
import timm

def load(file, weights):
    spec = importlib.util.spec_from_file_location("exported", file)
    exported = sys.modules["exported"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    beside = os.path.exists(file.removesuffix(".py") + ".safetensors")
    net = timm.create_model(exported.__all__[0], pretrained=beside)
    if not beside:
        net.load_state_dict(read(weights), strict=True)
    return net.eval().requires_grad_(False), vars(exported).get("preprocess")
"""


def write(wanted: Export, folder: Path) -> Exported:
    """Writes `NAME.py`, and `NAME.safetensors` where there are weights; timm knows it as `einmix_NAME`.

    Raises NasError for inputs that are no images, and where weights do not fit.
    """
    architecture, inputs = wanted.architecture, wanted.preprocessing
    if len(architecture.inputs) != 3:
        axes = " ".join(name for name, _ in architecture.inputs)
        raise NasError(f"timm has networks for images alone, not for inputs of {axes}")
    file, weights = folder / f"{wanted.name}.py", None
    also = (inputs.text(architecture) if inputs else "") + _network(wanted.name, architecture, inputs)
    file.write_text(source(architecture, wanted.facts, also), encoding="utf-8")
    if wanted.weights:
        weights = file.with_suffix(".safetensors")
        weights.write_bytes(with_facts(wanted, wanted.weights))
    return Exported(architecture, file, weights, inputs, beside=weights)


FORMAT = Format(write, LOAD, ("torch", "einops", "timm"), extra="timm", needs=("timm",))


def _network(name: str, architecture: Architecture, inputs: Preprocessing | None) -> str:
    (_, height), (_, width), (_, channels) = architecture.inputs
    config: dict[str, Any] = {
        "num_classes": architecture.classes,
        "input_size": (channels, height, width),
        "fixed_input_size": True,
        "crop_pct": 1.0,
        "classifier": str(stage_ends(architecture)[1] + 1),
        "first_conv": None,
    }
    if inputs:
        scale = _scale(inputs)
        config |= {"mean": tuple(m / scale for m in inputs.mean), "std": tuple(s / scale for s in inputs.std)}
    features = [
        {"num_chs": grid["c"], "reduction": ceil(height / next(iter(grid.values()))), "module": str(end)}
        for grid, end in zip(architecture.grids, stage_ends(architecture)[0], strict=True)
    ]
    return NETWORK.format(
        name="einmix_" + re.sub(r"[^a-z0-9]+", "_", name.lower()),
        config=",\n        ".join(f"{key}: {value}" for key, value in _literals(config).items()),
        features=",\n    ".join(_inline(each) for each in features),
        classes=architecture.classes,
        channels=channels,
        image=(height, width),
        width=architecture.parts[-1].after["c"],
    )


def _scale(inputs: Preprocessing) -> float:
    """By how much values from 0 to 1, which timm takes, are multiplied to be in the units of the moments."""
    least, most, factor = inputs.takes.get("float", (0, 255, 1))
    return factor if (least, most) == (0, 1) else most


def _literals(values: Mapping[str, Any]) -> dict[str, str]:
    return {f'"{key}"': f'"{value}"' if isinstance(value, str) else repr(value) for key, value in values.items()}


def _inline(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in _literals(values).items()) + "}"
