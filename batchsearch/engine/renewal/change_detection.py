"""What a run finds when it begins: which rows have their outcome, and which of them get another one."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.engine.one_thread import one_by_one
from batchsearch.engine.renewal.ledger_join import LedgerJoin
from batchsearch.engine.renewal.renewal_rules import NOTHING_TOUCHED, RenewalRules
from batchsearch.engine.renewal.row_source import SourceReader
from batchsearch.engine.renewal.row_table import Inspected
from batchsearch.steps import step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.renewal.renewal_rules import Touched
    from batchsearch.engine.renewal.row_table import RowTable
    from batchsearch.manifest.keys import RepeatFinder
    from batchsearch.manifest.rows import RowBatch
    from batchsearch.manifest.source import Manifest
    from batchsearch.service.operations import Operation
    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.ledger.store import Ledger

ROUND: Final = "round"
"""Named text of the ledger: `complete` once a run has left no row without outcome, `open` until then."""

COMPLETE: Final = "complete"
_OPEN: Final = "open"
_ROUND_BEGAN: Final = "round_began"
_SURVEYED: Final = "manifest"
_ROWS_AT_ONCE: Final = 1_024
_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Finished:
    """Rows of the manifest whose outcome stands.

    Attributes:
        rows: How many.
        codes: How many of them ended with each error code.
        renewed: Rows that have an outcome and are to get another one, by reason.
        others: Rows with an outcome that the manifest does not have.
    """

    rows: int
    codes: Counter[str]
    renewed: Counter[str]
    others: int


class DetectedChanges:
    """Looks at the finished rows of a manifest, the same for a plan and for a run.

    Args:
        settings: The job.
        operation: Operation called.
        manifest: Its rows.
        ledger: What is known of them.
        root: Where relative image paths start from.
        only_asked_for: Look at nothing but the marks of rows that somebody asked for.
        touched: What tonight's settings touch.
    """

    def __init__(
        self,
        settings: JobSettings,
        operation: Operation,
        manifest: Manifest,
        ledger: LedgerQueries,
        root: Path,
        *,
        only_asked_for: bool = False,
        touched: Touched = NOTHING_TOUCHED,
    ) -> None:
        reuse = settings.reuse
        hours = reuse.renew_after_hours
        self.rules = RenewalRules(
            new_round=ledger.meta(ROUND) == COMPLETE,
            expired_before=None if hours is None else time.time() - hours * _HOUR,
            passing=reuse.retry == "passing",
            actions=settings.codes,
            only_asked_for=only_asked_for,
            touched=touched,
        )
        self._manifest = manifest
        self._ledger = ledger
        self.sources = sources_of(settings, root)
        self._every_image = reuse.notice_changes == "contents" and bool(operation.images)
        self.looks = not only_asked_for and is_looked_at(
            settings, operation, manifest, ledger, columns_changed=touched.look
        )

    def batches(self) -> Iterator[Inspected]:
        """What is found, batch by batch; nothing is changed.

        Raises:
            ManifestError: The manifest cannot be read to its end.
            OutputError: The ledger cannot be read.
        """
        if not self.looks:
            for keys in self._manifest.key_batches():
                yield self.look(keys.digests(), None)
            return
        for batch in self._manifest.batches(_ROWS_AT_ONCE):
            yield self.look(batch.digests(), batch)

    def joined(self, keys: RepeatFinder, table: RowTable) -> Iterator[Inspected]:
        """The same as `batches` from keys that are there already, each row told to a table as well.

        Args:
            keys: Of the manifest, none of them twice; kept with what `sources` says where rows are looked at.
            table: Is told what becomes of each row.

        Raises:
            ManifestError: The manifest cannot be read to its end.
            OutputError: The ledger cannot be read.
        """
        if self.looks and self._manifest.has_inline_images:
            for batch in self._manifest.batches(_ROWS_AT_ONCE):
                yield self.look(batch.digests(), batch, table)
            return
        join = LedgerJoin(self._ledger, self.rules, table, every_image=self._every_image and self.looks)
        yield from join.batches(keys.in_order())

    def any_in_a_new_round(self) -> bool:
        """Whether any finished row may be renewed because a round of runs begins; True while one goes on.

        Raises:
            OutputError: The ledger cannot be read.
        """
        rules = self.rules
        if not rules.new_round:
            return True
        if rules.expired_before is not None and self._ledger.oldest_outcome() < rules.expired_before:
            return True
        return any(rules.reason_for_failure(*ended) for ended in self._ledger.outcomes_of_failures())

    def look(self, digests: list[bytes], batch: RowBatch | None, table: RowTable | None = None) -> Inspected:
        """What is found of rows with these digests; of their sources only where they are given."""
        states = self._ledger.states(digests)
        found = Inspected(Counter(), {}, {})
        if not states:
            return found
        places = [place for place, digest in enumerate(digests) if digest in states]
        sources = {}
        if batch is not None and self.looks:
            for place, row in zip(places, batch.pick(places), strict=True):
                sources[digests[place]] = self.sources.of(row)
        for place in places:
            digest = digests[place]
            state, source = states[digest], sources.get(digest)
            reason = self.rules.reason_for(digest, state, source)
            if reason is None and self._every_image and source is not None:
                reason = "changed"
            found.add(digest, state, source, reason)
            if table is not None and batch is not None:
                table.tell(batch.start + place, reason)
        return found


async def take_stock(
    detected: DetectedChanges,
    ledger: Ledger,
    manifest: Manifest,
    keys: RepeatFinder,
    table: RowTable,
    *,
    changes: bool,
) -> Finished:
    """Count the rows whose outcome stands and mark in the ledger those that are to get another one.

    A kill on the way is made up for by the next run, which surveys again.

    Args:
        detected: Looks at the rows.
        ledger: Where they are marked.
        manifest: The rows.
        keys: Theirs, as `DetectedChanges.joined` takes them.
        table: Is told what becomes of each row.
        changes: Mark rows; else only those that are marked are counted as to be renewed, and the round of
            runs stays what it is.

    Raises:
        ManifestError: The manifest cannot be read to its end.
        OutputError: The ledger cannot be read or written.
    """
    finished = Finished(0, Counter(), Counter(), 0)
    known = ledger.finished_count()
    if known > 0:
        rows = 0
        looking = step("looking at earlier answers", known)
        async for found in one_by_one(detected.joined(keys, table)):
            rows += found.codes.total()
            looking.advance(found.codes.total() + len(found.reasons))
            finished.codes.update({code: count for code, count in found.codes.items() if code is not None})
            finished.renewed.update(found.reasons.values())
            if found.reasons and changes:
                await ledger.mark(found.reasons)
            if found.unknown:
                await ledger.set_sources(found.unknown)
        others = known - rows - finished.renewed.total()
        finished = Finished(rows, finished.codes, finished.renewed, others)
    if not changes:
        return finished
    if detected.looks or ledger.meta(_SURVEYED) is None:
        await ledger.set_meta(_SURVEYED, identity_of(manifest))
    await begin_round(ledger)
    return finished


async def begin_round(ledger: Ledger) -> None:
    """Note that a round of runs begins, unless one is going on.

    Raises:
        OutputError: The ledger cannot be written.
    """
    if ledger.meta(ROUND) != _OPEN:
        await ledger.set_meta(_ROUND_BEGAN, str(time.time()))
        await ledger.set_meta(ROUND, _OPEN)


def round_began(ledger: LedgerQueries) -> float:
    """When the round of runs began that is going on, seconds since 1970; now, where one is about to begin."""
    noted = ledger.meta(_ROUND_BEGAN)
    return time.time() if noted is None or ledger.meta(ROUND) == COMPLETE else float(noted)


async def complete_round(ledger: Ledger) -> None:
    """Note that every row of the manifest has its outcome: the next run begins a new round.

    Raises:
        OutputError: The ledger cannot be written.
    """
    if ledger.renewals():
        await ledger.forget_renewals()
    await ledger.set_meta(ROUND, COMPLETE)


def identity_of(manifest: Manifest) -> str:
    """The manifest's identity as the ledger keeps it."""
    return json.dumps(manifest.identity(), sort_keys=True, default=str)


def is_looked_at(
    settings: JobSettings,
    operation: Operation,
    manifest: Manifest,
    ledger: LedgerQueries,
    *,
    columns_changed: bool,
) -> bool:
    """Whether a run of the job itself compares finished rows with what they came from."""
    if columns_changed:
        return True
    notice = settings.reuse.notice_changes
    if notice == "no":
        return False
    same = ledger.meta(_SURVEYED) == identity_of(manifest)
    return not (same and (notice == "manifest" or not operation.images))


def sources_of(settings: JobSettings, root: Path) -> SourceReader:
    """Finds out what rows come from, as closely as the job wants to know."""
    return SourceReader(
        root,
        settings.images,
        files=settings.reuse.notice_changes in {"files", "contents"},
        parameters=settings.reuse.notice_parameters,
    )
