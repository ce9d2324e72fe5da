"""A lane's calls of the desk where Ray fails: they are made again, and are no fault of the trainer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stubs import make_stub, stub_job

from nas.cluster.desk import Task
from nas.trial import Outcome

ray = pytest.importorskip("ray", reason="Ray is not installed")
lanes = pytest.importorskip("nas.cluster.lane")


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
        job = Task(7, stub_job("net"))
        given = {"opened": [None], "next": [job, None], "rung": [True], "done": [None]} | answers
        for name, answer in given.items():
            setattr(self, name, Remote(answer))


@pytest.fixture
def step(monkeypatch) -> Callable[[Lines], None]:
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

    def step(lines: Lines) -> None:
        lane = object.__new__(lanes.Lane)
        lane.setup({"lane": 1}, lines, make_stub)
        lane.step()

    return step


BLIPS = [
    ray.exceptions.ActorUnavailableError("the network is away", None),
    ray.exceptions.GetTimeoutError("no answer"),
    ray.exceptions.RaySystemError("connection reset"),
]


@pytest.mark.parametrize("name", ["opened", "next", "rung", "done"])
def test_a_call_that_ray_cut_off_is_made_again(name, step):
    good = {"opened": [None], "next": [Task(7, stub_job("net")), None], "rung": [True], "done": [None]}[name]
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
    lines = Lines(next=[Task(7, stub_job("net", "raise")), None])
    step(lines)
    outcome: Outcome = lines.done.calls[0][2]
    assert (outcome.state, outcome.reason) == ("failed", "ValueError: the sizes do not divide")


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
    conductors = pytest.importorskip("nas.cluster.conductor")
    here = [{"Resources": node, "Alive": True, "NodeID": f"n{at}"} for at, node in enumerate(nodes)]
    gone = {"Resources": {"CPU": 64.0, "GPU": 8.0}}
    others = [gone | {"Alive": False, "NodeID": "dead"}, gone | {"Alive": True, "NodeID": "drains"}]
    monkeypatch.setattr(conductors.ray, "nodes", lambda: here + others)
    conductor = conductors.Conductor.__new__(conductors.Conductor)
    conductor._request = request_
    assert conductor._room({"drains"}) == room
