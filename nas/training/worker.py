"""What a worker process is given: data, recipe and device, from which it makes its trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.runs.job import Trainer

if TYPE_CHECKING:  # `warm_up` comes before all that takes time
    from nas.data.dataset import Dataset
    from nas.runs.storage import Storage
    from nas.training.recipe import Recipe

PRELOAD = ("nas.training.trainer", "einmix.networks.source", "einmix.layers")
"""Modules that a server of worker processes imports once for all of them."""


HOW = "engine", "precision"
"""What a run keeps of how its trainings are computed."""


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
    curves: bool = False
    engine: str = "auto"
    precision: str = "auto"

    def __call__(self, worker: int) -> Trainer:
        from nas.training.trainer import ArchitectureTrainer

        device = f"cuda:{worker % self.devices}" if self.device == "cuda" else self.device
        shared = {
            name: getattr(self, name) for name in ("threads", "storage", "latency", "curves", "engine", "precision")
        }
        trainer = ArchitectureTrainer(self.dataset, self.recipe, device, **shared)
        trainer.start()
        return trainer
