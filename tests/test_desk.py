"""The desk gives every job one outcome, whoever trains it and whoever dies; it runs here without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from stubs import stub_job

from nas.cluster import desk as desks
from nas.cluster.desk import Closed, Desk, Ended, Lost, Rung, Task
from nas.trial import Outcome, Score

GOOD = Outcome("complete", (Score(3, 0.1, 0.9),), seconds=3.0)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 10))


def task(number: int) -> Task:
    return Task(number, stub_job(f"net{number}"))


async def with_jobs(*numbers: int, patience: float = 0.0) -> Desk:
    desk = Desk(patience)
    for number in numbers:
        await desk.submit(task(number))
    return desk


async def numbers(desk: Desk, *lanes: int) -> list[int | None]:
    """What these lanes are given, one after the other."""
    tasks = [await desk.next(lane) for lane in lanes]
    return [each and each.number for each in tasks]


def test_jobs_are_handed_out_in_order_and_a_lane_without_one_is_closed():
    async def story():
        desk = await with_jobs(5, 6)
        return await numbers(desk, 0, 1, 2)

    assert run(story()) == [5, 6, None]


def test_a_waiting_lane_gets_the_job_that_comes():
    async def story():
        desk = Desk(patience=5)
        waiting = asyncio.create_task(desk.next(0))
        await asyncio.sleep(0.01)
        await desk.submit(Task(1, stub_job("a")))
        return (await waiting).number

    assert run(story()) == 1


def test_what_a_lane_had_under_way_is_lost_with_it_and_comes_first_when_it_comes_back():
    async def story():
        desk = await with_jobs(1, 2, 3)
        given = await numbers(desk, 0)
        await desk.gone(0, "signal 9")
        news = await desk.news(1)
        await desk.submit(task(1), first=True)
        return given, news, await numbers(desk, 1, 0)

    given, news, after = run(story())
    assert given == [1]
    assert news == [Lost(1, "signal 9"), Closed(0, "signal 9")]
    assert after == [1, None]  # a lane that was given up gets nothing, should it be alive after all


def test_the_first_outcome_of_a_job_is_its_only_one():
    async def story():
        desk = await with_jobs(1)
        await desk.next(0)
        await desk.done(0, task(1), GOOD)
        await desk.done(0, task(1), Outcome("failed"))
        await desk.gone(0, "late")
        return await desk.news(1)

    assert run(story()) == [Ended(1, GOOD, 0), Closed(0, "late")]


def test_a_lane_that_was_cut_off_may_still_bring_its_outcome():
    async def story():
        desk = await with_jobs(1)
        await desk.next(0)
        await desk.gone(0, "cut off")
        await desk.submit(task(1), first=True)
        await desk.done(0, task(1), GOOD)
        return [type(news) for news in await desk.news(1)], await numbers(desk, 1)

    assert run(story()) == ([Lost, Closed, Ended], [None])


@pytest.mark.parametrize("go_on", [True, False])
def test_a_rung_waits_for_its_answer_and_copies_of_a_job_get_the_same(go_on):
    async def story():
        desk = await with_jobs(1)
        await desk.next(0)
        asked = [asyncio.create_task(desk.rung(task(1), Score(1, 0.5, 0.5))) for _ in range(2)]
        news = await desk.news(1)
        await desk.answer(1, 1, go_on)
        await desk.answer(1, 1, not go_on)
        return news, await asyncio.gather(*asked)

    assert run(story()) == ([Rung(1, Score(1, 0.5, 0.5))], [go_on, go_on])


def test_a_rung_of_a_job_that_is_over_ends_it_there():
    async def story():
        desk = await with_jobs(1)
        await desk.next(0)
        asked = asyncio.create_task(desk.rung(task(1), Score(1, 0.5, 0.5)))
        await asyncio.sleep(0.01)
        await desk.done(1, task(1), GOOD)
        return await asked, await desk.rung(task(1), Score(2, 0.5, 0.5))

    assert run(story()) == (False, False)


def test_an_idle_lane_trains_what_a_straggler_holds_up(monkeypatch):
    monkeypatch.setattr(desks, "LEAST", 0.02)
    monkeypatch.setattr(desks, "STRAGGLER", 0.001)

    async def story():
        desk = await with_jobs(1, 2, patience=5)
        assert await numbers(desk, 0, 1) == [1, 2]
        await desk.done(0, task(1), GOOD)  # nothing is slow before something was quicker
        again = await numbers(desk, 0)
        await desk.done(0, task(2), GOOD)
        await desk.done(1, task(2), GOOD)
        return again, [news.lane for news in await desk.news(1) if isinstance(news, Ended)]

    assert run(story()) == ([2], [0, 0])


def test_a_copied_job_is_lost_only_with_its_last_lane(monkeypatch):
    monkeypatch.setattr(desks, "LEAST", 0.0)
    monkeypatch.setattr(desks, "STRAGGLER", 0.0)

    async def story():
        desk = await with_jobs(1, 2)
        await desk.next(0)
        await desk.done(0, task(1), GOOD)
        assert await numbers(desk, 0, 1, 2) == [2, 2, None]  # one copy is enough
        await desk.gone(0, "x")
        await desk.gone(1, "y")
        return [type(news) for news in await desk.news(1)]

    assert run(story()) == [Ended, Closed, Lost, Closed]


def test_a_number_that_is_used_again_gets_no_outcome_of_the_job_before():
    async def story():
        desk = await with_jobs(1)
        await desk.next(0)
        await desk.done(0, task(1), GOOD)
        await desk.submit(Task(1, stub_job("another")))
        await desk.done(1, task(1), GOOD)
        return await desk.rung(task(1), Score(1, 0.5, 0.5)), await numbers(desk, 2), len(await desk.news(1))

    assert run(story()) == (False, [1], 1)


def test_a_lane_that_was_given_up_opens_no_more_and_waits_for_nothing():
    async def story():
        desk = await with_jobs(1)
        await desk.next(0)
        asked = asyncio.create_task(desk.rung(task(1), Score(1, 0.5, 0.5)))
        await asyncio.sleep(0.01)
        await desk.gone(0, "cut off")
        await desk.opened(0, "node", {})
        return await asked, [type(news) for news in await desk.news(1)]

    assert run(story()) == (False, [Rung, Lost, Closed])


def test_news_wait_no_longer_than_they_are_told():
    assert run(Desk().news(0.01)) == []


def test_a_job_of_many_epochs_may_take_longer_before_it_is_copied(monkeypatch):
    """By the seconds an epoch of the slowest seen, times its own epochs, and never before the least of all."""
    clock = SimpleNamespace(monotonic=lambda: now[0])
    now = [0.0]
    monkeypatch.setattr(desks, "time", clock)

    async def story(epochs: int, after: float) -> list[int | None]:
        desk = Desk(patience=0.0)
        await desk.submit(task(1))
        await desk.submit(Task(2, stub_job("long", epochs=epochs)))
        await numbers(desk, 0, 1)
        await desk.done(0, task(1), Outcome("complete", seconds=30.0))  # three epochs, ten seconds each
        now[0] = after
        given = await numbers(desk, 2)
        now[0] = 0.0
        return given

    assert desks.STRAGGLER * 10 * 5 == 150
    assert run(story(5, 149.0)) == [None] and run(story(5, 151.0)) == [2]
    assert run(story(20, 599.0)) == [None] and run(story(20, 601.0)) == [2]
