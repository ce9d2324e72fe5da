"""A Gaussian process over networks in numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Places:
    """Where networks stand by their features, scaled by how far those that it is made for spread.

    A feature that is alike in all of these says nothing.
    """

    def __init__(self, every: Sequence[Mapping[str, float]]):
        names = sorted({name for each in every for name in each})
        table = _table(every, names)
        spread = table.std(axis=0)
        kept = spread > 1e-9
        self._names = [name for name, keep in zip(names, kept, strict=True) if keep]
        self._mean = table.mean(axis=0)[kept]
        self._scale = spread[kept] * np.sqrt(max(kept.sum(), 1))

    def of(self, networks: Sequence[Mapping[str, float]]) -> Array:
        """Those of networks: a row for each, with a number for each feature that says something."""
        return (_table(networks, self._names) - self._mean) / self._scale


def _table(every: Sequence[Mapping[str, float]], names: Sequence[str]) -> Array:
    rows = [[each.get(name, 0.0) for name in names] for each in every]
    return np.array(rows, dtype=np.float64).reshape(len(every), len(names))


class Process:
    """Predicts a figure of networks from where they stand, with its standard deviation.

    Rasmussen and Williams, "Gaussian processes for machine learning", 2006: a Matern kernel and a linear one, their
    scales by marginal likelihood.
    """

    _kernel: Any = None

    def fit(self, x: Array, y: Array, errors: Array) -> None:
        """Finds the kernel's scales by figures at these places, each with its standard error, and takes them in."""
        from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

        kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(1.0, (0.2, 20.0), nu=2.5)
        kernel += ConstantKernel(1.0, (1e-3, 20.0)) * DotProduct(0.0, "fixed") + WhiteKernel(0.05, (1e-3, 1.0))
        self._kernel = kernel
        self._kernel = self._learn(x, y, errors, "fmin_l_bfgs_b").kernel_

    def condition(self, x: Array, y: Array, errors: Array) -> None:
        """Takes in other figures with the scales found before."""
        self._learn(x, y, errors, None)

    def _learn(self, x: Array, y: Array, errors: Array, optimizer: str | None) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor

        self._middle, self._unit = float(np.average(y, weights=1 / (errors**2 + 0.05))), float(max(y.std(), 1e-6))
        model = GaussianProcessRegressor(self._kernel, alpha=(errors / self._unit) ** 2 + 1e-8, optimizer=optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound
            self._model = model.fit(x, (y - self._middle) / self._unit)
        return self._model

    def predict(self, x: Array) -> tuple[Array, Array]:
        """The mean and the standard deviation at these places."""
        mean, deviation = self._model.predict(x, return_std=True)
        return self._middle + self._unit * mean, self._unit * deviation
