"""Rows that a run would still work on, and what its output knows of them; all of it only read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.config.model import PRIORITY
from batchsearch.engine.estimate import is_sampled
from batchsearch.engine.reader import ROWS_A_BATCH, priority_of
from batchsearch.ledger.records import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.ledger.reader import LedgerReader
    from batchsearch.ledger.records import History
    from batchsearch.manifest.rows import RowBatch
    from batchsearch.manifest.source import Manifest


class Known:
    """What an output folder knows already; nothing when it has no ledger.

    Args:
        reader: Its ledger, None when there is none.
        results: Its folder of sealed results.
        oldest: Answers from before this are too old to be used again, seconds since 1970.
    """

    def __init__(self, reader: LedgerReader | None, results: Path, oldest: float) -> None:
        self._reader = reader
        self._results = results
        self._oldest = oldest
        self._parts: dict[str, bool] = {}

    def any_finished(self) -> bool:
        """Whether any row has its outcome."""
        return self._reader is not None and self._reader.finished_count() > 0

    def finished(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those of these rows that have their outcome."""
        return set() if self._reader is None else self._reader.finished(digests)

    def histories(self) -> dict[bytes, History]:
        """What was tried for rows without an outcome, by digest."""
        return {} if self._reader is None else self._reader.histories()

    def covered(self, request_keys: Sequence[bytes]) -> set[bytes]:
        """Those of these requests whose answer is there, and young enough to be used again."""
        if self._reader is None or not request_keys:
            return set()
        found = self._reader.answered(request_keys)
        return {
            key
            for key, answer in found.items()
            if answer.answered_at >= self._oldest and (answer.part is None or self._is_there(answer.part))
        }

    def _is_there(self, part: str) -> bool:
        if part not in self._parts:
            self._parts[part] = (self._results / part).exists()
        return self._parts[part]


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """Rows of one batch that are to be looked at.

    Attributes:
        batch: The batch.
        places: Where they are in it, each with the digest of its row key.
    """

    batch: RowBatch
    places: tuple[tuple[int, bytes], ...]


class UndoneRows:
    """The rows of a manifest without an outcome, or a sample spread evenly over them.

    Attributes:
        wanted: How many are to be looked at, as far as is known beforehand.
        counted: Rows without an outcome that were met on the way; final after the last batch. Rows that a
            run finishes meanwhile are not among them.
    """

    def __init__(self, manifest: Manifest, known: Known, rows: int, sample: int | None) -> None:
        self._manifest = manifest
        self._known = known
        self._expected = rows - self._done()
        self.wanted = self._expected if sample is None else min(sample, self._expected)
        self.counted = 0

    def batches(self) -> Iterator[ChosenRows]:
        """The rows to look at, batch by batch; to be read once.

        Raises:
            ManifestError: The manifest cannot be read to its end, or a priority is no number.
            OutputError: The ledger cannot be read.
        """
        by_priority = PRIORITY in self._manifest.settings.columns
        for batch in self._manifest.batches(ROWS_A_BATCH):
            if by_priority:
                # A run reads them all before its first call, and ends at one that is no number.
                deque(map(priority_of, batch.rows), maxlen=0)
            digests = [digest_of(row.key) for row in batch.rows]
            done = self._known.finished(digests)
            places = []
            for place, digest in enumerate(digests):
                if digest in done:
                    continue
                if is_sampled(self.counted, self.wanted, self._expected):
                    places.append((place, digest))
                self.counted += 1
            yield ChosenRows(batch, tuple(places))

    def _done(self) -> int:
        if not self._known.any_finished():
            return 0
        return sum(
            len(self._known.finished([digest_of(row.key) for row in batch.rows]))
            for batch in self._manifest.batches(ROWS_A_BATCH)
        )
