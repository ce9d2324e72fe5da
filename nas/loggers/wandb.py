"""Weights & Biases: a group a run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from nas.errors import NasError
from nas.loggers.logger import PATIENCE, LoggedTrial, Logger, short
from nas.runs.folder import RunFolder


@contextmanager
def opened(run: RunFolder, folder: Path) -> Iterator[Any]:
    """A group of the run's name in project WANDB_PROJECT, else `einmix-nas`.

    Tune logs every trial from a Ray actor of its own, since its trials run side by side. Here a trial has ended before
    it is logged, so the same class logs it in this thread, one after the other, and a local search needs no Ray.
    """
    import wandb
    from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor

    class InThisThread(WandbLoggerCallback):  # type: ignore[misc]
        def _start_logging_actor(self, trial: LoggedTrial, exclude_results: list[str], **init: Any) -> None:
            for half in (folder / "wandb").glob(f"*run-*-{trial.trial_id}"):  # a session ended while it logged this
                shutil.rmtree(half)
            queue: SimpleQueue[Any] = SimpleQueue()
            self._trial_queues[trial] = queue
            here = os.curdir  # to which it changes
            actor = _WandbLoggingActor(here, queue, exclude_results, self.AUTO_CONFIG_KEYS, **init)
            self._trial_logging_actors[trial] = actor

        def _cleanup_logging_actors(self, **_: Any) -> None:
            for trial in list(self._trial_logging_actors):
                self._trial_logging_actors.pop(trial).run()
                del self._trial_queues[trial]

    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "wandb" / "cache"))
    settings = wandb.Settings(
        silent=True,
        console="off",
        symlink=False,
        disable_git=True,
        save_code=False,
        x_disable_stats=True,  # of this machine, which need not be the one that trains
        init_timeout=0.7 * PATIENCE,
        finish_timeout=0.7 * PATIENCE,
        finish_timeout_raises=True,
    )
    yield InThisThread(  # without its `setup`, which looks for the key in fewer places than `check_key` does
        project=os.environ.get("WANDB_PROJECT") or "einmix-nas",
        group=run.name,
        dir=str(folder),
        reinit="finish_previous",
        settings=settings,
    )


def check_key() -> None:
    """Looks where wandb itself looks for a key; asks neither the user nor the network."""
    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return
    import wandb

    try:
        found, why = wandb.login(prompt=False, verify=False), "there is no key of Weights & Biases"
    except Exception as error:
        found, why = False, short(error)
    if not found:
        raise NasError(f"--log wandb: {why}: run `wandb login`, or set WANDB_MODE=offline to keep all on this machine")


LOGGER = Logger(
    ("wandb", "ray.air.integrations.wandb"),
    opened,
    check_key,
    calm={"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"},
    chatty=("ray.air", "urllib3"),
    links=("debug-core.log",),  # in the folder of every run, to the log of its helper process
)
