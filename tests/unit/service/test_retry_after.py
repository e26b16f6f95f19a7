"""How long an answer asks to wait."""

from datetime import UTC, datetime

import pytest

from batchsearch.retry_after import retry_after
from batchsearch.service.client import retry_after_of

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
IN_A_MINUTE = "Sun, 01 Mar 2026 12:01:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": IN_A_MINUTE}, 60.0),
        ({"retry-after": "Sunday, 01-Mar-26 12:01:00 GMT"}, 60.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": IN_A_MINUTE, "date": "Sun, 01 Mar 2026 12:00:50 GMT"}, 10.0),
        ({"retry-after": IN_A_MINUTE, "date": "yesterday"}, 60.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "9" * 40}, None),
        ({"retry-after": "\u0663"}, None),
        ({"retry-after": "Sun, 99 Mar 99999 12:01:00 GMT"}, None),
    ],
)
def test_seconds_and_dates_are_understood(headers, seconds):
    """A date counts from the answer's own clock where it tells it."""
    assert retry_after(headers, NOW) == seconds


def test_the_service_and_proxies_before_it_are_heard():
    """The vendor's header goes first, a date is read, and an hour is the most."""
    assert retry_after_of({"x-acs-retry-after": "1500", "retry-after": "9"}, NOW) == 1.5
    assert retry_after_of({"retry-after": IN_A_MINUTE}, NOW) == 60.0
    assert retry_after_of({"retry-after": "Mon, 01 Mar 2027 12:01:00 GMT"}, NOW) == 3600.0
    assert retry_after_of({"retry-after": "0"}, NOW) is None
