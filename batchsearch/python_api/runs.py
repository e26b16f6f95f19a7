"""Running a job from a program: to its end, in this thread's event loop or without one."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.errors import ConfigError
from batchsearch.python_api.bars import bar_for
from batchsearch.python_api.clusters import on_workers
from batchsearch.python_api.event_logging import events_to_logging
from batchsearch.python_api.manifests import job_over
from batchsearch.python_api.output import CompareResult, DedupResult, LoadResult, RunResult
from batchsearch.python_api.stopping import Stop, in_own_thread, stoppable
from batchsearch.tasks.compare.comparison_job import compare_job
from batchsearch.tasks.lanes.whole_run import run_whole
from batchsearch.telemetry.progress import Progress, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from datetime import datetime

    from batchsearch.config.model import JobSettings
    from batchsearch.python_api.clusters import DaskLike
    from batchsearch.python_api.jobs import JobLike, Overrides
    from batchsearch.python_api.manifests import ManifestLike
    from batchsearch.telemetry.progress import View
    from batchsearch.telemetry.reading import Reading

P = ParamSpec("P")
T = TypeVar("T")


class _ToItsEnd(Protocol):
    """Awaits a run that stops in good order."""

    async def __call__(self, start: Callable[[RunOptions], Coroutine[Any, Any, T]], /) -> T:
        """What the run returns."""


def _blocking(
    work: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[[Callable[[], None]], Callable[P, T]]:
    """Make of a coroutine function its form for programs without an event loop; what is decorated names it.

    Takes and returns what the coroutine function does. The run has a thread and a loop of its own.
    """
    taken = inspect.signature(work)

    def named(form: Callable[[], None]) -> Callable[P, T]:
        @wraps(work, assigned=("__module__", "__annotations__"))
        def blocking(*args: P.args, **given: P.kwargs) -> T:
            # A misspelt argument is told here, not from the thread, and not in the name of `work`.
            taken.bind(*args, **given)
            asked = cast("Stop | None", given.get("stop")) or Stop()
            given["stop"] = asked
            return in_own_thread(lambda: work(*args, **given), asked)

        blocking.__name__, blocking.__qualname__ = form.__name__, form.__qualname__
        blocking.__doc__ = form.__doc__
        return blocking

    return named


async def arun(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    until: datetime | None = None,
    max_calls: int | None = None,
    progress: Callable[[Reading], object] | bool | None = None,
    stop: Stop | None = None,
    dask: DaskLike | None = None,
) -> RunResult:
    """Like `run`, in the event loop that is running.

    Cancelling the task stops the run in good order: the cancellation is raised once what was answered is
    kept. A second one ends it at once.
    """
    options = RunOptions(_aware(until), max_calls)
    async with _worked(job, manifest, overrides, options, progress, stop, dask) as (settings, to_its_end):
        if settings.compare is not None and settings.compare.makes_pairs:
            raise ConfigError.at("compare.pairs", "the pairs of this job are made of a list: `run_compare`")
        summary = await to_its_end(lambda of_run: run_whole(settings, of_run))
    return RunResult(Path(settings.output.dir), summary, settings)


@_blocking(arun)
def run() -> None:
    """Work through a job until it is done or has to stop; again, to resume.

    Usable anywhere, also where an event loop is running already, as in a notebook: the run has a thread and a
    loop of its own. Ctrl-C stops it in good order and is raised when it has. Nothing is printed but a bar,
    where there is one; events go to the logger `batchsearch`.

    Args:
        job: The path of a job file, a mapping of the same shape, or settings loaded before.
        manifest: A table in the place of `manifest.path`: a DataFrame of pandas or Polars, an Arrow table or
            reader, a list of mappings; or another path. What is resumed is found by the rows' keys.
        overrides: Settings laid over it, such as `{"instance.qps": 5}`.
        until: Nothing is sent from then on; a time with its zone.
        max_calls: Most calls of this run.
        progress: True shows a bar, False none; None shows one in a notebook. Or a function, called with a
            `Reading` about four times a second while calls are made, and once at the end, in the run's own
            thread. What it raises stops the run and is raised here.
        stop: Asked from another thread, stops the run in good order.
        dask: A Dask cluster that makes the images ready, in place of `workers.dask`: the address of its
            scheduler, `local:4`, or a `distributed.Client`, which stays open.

    Returns:
        Its summary, and the tables that it wrote. A run that stopped early or had many failed rows returns as
        well: `ok` says so, `raise_if_failed()`
        raises.

    Raises:
        BatchsearchError: The job, its manifest or its output is not usable; see `batchsearch.errors`.
        StoppedEarlyError: It was asked to stop before the first call.

    Examples:
        >>> import batchsearch
        >>> result = batchsearch.run(job, overrides={"output.dir": folder})
        >>> result.ok, result.summary.rows
        (True, 4)
        >>> result.results(["row_key", "outcome"]).to_pylist()[0]["outcome"]
        'ok'
        >>> frame = result.to_pandas("hits")
        >>> batchsearch.run(job, overrides={"output.dir": folder}).summary.calls
        0
    """


async def arun_compare(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    until: datetime | None = None,
    max_calls: int | None = None,
    progress: Callable[[Reading], object] | bool | None = None,
    stop: Stop | None = None,
    dask: DaskLike | None = None,
) -> CompareResult:
    """Like `run_compare`, in the event loop that is running; see `arun`."""
    options = RunOptions(_aware(until), max_calls)
    async with _worked(job, manifest, overrides, options, progress, stop, dask) as (settings, to_its_end):
        comparison = await to_its_end(lambda of_run: compare_job(settings, of_run))
    return CompareResult(Path(settings.output.dir), comparison.summary, settings, comparison)


@_blocking(arun_compare)
def run_compare() -> None:
    """Say how alike the images of a job are, as `batchsearch compare` does; otherwise like `run`.

    Examples:
        >>> import batchsearch
        >>> result = batchsearch.run_compare(pairs_job, overrides={"output.dir": folder})
        >>> result.comparison.compared
        6
        >>> result.scores(["primary", "secondary", "score"]).num_rows
        6
    """


async def arun_dedup(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    until: datetime | None = None,
    max_calls: int | None = None,
    delete_all_missing: bool = False,
    progress: Callable[[Reading], object] | bool | None = None,
    stop: Stop | None = None,
    dask: DaskLike | None = None,
) -> DedupResult:
    """Like `run_dedup`, in the event loop that is running; see `arun`."""
    # Its numbers need scipy, which a plain search goes without.
    from batchsearch.tasks.dedup.night import run_night

    options = RunOptions(_aware(until), max_calls)
    async with _worked(job, manifest, overrides, options, progress, stop, dask) as (settings, to_its_end):
        summary = await to_its_end(
            lambda of_run: run_night(settings, of_run, delete_all_missing=delete_all_missing)
        )
    return DedupResult(Path(settings.output.dir), summary, settings)


@_blocking(arun_dedup)
def run_dedup() -> None:
    """Find out which products are the same, as `batchsearch dedup` does; otherwise like `run`.

    Progress is that of each run of the night in turn: the upkeep of the instance, the search. With
    `delete_all_missing`, `dedup.max_deleted` is not asked.

    Raises:
        MissingExtraError: The extra `dedup` is not installed.

    Examples:
        >>> import batchsearch
        >>> result = batchsearch.run_dedup(catalogue_job, overrides={"output.dir": folder})
        >>> result.ok
        True
        >>> result.clusters(["cluster_id", "product_id"]).num_rows
        2
        >>> result.search.results().num_rows
        4
    """


async def arun_load(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    progress: Callable[[Reading], object] | bool | None = None,
    stop: Stop | None = None,
    dask: DaskLike | None = None,
) -> LoadResult:
    """Like `run_load`, in the event loop that is running; see `arun`."""
    from batchsearch.tasks.load.loading import load_job

    async with _worked(job, manifest, overrides, PLAIN_RUN, progress, stop, dask) as (settings, to_its_end):
        summary = await to_its_end(lambda of_run: load_job(settings, of_run))
    return LoadResult(Path(settings.output.dir), summary, settings)


@_blocking(arun_load)
def run_load() -> None:
    """Fill an instance by batch tasks, as `batchsearch load` does; otherwise like `run`.

    Progress is that of each of its runs in turn: images into the bucket, then the rows' outcomes.

    Raises:
        RunEndedError: The service refused a task.

    Examples:
        >>> import batchsearch
        >>> bucket = f"{folder}-bucket"
        >>> result = batchsearch.run_load(adding_job, overrides={"output.dir": folder, "load.to": bucket})
        >>> result.ok, result.summary.put, len(result.summary.tasks)
        (True, 4, 1)
        >>> result.results(["row_key", "task_id"]).num_rows
        4
    """


@asynccontextmanager
async def _worked(  # noqa: PLR0917 - what every form takes, in its order
    job: JobLike,
    manifest: ManifestLike | None,
    overrides: Overrides,
    options: RunOptions,
    progress: Callable[[Reading], object] | bool | None,
    stop: Stop | None,
    dask: DaskLike | None,
) -> AsyncIterator[tuple[JobSettings, _ToItsEnd]]:
    """A job's settings, and what awaits a run until it ends or is asked to stop."""
    asked = stop or Stop()
    told: _Told | None = None
    if progress is None or isinstance(progress, bool):
        showing = Progress(*bar_for(wanted=progress))
    else:
        told = _Told(progress, asked)
        showing = Progress(told)

    async def to_its_end(start: Callable[[RunOptions], Coroutine[Any, Any, T]]) -> T:
        return await stoppable(
            lambda signals: start(replace(options, progress=showing, signals=signals)), asked
        )

    with events_to_logging(), shown(showing), ExitStack() as stack:
        settings = await asyncio.to_thread(stack.enter_context, job_over(job, overrides, manifest))
        if dask is not None:
            settings = await asyncio.to_thread(stack.enter_context, on_workers(settings, dask))
        yield settings, to_its_end
    if told is not None and told.raised is not None:
        raise told.raised


def _aware(until: datetime | None) -> datetime | None:
    """A moment with its zone; one without is in this machine's."""
    return until if until is None or until.tzinfo is not None else until.astimezone()


class _Told:
    """Hands a run's counters to a program's own function; what that raises stops the run.

    Args:
        tell: The program's function.
        stop: Stops the run.
    """

    every = 0.0
    at_once = True

    def __init__(self, tell: Callable[[Reading], object], stop: Stop) -> None:
        self._tell = tell
        self._stop = stop
        self.raised: BaseException | None = None

    def begin(self) -> None:
        """It is told of calls alone."""

    def show(self, view: View) -> None:
        """Tell, unless telling has failed before."""
        if view.reading is None or self.raised is not None:
            return
        try:
            self._tell(view.reading)
        except BaseException as error:  # noqa: BLE001 - raised again when the run has stopped
            self.raised = error
            self._stop.ask(f"the progress function raised {type(error).__name__}")

    def end(self) -> None:
        """It was told of the end."""
