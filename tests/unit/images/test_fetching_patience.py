"""How often an image is asked for, and how long is waited in between."""

import pytest

from batchsearch.images.fetching.patience import FETCH_ATTEMPTS, LONGEST_WAIT, fetch_patiently
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.manifest.rows import ImageReference

PASSING = Unreachable("Transport.ImageConnect", "down", transient=True)


class Answers:
    """Stands where a `Fetcher` does: gives what it was told to, one after the other."""

    def __init__(self, *answers):
        self.left = list(answers)
        self.waits = []

    async def fetch(self, reference):
        return self.left.pop(0)

    async def sleep(self, seconds):
        self.waits.append(seconds)


async def ask(*answers):
    host = Answers(*answers)
    found = await fetch_patiently(host, ImageReference(url="https://h/a"), lambda: 0.5, sleep=host.sleep)
    return found, host


async def test_a_passing_failure_is_tried_again_with_longer_waits():
    """The image comes at the last attempt."""
    found, host = await ask(*[PASSING] * (FETCH_ATTEMPTS - 1), b"picture")
    assert found == b"picture"
    assert len(host.waits) == FETCH_ATTEMPTS - 1
    assert host.waits == sorted(host.waits)
    assert host.waits[0] > 0


async def test_after_the_last_attempt_the_image_is_unreachable():
    """No more is asked, and nothing is waited for afterwards."""
    found, host = await ask(*[PASSING] * (FETCH_ATTEMPTS + 1))
    assert found == PASSING
    assert (len(host.left), len(host.waits)) == (1, FETCH_ATTEMPTS - 1)


@pytest.mark.parametrize(
    "lasting",
    [
        b"",
        Rejected("Local.ImageMissing", "gone"),
        Unreachable("Transport.ImageTls", "certificate", transient=False),
    ],
)
async def test_what_will_not_change_is_asked_for_once(lasting):
    """Bytes, refusals and lasting failures end it."""
    found, host = await ask(lasting, PASSING)
    assert found == lasting
    assert host.waits == []


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (86_400.0, LONGEST_WAIT)])
async def test_a_host_may_ask_for_a_longer_wait(asked, waited):
    """`Retry-After` is followed, within a bound."""
    busy = Unreachable("Transport.ImageHttpStatus", "busy", transient=True, retry_after=asked)
    _, host = await ask(busy, b"picture")
    assert host.waits == [waited]
