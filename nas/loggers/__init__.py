"""Trainings told to others: a service is a file."""

import os
import warnings
from collections.abc import Collection
from importlib import import_module

from nas.errors import NasError, nearest
from nas.loggers import mlflow, tensorboard, wandb
from nas.loggers.logger import short

LOGGERS = {"tensorboard": tensorboard.LOGGER, "mlflow": mlflow.LOGGER, "wandb": wandb.LOGGER}


def check_loggers(names: Collection[str]) -> None:
    """Raises NasError for a logger that there is not, whose packages are missing, or that has nowhere to log to."""
    for name in names:
        if name not in LOGGERS:
            raise NasError(f"no logger {name!r}: {nearest(name, LOGGERS)}")
    for each in LOGGERS.values() if names else ():
        for variable, value in each.calm.items():
            os.environ.setdefault(variable, value)
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for module in LOGGERS[name].modules:
                    import_module(module)
        except ImportError as error:
            raise NasError(
                f"--log {name} needs a package that is missing ({short(error)}): pip install 'einmix-nas[log]'"
            ) from error
        except Exception as error:  # a package that is broken
            raise NasError(f"--log {name} is not possible: {short(error)}") from error
    for name in names:
        LOGGERS[name].check()
