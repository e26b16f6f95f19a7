"""When records are gathered before they are committed."""

from batchsearch.storage.ledger.crowd import CROWD, MOST_PAUSES, Crowd


def paused(a_second, seconds):
    """How often is waited before each record, when so many come a second, evenly."""
    crowd, found = Crowd(), []
    for number in range(int(a_second * seconds)):
        found.append(crowd.pauses(1000.0 + number / a_second))
        crowd.came(1)
    return found


def test_at_rates_that_can_be_bought_nothing_is_waited_for():
    """A record that comes alone is committed at once."""
    assert set(paused(10, 60)) == {0}


def test_in_a_crowd_records_wait_for_each_other():
    """From the first measured rate on, a crowd's records are gathered for a moment."""
    found = paused(CROWD * 2, 2)
    assert found[0] == 0
    assert found[-1] == MOST_PAUSES


def test_a_crowd_that_is_over_is_forgotten():
    """After a pause in which nothing came, the next record is committed at once."""
    crowd = Crowd()
    for number in range(2000):
        crowd.pauses(number / 2000)
        crowd.came(1)
    assert crowd.pauses(1.0) == MOST_PAUSES
    assert crowd.pauses(60.0) == 0
