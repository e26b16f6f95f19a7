"""What a plan is made of: sampling, different requests, scaling, time, money, and its page."""

import hashlib
import json
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest

import batchsearch.images
from batchsearch.engine.rows.page_plan import pages_of
from batchsearch.engine.rows.pending_row import Failure
from batchsearch.service.codes.table import CODES
from batchsearch.service.form import build_call
from batchsearch.tasks.plan import estimate
from batchsearch.tasks.plan.distinct_requests import DistinctRequests
from batchsearch.tasks.plan.estimate import (
    Needed,
    Pace,
    Plan,
    Price,
    Refused,
    Tally,
    is_sampled,
    sizes_of_pages,
)
from batchsearch.tasks.plan.plan_page import plan_page
from batchsearch.tasks.plan.planning import pace_of, price_of


def key_of(number):
    return hashlib.sha256(str(number).encode()).digest()


def plan_of(**changes):
    values = {
        "operation": "SearchImageByPic",
        "instance": "demo",
        "manifest": "m.csv",
        "output": "out",
        "rows": 1_000,
        "done": 100,
        "looked_at": 900,
        "unreadable": (Refused("Local.ImageMissing", 20, ("a", "b")),),
        "invalid": (Refused("Local.ImageTooSmall", 30, ("c",)),),
        "reused": 50,
        "needed": Needed(700, 700, 7_000_000),
        "pages": 1,
        "largest": 20_000,
        "by_address": False,
        "pace": Pace(5, 0.5, 8.0),
    }
    return Plan(**(values | changes))


def page_of(plan):
    return plan_page(plan, advice=lambda code: f"about {code}")


@pytest.mark.parametrize(("sample", "of"), [(1, 1), (1, 10), (3, 10), (7, 1_000), (999, 1_000), (5, 3)])
def test_a_sample_has_exactly_its_size_and_is_spread_evenly(sample, of):
    """So many rows are chosen, and the distance between neighbours differs by one at most."""
    chosen = [position for position in range(of) if is_sampled(position, sample, of)]
    assert len(chosen) == min(sample, of)
    gaps = {after - before for before, after in pairwise(chosen)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    assert chosen[0] <= of / len(chosen)
    assert of - 1 - chosen[-1] <= of / len(chosen)


@pytest.mark.parametrize("run_requests", [1, 7, 100, 10_000])
def test_each_request_counts_once_whatever_fits_into_memory(run_requests):
    """Repeats are found within a run, between runs, and with nothing written at all."""
    numbers = [number % 300 for number in range(1_000)]
    random.Random(5).shuffle(numbers)
    with DistinctRequests(run_requests=run_requests) as distinct:
        for number in numbers:
            distinct.add(key_of(number), calls=2, byte_count=number)
        assert distinct.needed() == Needed(300, 600, sum(range(300)))


def test_no_request_needs_nothing():
    """A job without a valid row takes no call."""
    with DistinctRequests() as distinct:
        assert distinct.needed() == Needed(0, 0, 0)


def test_of_equal_requests_the_one_that_is_half_answered_counts():
    """Pages that an earlier run has brought are not asked for again."""
    with DistinctRequests(run_requests=2) as distinct:
        for calls in (3, 1, 3):
            distinct.add(key_of(1), calls=calls, byte_count=calls * 10)
        assert distinct.needed() == Needed(1, 1, 10)


def test_a_count_of_the_most_bytes_does_not_overflow():
    """Sums go beyond what a small integer holds."""
    with DistinctRequests() as distinct:
        for number in range(3):
            distinct.add(key_of(number), calls=5, byte_count=2**40)
        assert distinct.needed().bytes == 3 * 2**40


def test_an_unusable_temporary_folder_is_named(tmp_path, monkeypatch):
    """A plan that finds no room says where."""
    from batchsearch.errors import OutputError

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with DistinctRequests(run_requests=1) as distinct, pytest.raises(OutputError, match=r"gone.*TMPDIR"):
        distinct.add(key_of(1), calls=1, byte_count=1)


def test_codes_are_told_by_stage_with_their_first_rows():
    """Rows arrive in any order; the examples are the first three of the manifest."""
    tally = Tally()
    for number in (9, 3, 7, 1, 5):
        tally.refuse(Failure("Local.ImageTooSmall", "local", "image", ""), number, f"r{number}")
    tally.refuse(Failure("Local.ImageMissing", "local", "image", ""), 2, "r2")
    tally.refuse(Failure("Transport.ImageTimeout", "transport", "network", ""), 4, "r4")
    assert tally.refused(unreadable=False) == (Refused("Local.ImageTooSmall", 5, ("r1", "r3", "r5")),)
    assert {each.code for each in tally.refused(unreadable=True)} == {
        "Local.ImageMissing",
        "Transport.ImageTimeout",
    }
    assert tally.refused(unreadable=False, scale=10)[0].rows == 50


def test_every_code_of_reading_a_image_counts_as_not_readable():
    """What the modules that bring images may answer is in the plan's table, and nothing unknown is."""
    folder = Path(batchsearch.images.__file__).parent
    said = set()
    for name in ("fetch", "download", "stores"):
        path = folder / f"{name}.py"
        said |= set(re.findall(r'"(Local\.\w+)"', path.read_text())) if path.exists() else set()
    assert said - estimate.UNREADABLE == set()
    assert set(CODES) >= estimate.UNREADABLE


@pytest.mark.parametrize("operation", ["SearchImageByPic", "SearchImageByName"])
@pytest.mark.parametrize("first", [0, 1])
def test_sizes_of_pages_are_those_of_the_built_requests(operation, first):
    """The bytes of every page follow from one page's, exactly."""
    pages = pages_of(430)
    images = [b"\xff\xd8 picture"] if operation == "SearchImageByPic" else []
    values = {} if images else {"product_id": "P 1", "pic_name": "a/b"}
    built = [
        len(build_call(operation, "demo", values | {"start": page.start, "num": page.num}, images).body)
        for page in pages
    ]
    assert sizes_of_pages(operation, built[first], pages, first=first) == built[first:]


def test_the_funnel_adds_up():
    """Every row is accounted for once, from the manifest to its call."""
    plan = plan_of()
    assert (plan.to_do, plan.readable, plan.valid, plan.repeats, plan.calls) == (900, 880, 850, 100, 700)
    assert plan.reused + plan.repeats + plan.needed.requests == plan.valid
    assert not plan.sampled
    assert not plan.at_most


def test_slots_become_hours_and_nights():
    """Time follows from tier, share and the hours of a night."""
    pace = Pace(10, 0.5, 8.0)
    assert pace.hours(18_000) == 1.0
    assert pace.nights(18_000 * 20) == 2.5
    assert pace.calls_a_night == 144_000


def test_money_is_the_part_of_the_month_that_the_job_takes():
    """The price is spread over every slot of the month, whatever share the job may use."""
    plan = plan_of(needed=Needed(0, 5 * 730 * 3600 // 100, 0), price=Price(2_000.0, "USD"))
    assert plan.as_dict()["money"] == {
        "amount": 20.0,
        "currency": "USD",
        "monthly_price": 2_000.0,
        "share_of_month": 0.01,
    }
    assert "20.00 USD of 2,000.00 a month: the job takes 1.00%" in page_of(plan)
    assert plan_of().as_dict()["money"] is None
    assert "money" not in page_of(plan_of())


def test_scaling_never_makes_more_requests_than_rows():
    """Rounding cannot put the last step of the funnel above the one before it."""
    assert Needed(48, 96, 480).scaled(229 / 50, most=219) == Needed(219, 438, 2190)
    assert Needed(0, 0, 0).scaled(3.0, most=5) == Needed(0, 0, 0)


def test_a_sample_is_named_as_one_in_page_and_json():
    """Nobody takes an estimate for a count."""
    plan = plan_of(looked_at=90)
    page, found = page_of(plan), plan.as_dict()
    assert "An estimate from 90 of 900 rows" in page
    assert "calls, at most" in page
    assert "~700" in page
    assert f"± {plan.valid_margin}" in page
    assert found["estimated"]
    assert found["calls_at_most"]
    assert found["sample"] == {"rows": 90, "of": 900}
    assert 0 < found["valid_margin"] < 90


def test_a_whole_plan_is_not_called_an_estimate():
    """A full pass is exact, and reads so."""
    page, found = page_of(plan_of()), plan_of().as_dict()
    assert "stimate" not in page
    assert "~" not in page
    assert "at most" not in page
    assert found["sample"] is None
    assert found["valid_margin"] == 0


def test_a_sample_in_which_all_rows_were_valid_still_has_a_margin():
    """Ten good rows of a thousand do not prove the others good."""
    assert plan_of(looked_at=10, unreadable=(), invalid=()).valid_margin > 100


def test_the_page_names_rows_advice_and_what_may_come_on_top():
    """Each code comes with examples and what to do; images that were out of reach are pointed out."""
    unreached = Refused("Transport.ImageTimeout", 4, ("x\ny",))
    page = page_of(plan_of(unreadable=(unreached,)))
    assert "30 Local.ImageTooSmall: c" in page
    assert "about Local.ImageTooSmall" in page
    assert "'x\\ny'" in page
    assert "4 rows' images could not be reached now" in page
    assert "7.00 MB" in page
    assert "50% of the tier of 5" in page


def test_the_json_is_plain():
    """Every value goes through JSON unchanged."""
    plan = plan_of()
    assert json.loads(plan.as_json()) == json.loads(json.dumps(plan.as_dict()))


def test_a_window_is_the_jobs_night(load):
    """With a window, a night is as long as that; without, it has eight hours."""
    rows = [{"id": "a", "image": "p00.jpg"}]
    shared = load(rows, instance__share=0.8)
    assert pace_of(shared, shared.instance) == Pace(1000, 0.8, 8.0)
    windowed = load(rows, window={"start": "22:30", "end": "04:00", "tz": "Europe/Berlin"})
    assert pace_of(windowed, windowed.instance) == Pace(1000, 1.0, 5.5, has_window=True)
    assert "the job's window of 5.5 h" in page_of(plan_of(pace=pace_of(windowed, windowed.instance)))


def test_without_a_price_there_is_no_talk_of_money(load):
    """A job file need not say what the instance costs."""
    assert price_of(load([{"id": "a", "image": "p00.jpg"}]).instance) is None
