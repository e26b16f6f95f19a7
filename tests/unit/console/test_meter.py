"""What the console counts, and where it stops."""

import pytest

from batchsearch.console.meter import CallLimitError, Meter, MeteredPacer
from batchsearch.pacing.unpaced import Unpaced


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


async def test_each_departure_is_a_call_and_the_wall_holds():
    """A call counts when it leaves, repeats too; behind the wall no slot is granted at all."""
    clock = Clock()
    meter = Meter(limit=3, clock=clock)
    pacer = MeteredPacer(Unpaced(clock), meter)
    for wanted in ((1, 0), (2, 1)):
        pacer.departed(await pacer.slot())
        assert (meter.calls, meter.repeated, meter.state) == (*wanted, "sent")
    pacer.denied(100.0, 0.1)
    other = MeteredPacer(Unpaced(clock), meter)
    other.departed(await other.slot())
    assert (meter.calls, meter.denied, meter.repeated, meter.last_second) == (3, 1, 1, 3)
    with pytest.raises(CallLimitError, match="3 calls"):
        await other.slot()


def test_the_next_slot_follows_from_the_last_call():
    """The page says when the next call could leave, and forgets calls that are a second old."""
    clock = Clock()
    meter = Meter(clock=clock)
    assert meter.wait(2) == 0
    meter.departed()
    clock.now += 0.2
    assert meter.wait(2) == pytest.approx(0.3)
    assert meter.wait(float("inf")) == 0
    clock.now += 0.9
    assert meter.as_dict(2)["last_second"] == 0
    assert meter.as_dict(2)["wait"] == 0
