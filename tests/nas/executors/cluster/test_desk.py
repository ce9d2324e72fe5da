"""The desk gives every job one outcome, whoever trains it and whoever dies; it runs here without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from stubs import stub_job

from nas.executors.cluster import desk as desks
from nas.executors.cluster.desk import Closed, Desk, Ended, Leave, Lost, Opened, Opening, Refused, Rung, Sharing
from nas.executors.executor import Task
from nas.runs.job import Outcome, Score

SHORT = Outcome("failed", reason="out of memory (RuntimeError: CUDA out of memory)")
GOOD = Outcome("complete", (Score(3, 0.1, 0.9),), seconds=3.0)
SCORE = Score(1, 0.5, 0.5)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def task(number: int) -> Task:
    return Task(number, stub_job(f"net{number}"))


def only(given: Any) -> Any:
    """The job that a lane is given, where it is given one."""
    return given[0] if isinstance(given, tuple) and len(given) == 1 else given


class Callers:
    """Those who call a desk, lanes and driver; with `twice` each makes every call again, as where no answer came."""

    def __init__(self, twice: bool, patience: float = 0.0):
        self.desk, self.twice = Desk(patience), twice
        self.openings: dict[int, Opening] = {}
        self.numbers, self.known = count(1), 0

    async def submit(self, *tasks: Task, first: bool = False) -> None:
        for task in tasks:
            number = next(self.numbers)
            await self._call(lambda task=task, number=number: self.desk.submit(number, [task], first))

    async def open(self, lane: int, node: str = "", sharing: int = 1) -> None:
        """Opens a lane, be it for the first time."""
        opening = self.openings[lane] = Opening(lane, str(next(self.numbers)), sharing)
        await self._call(lambda: self.desk.opened(opening, "10.0.0.1", {}, node))

    async def next(self, lane: int) -> Any:
        if lane not in self.openings:
            await self.open(lane)
        opening, number = self.openings[lane], next(self.numbers)
        return only(await self._call(lambda: self.desk.next(opening, number)))

    async def given(self, *lanes: int) -> list[int | None]:
        """The numbers of the jobs that lanes are given, one after the other."""
        tasks = [await self.next(lane) for lane in lanes]
        return [each and each.number for each in tasks]

    async def rung(self, number: int, score: Score = SCORE) -> bool:
        return await self._call(lambda: self.desk.rung(task(number), score))

    async def answer(self, number: int, epoch: int, go_on: bool) -> None:
        await self._call(lambda: self.desk.answer(number, epoch, go_on))

    async def done(self, lane: int, number: int, outcome: Outcome = GOOD) -> None:
        opening = self.openings.get(lane, Opening(lane, ""))
        await self._call(lambda: self.desk.done(opening, task(number), outcome))

    async def gone(self, lane: int, cause: str) -> None:
        sharing = self.openings[lane].sharing if lane in self.openings else 1
        await self._call(lambda: self.desk.gone(lane, cause, sharing))

    async def share(self, number: int) -> None:
        await self._call(lambda: self.desk.share(number))

    async def news(self) -> list[Any]:
        """All that is new, but that lanes are open."""
        found = await self._call(lambda: self.desk.news(self.known, 1))
        self.known += len(found)
        return [news for news in found if not isinstance(news, Opened)]

    async def _call(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        answer = await call()
        if self.twice:
            assert await call() == answer
        return answer


@pytest.fixture(params=[False, True], ids=["once", "twice"])
def make(request) -> Callable[..., Callers]:
    return lambda patience=0.0: Callers(request.param, patience)


def test_jobs_are_handed_out_in_order_and_a_lane_without_one_is_closed(make):
    async def story():
        desk = make()
        await desk.submit(task(5), task(6))
        return await desk.given(0, 1, 2)

    assert run(story()) == [5, 6, None]


def test_a_waiting_lane_gets_the_job_that_comes(make):
    async def story():
        desk = make(patience=5)
        waiting = asyncio.create_task(desk.next(0))
        await asyncio.sleep(0.01)
        await desk.submit(Task(1, stub_job("a")))
        return (await waiting).number

    assert run(story()) == 1


def test_a_lane_that_asks_again_while_it_waits_gets_one_job(make):
    async def story():
        desk = make(patience=5)
        await desk.open(0)
        waiting = [asyncio.create_task(desk.desk.next(desk.openings[0], 1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        await desk.submit(task(1), task(2))
        await desk.open(1)
        return await asyncio.gather(*waiting), await desk.given(1)

    assert run(story()) == ([(task(1),), (task(1),)], [2])


def test_what_a_lane_had_under_way_is_lost_with_it_and_comes_first_when_it_comes_back(make):
    async def story():
        desk = make()
        await desk.submit(task(1), task(2), task(3))
        given = await desk.given(0)
        await desk.gone(0, "signal 9")
        news = await desk.news()
        await desk.submit(task(1), first=True)
        return given, news, await desk.given(1, 0)

    given, news, after = run(story())
    assert given == [1]
    assert news == [Lost(1, "signal 9"), Closed(0, "signal 9")]
    assert after == [1, None]  # a lane that was given up gets nothing, should it be alive after all


def test_a_lane_that_is_opened_anew_has_lost_what_it_had(make):
    """Of a node that was drained Tune tells nobody: it opens the lane again, somewhere else."""

    async def story():
        desk = make()
        await desk.submit(task(1), task(2))
        await desk.given(0, 1)
        before = desk.openings[0]
        await desk.open(0)
        news = await desk.news()
        await desk.submit(task(1), first=True)
        return news, await desk.desk.next(before, 99), await desk.given(0)

    news, before, after = run(story())
    assert news == [Lost(1, "its node was drained")]
    assert (before, after) == (None, [1])


def test_a_lane_on_a_node_that_is_drained_ends_its_job_and_gets_no_other(make):
    async def story():
        desk = make(patience=5)
        await desk.submit(task(1), task(2))
        await desk.open(0, "leaving")
        await desk.open(1, "staying")
        await desk.given(0)
        await desk.desk.drain({"leaving", "another"})
        await desk.done(0, 1)
        first = await desk.next(0)
        given = await desk.given(1)
        waiting = asyncio.create_task(desk.next(1))  # patiently
        await asyncio.sleep(0.01)
        await desk.desk.drain({"staying"})
        return first, given, await waiting, await desk.news()

    assert run(story()) == (Leave(), [2], Leave(), [Ended(1, GOOD, 0)])


def test_the_first_outcome_of_a_job_is_its_only_one(make):
    async def story():
        desk = make()
        await desk.submit(task(1))
        await desk.next(0)
        await desk.done(0, 1)
        await desk.done(0, 1, Outcome("failed"))
        await desk.gone(0, "late")
        return await desk.news()

    assert run(story()) == [Ended(1, GOOD, 0), Closed(0, "late")]


def test_a_lane_that_was_cut_off_may_still_bring_its_outcome(make):
    async def story():
        desk = make()
        await desk.submit(task(1))
        await desk.next(0)
        await desk.gone(0, "cut off")
        await desk.submit(task(1), first=True)
        await desk.done(0, 1)
        return [type(news) for news in await desk.news()], await desk.given(1)

    assert run(story()) == ([Lost, Closed, Ended], [None])


@pytest.mark.parametrize("go_on", [True, False])
def test_a_rung_waits_for_its_answer_and_copies_of_a_job_get_the_same(go_on, make):
    async def story():
        desk = make()
        await desk.submit(task(1))
        await desk.next(0)
        asked = [asyncio.create_task(desk.rung(1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        news = await desk.news()
        await desk.answer(1, 1, go_on)
        await desk.answer(1, 1, not go_on)
        return news, await asyncio.gather(*asked)

    assert run(story()) == ([Rung(1, SCORE)], [go_on, go_on])


def test_a_rung_of_a_job_that_is_over_ends_it_there(make):
    async def story():
        desk = make()
        await desk.submit(task(1))
        await desk.next(0)
        asked = asyncio.create_task(desk.rung(1))
        await asyncio.sleep(0.01)
        await desk.done(1, 1)
        return await asked, await desk.rung(1, Score(2, 0.5, 0.5))

    assert run(story()) == (False, False)


def test_an_idle_lane_trains_what_a_straggler_holds_up(make, monkeypatch):
    monkeypatch.setattr(desks, "LEAST", 0.02)
    monkeypatch.setattr(desks, "STRAGGLER", 0.001)
    monkeypatch.setattr(desks, "LOOK", 0.01)

    async def story():
        desk = make(patience=5)
        await desk.submit(task(1), task(2))
        assert await desk.given(0, 1) == [1, 2]
        await desk.done(0, 1)  # nothing is slow before something was quicker
        again = await desk.given(0)
        await desk.done(0, 2)
        await desk.done(1, 2)
        return again, [news.lane for news in await desk.news() if isinstance(news, Ended)]

    assert run(story()) == ([2], [0, 0])


def test_a_copied_job_is_lost_only_with_its_last_lane(make, monkeypatch):
    monkeypatch.setattr(desks, "LEAST", 0.0)
    monkeypatch.setattr(desks, "STRAGGLER", 0.0)

    async def story():
        desk = make()
        await desk.submit(task(1), task(2))
        await desk.next(0)
        await desk.done(0, 1)
        assert await desk.given(0, 1, 2) == [2, 2, None]  # one copy is enough
        await desk.gone(0, "x")
        await desk.gone(1, "y")
        return [type(news) for news in await desk.news()]

    assert run(story()) == [Ended, Closed, Lost, Closed]


def test_a_number_that_is_used_again_gets_no_outcome_of_the_job_before(make):
    async def story():
        desk = make()
        await desk.submit(task(1))
        await desk.next(0)
        await desk.done(0, 1)
        await desk.submit(Task(1, stub_job("another")))
        await desk.done(1, 1)
        return await desk.rung(1), await desk.given(2), len(await desk.news())

    assert run(story()) == (False, [1], 1)


def test_a_lane_that_was_given_up_opens_no_more_and_waits_for_nothing(make):
    async def story():
        desk = make()
        await desk.submit(task(1))
        await desk.next(0)
        asked = asyncio.create_task(desk.rung(1))
        await asyncio.sleep(0.01)
        await desk.gone(0, "cut off")
        await desk.open(0)
        return await asked, [type(news) for news in await desk.desk.news(0, 1)]

    assert run(story()) == (False, [Opened, Rung, Lost, Closed])


def test_a_job_for_which_memory_was_short_is_done_again_in_a_lane_with_more_of_a_gpu(make):
    """Lanes with less end what they have, and are not said to have died."""

    async def story():
        desk = make()
        for lane in (0, 1):
            await desk.open(lane, sharing=4)
        await desk.submit(task(1), task(2), task(3))
        await desk.given(0, 1)
        await desk.share(2)
        await desk.done(0, 1, SHORT)
        await desk.done(1, 2)
        left = [await desk.next(lane) for lane in (0, 1)]
        await desk.gone(0, "RuntimeError")
        for lane, sharing in ((2, 2), (3, 1)):
            await desk.open(lane, sharing=sharing)
        await desk.share(4)  # told late: it never grows
        first = await desk.given(2)
        await desk.share(1)
        await desk.done(2, 1, SHORT)
        again = await desk.given(3)
        await desk.done(3, 1, SHORT)  # though it had the GPU for itself
        return left, first, again, await desk.given(3), await desk.news()

    left, *given, news = run(story())
    assert left == [Leave(), Leave()] and given == [[1], [1], [3]]
    assert news == [Sharing(2), Ended(2, GOOD, 1), Closed(0, ""), Sharing(1), Ended(1, SHORT, 3)]


def test_a_copy_for_which_memory_was_short_leaves_the_job_to_the_other(make, monkeypatch):
    monkeypatch.setattr(desks, "LEAST", 0.0)
    monkeypatch.setattr(desks, "STRAGGLER", 0.0)

    async def story():
        desk = make()
        for lane, sharing in ((0, 2), (1, 2), (2, 1)):
            await desk.open(lane, sharing=sharing)
        await desk.submit(task(1), task(2))
        await desk.given(0)
        await desk.given(1)
        await desk.done(0, 1)
        copied = await desk.given(2)
        await desk.done(1, 2, SHORT)
        await desk.submit(task(3))
        await desk.done(2, 2)
        return copied, await desk.given(2), await desk.news()

    assert run(story()) == ([2], [3], [Ended(1, GOOD, 0), Ended(2, GOOD, 2)])


def test_a_lane_that_cannot_be_is_told_of_once(make):
    refused = Refused(1, "10.0.0.1", Outcome("failed", reason="no data"))

    async def story():
        desk = make()
        await desk.desk.refused(refused.lane, refused.node, refused.outcome)
        news = await desk.news()
        await desk.desk.refused(refused.lane, refused.node, refused.outcome)
        await desk.gone(1, "RuntimeError")
        return news, await desk.news()

    assert run(story()) == ([refused], [Closed(1, "RuntimeError")])


def test_news_wait_no_longer_than_they_are_told():
    assert run(Desk().news(0, 0.01)) == []


def test_news_that_did_not_arrive_are_told_again():
    async def story():
        desk = Callers(twice=False)
        await desk.submit(task(1), task(2))
        await desk.given(0, 1)
        await desk.done(0, 1)
        lost = await desk.desk.news(0, 1)
        await desk.done(1, 2)
        again = await desk.desk.news(0, 1)
        return lost == again[:3], again[2:], await desk.desk.news(3, 1), await desk.desk.news(4, 0.01)

    assert run(story()) == (True, [Ended(1, GOOD, 0), Ended(2, GOOD, 1)], [Ended(2, GOOD, 1)], [])


def test_a_job_of_many_epochs_may_take_longer_before_it_is_copied(monkeypatch):
    """By the seconds an epoch of the slowest seen, times its own epochs, and never before the least of all."""
    clock = SimpleNamespace(monotonic=lambda: now[0])
    now = [0.0]
    monkeypatch.setattr(desks, "time", clock)

    async def story(epochs: int, after: float) -> list[int | None]:
        desk = Callers(twice=False)
        await desk.submit(task(1), Task(2, stub_job("long", epochs=epochs)))
        await desk.given(0, 1)
        await desk.done(0, 1, Outcome("complete", seconds=30.0))  # three epochs, ten seconds each
        now[0] = after
        given = await desk.given(2)
        now[0] = 0.0
        return given

    assert desks.STRAGGLER * 10 * 5 == 150
    assert run(story(5, 149.0)) == [None] and run(story(5, 151.0)) == [2]
    assert run(story(20, 599.0)) == [None] and run(story(20, 601.0)) == [2]


def test_the_job_under_way_for_longest_is_copied_and_only_whole_trainings_say_what_is_long(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(desks, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def story(state):
        desk = Callers(twice=False)
        await desk.submit(task(1), task(2), task(3))
        for lane, begins in ((0, 0.0), (1, 50.0), (2, 20.0)):
            now[0] = begins
            await desk.given(lane)  # 1, 2 and 3
        await desk.done(0, 1, Outcome(state, seconds=3.0))
        now[0] = 1000.0
        return await desk.given(3, 4, 5)

    assert run(story("complete")) == [3, 2, None]
    assert run(story("pruned")) == run(story("failed")) == [None, None, None]
