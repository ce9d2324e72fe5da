"""Learning curves on every part of the data, for a table of record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.runs.bits import packed
from nas.runs.job import BITS, CPU_SECONDS, CURVES
from nas.training.engine.examples import Examples
from nas.training.fit import judged


class Curves:
    """Is called with a model and the epoch that it has ended; what that took is in `seconds`, apart from training."""

    def __init__(self, parts: Mapping[str, Examples], *, epochs: int, batch: int):
        self.parts, self.epochs, self.batch = parts, epochs, batch
        self.seconds, self._spent, self._began = 0.0, 0.0, time.process_time()
        self._trained = 0.0
        self._rows: dict[str, list[tuple[float, int]]] = {name: [] for name in parts}
        self._bits: dict[str, str] = {}

    def __call__(self, model: nn.Module, epoch: int) -> None:
        """Raises FloatingPointError where a loss is no number."""
        began, spent = time.perf_counter(), time.process_time()
        for name, part in self.parts.items():
            score, right = judged(model, part, epoch=epoch, batch=self.batch)
            assert right is not None
            self._rows[name].append((score.loss, int(right.sum())))
            if epoch == self.epochs:
                self._bits[name] = packed(right.numpy())
        self.seconds += time.perf_counter() - began
        self._spent += time.process_time() - spent
        self._trained = time.process_time() - self._began - self._spent

    @property
    def extra(self) -> dict[str, Any]:
        curves = {name: [list(row) for row in rows] for name, rows in self._rows.items()}
        return {CURVES: curves, BITS: self._bits, CPU_SECONDS: self._trained}
