"""A lane's calls of the desk where Ray fails: they are made again, and are no fault of the trainer's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from stubs import make_stub, stub_job

from nas.executors.cluster.messages import Settings
from nas.executors.executor import Task
from nas.runs.job import Outcome, Score, Trainer

ray = pytest.importorskip("ray", reason="Ray is not installed")
conductors = pytest.importorskip("nas.executors.cluster.conductor")
lanes = pytest.importorskip("nas.executors.cluster.lane")


class Remote:
    """A method of an actor; what it says instead of an answer is raised, once each."""

    def __init__(self, answers: list[Any]):
        self.answers, self.calls = answers, []

    def remote(self, *arguments: Any) -> Any:
        self.calls.append(arguments)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Lines:
    """Stands for a desk that has one job, and for the network to it."""

    def __init__(self, **answers: list[Any]):
        jobs = (Task(7, stub_job("net")),)
        given = {"opened": [None], "next": [jobs, None], "rung": [True], "done": [None]}
        given |= {"share": [None], "refused": [None]} | answers
        for name, answer in given.items():
            setattr(self, name, Remote(answer))


@pytest.fixture
def step(monkeypatch) -> Callable[..., None]:
    """Has a lane train what there is."""

    def get(answer: Any, timeout: float | None = None) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    class Context:
        def get_node_id(self) -> str:
            return "a node"

    monkeypatch.setattr(lanes.ray, "get", get)
    monkeypatch.setattr(lanes.ray, "get_runtime_context", Context)
    monkeypatch.setattr(lanes.ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    monkeypatch.setattr(lanes.time, "sleep", lambda seconds: None)

    def step(lines: Lines, sharing: int = 1, make_trainer: Any = make_stub) -> None:
        lane = object.__new__(lanes.Lane)
        lane.setup({"lane": 1, "sharing": sharing}, lines, make_trainer)
        lane.step()

    return step


BLIPS = [
    ray.exceptions.ActorUnavailableError("the network is away", None),
    ray.exceptions.GetTimeoutError("no answer"),
    ray.exceptions.RaySystemError("connection reset"),
]


@pytest.mark.parametrize("name", ["opened", "next", "rung", "done"])
def test_a_call_that_ray_cut_off_is_made_again(name, step):
    good = {"opened": [None], "next": [(Task(7, stub_job("net")),), None], "rung": [True], "done": [None]}[name]
    lines = Lines(**{name: [*BLIPS, *good]})
    step(lines)
    calls = getattr(lines, name).calls
    assert calls[: len(BLIPS) + 1] == [calls[0]] * 4  # the very same, by which the desk knows it
    lane, task, outcome = lines.done.calls[-1]
    assert (lane.lane, task.number, outcome.state) == (1, 7, "complete")


LOST = [
    ray.exceptions.ActorDiedError(),
    ray.exceptions.RayTaskError("rung", "its traceback", ValueError("a fault of the desk's")),
]


@pytest.mark.parametrize("error", LOST, ids=["dead", "faulty"])
def test_a_desk_that_is_lost_is_no_failure_of_the_trainers(error, step):
    lines = Lines(rung=[error])
    with pytest.raises(type(error)):
        step(lines)
    assert lines.done.calls == []


def test_a_desk_out_of_reach_is_given_up_in_the_end(step, monkeypatch):
    monkeypatch.setattr(lanes, "CUT_OFF", 0.0)
    lines = Lines(rung=[BLIPS[0]])
    with pytest.raises(ray.exceptions.ActorUnavailableError):
        step(lines)
    assert lines.done.calls == []


def test_the_trainers_own_error_is_its_outcome(step):
    lines = Lines(next=[(Task(7, stub_job("net", "raise")),), None])
    step(lines)
    outcome: Outcome = lines.done.calls[0][2]
    assert (outcome.state, outcome.reason) == ("failed", "ValueError: the sizes do not divide")


def taking(peak: int, worker: int) -> Trainer:
    """A trainer that takes so many bytes of a GPU."""
    extra = {"gpu_bytes": peak, "gpu_memory": 24 * 2**30}
    return lambda job, report: Outcome("complete", (Score(3, 0.1, 0.9),), extra=extra)


@pytest.mark.parametrize(
    ("sharing", "do", "peak", "told"),
    [
        (8, "want a device", 0, [4]),
        (1, "want a device", 0, []),  # it has it
        (1, "out of memory", 0, []),
        (8, "raise", 0, []),
        (8, "learn", 2**30, []),
        (8, "learn", 6 * 2**30, [2]),
        (1, "learn", 20 * 2**30, []),
    ],
)
def test_how_a_training_went_says_how_many_are_to_share_a_gpu(sharing, do, peak, told, step):
    lines = Lines(next=[(Task(7, stub_job("net", do)),), None])
    step(lines, sharing, partial(taking, peak) if peak else make_stub)
    assert lines.share.calls == [(number,) for number in told]
    opening, _, outcome = lines.done.calls[0]
    assert opening.sharing == sharing
    assert (outcome.state == "complete") == (do == "learn" or (do, sharing) == ("want a device", 1))


@pytest.mark.parametrize(("sharing", "error", "told"), [(8, MemoryError, [4]), (1, MemoryError, []), (8, OSError, [])])
def test_a_lane_that_finds_no_memory_to_start_with_is_refused_only_where_nobody_shares(sharing, error, told, step):
    def make_trainer(worker: int) -> Trainer:
        raise error

    lines = Lines()
    with pytest.raises(error):
        step(lines, sharing, make_trainer)
    assert lines.share.calls == [(number,) for number in told] and len(lines.refused.calls) == 1 - len(told)


@pytest.mark.parametrize(
    ("settings", "request_"),
    [
        (Settings("", sharing=4), {"CPU": 1.0}),
        (Settings("", device="cuda", sharing=4), {"CPU": 1.0, "GPU": 0.25}),
        (Settings("", device="cuda", gpus_per_trial=2.0), {"CPU": 1.0, "GPU": 2.0}),
    ],
)
def test_a_lane_asks_for_its_share(settings, request_):
    conductor = conductors.Conductor.__new__(conductors.Conductor)
    conductor._settings, conductor._sharing = settings, settings.sharing
    assert conductor._request == request_


@pytest.mark.parametrize(
    ("nodes", "request_", "room"),
    [
        ([{"CPU": 1.5}, {"CPU": 1.5}], {"CPU": 1.0}, 2),  # no lane stands on two nodes
        ([{"CPU": 4.0, "GPU": 1.0}, {"CPU": 8.0}], {"CPU": 1.0, "GPU": 0.25}, 4),
        ([{"CPU": 2.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.1}, 2),
        ([{"GPU": 1.0}], {"GPU": 0.1}, 10),  # which in floating point is 9.99
        ([], {"CPU": 1.0}, 0),
    ],
    ids=str,
)
def test_room_is_counted_node_by_node(nodes, request_, room, monkeypatch):
    here = [{"Resources": node, "Alive": True, "NodeID": f"n{at}"} for at, node in enumerate(nodes)]
    gone = {"Resources": {"CPU": 64.0, "GPU": 8.0}}
    others = [gone | {"Alive": False, "NodeID": "dead"}, gone | {"Alive": True, "NodeID": "drains"}]
    monkeypatch.setattr(conductors.ray, "nodes", lambda: here + others)
    conductor = conductors.Conductor.__new__(conductors.Conductor)
    monkeypatch.setattr(conductors.Conductor, "_request", request_)
    assert conductor._room({"drains"}) == room
