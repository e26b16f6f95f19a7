"""A few tasks do the work of many items."""

import asyncio

import pytest

from batchsearch.images.crew import Crew


async def test_what_is_made_keeps_the_order_of_the_items():
    """Whoever finishes first, a batch's results are in its items' order."""
    gates = {number: asyncio.Event() for number in range(5)}

    async def work(number):
        await gates[number].wait()
        return number * 10

    async with Crew(work, most=5) as crew:
        whole = crew.begin(range(5))
        for number in (3, 0, 4, 1, 2):
            gates[number].set()
            await asyncio.sleep(0)
        assert await whole == [0, 10, 20, 30, 40]


async def test_no_more_are_worked_on_than_may_be_and_as_many_as_may():
    """Items of later batches fill what earlier ones leave free, and nothing beyond."""
    busy, most, full = 0, 0, asyncio.Event()

    async def work(_):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if busy == 3:
            full.set()
        await full.wait()
        busy -= 1

    async with Crew(work, most=3) as crew:
        await asyncio.gather(crew.begin(range(2)), crew.begin(range(7)))
    assert most == 3


async def test_a_batch_that_is_begun_when_another_has_just_ended_is_worked_on():
    """Hands that have stopped are none: each batch finds some."""

    async def work(item):
        await asyncio.sleep(0)
        return item

    async with Crew(work, most=2) as crew:
        for number in range(20):
            assert await crew.begin([number]) == [number]
        assert await crew.begin([]) == []


async def test_an_error_ends_its_batch_and_no_other():
    """The first error is what a batch ends with; others go on."""

    async def work(item):
        await asyncio.sleep(0)
        if item == "bad":
            raise OSError(item)
        return item

    async with Crew(work, most=2) as crew:
        broken, whole = crew.begin(["good", "bad", "good"]), crew.begin(["good"])
        with pytest.raises(OSError, match="bad"):
            await broken
        assert await whole == ["good"]


async def test_what_is_under_way_is_called_off_with_the_context():
    """Nothing goes on when the context has ended, and whoever waits hears of it."""
    begun, ended = asyncio.Event(), []

    async def work(item):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(item)

    async with Crew(work, most=1) as crew:
        whole = crew.begin(["first", "never"])
        await begun.wait()
    assert ended == ["first"]
    assert whole.cancelled()
