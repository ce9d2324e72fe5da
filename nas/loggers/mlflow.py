"""MLflow: an experiment a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.loggers.logger import FAILED, LoggedTrial, Logger, noted, noted_as
from nas.runs.folder import RunFolder


@contextmanager
def opened(run: RunFolder, folder: Path) -> Iterator[Any]:
    """An experiment of the run's name where MLFLOW_TRACKING_URI says, else in a SQLite file of the run.

    mlflow 3 has given up plain files. A process has one tracking URI, which is put back.
    """
    import mlflow
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from sqlalchemy import URL

    before = os.environ.get("MLFLOW_TRACKING_URI")
    local = URL.create("sqlite", database=str(folder / "mlflow.db")).render_as_string()
    own, order = f"tags.run_created = '{run.created}'", ["attributes.start_time DESC"]

    class Anew(MLflowLoggerCallback):  # type: ignore[misc]
        def log_trial_start(self, trial: LoggedTrial) -> None:
            if f"{trial.name} {FAILED}" in noted(folder, "mlflow"):
                for earlier in client.search_runs(experiments, f"{own} and tags.trial_name = '{trial.name}'"):
                    client.delete_run(earlier.info.run_id)
            super().log_trial_start(trial)

    callback = Anew(before or local, experiment_name=run.name, tags={"run_created": run.created})
    try:
        callback.setup()
        client, experiments = mlflow.MlflowClient(), [callback.mlflow_util.experiment_id]
        for last in client.search_runs(experiments, own, order_by=order, max_results=1):
            logged = noted_as(last.data.tags["trial_name"], last.data.params.get("state"))
            if logged not in noted(folder, "mlflow"):  # a session ended while it logged this
                client.delete_run(last.info.run_id)
        yield callback
    finally:
        mlflow.set_tracking_uri(before)


LOGGER = Logger(
    ("mlflow", "ray.air.integrations.mlflow"),
    opened,
    calm={"MLFLOW_DISABLE_TELEMETRY": "true"},
    chatty=("alembic", "mlflow", "ray.air", "urllib3"),
)
