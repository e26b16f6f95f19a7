"""Looking before and after a run, from a program: no call is made by any of these."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.python_api.event_logging import events_to_logging
from batchsearch.python_api.manifests import job_over
from batchsearch.python_api.output import Output
from batchsearch.python_api.stopping import Stop, in_own_thread
from batchsearch.steps import heard_by
from batchsearch.tasks.check.checking import check_job
from batchsearch.tasks.compare.expansion import job_to_plan
from batchsearch.tasks.plan.planning import LOOKING, plan_job
from batchsearch.tasks.usage.statement import read_usage

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from batchsearch.python_api.jobs import JobLike, Overrides
    from batchsearch.python_api.manifests import ManifestLike
    from batchsearch.storage.parts.usage_table import UsageLine
    from batchsearch.tasks.check.check_page import CheckPage
    from batchsearch.tasks.plan.estimate import Plan

_EVERY_ROWS: Final = 256


class _Counted:
    """Hears how many rows were looked at, and tells a function."""

    def __init__(self, tell: Callable[[int, int | None], object] | None) -> None:
        self._tell = tell

    def step(self, what: str, done: int, total: int | None) -> None:
        """Tell every few hundred rows, and at the last one."""
        if self._tell is not None and what == LOOKING and (done == total or done % _EVERY_ROWS == 0):
            self._tell(done, total)


def plan(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    sample: int | None = None,
    progress: Callable[[int, int | None], object] | None = None,
) -> Plan:
    """Find out what a job would take: calls, hours, bytes, money. Nothing is called and nothing written.

    Args:
        job: As for `run`.
        manifest: As for `run`.
        overrides: As for `run`.
        sample: Look at only so many rows, spread evenly, and scale up.
        progress: Called with the rows looked at and their number, now and then.

    Raises:
        BatchsearchError: The job or its manifest is not usable.

    Examples:
        >>> import batchsearch
        >>> found = batchsearch.plan(job, overrides={"output.dir": folder})
        >>> found.rows, found.calls
        (4, 4)
    """
    return in_own_thread(
        lambda: aplan(job, manifest=manifest, overrides=overrides, sample=sample, progress=progress), Stop()
    )


async def aplan(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    sample: int | None = None,
    progress: Callable[[int, int | None], object] | None = None,
) -> Plan:
    """Like `plan`, in the event loop that is running."""
    with events_to_logging(), heard_by(_Counted(progress)), ExitStack() as stack:
        settings = await asyncio.to_thread(stack.enter_context, job_over(job, overrides, manifest))
        to_plan = await asyncio.to_thread(stack.enter_context, job_to_plan(settings))
        return await plan_job(to_plan, sample=sample)


def check(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    output: str | os.PathLike[str] | None = None,
    save: str | os.PathLike[str] | None = None,
) -> CheckPage:
    """Check every image of a job and write the verdicts as Parquet. Nothing is called.

    Args:
        job: As for `run`.
        manifest: As for `run`.
        overrides: As for `run`.
        output: Folder for `verdicts.parquet`; `check` in the job's output folder when None.
        save: Folder for what would be sent; None saves nothing.

    Raises:
        BatchsearchError: The job or its manifest is not usable, or the disk refuses.

    Examples:
        >>> import batchsearch
        >>> page = batchsearch.check(job, overrides={"output.dir": folder})
        >>> page.tally.rows, page.tally.unusable
        (4, 0)
    """
    return in_own_thread(
        lambda: acheck(job, manifest=manifest, overrides=overrides, output=output, save=save), Stop()
    )


async def acheck(
    job: JobLike,
    *,
    manifest: ManifestLike | None = None,
    overrides: Overrides = (),
    output: str | os.PathLike[str] | None = None,
    save: str | os.PathLike[str] | None = None,
) -> CheckPage:
    """Like `check`, in the event loop that is running."""
    with events_to_logging(), ExitStack() as stack:
        settings = await asyncio.to_thread(stack.enter_context, job_over(job, overrides, manifest))
        return await check_job(
            settings,
            output=None if output is None else Path(output),
            save=None if save is None else Path(save),
        )


def usage(*folders: str | os.PathLike[str]) -> list[UsageLine]:
    """What was spent and what was spared by the runs over these output folders, by day and operation.

    Args:
        folders: Output folders of jobs; one given twice counts once.

    Raises:
        ConfigError: No job has run in a folder.
        OutputError: A ledger cannot be read.

    Examples:
        >>> import batchsearch
        >>> result = batchsearch.run(job, overrides={"output.dir": folder})
        >>> [(line.operation, line.rows_ok) for line in batchsearch.usage(folder)]
        [('SearchImageByPic', 4)]
    """
    with events_to_logging():
        found = read_usage([Path(folder) for folder in folders])
    for error in found.unread:
        raise error
    return found.lines


async def ausage(*folders: str | os.PathLike[str]) -> list[UsageLine]:
    """Like `usage`, without stopping the event loop that is running."""
    return await asyncio.to_thread(usage, *folders)


def open_output(folder: str | os.PathLike[str]) -> Output:
    """The tables of an output folder, of whichever run.

    Examples:
        >>> import batchsearch
        >>> result = batchsearch.run(job, overrides={"output.dir": folder})
        >>> batchsearch.open_output(folder).results().num_rows
        4
    """
    return Output(Path(folder))
