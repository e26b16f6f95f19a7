"""One comparison from its job file to its record: pairs made, called by the engine, summed up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.engine.run.job import run_job, run_to_end
from batchsearch.engine.run.opening import open_manifest
from batchsearch.engine.run.to_end import progress_beside_logs
from batchsearch.errors import ConfigError
from batchsearch.publish import write_text
from batchsearch.service.operations import OPERATIONS
from batchsearch.steps import step
from batchsearch.storage.output_layout import COMPARE_RECORD
from batchsearch.storage.parts.parquet_table import writing
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.storage.sealed.delivered import written_tables
from batchsearch.tasks.compare.comparison import Comparison
from batchsearch.tasks.compare.expansion import PairsJob, pairs_job
from batchsearch.tasks.compare.matrix import MATRIX_FOLDER, Matrices
from batchsearch.tasks.compare.pairs_table import PAIRS_FILE
from batchsearch.tasks.compare.scores_table import SCORES_FILE, write_scores
from batchsearch.tasks.compare.statistics import Scores
from batchsearch.telemetry.logs import logger
from batchsearch.telemetry.progress import shown

if TYPE_CHECKING:
    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.manifest.source import Manifest
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions


def compare_to_end(
    job: LoadedJob,
    terminal: TerminalOptions,
    options: RunOptions = PLAIN_RUN,
) -> Comparison:
    """Compare the images of a job until it is done or has to stop; for the command line.

    Args:
        job: The job.
        terminal: How it shows what it does.
        options: Of its run.

    Raises:
        BatchsearchError: The job or its manifest is not usable, or `run_to_end` raises.
    """
    progress = progress_beside_logs(terminal)
    with shown(progress):
        made = _made(job.settings)
        over_pairs = replace(job, settings=made.settings)
        summary = run_to_end(over_pairs, terminal, replace(options, progress=progress))
        return summed_up(made, summary)


async def compare_job(settings: JobSettings, options: RunOptions = PLAIN_RUN) -> Comparison:
    """Compare the images of a job until it is done or has to stop.

    Args:
        settings: The job, its paths absolute.
        options: Of its run.

    Raises:
        BatchsearchError: The job or its manifest is not usable, or `run_job` raises.
    """
    made = await asyncio.to_thread(_made, settings)
    summary = await run_job(made.settings, options)
    return await asyncio.to_thread(summed_up, made, summary)


def _made(settings: JobSettings) -> PairsJob:
    step("making pairs")

    def told(pairs: int) -> None:
        logger().info("pairs_made", pairs=pairs, output=settings.output.dir)

    made = pairs_job(settings, pairs_made=told)
    _group_column(made)
    return made


def summed_up(made: PairsJob, summary: Summary) -> Comparison:
    """Write the scores of a run that is over, its matrices and its record.

    What is there is replaced; of a run that stopped early it is what has been answered so far.

    Args:
        made: The job over its pairs.
        summary: How its run ended.

    Raises:
        OutputError: The results cannot be read, or the disk refuses.
    """
    step("summing up the scores")
    folder = Path(made.settings.output.dir)
    compare, scores = made.compare, Scores()
    matrices = None
    if compare.pairs == "groups":
        matrices = Matrices(folder / PAIRS_FILE, most_images=compare.matrix_images, most=compare.matrices)

    def seen(batch: pa.RecordBatch) -> None:
        _take(scores, batch)
        if matrices is not None:
            matrices.add(batch)

    manifest = open_manifest(made.settings, OPERATIONS[made.settings.operation])
    rows = write_scores(folder, manifest, _named(made, manifest), seen, summary.run_id)
    written = () if matrices is None else matrices.write(folder / MATRIX_FOLDER, summary.run_id)
    found = Comparison(
        summary=summary,
        pairs=compare.pairs,
        made=made.made,
        compared=scores.compared,
        failed=scores.failed,
        same_bytes=scores.same_bytes,
        statistics=scores.statistics(),
        histogram=scores.histogram(compare.bins),
        groups=dict(sorted(scores.groups.items())),
        other_groups=scores.other_groups,
        most_alike=scores.most_alike(),
        least_alike=scores.least_alike(),
        matrices=written,
        too_large=0 if matrices is None else matrices.too_large,
        scores_file=str(folder / SCORES_FILE),
        matrix_folder=str(folder / MATRIX_FOLDER) if written else None,
        record=str(folder / COMPARE_RECORD),
    )
    write_text(folder / COMPARE_RECORD, found.as_record(_tables(folder, found)))
    logger().info("scores_written", scores=rows, matrices=len(written), file=found.scores_file)
    return found


def _tables(folder: Path, found: Comparison) -> dict[str, Any]:
    """The files that were written, each as the record names it."""
    matrices = [folder / MATRIX_FOLDER / matrix.file for matrix in found.matrices]
    with writing(folder, "what was written cannot be read"):
        return written_tables(folder, [folder / SCORES_FILE, *matrices])


def _take(scores: Scores, batch: pa.RecordBatch) -> None:
    scores.add(
        batch.column("score").to_pylist(),
        keys=batch.column("pair_key").to_pylist(),
        primary=batch.column("primary").to_pylist(),
        secondary=batch.column("secondary").to_pylist(),
        groups=batch.column("group").to_pylist(),
        same_bytes=pc.sum(batch.column("same_bytes")).as_py() or 0,
    )


def _named(made: PairsJob, manifest: Manifest) -> dict[str, str]:
    """The results column that gives each score column its values."""
    names = manifest.schema_carried.names
    written = dict(zip(names, passthrough_names(made.settings.operation, names), strict=True))
    columns = made.settings.manifest.columns
    images = {role: columns.get(role, role) for role in ("primary_image", "secondary_image")}
    if made.made is None:
        wanted = images | {"primary": images["primary_image"], "secondary": images["secondary_image"]}
        if (group := _group_column(made)) is not None:
            wanted["group"] = group
    else:
        wanted = images | {"primary": "primary_key", "secondary": "secondary_key", "group": "group"}
    return {name: written[column] for name, column in wanted.items() if column in written}


def _group_column(made: PairsJob) -> str | None:
    """The column by which given pairs are summed up; found out before anything is called.

    Raises:
        ConfigError: The manifest has no such column.
    """
    group = made.compare.group
    if made.made is not None or group is None:
        return None
    names = open_manifest(made.settings, OPERATIONS[made.settings.operation]).schema_carried.names
    if group not in names:
        from batchsearch.nearest import did_you_mean

        what = f"the manifest has no column {group!r}{did_you_mean(group, names)}"
        raise ConfigError.at("compare.group", what)
    return group
