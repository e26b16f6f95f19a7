"""From an output folder to its report: looked at once, written as a page, as Parquet and as Markdown."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.disk_paths import arrow_readable
from batchsearch.publish import write_text
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.tasks.report.dedup_parts import look_at_dedup
from batchsearch.tasks.report.html_page import Findings, Matrix, PageFacts, page_of
from batchsearch.tasks.report.output_kind import DedupFolder, RunFolder, open_folder
from batchsearch.tasks.report.run_galleries import gallery_of
from batchsearch.tasks.report.run_parts import look_at, needs_of, part_of, section_of, view_of
from batchsearch.tasks.report.summing_up.first_words import sentence_of_run, status_of_run
from batchsearch.tasks.report.summing_up.glossary import glossary_of
from batchsearch.tasks.report.summing_up.needs import by_gravity, needs_of_warnings, needs_table
from batchsearch.tasks.report.thumbnails import NOT_FETCHED, OVER_BUDGET, Thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from batchsearch.tasks.report.html_page import Gallery
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.report_facts import Section

MOST_MATRICES: Final = 24
MOST_NAMES: Final = 60
"""Members of a group that still make a readable matrix."""
_GROUP: Final = b"batchsearch.group"


def matrices_of(files: Sequence[Path]) -> tuple[Matrix, ...]:
    """The matrices that are small enough to be read, in the order of their files.

    Args:
        files: Parquet files: text in the first column, then a column of scores for each member.

    Raises:
        OutputError: A file cannot be read.
    """
    found: list[Matrix] = []
    for path in files:
        if len(found) == MOST_MATRICES:
            break
        matrix = _matrix(path)
        if matrix is not None:
            found.append(matrix)
    return tuple(found)


def _matrix(path: Path) -> Matrix | None:
    with reading(path, "this matrix cannot be read"), pq.ParquetFile(arrow_readable(path)) as file:
        schema = file.schema_arrow
        if not 2 <= file.metadata.num_rows <= MOST_NAMES or len(schema) > MOST_NAMES + 1:  # noqa: PLR2004 - a pair at least
            return None
        if not all(pa.types.is_floating(field.type) for field in list(schema)[1:]):
            return None
        table = file.read()
    group = (schema.metadata or {}).get(_GROUP, b"").decode("utf-8", "replace")
    columns: list[list[Any]] = [column.to_pylist() for column in table.columns[1:]]
    rows = tuple(tuple(column[place] for column in columns) for place in range(table.num_rows))
    names = tuple(str(name) for name in table.column(0).to_pylist())
    return Matrix(group or "All images", names, rows)


_MOST_REASONS = 4
_OPERATION = {"search": "search", "compare": "comparison", "upkeep": "upkeep"}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is stated about an output folder.

    Attributes:
        page: What it is, how things stand, and what can be looked at, as the page has it.
        sections: All facts; the first has the most important figures.
        not_fetched: Images that are grey boxes on the page because they are given by address alone, and
            nobody asked to fetch them.
    """

    page: PageFacts
    sections: tuple[Section, ...]
    not_fetched: int = 0


def make_report(
    path: Path,
    options: ReportOptions,
    *,
    now: datetime,
    named: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Look at an output folder; nothing in it is changed, also while a run works on it.

    Args:
        path: The output folder of a run, a comparison or a dedup job.
        options: How much is shown.
        now: What the report is as of.
        named: What its owner calls the folder, where it is a copy of an output elsewhere.
        progress: Told how many of how many thumbnails are made.

    Raises:
        ConfigError: It is no output folder.
        OutputError: Nothing is sealed in it yet, or something in it cannot be read.
        MissingExtraError: Images are to be fetched from a store whose package is not installed.
    """
    folder = open_folder(path, named)
    thumbnails = Thumbnails(
        most=options.thumbnails,
        side=options.side,
        megabytes=options.megabytes,
        fetch=options.fetch,
        close_ups=options.close_ups,
        workers=WorkerSettings(dask=options.dask),
    )
    matrices: tuple[Matrix, ...] = ()
    if isinstance(folder, DedupFolder):
        found = look_at_dedup(folder, thumbnails, options)
        run = folder.search
    else:
        run = folder
        matrices = matrices_of(folder.matrix)
        found = _look_at_run(folder, thumbnails, options)
    thumbnails.make(progress=progress)
    needs = by_gravity((*found.needs, *needs_of_warnings(_warnings(folder))))
    notes = (
        *(note for section in found.sections for note in section.notes),
        *_image_notes(thumbnails, options, run, found.galleries),
        *_matrix_notes(run, matrices),
    )
    first, *others = found.sections
    told = needs_table(needs)
    sections = (replace(first, tables=(*first.tables, told)) if needs else first, *others)
    page = PageFacts(
        title=path.resolve().name or str(path),
        subtitle=_subtitle(folder, run),
        as_of=now,
        name=hashlib.sha256(str(path.resolve()).encode("utf-8", "replace")).hexdigest()[:16],
        status=found.status,
        sentence=found.sentence,
        needs=needs,
        notes=notes,
        figures=tuple(figure for figure in first.figures if not figure.is_detail),
        galleries=found.galleries,
        thumbnails=thumbnails.made,
        matrices=matrices,
        parts=found.parts,
        judged=isinstance(folder, DedupFolder),
        glossary=glossary_of(folder.kind if isinstance(folder, RunFolder) else "dedup"),
        followed=folder.followed if isinstance(folder, DedupFolder) else (),
    )
    return Report(page, sections, dict(thumbnails.missing()).get(NOT_FETCHED, 0))


def _warnings(folder: RunFolder | DedupFolder) -> tuple[str, ...]:
    if isinstance(folder, DedupFolder):
        return folder.warnings
    return (folder.warning,) if folder.warning else ()


def write_page(report: Report, path: Path) -> int:
    """Write the page, which appears whole or not at all; its size in bytes.

    Raises:
        OutputError: It cannot be written there.
    """
    text = page_of(report.page)
    write_text(path, text)
    return path.stat().st_size


def _look_at_run(run: RunFolder, thumbnails: Thumbnails, options: ReportOptions) -> Findings:
    found = look_at(run, options)
    section = section_of(found, name="", title="Run")
    return Findings(
        (section,),
        (part_of(found, section, anchor="run", figures=False, scores_in_gallery=True),),
        (gallery_of(found, thumbnails, options),),
        tuple(needs_of(found, title="Run", view=view_of(run))),
        status_of_run(found.standing),
        sentence_of_run(found.standing, median=found.median),
    )


def _subtitle(folder: RunFolder | DedupFolder, run: RunFolder | None) -> str:
    what = "Duplicate products" if isinstance(folder, DedupFolder) else "Output of a run"
    if run is None:
        return what
    if run.job is not None:
        said = f"{run.job.operation} on {run.job.instance.name}"
        return said if folder is run else f"{what}, {said}"
    return what if isinstance(folder, DedupFolder) else f"Output of a {_OPERATION[run.kind]}"


def _matrix_notes(run: RunFolder | None, matrices: tuple[Matrix, ...]) -> list[str]:
    left = len(run.matrix) - len(matrices) if run is not None else 0
    if not left:
        return []
    bound = f"up to {MOST_MATRICES} of up to {MOST_NAMES} images"
    return [f"{left:,} matrices are not on this page, which shows {bound}; matrix/ has them all."]


def _image_notes(
    thumbnails: Thumbnails, options: ReportOptions, run: RunFolder | None, galleries: tuple[Gallery, ...]
) -> list[str]:
    notes = []
    if options.thumbnails and run is not None and run.job is None:
        notes.append(
            "The ledger does not say which job this was, so that images cannot be found"
            + (" elsewhere than in columns named as usual." if options.images else "; --images may help.")
        )
    if thumbnails.left_out:
        notes.append(
            f"{thumbnails.left_out:,} images are left out: at most {options.thumbnails:,} thumbnails and "
            f"{options.megabytes:,} MB are on this page (--images, --image-mb)."
        )
    # Where a row failed because of its image, its card says so: that is no news here.
    told = Counter(card["e"] for gallery in galleries for card in gallery.cards if "e" in card)
    missing = [
        (why, count - told[why])
        for why, count in thumbnails.missing()
        if why != OVER_BUDGET and count > told[why]
    ]
    if missing:
        total = sum(count for _, count in missing)
        reasons = ", ".join(f"{why} ({count:,})" for why, count in missing[:_MOST_REASONS])
        hint = "; --fetch-images fetches from addresses" if NOT_FETCHED in dict(missing) else ""
        notes.append(f"{total:,} images cannot be shown: {reasons}{hint}.")
    return notes
