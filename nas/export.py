"""Exports a network as a module with its weights, and proves in a clean process that the two give its outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from einmix import Architecture, build, source
from nas.errors import NasError
from nas.ranking import Standing
from nas.results import Result
from nas.session import OpenRun
from nas.tables import accuracy, gain, mixers

TOLERANCE = 1e-5
SECONDS = 300

CHECK = '''
import importlib.util, json, sys

blocked = set(json.loads(sys.argv[4]))

class Clean:
    """Refuses every installed package but torch, einops and what these need."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"an exported module may not import {name}")

sys.meta_path.insert(0, Clean())
import torch

def read(path):
    """The tensors of a safetensors file."""
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", entry
        low, high = entry["data_offsets"]
        flat = torch.frombuffer(bytearray(data[start + low : start + high]), dtype=torch.float32)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors

spec = importlib.util.spec_from_file_location("exported", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
net = module.model().eval()
if sys.argv[2]:
    net.load_state_dict(read(sys.argv[2]), strict=True)
case = read(sys.argv[3])
if not sys.argv[2]:
    net.load_state_dict({name[6:]: value for name, value in case.items() if name.startswith("state.")}, strict=True)
with torch.no_grad():
    print(float((net(case["input"]) - case["output"]).abs().max() / case["output"].abs().max().clamp(min=1)))
'''


@dataclass(frozen=True)
class Exported:
    """What was written; `difference` is the greatest one between the outputs, relative to their size."""

    module: Path
    weights: Path | None
    difference: float


def export(opened: OpenRun, standing: Standing, folder: Path, command: str) -> Exported:
    """Writes `SPACE_ID.py`, and `SPACE_ID.safetensors` where the network was trained in the finals or by `nas train`.

    Raises NasError when the written module does not give the trained model's outputs.
    """
    trained = best_trained(opened, standing)
    space = str(opened.run.settings.get("space", {}).get("name", "network"))
    stem = f"{space if space.isidentifier() else 'network'}_{standing.id}"
    weights = opened.run.weights_path(trained.key) if trained else None
    return write(
        standing.architecture, folder / stem, weights=weights, facts=facts(opened, standing, trained, stem, command)
    )


def best_trained(opened: OpenRun, standing: Standing) -> Result | None:
    """Of the trainings whose weights are kept, the one with the most epochs, then the best validation accuracy."""
    kept = [
        result
        for result in opened.run.results()
        if result.id == standing.id and result.score and opened.run.weights_path(result.key).exists()
    ]
    return max(kept, key=lambda r: (r.epochs, r.score.accuracy if r.score else 0.0), default=None)


def write(architecture: Architecture, stem: Path, *, weights: Path | None, facts: dict[str, str]) -> Exported:
    """Writes the module (and the weights) and checks them in a clean process."""
    module = stem.with_suffix(".py")
    kept = stem.with_suffix(".safetensors") if weights else None
    try:
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(source(architecture, facts), encoding="utf-8")
        if weights and kept:
            kept.write_bytes(weights.read_bytes())
    except OSError as error:
        raise NasError(f"cannot write {error.filename or module}: {error.strerror}") from None
    difference = check(architecture, module, kept)
    if not difference <= TOLERANCE:
        raise NasError(f"{module} does not give the outputs of the trained model: they differ by {difference:.1e}")
    return Exported(module, kept, difference)


def check(architecture: Architecture, module: Path, weights: Path | None) -> float:
    """How far the module's outputs, in a process that sees torch and einops alone, are from the built model's.

    Without weights both get the same fresh ones. Raises NasError when the module or its weights do not load.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    model = build(architecture).eval()
    try:
        if weights:
            model.load_state_dict(load_file(weights), strict=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise NasError(f"the weights {weights} do not fit architecture {architecture.id}: {error}") from None
    *axes, channels = (size for _, size in architecture.inputs)
    x = torch.randn(4, channels, *axes, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        case = {"input": x, "output": model(x)}
    if weights is None:
        case |= {f"state.{name}": value.contiguous() for name, value in model.state_dict().items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "case.safetensors"
        save_file(case, path)
        arguments = [str(module), str(weights or ""), str(path), json.dumps(sorted(_foreign_modules()))]
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-W", "ignore", "-c", CHECK, *arguments],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NasError(f"{module} did not answer within {SECONDS} s") from None
    if done.returncode:
        raise NasError(f"{module} does not run by itself: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout)


def facts(opened: OpenRun, standing: Standing, trained: Result | None, stem: str, command: str) -> dict[str, str]:
    """The header of an exported module: what was found, on which data, with which score, and how to repeat it."""
    settings = opened.run.settings
    data, recipe = settings.get("data", {}), opened.recipe
    tried = [s for s in opened.standings if s.search]
    n = f"mean ± std of {standing.n} seeds" if standing.n > 1 else "one seed"
    lines = {
        "title": f"{settings.get('space', {}).get('name', 'network')}-{standing.id}",
        "found by": str(settings.get("command", "")),
        "data": f"{data.get('name')}: {data.get('train'):,} training and {data.get('validation'):,} validation images",
        "score": f"validation accuracy {accuracy(standing)} ({n}), best of {len(tried)} candidates, so optimistic",
    }
    if standing.gain:
        lines["gain"] = f"{gain(standing)} points over {standing.gain.against} (same sizes and recipe, paired by seed)"
    references = [s for s in opened.standings if s.is_reference]
    if references:
        lines["references"] = ", ".join(f"{s.label} {accuracy(s)} ({s.architecture.params:,})" for s in references)
    lines["recipe"] = (
        f"{recipe.epochs} epochs of AdamW, learning rate {recipe.lr:g} (warm-up {recipe.warmup:.0%}, cosine), "
        f"weight decay {recipe.weight_decay:g}, batch {recipe.batch}, label smoothing {recipe.label_smoothing:g}, "
        f"augmentation {recipe.augment}"
    )
    lines["mixers"] = mixers(standing.architecture)
    if trained:
        test = f", test accuracy {trained.test.accuracy:.1%}" if trained.test else ""
        lines["weights"] = (
            f"{stem}.safetensors: seed {trained.seed}, {trained.epochs} epochs, "
            f"validation accuracy {trained.score.accuracy:.1%}{test}"  # type: ignore[union-attr]
        )
    mean, std = data.get("mean"), data.get("std")
    if mean and std:
        lines["inputs"] = f"normalised by channel: mean {_figures(mean)}, std {_figures(std)}"
    lines["exported by"] = command
    return {name: text for name, text in lines.items() if text}


def _figures(values: Any) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _foreign_modules() -> set[str]:
    """Top-level modules of installed packages that neither torch nor einops needs."""
    own: set[str] = set()
    queue = ["torch", "einops"]
    while queue:
        name = queue.pop().lower().replace("_", "-")
        if name in own:
            continue
        own.add(name)
        try:
            queue += [_requirement(line) for line in requires(name) or [] if "extra ==" not in line]
        except PackageNotFoundError:
            continue
    return {"nas", "einmix", "search_spaces"} | {
        module
        for module, packages in packages_distributions().items()
        if not any(package.lower().replace("_", "-") in own for package in packages)
    }


def _requirement(line: str) -> str:
    name = line
    for end in " ;<>=!~[(":
        name = name.partition(end)[0]
    return name
