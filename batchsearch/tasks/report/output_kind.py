"""What kind of output a folder holds, and where its tables and its job are."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.engine.job.lanes import whole_of
from batchsearch.errors import ConfigError, OutputError, Problem
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import (
    COMPARE_RECORD,
    FOLLOWED,
    LEDGER,
    NIGHT_LOCK,
    SEARCH,
    SUMMARY,
    UPKEEP,
    NoOutputError,
    lanes_in,
    no_output,
    record_in,
    teller_of,
)
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.sealed.delivered import delivered_files
from batchsearch.storage.sealed.sealed_reading import readable_output
from batchsearch.tasks.report.summing_up.job_told import summary_told
from batchsearch.tasks.report.table_reading import columns_of, first_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.telemetry.summary import Summary

PAIRS, CLUSTERS, MATRIX = "pairs", "clusters", "matrix"
"""Folders inside an output folder, beside `results` and `hits`."""
DEDUP_SUMMARY: Final = "dedup.json"

RunKind = Literal["search", "compare", "upkeep"]

_KINDS: Final[Mapping[str, RunKind]] = {
    "SearchImageByPic": "search",
    "SearchImageByName": "search",
    "SearchImageByText": "search",
    "SearchImageByFilter": "search",
    "CompareSimilarByImage": "compare",
    "CheckImageExists": "upkeep",
    "AddImage": "upkeep",
    "UpdateImage": "upkeep",
    "DeleteImage": "upkeep",
}
"""What kind of run calls an operation: this decides what is read and shown, never which files are there."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The output folder of one job.

    Attributes:
        path: The folder.
        kind: By its operation: `search` has hits, `compare` scores, `upkeep` neither.
        operation: The operation; None where neither the ledger nor the results say.
        results: Files of the results.
        hits: Files of the hits.
        rows: Rows of the results.
        job: The job as it last ran; None when the ledger does not say, or another version wrote it.
        total: Rows of the manifest; None when the ledger does not say.
        finished: Rows that have their outcome, those included that no part holds yet; None likewise.
        told: What its last run told of itself; None while one works.
        comparison: What `compare.json` says; empty where there is none.
        matrix: Files of similarity matrices.
        warning: What to say of parts that could not be compared with what was sealed; empty when they were.
    """

    path: Path
    kind: RunKind
    operation: str | None
    results: tuple[Path, ...]
    hits: tuple[Path, ...]
    rows: int
    job: JobSettings | None
    total: int | None
    finished: int | None
    told: Summary | None
    comparison: Mapping[str, Any]
    matrix: tuple[Path, ...] = ()
    warning: str = ""

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger to read counters from."""
        return teller_of(self.path).is_file()


@dataclass(frozen=True, slots=True)
class DedupFolder:
    """The output folder of a dedup job.

    Attributes:
        path: The folder.
        search: Its search; None when nothing was searched.
        sync: The runs of its upkeep of the instance, by what they do; empty when it had none.
        pairs: Files of the pairs.
        clusters: Files of the clusters.
        summary: What `dedup.json` says; empty when there is none.
        followed: The judgements that the night followed, each as its line of the file by column.
    """

    path: Path
    search: RunFolder | None
    sync: Mapping[str, RunFolder]
    pairs: tuple[Path, ...]
    clusters: tuple[Path, ...]
    summary: Mapping[str, Any]
    followed: tuple[Mapping[str, str], ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to say of files that could not be compared with what was written."""
        runs = [run for run in (self.search, *self.sync.values()) if run is not None]
        missing = not (self.path / DEDUP_SUMMARY).is_file()
        told = [f"{self.path}: has no {DEDUP_SUMMARY}: whether its tables are whole could not be checked"]
        return (*(told if missing else ()), *(run.warning for run in runs if run.warning))


def open_folder(path: Path, named: str | None = None) -> RunFolder | DedupFolder:
    """Find out what a folder holds; nothing in it is changed, also while a run works on it.

    Args:
        path: The folder.
        named: What its owner calls it, where it is a copy of an output elsewhere.

    Raises:
        ConfigError: It is no output folder.
        OutputDamagedError: Files in it are not those that were sealed or written.
        OutputError: It is one, but nothing is written yet, or something in it cannot be read.
    """
    if not path.is_dir():
        raise NoOutputError(no_output(path))
    if any((path / name).exists() for name in (CLUSTERS, DEDUP_SUMMARY, NIGHT_LOCK)):
        return _dedup(path, named or str(path))
    run = _run(path, named or str(path))
    if run is not None:
        return run
    if (path / RESULTS).is_dir() or teller_of(path).is_file():
        raise OutputError(f"{path}: nothing is sealed yet: {_why_nothing(path, '') or _LATER}")
    inside = sorted(child.name for child in path.iterdir() if (child / RESULTS).is_dir())
    hint = f"; did you mean {path / inside[0]}?" if inside else ""
    raise _none(path, f"is no output folder: it has neither {RESULTS}/ nor {CLUSTERS}/{hint}")


_LATER: Final = (
    "the job's first part is written after `output.rows_per_part` rows or `output.seal_seconds`; make the "
    "report a little later"
)


def _why_nothing(path: Path, title: str) -> str:
    """What a run told of itself that ended without a part; empty where it told nothing, or ended well."""
    told = summary_told(record_in(path / SUMMARY) or {}, str(path))
    if told is None or not told.exit_code:
        return ""
    return f"{title}{told.ending()}" + (f": {told.message}" if told.message else "")


def _none(path: Path, what: str) -> ConfigError:
    wanted = "" if "?" in what else "; give the `output.dir` of a job that has run"
    return ConfigError([Problem(str(path), what + wanted)], summary="no report can be made:")


def _dedup(path: Path, named: str) -> DedupFolder:
    upkeep = {name: _run(path / folder, f"{named}/{folder}") for name, folder in UPKEEP.items()}
    found = DedupFolder(
        path,
        _run(path / SEARCH, f"{named}/{SEARCH}"),
        {name: run for name, run in upkeep.items() if run is not None},
        delivered_files(path, PAIRS),
        delivered_files(path, CLUSTERS),
        record_in(path / DEDUP_SUMMARY) or {},
        _followed(path / FOLLOWED),
    )
    if not found.clusters and found.search is None and not found.sync:
        runs = {"search": SEARCH, **{f"upkeep: {name}": folder for name, folder in UPKEEP.items()}}
        said = [why for title, folder in runs.items() if (why := _why_nothing(path / folder, f"{title} "))]
        waits = "make the report when `dedup` has searched"
        raise OutputError(f"{path}: nothing is written yet: {'; '.join(said) or waits}")
    return found


def _followed(path: Path) -> tuple[Mapping[str, str], ...]:
    """The judgements that a night followed; none where it wrote none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(csv.DictReader(file, restval="", restkey="more"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, csv.Error) as error:
        raise OutputError(f"{path}: cannot be read: {error}") from error


def _run(path: Path, named: str) -> RunFolder | None:
    """The output of one job; None while nothing is sealed."""
    readable = readable_output(path)
    results = readable.tables[RESULTS]
    if not results:
        return None
    job, total, finished = _ledgers(path)
    operation = job.operation if job is not None else first_of(results, "operation")
    record = record_in(path / SUMMARY) or {}
    return RunFolder(
        path,
        _KINDS.get(operation or "") or _kind_by_columns(columns_of(results)),
        operation,
        results,
        readable.tables[HITS],
        rows_of(results),
        job,
        total,
        finished,
        summary_told(record, named),
        record_in(path / COMPARE_RECORD) or {},
        delivered_files(path, MATRIX),
        readable.warning,
    )


def _kind_by_columns(columns: Collection[str]) -> RunKind:
    """The kind of run that results are of which do not name their operation."""
    if "hit_count" in columns:
        return "search"
    return "compare" if "score" in columns and "secondary_source_width" in columns else "upkeep"


def _ledgers(folder: Path) -> tuple[JobSettings | None, int | None, int | None]:
    """What the ledger of an output says, or those of its instances say together."""
    told = [_ledger(place / LEDGER) for place in lanes_in(folder) or [folder]]
    job = told[0][0]
    totals, finished = [each[1] for each in told], [each[2] for each in told]
    return (
        None if job is None else whole_of(job),
        None if None in totals else sum(total or 0 for total in totals),
        None if None in finished else sum(count or 0 for count in finished),
    )


def _ledger(path: Path) -> tuple[JobSettings | None, int | None, int | None]:
    if not path.is_file():
        return None, None, None
    with LedgerReader(path, oldest=1) as reader:
        job, total, finished = reader.meta("job"), reader.meta("total"), reader.finished_count()
    return _settings(job), int(total) if total is not None and total.isdecimal() else None, finished


def _settings(text: str | None) -> JobSettings | None:
    if text is None:
        return None
    from batchsearch.config.load import recorded_settings

    return recorded_settings(json.loads(text))
