"""`batchsearch plan --workers`: on paper, and for a job by its own images."""

import json

import pytest
from run_rig import invoke


def plan(*arguments):
    return invoke("plan", *arguments)


def planned(*arguments):
    ran = plan(*arguments, "--json")
    assert ran.exit_code == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture
def job(make_job):
    """A job over 39 rows, three of them without a usable image."""
    names = [f"p{number % 9:02}.jpg" for number in range(36)] + ["gone.jpg", "gone-too.jpg", "../outside.jpg"]
    return make_job([{"id": place, "image": name} for place, name in enumerate(names)], instance__qps=5)


def test_a_size_that_nobody_has_needs_no_job():
    """Images, instances, rate and cores are what the options say; nothing is read or called."""
    found = planned("--workers", "2,8", "--images", "1M,3k", "--instances", "1,4", "--tier", "5")["workers"]
    assert found["seen"] is None
    assert [(each["images"], each["work"], each["instances"]) for each in found["plans"]] == [
        (size, *work)
        for size in (3_000, 1_000_000)
        for work in (("check", 0), ("run", 1), ("run", 4), ("compare images", 0))
    ]
    assert [each["calls_per_second"] for each in found["plans"][1:3]] == [5, 20]
    assert {2, 8} <= {each["workers"] for each in found["plans"][0]["workers"]}
    page = plan("--workers", "2,8", "--images", "1M,3k")
    assert page.exit_code == 0
    assert "1,000,000 images" in page.stdout
    assert "2 cores" in page.stdout


def test_without_numbers_it_shows_the_sizes_of_a_table():
    """`--workers` alone plans a million to a billion images at one to a hundred instances."""
    found = planned("--workers")["workers"]["plans"]
    assert {each["images"] for each in found} == {10**6, 10**8, 10**9}
    assert {each["instances"] for each in found if each["work"] == "run"} == {1, 10, 100}


def test_a_jobs_own_images_say_what_they_cost(job, images):
    """Size, repairs and CPU come from the rows that were looked at; the rows that may be sent are counted."""
    found = planned(job, "--workers", "1,2")
    sizes = [(images / f"p{number:02}.jpg").stat().st_size for number in range(9)] * 4
    seen = found["workers"]["seen"]
    assert (seen["images"], seen["source_bytes"], seen["remote"]) == (36, sum(sizes), 0)
    assert seen["cpu_seconds"] > 0
    check, run = found["workers"]["plans"]
    assert (check["images"], run["images"], run["calls"]) == (36, 36, found["calls"])
    assert run["calls_per_second"] == 5
    assert run["bytes"]["fetched"] == pytest.approx(sum(sizes), abs=36)
    assert run["store_requests"]["reads"] == 0
    assert "workers" not in planned(job)
    page = plan(job, "--workers")
    assert page.stdout.index("distinct requests") < page.stdout.index("What workers are worth")


def test_a_jobs_images_stand_for_many_more(job):
    """With --images the job's rows are a sample of a catalogue that is yet to come."""
    found = planned(job, "--workers", "4", "--images", "2M", "--instances", "3")["workers"]
    check, run = found["plans"]
    assert (check["images"], run["instances"], run["calls_per_second"]) == (2_000_000, 3, 15)
    assert run["bytes"]["fetched"] == pytest.approx(
        2_000_000 * found["seen"]["source_bytes"] / found["seen"]["images"], rel=1e-6
    )


def test_the_jobs_own_output_says_how_often_it_is_carried(make_job):
    """Parts, copies of the ledger and renewals of the lease are counted as the job sets them."""
    rows = [{"id": number, "image": f"p{number % 9:02}.jpg"} for number in range(30)]
    writes = {}
    for name, own in (
        ("default", {}),
        ("seldom", {"dir": "out", "carry_seconds": 3600, "lease_seconds": 3600}),
        ("large", {"dir": "out", "rows_per_part": 1_000_000}),
    ):
        job = make_job(rows, **({"output": own} if own else {}))
        run = planned(job, "--workers", "--images", "2M", "--tier", "10")["workers"]["plans"][1]
        writes[name] = run["store_requests"]["writes"]
    assert writes["seldom"] < writes["default"] / 4
    assert writes["default"] - writes["large"] == 2 * (400 - 2)


def test_what_was_assumed_is_said_to_be_no_measure(job):
    """A figure that somebody gave is in the list with its value, and with no command that measures it."""
    del job
    found = planned("--workers", "--images", "1k", "--assume", "repair_ms=7")["workers"]["figures"]
    by_name = {each["name"]: each for each in found}
    assert (by_name["repair_ms"]["value"], by_name["repair_ms"]["measured_by"]) == (7, None)
    assert by_name["pair_ms"]["measured_by"].startswith("python tests/benchmarks/")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'CONFIG'; without a job file: `batchsearch plan --workers`"),
        (("--images", "1M"), "--images goes with --workers"),
        (("--assume", "hits=1"), "--assume goes with --workers"),
        (("JOB", "--workers", "--instances", "3"), "--instances goes with --images"),
        (("JOB", "--workers", "--tier", "3"), "--tier goes with --images"),
        (("--workers", "job.yaml"), "a job file stands before the options"),
        (("--workers", "--sample", "9"), "--sample is about a job"),
        (("--workers", "--set", "instance.qps=5"), "--set is about a job"),
        (("--workers", "--images", "0"), "whole numbers from 1"),
        (("--workers", "--images", "1.5"), "whole numbers from 1"),
        (("--workers", "--images", "nan"), "whole numbers from 1"),
    ],
)
def test_options_that_do_not_go_together_are_told(job, arguments, message):
    """The message names the option and says what to write."""
    ran = plan(*(job if each == "JOB" else each for each in arguments))
    assert ran.exit_code == 2
    assert message in " ".join(ran.stderr.split())


def test_rows_without_images_need_no_workers(make_job):
    """A job by name has nothing to prepare: it says so in place of a table of nothing."""
    config = make_job(
        [{"id": "1", "product": "P1", "pic": "front"}],
        operation="SearchImageByName",
        manifest__columns={"product_id": "product", "pic_name": "pic"},
    )
    ran = plan(config, "--workers")
    assert ran.exit_code != 0
    assert "workers would have nothing to prepare" in " ".join(ran.stderr.split())


def test_images_that_a_cluster_prepares_tell_all_but_their_cpu(job):
    """What workers spend is not seen here: size and repairs are the job's own, CPU comes from the figures."""
    pytest.importorskip("distributed")
    found = planned(job, "--dask", "local:1", "--workers", "2", "--images", "1M")["workers"]
    assert (found["seen"]["images"], found["seen"]["cpu_seconds"]) == (36, None)
    figures = {each["name"]: each["value"] for each in found["figures"]}
    check = found["plans"][0]
    size = found["seen"]["source_bytes"] / 36 / 1e6
    share = found["seen"]["repaired"] / 36
    of_image = figures["image_ms"] + figures["image_mb_ms"] * size + share * figures["repair_ms"]
    assert check["worker_core_hours"] == pytest.approx(1e6 * of_image / 3.6e6, rel=1e-3)
