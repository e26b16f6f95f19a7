"""What kind of output a folder holds, and the files of its tables, once they are known to be whole."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import (
    COMPARE_RECORD,
    DEDUP_RECORD,
    NIGHTS,
    SEARCH,
    NoOutputError,
    no_output,
    record_in,
    teller_of,
)
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.sealed.delivered import delivered_files
from batchsearch.storage.sealed.sealed_reading import readable_output
from batchsearch.tasks.export.shapes import OF_COMPARISON, OF_DEDUP, OF_RUN, OF_SEARCH, manifest_columns
from batchsearch.tasks.export.table_batches import schema_of

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.tasks.export.shapes import TableName

_CLUSTERS: Final = "clusters"
_PAIRS: Final = "pairs"
_SCORES: Final = "scores.parquet"
_PREFIX: Final = "manifest_"


@dataclass(frozen=True, slots=True)
class RunTables:
    """The tables of one run.

    Attributes:
        folder: Its output folder.
        results: Files of `results`.
        hits: Files of `hits`.
        scores: Files of `scores`.
        images: Columns of the manifest that its job takes images from, by what they are.
        warning: What to say of files that could not be compared with what was sealed; empty when they were.
    """

    folder: Path
    results: tuple[Path, ...]
    hits: tuple[Path, ...]
    scores: tuple[Path, ...]
    images: dict[str, str]
    warning: str = ""

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables that can be exported, the most telling first."""
        if self.scores:
            return OF_COMPARISON
        return OF_SEARCH if "hit_count" in schema_of(self.results).names else OF_RUN

    def column(self, name: str) -> str | None:
        """The results' column that holds a column of the manifest; None where there is none."""
        present = manifest_columns(schema_of(self.results))
        while name not in present and len(name) < len(max(present, key=len, default="")):
            name = f"{_PREFIX}{name}"
        return name if name in present else None


@dataclass(frozen=True, slots=True)
class DedupTables:
    """The tables of a dedup, or of one of its earlier nights.

    Attributes:
        folder: Its folder.
        clusters: Files of `clusters`.
        pairs: Files of `pairs`.
        search: The tables of its search; None where there are none.
        product: What the manifest calls product ids.
        image: What it calls images; None where they have no names.
        title: What it calls titles where the job says so; None elsewhere.
    """

    folder: Path
    clusters: tuple[Path, ...]
    pairs: tuple[Path, ...]
    search: RunTables | None
    product: str
    image: str | None
    title: str | None

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables that can be exported, the most telling first."""
        return OF_DEDUP if self.search is not None else OF_DEDUP[:2]

    @property
    def warning(self) -> str:
        """What to say of files that could not be compared with what was sealed; empty when they were."""
        return self.search.warning if self.search is not None else ""


def open_tables(folder: Path) -> RunTables | DedupTables:
    """Find out what a folder holds; nothing in it is changed, also while a run works on it.

    Raises:
        ConfigError: It is no output folder.
        OutputDamagedError: Files in it are not those that were sealed or written.
        OutputError: Nothing is written there yet, or something in it cannot be read.
    """
    if not folder.is_dir():
        raise NoOutputError(no_output(folder))
    if (folder / _CLUSTERS).is_dir() or (folder / DEDUP_RECORD).is_file():
        return _dedup(folder)
    found = _run(folder)
    if found is not None:
        return found
    if (folder / SEARCH).is_dir() or teller_of(folder).is_file() or (folder / RESULTS).is_dir():
        raise OutputError(f"{folder}: nothing is written yet; export when the job has got further")
    raise NoOutputError(no_output(folder))


def _dedup(folder: Path) -> DedupTables:
    record = record_in(folder / DEDUP_RECORD) or {}
    columns = record.get("columns")
    columns = columns if isinstance(columns, dict) else {}
    settings = record.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    # Earlier nights keep their pairs and clusters alone; the search's output is one for all of them.
    above = folder.parent.parent if folder.parent.name == NIGHTS else folder
    found = DedupTables(
        folder,
        delivered_files(folder, _CLUSTERS),
        delivered_files(folder, _PAIRS),
        _run(above / SEARCH) if (above / SEARCH).is_dir() else None,
        str(columns.get("product") or "product_id"),
        next((str(columns[name]) for name in ("pic_name", "picture") if columns.get(name)), None),
        None if settings.get("title_column") is None else str(settings["title_column"]),
    )
    if not found.clusters and found.search is None:
        raise OutputError(f"{folder}: nothing is written yet; export when `batchsearch dedup` has searched")
    return found


def _run(folder: Path) -> RunTables | None:
    """The tables of one run; None while nothing is sealed."""
    readable = readable_output(folder)
    if not readable.tables[RESULTS]:
        return None
    has_scores = (folder / COMPARE_RECORD).exists() or (folder / _SCORES).exists()
    return RunTables(
        folder,
        readable.tables[RESULTS],
        readable.tables[HITS],
        delivered_files(folder, _SCORES) if has_scores else (),
        _images(folder),
        readable.warning,
    )


def _images(folder: Path) -> dict[str, str]:
    """What the job that last ran calls its columns of images; by their usual names where nobody knows."""
    named: dict[str, Any] = {}
    teller = teller_of(folder)
    if teller.is_file():
        nobody_knows = suppress(OutputError, ValueError, TypeError, KeyError, AttributeError)
        with nobody_knows, LedgerReader(teller, oldest=1) as ledger:
            named = json.loads(ledger.meta("job") or "{}")["manifest"]["columns"]
    roles = ("image", "primary_image", "secondary_image")
    return {role: str(named.get(role, role)) for role in roles}
