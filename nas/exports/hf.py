"""A network as a folder of the Hugging Face Hub: its module, config.json, model.safetensors and a model card."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from einmix import source
from einmix.networks.summary import outputs, subject
from nas.errors import one_line
from nas.exports.check import Export, Exported, Format
from nas.exports.module import with_facts

NETWORK = '''
from huggingface_hub import PyTorchModelHubMixin


class Network(nn.Sequential, PyTorchModelHubMixin):
    """`model()` with `from_pretrained`, `save_pretrained` and `push_to_hub`; `config` is that of config.json."""

    def __init__(self, **config):
        super().__init__(*model())
'''

CARD = """\
---
library_name: pytorch
pipeline_tag: {task}
tags: [einmix, einops, mlp-mixer]
---

# {title}

{what}

| | |
|---|---|
{rows}

It takes a folder of this repository, and `pip install torch einops huggingface_hub`:

```python
from modeling import Network

net = Network.from_pretrained(".").eval()  # or by the name of the repository
```

`modeling.py` is all of the network, to be read{prepared}.
"""

LOAD = """
import importlib.util, os
os.environ["HF_HUB_OFFLINE"] = "1"

def load(file, weights):
    spec = importlib.util.spec_from_file_location("modeling", os.path.join(file, "modeling.py"))
    modeling = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(modeling)
    net = modeling.Network.from_pretrained(file).eval().requires_grad_(False)
    return net, vars(modeling).get("preprocess")
"""


def write(wanted: Export, folder: Path) -> Exported:
    """Writes the folder `NAME`. Raises NasError where weights do not fit."""
    architecture, inputs = wanted.architecture, wanted.preprocessing
    home = folder / wanted.name
    home.mkdir(exist_ok=True)
    also = (inputs.text(architecture) if inputs else "") + NETWORK
    (home / "modeling.py").write_text(source(architecture, wanted.facts, also), encoding="utf-8")
    assert wanted.weights
    (home / "model.safetensors").write_bytes(with_facts(wanted, wanted.weights, format="pt"))
    (home / "config.json").write_text(json.dumps(_config(wanted), indent=2) + "\n", encoding="utf-8")
    (home / "README.md").write_text(_card(wanted), encoding="utf-8")
    return Exported(architecture, home, wanted.weights, inputs)


PACKAGES = ("torch", "einops", "huggingface_hub", "safetensors")
FORMAT = Format(write, LOAD, PACKAGES, holds=True, extra="hf", needs=("huggingface_hub",))


def _config(wanted: Export) -> dict[str, Any]:
    """What config.json has: the architecture as data, its id, its sizes, and what its inputs are like."""
    architecture, inputs = wanted.architecture, wanted.preprocessing
    *axes, channels = (size for _, size in architecture.inputs)
    told: dict[str, Any] = {
        "id": architecture.id,
        "input_shape": [channels, *axes],
        "num_classes": architecture.classes,
        "params": architecture.params,
        "macs": architecture.macs,
        "architecture": json.loads(architecture.to_json()),
    }
    if inputs:
        told |= {"classes": list(inputs.classes), "mean": list(inputs.mean), "std": list(inputs.std)}
        told |= {"pixels": inputs.words}
    return told


def _card(wanted: Export) -> str:
    architecture, facts = wanted.architecture, wanted.facts
    figures = {
        "parameters": f"{architecture.params:,}",
        "multiply-accumulates": f"{architecture.macs:,} an example",
        "id": architecture.id,
    }
    rows = {name: text for name, text in facts.items() if name != "title"} | figures
    what = f"An EinMix network for {subject(architecture)}, {outputs(architecture)}."
    return CARD.format(
        task="image-classification" if len(architecture.inputs) == 3 else "other",
        title=markdown(facts.get("title", architecture.id)),
        what=markdown(what),
        rows=_table(rows),
        prepared="; its `preprocess` makes inputs of raw ones" if wanted.preprocessing else "",
    )


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(f"| {markdown(name)} | {markdown(text)} |" for name, text in rows.items())


def markdown(text: str) -> str:
    """A text in one line of Markdown, every character of it as it is: no markup, no cell that ends.

    >>> markdown("a|b\\n<b>*c*")
    'a\\\\|b \\\\<b\\\\>\\\\*c\\\\*'
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", one_line(text))
