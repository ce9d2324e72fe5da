"""What a worker process is given: data, recipe and device, from which it makes its trainer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NasError
from nas.executors import DEFAULT_METHOD, start_server
from nas.trial import Kind, Trainer

if TYPE_CHECKING:  # `warm_up` comes before all that takes time
    from nas.data import Dataset
    from nas.recipe import Recipe
    from nas.storage import Storage

PRELOAD = ("nas.training", "einmix.source", "einmix.layers")
"""Modules that a server of worker processes imports once for all of them."""

GPU_FILES = [Path(path) for path in ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")]
"""One of these is there where Linux has a GPU that torch can use: NVIDIA's driver, AMD's, that of WSL."""


@dataclass(frozen=True)
class MakeTrainer:
    """Makes a worker's trainer; with several GPUs worker i trains on GPU i modulo their number."""

    dataset: Dataset
    recipe: Recipe
    device: str
    devices: int = 1
    threads: int = 1
    storage: Storage | None = None
    latency: bool = False

    def __call__(self, worker: int) -> Trainer:
        from nas.training import ArchitectureTrainer

        device = f"cuda:{worker % self.devices}" if self.device == "cuda" else self.device
        trainer = ArchitectureTrainer(
            self.dataset, self.recipe, device, threads=self.threads, storage=self.storage, latency=self.latency
        )
        trainer.start()
        return trainer


def kind_on(device: str) -> Kind:
    """What is trained on a device of this machine: bfloat16 on a GPU that computes in it, float32 elsewhere."""
    if device != "cuda":
        return device, "float32"
    import torch

    return device, "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def find_device(wanted: str) -> tuple[str, int]:
    """The device and how many of it there are; `auto` takes GPUs before Apple's mps before the CPU.

    torch (seconds to import) is only asked where a GPU can be. Raises NasError for a device that is not there.
    """
    if wanted not in ("auto", "cpu", "cuda", "mps"):
        raise NasError(f"no device {wanted!r}: known: auto, cpu, cuda, mps")
    if wanted == "cpu" or (wanted == "auto" and sys.platform == "linux" and not any(map(Path.exists, GPU_FILES))):
        return "cpu", 1
    import torch

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return "cuda", torch.cuda.device_count()
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return "mps", 1
    if wanted == "auto":
        return "cpu", 1
    raise NasError(f"device {wanted!r} is not available here: write --device auto")


def warm_up(device: str, workers: int | None) -> None:
    """Has what local workers need imported, where there will be such, while this process reads data and proposes."""
    if workers != 0 and DEFAULT_METHOD == "forkserver" and find_device(device)[0] == "cpu":
        start_server(PRELOAD)
