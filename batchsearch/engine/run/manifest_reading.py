"""How a run comes to know its manifest's rows: by reading it to its end, or by what an earlier run noted.

A run that leaves no row without an outcome notes what the manifest was. As long as neither that, nor the job,
nor the output is another, nothing of the manifest is read.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch._version import __version__
from batchsearch.engine.job.held import JOB, told_settings
from batchsearch.engine.renewal.change_detection import (
    DetectedChanges,
    Finished,
    begin_round,
    is_looked_at,
    sources_of,
    take_stock,
)
from batchsearch.engine.renewal.manifest_mark import is_marked, manifest_mark
from batchsearch.engine.renewal.removed_rows import is_any_marked, rows_left
from batchsearch.engine.renewal.row_table import RowTable
from batchsearch.engine.run.manifest_check import checked
from batchsearch.engine.run.places import image_root
from batchsearch.errors import ManifestError
from batchsearch.manifest.keys import RepeatFinder
from batchsearch.manifest.row_findings import LISTED

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.job.held import HeldJob
    from batchsearch.manifest.source import Manifest
    from batchsearch.service.operations import Operation
    from batchsearch.storage.ledger.store import Ledger

READ: Final = "read"
"""Named text of the ledger: the manifest whose every row has its outcome, and what it was read by."""


class ManifestReading:
    """Finds out how many rows a manifest has, and what stands of them; a context manager.

    Args:
        settings: The job.
        operation: Operation called.
        manifest: Its rows.
        ledger: What is known of them.
        chosen: Rows are asked for again that somebody chose, and no others.

    Attributes:
        table: What becomes of each row, once they are counted.
        left: The digests of the rows with an outcome that the manifest does not have, in pieces, once stock
            is taken; None where there were none before and are none now.
    """

    def __init__(
        self, settings: JobSettings, operation: Operation, manifest: Manifest, ledger: Ledger, *, chosen: bool
    ) -> None:
        self._settings = settings
        self._operation = operation
        self._manifest = manifest
        self._ledger = ledger
        self._chosen = chosen
        self._opened = ExitStack()
        self._keys = RepeatFinder(listed=LISTED)
        self._mark: list[dict[str, Any]] | None = None
        self._is_known = False
        self.table = RowTable(0)
        self.left: tuple[bytes, ...] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    async def rows(self, held: HeldJob, folder: Path) -> int:
        """How many rows there are, all of them good.

        Args:
            held: The job beside the one that the output holds.
            folder: The output folder.

        Raises:
            ManifestError: They are not.
            OutputError: The ledger cannot be read, or the list of rows without an image not be written.
        """
        try:
            known = None if self._chosen else await asyncio.to_thread(self._known_rows)
            if known is None:
                self._mark = await asyncio.to_thread(manifest_mark, self._manifest)
        except OSError as error:
            raise ManifestError(f"{error.filename}: cannot be read: {error.strerror or error}") from error
        if known is not None:
            self._is_known = True
            return known
        looks = not self._chosen and is_looked_at(
            self._settings,
            self._operation,
            self._manifest,
            self._ledger,
            columns_changed=held.changes.columns,
        )
        beside = looks and self._ledger.has_finished() and not self._manifest.has_inline_images
        self._keys = self._opened.enter_context(RepeatFinder(listed=LISTED, beside=beside))
        sources = sources_of(self._settings, image_root(self._settings)).beside if beside else None
        total = await checked(self._manifest, folder, keys=self._keys, beside=sources)
        self.table = RowTable(total)
        return total

    async def stock(self, detected: DetectedChanges, total: int) -> Finished:
        """What stands of the rows, those that are to get another outcome marked in the ledger.

        Raises:
            ManifestError: The manifest cannot be read to its end.
            OutputError: The ledger cannot be read or written.
        """
        if self._is_known:
            await begin_round(self._ledger)
            ended = self._ledger.outcomes_of_failures()
            codes = Counter[str]()
            for (code, _), count in ended.items():
                codes[code] += count
            return Finished(total, codes, Counter(), 0)
        finished = await take_stock(
            detected, self._ledger, self._manifest, self._keys, self.table, changes=not self._chosen
        )
        if not self._chosen and (finished.others or is_any_marked(self._ledger)):
            self.left = await asyncio.to_thread(rows_left, self._ledger, self._keys)
        # What the comparison of keys has on disk is not needed any more.
        self._opened.close()
        return finished

    def note(self, finished: Finished, total: int) -> str:
        """What is noted once every row has its outcome; empty where the next run has to read."""
        if self._is_known:
            return self._ledger.meta(READ) or ""
        if self._mark is None or finished.others or self._manifest.left_out.as_dict():
            return ""
        return json.dumps({"by": __version__, "rows": total, "files": self._mark})

    def _known_rows(self) -> int | None:
        """How many rows there are, where nothing is to be found out about any of them; None else.

        Raises:
            OSError: A file is not there any more.
            OutputError: The ledger cannot be read.
        """
        try:
            noted = json.loads(self._ledger.meta(READ) or "{}")
            rows, files, by = noted["rows"], noted["files"], noted["by"]
        except (ValueError, TypeError, KeyError):
            return None
        settings = self._settings.model_dump(mode="json")
        if by != __version__ or told_settings(self._ledger, JOB) != settings:
            return None
        if not is_marked(self._manifest, files):
            return None
        is_other = is_any_marked(self._ledger) or self._ledger.finished_count() != rows
        if is_other or self._ledger.renewals():
            return None
        looked = is_looked_at(
            self._settings, self._operation, self._manifest, self._ledger, columns_changed=False
        )
        if looked:
            return None
        detected = DetectedChanges(
            self._settings, self._operation, self._manifest, self._ledger, image_root(self._settings)
        )
        return None if detected.any_in_a_new_round() else int(rows)
