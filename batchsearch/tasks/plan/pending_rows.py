"""Rows that a run would still work on, and what its output knows of them; all of it only read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.config.model import PRIORITY
from batchsearch.engine.renewal.renewal_rules import renewal_of
from batchsearch.engine.rows.row_reader import ROWS_A_BATCH, priority_of
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.tasks.plan.estimate import is_sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.engine.job.instance_worker import InstanceWorker
    from batchsearch.engine.renewal.change_detection import DetectedChanges
    from batchsearch.engine.renewal.renewal_rules import Renewal
    from batchsearch.manifest.rows import RowBatch
    from batchsearch.manifest.source import Manifest
    from batchsearch.storage.ledger.entries import History
    from batchsearch.storage.ledger.ledger_reader import LedgerReader


def rows_of(worker: InstanceWorker, manifest: Manifest) -> int:
    """How many rows of the manifest are an instance worker's.

    Raises:
        ManifestError: The manifest cannot be read to its end.
    """
    return sum(len(worker.places(batch)) for batch in manifest.batches(ROWS_A_BATCH))


class Known:
    """What an output folder knows already; nothing when it has no ledger.

    Args:
        reader: Its ledger, None when there is none.
        detected: Looks at its finished rows; None when there is no ledger.
        folder: The output folder.
        oldest: Answers from before this are too old to be used again, seconds since 1970.
        round_began: Answers since then are used even for rows that are asked for again, likewise.
        others: What other folders know whose answers serve.
    """

    def __init__(
        self,
        reader: LedgerReader | None,
        detected: DetectedChanges | None,
        folder: Path,
        *,
        oldest: float,
        round_began: float,
        others: Sequence[Known] = (),
    ) -> None:
        self._others = tuple(others)
        self._reader = reader
        self._detected = detected
        self._folder = folder
        self._oldest = min(oldest, round_began)
        self._round_began = round_began
        self._parts: dict[tuple[str, str], bool] = {}

    def standing(self, manifest: Manifest, worker: InstanceWorker) -> int:
        """How many rows of an instance worker have an outcome that stands."""
        if self._detected is None or self._reader is None or self._reader.finished_count() == 0:
            return 0
        if worker.alone:
            return sum(found.codes.total() for found in self._detected.batches())
        batches = manifest.batches(ROWS_A_BATCH)
        return sum(len(worker.places(batch)) - len(self.pending(batch, worker)) for batch in batches)

    def pending(self, batch: RowBatch, worker: InstanceWorker) -> list[tuple[int, bytes, Renewal | None]]:
        """A worker's rows in a batch that are to get an outcome: place, digest, what they have already."""
        digests = batch.digests()
        if self._detected is None or self._reader is None:
            return [(place, digests[place], None) for place in worker.places(batch)]
        states = self._reader.states(digests)
        reasons = self._detected.look(digests, batch).reasons if states else {}
        found: list[tuple[int, bytes, Renewal | None]] = []
        for place in worker.places(batch):
            digest = digests[place]
            state = states.get(digest)
            if state is None:
                found.append((place, digest, None))
            elif digest in reasons:
                found.append((place, digest, renewal_of(state._replace(renewal=reasons[digest]))))
        return found

    def histories(self) -> dict[bytes, History]:
        """What was tried for rows without an outcome, by digest."""
        return {} if self._reader is None else self._reader.histories()

    def covered(self, request_keys: Sequence[bytes], *, of_this_round: bool) -> set[bytes]:
        """Those of these requests whose answer is there, and young enough to be used again."""
        found = self._covered_here(request_keys, of_this_round=of_this_round)
        for other in () if of_this_round else self._others:
            found |= other.covered(request_keys, of_this_round=False)
        return found

    def _covered_here(self, request_keys: Sequence[bytes], *, of_this_round: bool) -> set[bytes]:
        if self._reader is None or not request_keys:
            return set()
        found = self._reader.answered(request_keys)
        oldest = self._round_began if of_this_round else self._oldest
        return {
            key
            for key, answer in found.items()
            if answer.answered_at >= oldest and (answer.pending or self._is_there(answer.part))
        }

    def _is_there(self, part: tuple[str, str] | None) -> bool:
        if part is None:
            return False
        if part not in self._parts:
            under, name = part
            self._parts[part] = (self._folder / under / RESULTS / name).exists()
        return self._parts[part]


@dataclass(frozen=True, slots=True)
class SelectedRows:
    """Rows of one batch that are to be looked at.

    Attributes:
        batch: The batch.
        places: Where they are in it, each with the digest of its row key and the outcome that it has
            already, if it is to be renewed.
    """

    batch: RowBatch
    places: tuple[tuple[int, bytes, Renewal | None], ...]


class PendingRows:
    """The rows of an instance worker that are to get an outcome, or a sample spread evenly over them.

    Attributes:
        wanted: How many are to be looked at, as far as is known beforehand.
        counted: Such rows that were met on the way; final after the last batch. Rows that a
            run finishes meanwhile are not among them.
    """

    def __init__(
        self, manifest: Manifest, known: Known, rows: int, sample: int | None, worker: InstanceWorker
    ) -> None:
        self._worker = worker
        self._manifest = manifest
        self._known = known
        self._expected = rows - known.standing(manifest, worker)
        self.wanted = self._expected if sample is None else min(sample, self._expected)
        self.counted = 0

    def batches(self) -> Iterator[SelectedRows]:
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
            places = []
            for place, digest, renewal in self._known.pending(batch, self._worker):
                if is_sampled(self.counted, self.wanted, self._expected):
                    places.append((place, digest, renewal))
                self.counted += 1
            yield SelectedRows(batch, tuple(places))
