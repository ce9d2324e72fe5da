"""A lane: the Tune trainable that makes its trainer once and then trains job after job."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray import tune

from nas.cluster.desk import Task
from nas.executors import MakeTrainer, failure, run_job
from nas.trial import Score
from nas.versions import versions

STEP = 1.0
"""Seconds of jobs that one step of Tune's stands for, at least: its controller works by step, not by job."""


class Lane(tune.Trainable):
    """Takes jobs from the desk until it is told that there are none; Tune sees the lane, the desk sees its jobs.

    `config` has the lane's number. What makes the trainer comes from Ray's object store, which holds it once a node.
    """

    def setup(self, config: dict[str, Any], desk: Any, make_trainer: MakeTrainer) -> None:
        """Makes the trainer, with data and device, once for all the jobs that follow."""
        self._lane, self._desk = config["lane"], desk
        try:
            self._trainer = make_trainer(self._lane)
        except Exception as error:
            ray.get(desk.refused.remote(self._lane, ray.util.get_node_ip_address(), failure(error)))
            raise
        self._open()

    def reset_config(self, config: dict[str, Any]) -> bool:
        """Becomes another lane, with the same trainer."""
        self._lane = config["lane"]
        self._open()
        return True

    def step(self) -> dict[str, Any]:
        """Trains jobs for about a second, at least one; the lane ends when the desk has nothing for it."""
        begun, trained = time.monotonic(), 0
        while not trained or time.monotonic() - begun < STEP:
            task = ray.get(self._desk.next.remote(self._lane))
            if task is None:
                return {"trained": trained, "done": True}

            def report(score: Score, task: Task = task) -> bool:
                answer: bool = ray.get(self._desk.rung.remote(task, score))
                return answer

            outcome = run_job(self._trainer, task.job, report)
            ray.get(self._desk.done.remote(self._lane, task, outcome))
            trained += 1
        return {"trained": trained, "done": False}

    def _open(self) -> None:
        ray.get(self._desk.opened.remote(self._lane, ray.util.get_node_ip_address(), versions()))
