"""A lane: the Tune trainable that makes its trainer once and then trains job after job."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.exceptions import ActorDiedError, GetTimeoutError, RayError, RayTaskError

from nas.executors.cluster.desk import Leave, Opening
from nas.executors.executor import MakeTrainer, Row, Task, failure, keep_memory, run_jobs
from nas.executors.packing import sharing_after
from nas.runs.job import Outcome
from nas.runs.settings import versions

STEP = 1.0
"""Seconds of jobs that one step of Tune's stands for, at least: its controller works by step, not by job."""

ANSWER = 60.0
"""Seconds after which a call of the desk that has no answer is made again."""

CUT_OFF = 120.0
"""Seconds of failing calls after which the desk is given up."""


class Lane(tune.Trainable):
    """Takes jobs from the desk until it is told that there are none; Tune sees the lane, the desk sees its jobs.

    `config` has the lane's number, what it asks for, and how many share a GPU by that. What makes the trainer comes
    from Ray's object store, which holds it once a node.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([config["request"]])

    def setup(self, config: dict[str, Any], desk: Any, make_trainer: MakeTrainer) -> None:
        """Makes the trainer, with data and device, once for all the jobs that follow."""
        self._desk, lane, self._sharing = desk, config["lane"], config["sharing"]
        self._row, self._worn = Row(), False
        keep_memory()
        try:
            self._trainer = make_trainer(lane)
        except Exception as error:
            failed = failure(error)
            if not self._share(failed):
                ask(desk.refused, lane, ray.util.get_node_ip_address(), failed)
            raise
        self._open(lane)

    def reset_config(self, config: dict[str, Any]) -> bool:
        """Becomes another lane, with the same trainer."""
        self._sharing = config["sharing"]
        self._open(config["lane"])
        return True

    def step(self) -> dict[str, Any]:
        """Trains jobs for about a second, at least one; the lane ends when the desk has nothing for it."""
        begun, trained = time.monotonic(), 0
        while not trained or time.monotonic() - begun < STEP:
            self._calls += 1
            tasks = ask(self._desk.next, self._opening, self._calls)
            if tasks is None:
                return {"trained": trained, "done": True}
            if isinstance(tasks, Leave):  # after an error Tune does not keep the process for another lane
                raise RuntimeError("its node is about to go, or its share of a GPU is too small")
            self._train(tasks)
            trained += len(tasks)
            if self._worn:  # for the same reason as above; what has failed is tried again by the driver
                raise RuntimeError("its device is lost, or one training after the other failed")
        return {"trained": trained, "done": False}

    def _train(self, tasks: Sequence[Task]) -> None:
        """Trains a job, or several as one; the outcomes owe nothing to what became of calls."""
        report = partial(ask, self._desk.rung, tasks[0])
        outcomes = run_jobs(self._trainer, [replace(task.job, alone=self._sharing == 1) for task in tasks], report)
        self._worn = self._row.wears(tasks[0].job.id, *outcomes)
        for task, outcome in zip(tasks, outcomes, strict=True):
            self._share(outcome)
            ask(self._desk.done, self._opening, task, outcome)

    def _share(self, outcome: Outcome) -> bool:
        """Tells the desk where fewer are to share a GPU than do, by how a training (or the start) went."""
        number = sharing_after(self._sharing, outcome)
        if number < self._sharing:
            ask(self._desk.share, number)
        return number < self._sharing

    def _open(self, lane: int) -> None:
        self._opening, self._calls = Opening(lane, secrets.token_hex(8), self._sharing), 0
        node, node_id = ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id()
        ask(self._desk.opened, self._opening, node, versions(), node_id)


def ask(method: Any, *arguments: object) -> Any:
    """The answer of a method of the desk, which is called again where Ray cannot say what became of it.

    Raises RayError where the desk is no more, failed itself, or was out of reach for long.
    """
    failing, pause = None, 0.1
    while True:
        try:
            return ray.get(method.remote(*arguments), timeout=ANSWER)
        except GetTimeoutError:
            failing, pause = None, 0.1  # there may be nothing to say yet
        except (ActorDiedError, RayTaskError):
            raise
        except RayError:
            failing = failing or time.monotonic()
            if time.monotonic() - failing > CUT_OFF:
                raise
            time.sleep(pause)
            pause = min(2 * pause, 5.0)
