"""The pacer against the real clock of this machine."""

from __future__ import annotations

import asyncio

from batchsearch.pacing.pacer import Pacer


async def test_no_real_second_holds_more_than_the_tier():
    """At tier 10 with a crowd of callers and calls that leave late, no one-second window holds eleven."""
    pacer = Pacer(10)
    left = []

    async def caller(number):
        slot = await pacer.slot()
        if number % 4 == 0:
            await asyncio.to_thread(bytes, 100_000)  # what a call does before it leaves
        pacer.departed(slot)
        left.append(asyncio.get_running_loop().time())
        pacer.granted(slot, 0.1)

    await asyncio.gather(*(caller(number) for number in range(25)))
    left.sort()
    assert len(left) == 25
    windows = [sum(begin <= at < begin + 1 for at in left) for begin in left]
    assert max(windows) <= 10
