"""The process that runs Ray Tune for a driver, which outlives it: whatever is lost with it, the driver asks for again.

It is a process of its own because Ray ends the process that joined a cluster when the cluster's head is gone.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.executors.cluster.desk import Closed, Desk, Ended, Lost, Opened, Sharing
from nas.executors.cluster.lane import Lane, ask
from nas.executors.cluster.messages import LOCAL, Answer, Capacity, Failed, Joined, Note, Settings, Submit
from nas.executors.executor import MakeTrainer, Task

CONNECT = 5.0
"""Seconds in which the head of a cluster has to take a connection."""

SILENT = 60.0
"""Seconds without a worker after which a user is told what the cluster has."""


class _Closing(BaseException):
    """Leaves Tune's loop from within; no error to Tune, which would tidy up first."""


def conduct(settings: Settings, make_trainer: MakeTrainer | None, pipe: Connection) -> None:
    """Joins the cluster and runs lanes until the driver says to close, or is gone; without a trainer it only joins."""
    sending = threading.Lock()

    def send(message: object) -> None:
        with sending:
            pipe.send(message)

    try:
        _join(settings)
        send(Joined(ray.cluster_resources()))
        if make_trainer:
            Conductor(settings, make_trainer, pipe, send).run()
    except _Closing:
        pass
    except Exception as error:
        with contextlib.suppress(OSError):
            send(Failed(_reason(error)))
        raise
    finally:
        ray.shutdown()


class Conductor:
    """Opens as many lanes as there is work and room for, and carries messages between driver and desk."""

    def __init__(self, settings: Settings, make_trainer: MakeTrainer, pipe: Connection, send: Callable[[object], None]):
        self._settings, self._pipe, self._send = settings, pipe, send
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options = {"num_cpus": 0, "max_concurrency": 100_000, "scheduling_strategy": here}
        self._desk: Any = ray.remote(Desk).options(**options).remote(settings.patience, settings.bundle)
        self._lane = tune.with_parameters(Lane, desk=self._desk, make_trainer=make_trainer)
        # a CPU, or a share of a GPU that was asked for, is a lane's own
        shares = settings.device == "cuda" and settings.gpus_per_trial is None
        self._sharing = settings.sharing if shares else 1
        self.capacity = 0
        self.unfinished: set[int] = set()  # jobs, by number
        self._lanes = 0  # ever
        self.alive: dict[str, int] = {}  # lanes by Tune's trial id
        self.closing = False
        self._opened: set[int] = set()
        self._false_starts = 0
        self._not_before = 0.0

    def run(self) -> None:
        """Tune's loop, which ends when the driver closes."""
        for work in (self._listen, self._relay, self._measure):
            threading.Thread(target=self._guarded, args=(work,), daemon=True).start()
        tuner = tune.Tuner(
            self._lane,
            tune_config=tune.TuneConfig(search_alg=_Lanes(self), num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="lanes",
                storage_path=self._settings.folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[_Watch(self)],
                verbose=0,
            ),
        )
        tuner.fit()

    @property
    def _request(self) -> dict[str, float]:
        share = self._settings.gpus_per_trial or 1 / self._sharing
        return {"CPU": 1.0} | ({"GPU": share} if self._settings.device == "cuda" else {})

    def open_lane(self, trial_id: str) -> dict[str, Any] | None:
        """A new lane: its number, what it asks for, how many share a GPU by that.

        None while there are enough, or after one that did not start.
        """
        if len(self.alive) >= min(self.capacity, len(self.unfinished)) or time.monotonic() < self._not_before:
            return None
        self._lanes += 1
        self.alive[trial_id] = self._lanes
        return {"lane": self._lanes, "request": self._request, "sharing": self._sharing}

    def close_lane(self, trial: Any, cause: str) -> None:
        """A lane has ended; after one that never opened, the next takes its time."""
        self.alive.pop(trial.trial_id, None)
        if cause and trial.config["lane"] not in self._opened:
            self._false_starts += 1
            self._not_before = time.monotonic() + min(2.0**self._false_starts, 60) / 2
        self.lose_lane(trial, cause)

    def lose_lane(self, trial: Any, cause: str) -> None:
        """Tells the desk that a lane has ended."""
        ask(self._desk.gone, trial.config["lane"], cause, trial.config["sharing"])

    def _guarded(self, work: Any) -> None:
        """Runs a thread's work; without it this process is of no use."""
        try:
            work()
        except (EOFError, OSError):  # the driver is gone
            pass
        except Exception as error:
            self.closing = True  # before what may wait for the driver
            with contextlib.suppress(OSError):
                self._send(Failed(_reason(error)))
        self.closing = True

    def _listen(self) -> None:
        """From the driver to the desk."""
        calls = count(1)
        while (message := self._pipe.recv()) is not None:
            if isinstance(message, Answer):
                ask(self._desk.answer, message.number, message.epoch, message.go_on)
            elif isinstance(message, Submit):
                self.unfinished |= message.jobs.keys()
                tasks = [Task(number, job) for number, job in message.jobs.items()]
                ask(self._desk.submit, next(calls), tasks, message.first)

    def _relay(self) -> None:
        """From the desk to the driver."""
        known = 0
        while not self.closing:
            all_news = ask(self._desk.news, known, 1.0)
            known += len(all_news)
            for news in all_news:
                if isinstance(news, Opened):
                    self._opened.add(news.lane)
                    self._false_starts = 0
                elif isinstance(news, Closed):
                    self._opened.discard(news.lane)
                elif isinstance(news, Sharing):
                    self._sharing = news.number
                    continue
                if isinstance(news, Ended | Lost):
                    self.unfinished.discard(news.number)
                self._send(news)

    def _measure(self) -> None:
        """Which nodes are about to go, and how many lanes there is room for; says so where none is open for long."""
        last = time.monotonic()  # when there was a lane, or nothing to do, or it was said
        draining: set[str] = set()
        while not self.closing:
            if (now := _draining()) != draining:
                draining = now
                ask(self._desk.drain, draining)
            capacity = self._settings.workers or max(self._room(draining), 1)
            if capacity != self.capacity:
                self.capacity = capacity
                self._send(Capacity(capacity))
            if self._opened or not self.unfinished:
                last = time.monotonic()
            elif time.monotonic() - last > SILENT:
                last = time.monotonic()
                there = {name: ray.cluster_resources().get(name, 0.0) for name in self._request}
                self._send(
                    Note(f"no worker yet: each needs {_amounts(self._request)}; the nodes have {_amounts(there)}")
                )
            time.sleep(1.0)

    def _room(self, draining: set[str]) -> int:
        """The lanes that all nodes together can hold."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in draining]
        shares = [min(node.get(name, 0) / amount for name, amount in self._request.items()) for node in nodes]
        return sum(int(share + 1e-6) for share in shares)


class _Lanes(Searcher):
    """Tune's view of the search: it suggests lanes, not candidates, which the driver proposes and the desk hands out.

    Tune's trials cost it seconds to begin and work in every step thereafter, and an early rung told as a result would
    be taken for a complete one.
    """

    def __init__(self, conductor: Conductor):
        super().__init__()
        self._conductor = conductor

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles what it might restore, and nothing is

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if self._conductor.closing:
            raise _Closing
        return self._conductor.open_lane(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """See `_Watch`, which knows more."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing of Tune's is kept: the driver's results.jsonl is the truth."""


class _Watch(tune.Callback):
    """Tells the conductor how lanes end."""

    def __init__(self, conductor: Conductor):
        self._conductor = conductor

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._conductor.closing:
            raise _Closing

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._conductor.close_lane(trial, "")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Where Tune opens a lane again all the same: it ends as soon as it is open, and another takes its place."""
        self._conductor.lose_lane(trial, _cause(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._conductor.close_lane(trial, _cause(trial))


def _join(settings: Settings) -> None:
    """Joins the cluster, or starts one on this machine; Ray would look for minutes where nothing answers."""
    host, _, port = settings.address.rpartition(":")
    if host and port.isdecimal() and "://" not in host:
        try:
            socket.create_connection((host, int(port)), CONNECT).close()
        except OSError as error:
            raise ConnectionError(f"nothing answers there ({error.strerror or error})") from None
    options: dict[str, Any] = {"address": settings.address, "log_to_driver": False, "configure_logging": False}
    if settings.address == LOCAL:
        options |= {"num_cpus": settings.cpus, "include_dashboard": False, "_temp_dir": settings.folder}
    ray.init(**options)


def _draining() -> set[str]:
    """The ids of the nodes that are about to go; of a Ray that does not say, none."""
    from ray._private.state import state

    return set(state.get_draining_nodes()) if hasattr(state, "get_draining_nodes") else set()


def _amounts(resources: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _reason(error: BaseException) -> str:
    """An error in one line, with what to do where a token is missing."""
    text = " ".join(str(error).split()) or type(error).__name__
    while error.__cause__ is not None:
        error = error.__cause__
    if "AuthenticationError" in f"{type(error).__name__} {error}":
        return f"{text}: its token is needed, in RAY_AUTH_TOKEN or ~/.ray/auth_token (docs/cluster.md)"
    return text[:400]


def _cause(trial: Any) -> str:
    """What a lane died of, in a line: the last of what Tune wrote down."""
    try:
        lines = [line.strip() for line in Path(trial.error_file).read_text().splitlines() if line.strip()]
    except (OSError, TypeError):
        return "worker died"
    return lines[-1][:200] if lines else "worker died"
