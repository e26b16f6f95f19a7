"""`batchsearch.run` and its kin as programs and notebooks call them, over real HTTP."""

import asyncio
import doctest
import importlib
import logging
import os
import pkgutil
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import structlog
from run_rig import put_all, unconfigured

import batchsearch
import batchsearch.python_api

__all__ = ["unconfigured"]

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(4)]


@pytest.fixture
def filled(signed_in, images):
    """The emulator with four of the images in its catalogue."""
    return put_all(signed_in, images, range(4), "P{:02}")


@pytest.fixture
def job(filled, make_job_here):
    """A job file over four images that the instance has."""
    return make_job_here(ROWS)


@pytest.fixture
def slow_job(make_job_here):
    """A job of forty rows that takes eight seconds unless it is stopped."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(40)]
    return make_job_here(rows, instance__qps=5)


def resumed(job):
    """How many outcomes another run finds, which works through the rest at once."""
    again = batchsearch.run(job, overrides={"instance.qps": 1000})
    assert again.ok
    return again.summary.resumed


def test_a_run_gives_its_tables(job, tmp_path):
    """Results and hits as Arrow, as pandas, batch by batch; the summary beside them."""
    result = batchsearch.run(job)
    assert result.ok
    assert result.raise_if_failed() is result
    assert (result.summary.rows, result.summary.calls) == (4, 4)
    assert result.folder == tmp_path / "out"
    table = result.results()
    assert isinstance(table, pa.Table)
    assert sorted(table.column("row_key").to_pylist()) == ["r0", "r1", "r2", "r3"]
    assert result.results(["outcome"]).column_names == ["outcome"]
    hits = result.to_pandas("hits")
    best = hits[hits["rank"] == 1].set_index("row_key")["product_id"]
    assert best.to_dict() == {f"r{n}": f"P{n:02}" for n in range(4)}
    assert sum(batch.num_rows for batch in result.batches(rows=3)) == 4
    assert max(batch.num_rows for batch in result.batches(rows=3)) <= 3
    assert batchsearch.open_output(tmp_path / "out").results().num_rows == 4


def test_nothing_is_printed(unconfigured, job, capfd, caplog):
    """Neither stdout nor stderr gets a character; events go to `logging`."""
    caplog.set_level(logging.INFO, "batchsearch")
    batchsearch.run(job)
    batchsearch.plan(job)
    batchsearch.check(job)
    assert capfd.readouterr() == ("", "")
    assert any("run_finished" in record.getMessage() for record in caplog.records)
    assert {record.name for record in caplog.records if "run_" in record.getMessage()} == {"batchsearch"}
    assert not structlog.is_configured()


async def test_the_plain_form_works_inside_a_running_loop(job):
    """A notebook's cell calls `run` while its event loop is running."""
    assert asyncio.get_running_loop()
    assert batchsearch.run(job).summary.done == 4


async def test_the_async_form_leaves_the_loop_free(job):
    """Other tasks go on while a run is awaited."""
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    result = await batchsearch.arun(job)
    beating.cancel()
    assert result.ok
    assert beats > 10


def test_a_run_resumes(job):
    """Again, no call is made; `max_calls` leaves the rest to the next run."""
    for wrong in (-1, 2.5, "3"):
        with pytest.raises(batchsearch.ConfigError, match="max_calls"):
            batchsearch.run(job, max_calls=wrong)
    first = batchsearch.run(job, max_calls=1)
    assert not first.ok
    with pytest.raises(batchsearch.RunFailedError) as caught:
        first.raise_if_failed()
    assert caught.value.exit_code == batchsearch.ExitCode.INCOMPLETE
    assert batchsearch.run(job).summary.calls == 3
    assert batchsearch.run(job).summary.calls == 0


def test_progress_is_told_and_ends_with_all_rows(job):
    """A function of the program's own gets readings; the last one has every row."""
    seen = []
    batchsearch.run(job, progress=seen.append)
    assert isinstance(seen[-1], batchsearch.Reading)
    assert (seen[-1].done, seen[-1].total, seen[-1].calls) == (4, 4, 4)


def test_what_progress_raises_stops_the_run(slow_job):
    """The program's own exception comes back, and what was answered is kept."""

    def tell(reading):
        if reading.done:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        batchsearch.run(slow_job, progress=tell)
    assert 0 < resumed(slow_job) < 40


def test_another_thread_may_stop_a_run(slow_job):
    """Asked while calls are made: the run ends in good order and says why."""
    stop = batchsearch.Stop()

    def tell(reading):
        if reading.calls:
            threading.Thread(target=stop.ask, args=("the night is over",)).start()

    result = batchsearch.run(slow_job, progress=tell, stop=stop)
    assert result.summary.exit_code == batchsearch.ExitCode.INCOMPLETE
    assert result.summary.message == "the night is over"
    assert 0 < result.summary.calls < 40


def test_a_stop_asked_before_spends_nothing(slow_job):
    """Stopped before its first call, a run is no failure of the job's and no success."""
    stop = batchsearch.Stop()
    stop.ask()
    with pytest.raises(batchsearch.StoppedEarlyError):
        batchsearch.run(slow_job, stop=stop)


async def test_a_cancelled_task_stops_in_good_order(slow_job):
    """The cancellation is raised once the ledger has what was answered; running again resumes."""
    called = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(reading):
        if reading.done:
            loop.call_soon_threadsafe(called.set)

    task = asyncio.create_task(batchsearch.arun(slow_job, progress=tell))
    await called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = await batchsearch.arun(slow_job, overrides={"instance.qps": 1000})
    assert 0 < again.summary.resumed < 40
    assert again.ok


async def test_a_task_cancelled_twice_ends_at_once(slow_job):
    """Whoever cannot wait cancels again: the output is free, and complete on the next run."""
    called = asyncio.Event()
    task = asyncio.create_task(
        batchsearch.arun(slow_job, progress=lambda reading: called.set() if reading.calls else None)
    )
    await called.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await batchsearch.arun(slow_job, overrides={"instance.qps": 1000})).ok


def test_ctrl_c_stops_in_good_order(slow_job):
    """KeyboardInterrupt is raised in the waiting thread when the run has come to its end."""
    main = threading.main_thread().ident
    pressed = []
    # Shells that start tests in the background have them ignore the key.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def tell(reading):
        if reading.done and not pressed:
            pressed.append(reading.done)
            signal.pthread_kill(main, signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            batchsearch.run(slow_job, progress=tell)
    finally:
        signal.signal(signal.SIGINT, before)
    assert resumed(slow_job) >= 1


def test_signal_handlers_stay_as_they_are(job):
    """A program's own handlers are in place during a run and afterwards."""

    def handlers():
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    before, during = handlers(), []
    batchsearch.run(job, progress=lambda _: during.append(handlers()))
    assert before == handlers()
    assert all(each == before for each in during)


def test_runs_in_several_threads(filled, make_job_here):
    """Two jobs at once, from threads that are not the main one."""
    job = make_job_here(ROWS)
    results = {}

    def work(name):
        results[name] = batchsearch.run(job, overrides={"output.dir": str(job.parent / name)})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, ("one", "two")))
    assert all(results[name].ok for name in ("one", "two"))


def test_errors_are_those_of_the_package(job, make_job_here, filled, tmp_path):
    """A bad manifest, an empty folder, one without a ledger: each has its own class."""
    bad = make_job_here([{"id": 1, "photo": "x"}])
    with pytest.raises(batchsearch.ManifestError, match="photo"):
        batchsearch.run(bad)
    with pytest.raises(batchsearch.OutputError, match="no table `results` yet"):
        batchsearch.open_output(tmp_path / "nowhere").results()
    with pytest.raises(batchsearch.ConfigError, match="no such folder"):
        batchsearch.usage(tmp_path / "nowhere")


def test_an_unknown_column_is_told_with_the_nearest(job):
    """Reading asks for what is there."""
    result = batchsearch.run(job)
    with pytest.raises(batchsearch.ConfigError, match=r"did you mean `row_key`"):
        result.results(["row_ky"])


def test_a_list_is_no_pairs_yet(filled, make_job_here):
    """`run` says which function makes pairs of a list, before anything is opened."""
    job = make_job_here(ROWS, operation="CompareSimilarByImage", compare={"pairs": "groups"})
    with pytest.raises(batchsearch.ConfigError, match="`run_compare`"):
        batchsearch.run(job)
    assert batchsearch.plan(job).calls == 6


def test_a_plan_is_counted_for_a_program(job, tmp_path):
    """Calls are foretold, progress is told, nothing is written."""
    seen = []
    found = batchsearch.plan(job, progress=lambda done, total: seen.append((done, total)))
    assert (found.rows, found.calls) == (4, 4)
    assert seen[-1] == (4, 4)
    assert not (tmp_path / "out").exists()


async def test_every_function_has_its_async_form(job, tmp_path):
    """`aplan`, `acheck`, `arun` and `ausage` give what the plain ones give."""
    assert (await batchsearch.aplan(job)).calls == 4
    assert (await batchsearch.acheck(job, save=tmp_path / "sent")).tally.rows == 4
    assert len(os.listdir(tmp_path / "sent")) == 4  # noqa: PTH208 - a count, in an async test
    result = await batchsearch.arun(job)
    [line] = await batchsearch.ausage(result.folder)
    assert (line.slots_used, line.rows_ok) == (4, 4)


MODULES = [
    f"batchsearch.python_api.{module.name}"
    for module in pkgutil.iter_modules(batchsearch.python_api.__path__)
]
EXAMPLES = [
    test
    for name in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.removeprefix("batchsearch."))
def test_the_examples_of_the_docstrings_run(example, filled, make_job_here, tmp_path, monkeypatch):
    """Every `>>>` in the interface's docstrings does what it shows, over a real instance."""
    monkeypatch.chdir(tmp_path)
    pairs = make_job_here(ROWS, operation="CompareSimilarByImage", compare={"pairs": "groups"})
    pairs_job = batchsearch.load(pairs)
    # Two of four products have the same image.
    catalogue = [{"id": f"P{n}", "pic_name": "front", "image": f"p{n % 3:02}.jpg"} for n in range(4)]
    catalogue_job = batchsearch.load(
        make_job_here(catalogue, instance__endpoint="emulator", dedup={"sync": "add", "threshold": 0.97})
    ).model_dump(mode="json", exclude_unset=True)
    shutil.copy(tmp_path / "manifest.csv", tmp_path / "catalogue.csv")
    catalogue_job["manifest"]["path"] = "catalogue.csv"
    adding_job = batchsearch.load(
        make_job_here(
            catalogue,
            operation="AddImage",
            instance__endpoint="emulator",
            manifest__columns={"product_id": "id"},
            load={"to": "bucket", "names": "product_id/pic_name", "poll_seconds": 1},
        )
    ).model_dump(mode="json", exclude_unset=True)
    adding_job["manifest"]["path"] = "catalogue.csv"
    job = make_job_here(ROWS)
    example.globs = {
        "job": job,
        "pairs_job": pairs_job,
        "catalogue_job": catalogue_job,
        "adding_job": adding_job,
        "folder": str(tmp_path / "example"),
    }
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    failed = runner.run(example, out=said.append).failed
    assert failed == 0, "".join(said)
