"""Exported files, compared with their networks in a process of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from einmix import Architecture, build
from nas.errors import NasError, one_line
from nas.exports.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-5

SECONDS = 300

CHECK = '''
import importlib.metadata, importlib.util, json, sys

blocked, packages = map(set, json.loads(sys.argv[1]))
spec_of, distribution_of = importlib.util.find_spec, importlib.metadata.distribution

class Clean:
    """Refuses every installed package but those of the format and what these need."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ModuleNotFoundError(f"it may not import {name}")

def find_spec(name, package=None):
    """None for what is refused, as for what is not there."""
    return None if name.split(".")[0] in blocked else spec_of(name, package)

def distribution(name):
    """As if other packages were not installed."""
    if name.lower().replace("_", "-") not in packages:
        raise importlib.metadata.PackageNotFoundError(name)
    return distribution_of(name)

sys.meta_path.insert(0, Clean())
importlib.util.find_spec, importlib.metadata.distribution = find_spec, distribution
answers, sys.stdout = sys.stdout, sys.stderr
arrays = __import__(sys.argv[3])  # torch, or numpy where the format does without it

def read(path):
    """The tensors of a safetensors file."""
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        # batch norm counts its batches, and images can be bytes
        dtype = {"F32": arrays.float32, "I64": arrays.int64, "U8": arrays.uint8}[entry["dtype"]]
        low, high = entry["data_offsets"]
        flat = arrays.frombuffer(bytearray(data[start + low : start + high]), dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors

exec(sys.argv[2])  # the format's `load`

def difference(file, weights, case):
    net, preprocess = load(file, weights)
    case = read(case)
    pairs = [(net(case["input"]), case["output"])]
    for name in case:
        if name.startswith("raw "):
            pairs.append((preprocess(case[name]), case[name.replace("raw ", "prepared ")]))
    for given, wanted in pairs:
        assert tuple(given.shape) == tuple(wanted.shape), f"outputs of shape {list(given.shape)}"
    return max(float(abs(given - wanted).max()) / max(1.0, float(abs(wanted).max())) for given, wanted in pairs)

for files in json.load(sys.stdin):
    try:
        answer = difference(*files)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), file=answers, flush=True)
'''


@dataclass(frozen=True)
class Export:
    """A network to be exported under a name, with facts for its header and the file of its weights, if it has any."""

    architecture: Architecture
    name: str
    facts: Mapping[str, str]
    weights: Path | None = None
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True)
class Exported:
    """A file and the weights that it was checked with, those of the trained network where there are any.

    `preprocessing` is what its `preprocess` has to do, where it has one; `beside` is another file that goes with it.
    `difference` is the greatest one between the file's outputs and the built network's, or between what both make of
    raw inputs, relative to their size.
    """

    architecture: Architecture
    file: Path
    weights: Path | None
    preprocessing: Preprocessing | None = None
    beside: Path | None = None
    difference: float = 0.0


@dataclass(frozen=True)
class Format:
    """A kind of file: `write` makes that of a network in a folder, `packages` are all that it takes to run it.

    `load` is the Python of a function `load(file, weights)`, which gives the network as a function and, if there is
    one, what prepares raw inputs; `read(weights)` are the tensors of a safetensors file. Both run where nothing else
    is, on tensors of torch, or on arrays of numpy where torch is not among the packages. A file that `holds` weights
    cannot be without: a network that has none gets fresh ones. `extra` is that of this project which brings what it
    takes, and `needs` are the modules of it.
    """

    write: Callable[[Export, Path], Exported]
    load: str
    packages: tuple[str, ...]
    holds: bool = False
    extra: str = ""
    needs: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What it takes to run it: `torch and einops`."""
        *others, last = self.packages
        return f"{', '.join(others)} and {last}" if others else last


def unfit(architecture: Architecture, weights: Path, error: Exception) -> str:
    """What is said of weights that are not the network's."""
    return f"architecture {architecture.id} does not take the weights {weights}: {one_line(str(error))[:300]}"


def checked(written: Sequence[Exported], how: Format) -> list[Exported]:
    """The same with how far the files' outputs are from the networks'.

    Raises NasError for a file that does not run by itself, does not take its weights strictly, or gives other outputs
    than the network that `einmix.build` makes.
    """
    answered = []
    for each, answer in zip(written, differences(written, how), strict=True):
        if isinstance(answer, str):
            raise NasError(f"{each.file} does not run by itself: {one_line(answer)[:300]}")
        if not answer <= TOLERANCE:
            raise NasError(f"{each.file} does not give the outputs of its network: they differ by {answer:.1e}")
        answered.append(replace(each, difference=answer))
    return answered


def differences(written: Sequence[Exported], how: Format) -> list[float | str]:
    """For every file the relative difference of its outputs to the network's, or why it does not run.

    All run in one process that sees the format's packages alone; those without weights get fresh ones. Raises NasError
    for weights that are not the network's, and when that process ends early.
    """
    own = _packages(how.packages)
    foreign = json.dumps([sorted(_foreign_modules(own)), sorted(own)])
    arrays = "torch" if "torch" in how.packages else "numpy"
    command = [sys.executable, "-IB", "-W", "ignore", "-c", CHECK, foreign, how.load, arrays]
    with TemporaryDirectory(prefix="nas-export-") as folder:
        files = json.dumps([_make_case(each, Path(folder) / str(number)) for number, each in enumerate(written)])
        try:
            done = subprocess.run(command, input=files, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise NasError(f"the exported modules did not answer within {SECONDS} s") from None
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(answers) < len(written):
        last = one_line((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
        raise NasError(f"the check of exported modules ended early: {last[:300]}")
    return answers


def fresh(architecture: Architecture, file: Path) -> Path:
    """Weights as they start, in a file. Raises NasError where the network cannot be built."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = build(architecture)
        save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise NasError(f"architecture {architecture.id} cannot be built: {one_line(str(error))[:300]}") from None
    return file


def loaded(architecture: Architecture, weights: Path) -> nn.Module:
    """The network with weights of its own, to evaluate. Raises NasError for others."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        net = build(architecture).eval()
        net.load_state_dict(load_file(weights), strict=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise NasError(unfit(architecture, weights, error)) from None
    return net


def _make_case(exported: Exported, stem: Path) -> list[str]:
    """The files of one check: what was written, its weights, and an input with the output that it should give."""
    import torch
    from safetensors.torch import save_file

    architecture = exported.architecture
    weights = exported.weights or fresh(architecture, stem.with_suffix(".weights"))
    net = loaded(architecture, weights)
    *axes, channels = (size for _, size in architecture.inputs)
    x = torch.randn(4, channels, *axes, generator=torch.Generator().manual_seed(0))
    case = stem.with_suffix(".case")
    raw = exported.preprocessing.examples(x.shape) if exported.preprocessing else {}
    with torch.no_grad():
        save_file({"input": x, "output": net(x)} | raw, case)
    return [str(exported.file.absolute()), str(weights.absolute()), str(case)]


def _packages(packages: Sequence[str]) -> set[str]:
    """These packages, and all that they need."""
    own: set[str] = set()
    queue = list(packages)
    while queue:
        name = _normal(queue.pop())
        if name not in own:
            own.add(name)
            try:
                # the name of a line such as `sympy>=1.13.3`
                queue += [re.split(r"[^\w.-]", line)[0] for line in requires(name) or [] if "extra ==" not in line]
            except PackageNotFoundError:  # of another platform
                continue
    return own


def _foreign_modules(own: Set[str]) -> set[str]:
    """Top-level modules of installed packages that are none of these."""
    return {"nas", "einmix", "search_spaces"} | {
        module for module, packages in _installed().items() if not any(_normal(package) in own for package in packages)
    }


@cache
def _installed() -> Mapping[str, list[str]]:
    """By top-level module the packages that have it, as they are when the first file is checked: it takes a second."""
    return packages_distributions()


def _normal(package: str) -> str:
    return package.lower().replace("_", "-")
