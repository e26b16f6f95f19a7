"""Earlier nights: kept as hard links beside tonight's tables, so that they can be compared."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchsearch.publish import disk_errors, write_text
from batchsearch.storage.output_layout import DEDUP_RECORD as RECORD
from batchsearch.storage.output_layout import FOLLOWED, NIGHTS, record_in
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.storage.sealed.delivered import TABLES_FIELD, faults_of, written_tables
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import TABLES, table_path

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_record(folder: Path) -> dict[str, Any] | None:
    """What the last night in a folder says of itself; None where there was none or it cannot be read."""
    return record_in(folder / RECORD)


def write_record(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write what a night tells of itself, with the files that it has written: the last thing it does.

    Raises:
        OutputError: The disk refuses, or a table that was just written cannot be read.
    """
    with reading(folder, "tonight's tables cannot be read"):
        paths = [*(table_path(folder, table) for table in TABLES), folder / FOLLOWED]
        tables = written_tables(folder, [path for path in paths if path.is_file()])
    record = {**summary, TABLES_FIELD: tables}
    write_text(folder / RECORD, json.dumps(record, ensure_ascii=False) + "\n")


def keep_night(folder: Path, most: int) -> None:
    """Put the night that a folder holds among the earlier ones; only the newest `most` of them stay.

    Its files are linked, not copied: they cost nothing until tonight's take their places.

    Raises:
        OutputError: The disk refuses.
    """
    record = read_record(folder)
    kept = folder / NIGHTS
    with disk_errors(kept, "cannot keep the night before"):
        # One whose tables are not what it wrote is none to compare with; older versions did not note it.
        if record is not None and most and (TABLES_FIELD not in record or not faults_of(folder)):
            _link(folder, kept / Path(str(record.get("night"))).name)
        if kept.is_dir():
            nights = sorted(path for path in kept.iterdir() if not path.name.startswith("."))
            for old in nights[: max(0, len(nights) - most)]:
                shutil.rmtree(old)


def _link(folder: Path, target: Path) -> None:
    if target.exists():
        return
    coming = target.with_name(f".{target.name}")
    shutil.rmtree(coming, ignore_errors=True)
    tables = (table_path(folder, table) for table in TABLES)
    for source in (*tables, folder / FOLLOWED, folder / RECORD):
        place = coming / source.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            _link_or_copy(source, place)
    coming.rename(target)


def _link_or_copy(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copy2(source, place)
