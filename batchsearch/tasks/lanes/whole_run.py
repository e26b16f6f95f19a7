"""A job run where its settings say: in this process, or lane by lane on the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.image_settings import connections_of
from batchsearch.engine.job.instance_worker import all_workers_of
from batchsearch.engine.job.lanes import lanes_of
from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.engine.job.window import limits_of, window_of
from batchsearch.engine.run.job import run_job
from batchsearch.engine.run.notifying import notifying
from batchsearch.engine.run.opening import new_run_id
from batchsearch.errors import (
    BatchsearchError,
    ConfigError,
    ExitCode,
    ManifestError,
    OutputDamagedError,
    OutputError,
    OutputInUseError,
    StoppedError,
)
from batchsearch.manifest.given import is_handed_over
from batchsearch.publish import make_folder, write_text
from batchsearch.storage.output_layout import SUMMARY, lanes_in
from batchsearch.storage.sealed.inventory import has_ledger
from batchsearch.storage.stores.address import is_store_url
from batchsearch.telemetry.logs import logger
from batchsearch.telemetry.progress import Progress
from batchsearch.telemetry.summary import summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.config.model import JobSettings
    from batchsearch.images.cluster.cluster_connection import Cluster
    from batchsearch.tasks.lanes.lane_keeper import Watching
    from batchsearch.tasks.lanes.lane_order import LaneEnd
    from batchsearch.telemetry.summary import Summary

_ERRORS: Final[Mapping[int, type[BatchsearchError]]] = {
    ExitCode.BAD_CONFIG: ConfigError,
    ExitCode.BAD_MANIFEST: ManifestError,
    ExitCode.OUTPUT_IN_USE: OutputInUseError,
    ExitCode.OUTPUT_FAILED: OutputError,
    ExitCode.DAMAGED: OutputDamagedError,
    ExitCode.INCOMPLETE: StoppedError,
}


async def run_whole(
    settings: JobSettings, options: RunOptions = PLAIN_RUN, *, watching: Watching | None = None
) -> Summary:
    """Work through a job: lane by lane on a cluster where that can be, else as `run_job` does.

    Lanes are for jobs with several instances, `workers.dask`, and an output in an object store; or in a
    folder where all workers are on this machine. An output that was begun as one goes on as one.

    Args:
        settings: The job, its paths absolute.
        options: Of this run.
        watching: How lanes are watched over.

    Raises:
        ConfigError: Its output holds lanes, and no cluster is named.
        BatchsearchError: As `run_job` raises.
    """
    async with AsyncExitStack() as stack:
        cluster = await _cluster_for_lanes(settings, stack)
        if cluster is None:
            return await run_job(settings, options)
        quiet = options.signals is not None
        ended = await stack.enter_async_context(notifying(settings, when_cancelled=quiet))
        summary = await _run_lanes(settings, cluster, options, watching)
        ended(summary)
        return summary
    raise AssertionError("unreachable")  # for mypy: an exit stack might swallow


async def _cluster_for_lanes(settings: JobSettings, stack: AsyncExitStack) -> Cluster | None:
    """The cluster that the job's lanes go to; None where it is one run of this process."""
    if settings.only_instance is not None or len(all_workers_of(settings)) == 1:
        return None
    has_lanes, is_begun = await asyncio.to_thread(_what_is_there, settings)
    address = settings.workers.dask
    if address is None:
        if has_lanes and not is_begun:
            raise ConfigError(
                f"{settings.output.dir}: holds an output for each instance of the job, each worked on by a "
                "run of its own: go on with `--dask ADDRESS` (`--dask local` on this machine), or one by one "
                "with `only_instance`; or begin anew in another folder (`--fresh DIR`)"
            )
        return None
    if is_begun or is_handed_over(settings.manifest.path):
        why = "the output was begun as one" if is_begun else "the manifest is a table of this process"
        logger().info("lanes_stay", why=why)
        return None
    from batchsearch.images.cluster.cluster_connection import connected

    # Kept open for what comes after, whoever works: starting workers takes seconds.
    held = connected(address)
    cluster = await asyncio.to_thread(held.__enter__)
    stack.push_async_callback(asyncio.to_thread, held.__exit__, None, None, None)
    if is_store_url(settings.output.dir) or await asyncio.to_thread(_is_on_this_machine, cluster):
        return cluster
    if has_lanes:
        raise ConfigError(
            f"{settings.output.dir}: holds an output for each instance, and workers of {address} are on "
            "other machines, where nothing keeps two runs apart: put the output into an object store, or use "
            "`--dask local`"
        )
    logger().warning(
        "lanes_stay",
        why="the output is a folder, and workers are on other machines: calls are made from here; with an "
        "output in an object store each instance has a worker of its own",
    )
    return None


def _what_is_there(settings: JobSettings) -> tuple[bool, bool]:
    """Whether an output holds lanes, and whether it was begun as one."""
    place = settings.output.dir
    if not is_store_url(place):
        return bool(lanes_in(Path(place))), has_ledger(Path(place))
    from batchsearch.storage.remote.store_output import has_output, lanes_at

    connections = connections_of(settings.stores, settings.images.stores)
    return bool(lanes_at(place, connections)), has_output(place, connections)


def _is_on_this_machine(cluster: Cluster) -> bool:
    from batchsearch.tasks.lanes.lane_worker import this_machine

    here = this_machine()
    found: dict[str, Any] = cluster.client.run(this_machine)
    return all(there == here for there in found.values())


async def _run_lanes(
    settings: JobSettings, cluster: Cluster, options: RunOptions, watching: Watching | None
) -> Summary:
    from batchsearch.tasks.lanes.lane_keeper import LaneKeeper
    from batchsearch.tasks.lanes.lanes_together import summed_up

    began = time.monotonic()
    run_id = new_run_id()
    lanes = lanes_of(settings)
    is_local = (settings.workers.dask or "").partition(":")[0] == "local"
    keeper = LaneKeeper(
        cluster,
        lanes,
        settings,
        replace(options, chosen=None if options.chosen is None else replace(options.chosen, elsewhere=True)),
        ends=limits_of(window_of(settings.window), options.until, None, datetime.now(UTC)).deadline,
        log_level="warning" if is_local else "info",
        watching=watching,
    )
    logger().info("lanes_begin", instances=len(lanes), workers=len(await asyncio.to_thread(cluster.threads)))
    if options.signals is not None:
        options.signals.running = keeper.stop
    await keeper.keep(options.progress or Progress())
    _raise_errors(keeper.ends)
    summaries = {
        name: found
        for name, end in keeper.ends.items()
        if end.summary is not None and (found := summary_of(end.summary)) is not None
    }
    unfinished = keeper.unfinished | {
        name: keeper.stopped_because or "stopped before it had begun"
        for name in keeper.ends
        if name not in summaries
    }
    summary = summed_up(
        settings,
        summaries,
        unfinished,
        run_id=run_id,
        seconds=time.monotonic() - began,
        readings=keeper.readings,
        before=keeper.before,
    )
    await asyncio.to_thread(_keep_summary, settings, summary)
    return summary


def _raise_errors(ends: Mapping[str, LaneEnd]) -> None:
    """What ended lanes before they had anything to sum up, said once for all that it ended."""
    by_error: dict[tuple[int, str], list[str]] = {}
    for name, end in ends.items():
        if end.error is not None:
            by_error.setdefault(end.error, []).append(name)
    if not by_error:
        return
    code = next(iter(by_error))[0]
    said = [
        text if len(names) == len(ends) else f"{', '.join(names)}: {text}"
        for (_, text), names in by_error.items()
    ]
    raise _ERRORS.get(code, OutputError)("\n".join(said))


def _keep_summary(settings: JobSettings, summary: Summary) -> None:
    """Leave the summary of the whole where that of a run would be."""
    place, text = settings.output.dir, summary.as_json() + "\n"
    if not is_store_url(place):
        make_folder(Path(place))
        write_text(Path(place) / SUMMARY, text)
        return
    from batchsearch.storage.remote.store_output import put_beside

    connections = connections_of(settings.stores, settings.images.stores)
    with suppress(OutputError):  # each instance has its own there
        put_beside(place, connections, SUMMARY, text.encode())
