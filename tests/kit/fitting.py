"""One training by itself."""

from collections.abc import Callable
from typing import Any

from torch import nn

from nas.runs.job import Job, Outcome
from nas.training.engine.engine import Engine, Parts
from nas.training.fit import fit, plain


def fit_one(
    *given: Any, job: Job, engine: Callable[[Parts], Engine] | None = None, **how: Any
) -> tuple[nn.Module, Outcome]:
    """What `fit` gives of one job. Raises FloatingPointError."""
    (found,) = fit(*given, jobs=[job], engine=plain if engine is None else lambda parts: engine(parts[0]), **how)
    if isinstance(found, FloatingPointError):
        raise found
    return found
