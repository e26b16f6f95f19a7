"""One output folder verified, from its ledger to its last hit."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from batchsearch.engine.job.instance_worker import all_workers_of
from batchsearch.engine.job.job_of_output import job_of
from batchsearch.errors import BatchsearchError, OutputError
from batchsearch.storage.ledger.checksum import has_changed
from batchsearch.storage.ledger.lock import is_held
from batchsearch.storage.output_layout import (
    INSIDE,
    LANE,
    LEDGER,
    LOCK,
    NIGHT_LOCK,
    SEARCH,
    NoOutputError,
    instance_of,
    is_lane,
    lane_folder,
    no_output,
)
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.sealed.delivered import delivered_count, delivers, faults
from batchsearch.storage.sealed.inventory import has_ledger, parts_in
from batchsearch.storage.sealed_part import STAGED
from batchsearch.tasks.verify.findings import MOST_LISTED, Findings
from batchsearch.tasks.verify.layout import beside, readings
from batchsearch.tasks.verify.ledger_view import Codes, sealed_parts, view_ledger
from batchsearch.tasks.verify.manifest_keys import ManifestUnknownError, keys_at, manifest_of, read_keys
from batchsearch.tasks.verify.parts_scan import PartsScan
from batchsearch.tasks.verify.row_comparison import Comparison
from batchsearch.tasks.verify.row_records import RESULTS as SEEN
from batchsearch.tasks.verify.row_records import SortedRecords

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.verify.ledger_view import LedgerView
    from batchsearch.tasks.verify.parts_scan import Scanned
    from batchsearch.tasks.verify.row_comparison import Compared, Suspect

_TRIES: Final = 5
_PAUSE: Final = 0.2
"""Between two looks at a folder whose parts are being exchanged, seconds: the exchange takes less."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of verifying one output folder.

    Attributes:
        folder: It.
        taken_at: The moment that it was looked at, UTC.
        running: A run was working on it.
        findings: What was found.
        parts: Sealed parts.
        rows: Rows in them.
        hits: Hits in them.
        pending: Outcomes that wait in the ledger for their part.
        manifest_rows: Rows of the manifest; None when it could not be read.
        tables: Files that dedup or comparison has delivered in it.
    """

    folder: Path
    taken_at: datetime
    running: bool
    findings: Findings
    parts: int = 0
    rows: int = 0
    hits: int = 0
    pending: int = 0
    manifest_rows: int | None = None
    tables: int = 0


def output_folders(folder: Path) -> list[Path]:
    """The output folders that a path means: itself, those of its instances, or those inside a dedup folder.

    Raises:
        ConfigError: There is none.
    """
    lanes = [] if _is_output(folder) else [lane for lane in _lanes(folder) if _is_output(lane)]
    inside = [folder / name for name in INSIDE if _is_output(folder / name)]
    if _is_output(folder) or delivers(folder):
        return [folder, *lanes, *inside]
    if not lanes and not inside:
        raise NoOutputError(no_output(folder))
    return [*lanes, *inside]


def verify_folders(
    folder: Path, *, manifest: Path | None = None, config: Path | None = None
) -> tuple[Verified, ...]:
    """Verify every output folder that a path means; together they are to hold all rows of the manifest.

    Args:
        folder: As for `output_folders`.
        manifest: As for `verify_folder`.
        config: Likewise.

    Raises:
        BatchsearchError: As of both.
    """
    folders = output_folders(folder)
    verified = tuple(verify_folder(each, manifest=manifest, config=config) for each in folders)
    there = {instance_of(each) for each in folders if each.parent == folder and is_lane(each.name)}
    if not there:
        return verified
    missing = [name for name in _instances_of(folder) if name not in there]
    return (*verified, *(_without_rows(folder / lane_folder(name), name) for name in missing))


def _lanes(folder: Path) -> list[Path]:
    return sorted(place for place in folder.glob(f"{LANE}?*") if place.is_dir())


def _instances_of(folder: Path) -> list[str]:
    """The instances of the job whose instances have a folder each here; empty where no ledger says it."""
    try:
        settings = job_of(folder).settings
    except BatchsearchError:
        return []
    return [worker.instance.name for worker in all_workers_of(settings)]


def _without_rows(folder: Path, instance: str) -> Verified:
    """What is said of an instance of the job that has no folder."""
    findings = Findings()
    findings.add("instance_missing", str(folder), f"rows that go to {instance}")
    return Verified(folder, datetime.now(UTC), running=False, findings=findings)


def _is_output(folder: Path) -> bool:
    return (folder / LEDGER).is_file() or bool(parts_in(folder))


def verify_folder(folder: Path, *, manifest: Path | None = None, config: Path | None = None) -> Verified:
    """Compare an output folder's parts, ledger and manifest; a run may go on meanwhile.

    Memory stays at some tens of megabytes whatever the number of rows; 41 bytes for each row, pending
    outcome, manifest row and row with hits go through the temporary folder (TMPDIR).

    Args:
        folder: The output folder of one run.
        manifest: Another place of the manifest than the job's.
        config: The job file, in place of what the ledger says of the job.

    Raises:
        ConfigError: The job file is not usable.
        OutputError: The ledger cannot be read, or the temporary folder cannot be written.
    """
    try:
        if not _is_output(folder):
            return _only_delivered(folder)
        for _ in range(_TRIES - 1):
            verified = _Verification(folder, manifest, config).run()
            if verified is not None:
                return _with_delivered(verified)
            time.sleep(_PAUSE)
        last = _Verification(folder, manifest, config).run(even_if_moving=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be compared: {error.strerror or error}; room is needed in the temporary "
            "folder (TMPDIR), some 200 bytes a row"
        ) from error
    if last is None:
        raise AssertionError("the last look always has a result")
    return _with_delivered(last)


def _only_delivered(folder: Path) -> Verified:
    """What dedup delivers, in a folder whose runs have folders of their own."""
    findings = Findings()
    verified = Verified(folder, datetime.now(UTC), is_held(folder / NIGHT_LOCK), findings)
    if not _is_output(folder / SEARCH):
        findings.add("search_missing", SEARCH)
    return _with_delivered(verified)


def _with_delivered(verified: Verified) -> Verified:
    """With what is found of the tables that were made from the parts."""
    found = faults(verified.folder)
    for _ in range(_TRIES):
        if not any(fault.kind == "table_other_night" for fault in found):
            break
        # They are replaced one after the other, the record last.
        time.sleep(_PAUSE)
        found = faults(verified.folder)
    for fault in found:
        verified.findings.add(fault.kind, fault.path, fault.what)
    return replace(verified, tables=delivered_count(verified.folder))


class _Verification:
    """One look at a folder."""

    def __init__(self, folder: Path, manifest: Path | None, config: Path | None) -> None:
        self._folder = folder
        self._given = (manifest, config)
        self._findings = Findings()
        self._codes = Codes()

    def run(self, *, even_if_moving: bool = False) -> Verified | None:
        """What was found; None when parts were replaced meanwhile, so that it means nothing."""
        folder, findings, ledger = self._folder, self._findings, self._folder / LEDGER
        running = is_held(folder / LOCK)
        if self._ledger_is_missing():
            return Verified(folder, datetime.now(UTC), running, findings)
        with SortedRecords() as records:
            view = view_ledger(ledger, records, self._codes)
            if view.damages:
                for damage in view.damages:
                    findings.add("ledger_damaged", str(LEDGER), damage)
                return Verified(folder, view.taken_at, running, findings)
            if not running and has_changed(ledger):
                findings.add("ledger_changed", str(LEDGER), "its SHA-256 is not what its last writer noted")
            manifest, manifest_rows = self._manifest(view, records)
            parts = readings(folder, view)
            scan = PartsScan(folder, _operation(view), parts)
            scanned = scan.run(records, self._codes, findings)
            self._beside(view, running=running)
            if self._moved(view):
                if not even_if_moving:
                    return None
                findings = self._findings = Findings()
                findings.add("moving", str(folder))
                return Verified(
                    folder,
                    view.taken_at,
                    running,
                    findings,
                    pending=view.pending,
                    manifest_rows=manifest_rows,
                )
            comparison = Comparison(has_manifest=manifest_rows is not None, listed=MOST_LISTED)
            for piece in records.slices():
                comparison.slice(piece)
        self._tell(comparison.found, scan, scanned, manifest)
        self._to_come(view, scanned)
        return Verified(
            folder,
            view.taken_at,
            running,
            findings,
            sum(part.source == SEEN for part in parts),
            scanned.rows,
            scanned.hits,
            view.pending,
            manifest_rows,
        )

    def _ledger_is_missing(self) -> bool:
        """Whether there are parts that no ledger knows."""
        if has_ledger(self._folder):
            return False
        parts = parts_in(self._folder)
        for name in parts:
            self._findings.add("ledger_missing", name)
        return bool(parts)

    def _to_come(self, view: LedgerView, scanned: Scanned) -> None:
        """What the next run finishes."""
        if view.pending:
            self._findings.add("rows_pending", str(LEDGER), f"{view.pending:,} outcomes", count=view.pending)
        if scanned.staged:
            self._findings.add("rows_staged", STAGED, f"{scanned.staged:,} outcomes", count=scanned.staged)
        if view.switching:
            self._findings.add("switching", str(LEDGER), "says which parts are coming")

    def _moved(self, view: LedgerView) -> bool:
        """Whether files may have been exchanged for others while they were read."""
        parts, switching = sealed_parts(self._folder / LEDGER)
        busy = switching and is_held(self._folder / LOCK)
        return busy or switching != view.switching or not frozenset(view.parts) <= parts

    def _manifest(self, view: LedgerView, records: SortedRecords) -> tuple[Manifest | None, int | None]:
        """The manifest, its keys handed on; without, what is known instead goes into the findings."""
        try:
            manifest = manifest_of(view, *self._given)
            return manifest, read_keys(manifest, records)
        except ManifestUnknownError as error:
            known = "" if view.total is None else f"; it had {view.total:,} rows, {view.rows:,} are finished"
            self._findings.add("manifest_unknown", "manifest", f"{error}{known}")
            return None, None

    def _beside(self, view: LedgerView, *, running: bool) -> None:
        """Files beside the sealed ones; those of a run that is going on are its own business."""
        for kind, name in beside(self._folder, view, self._folder / LEDGER):
            of_the_run = running and kind in {"leftover", "part_unknown"}
            self._findings.add("being_written" if of_the_run else kind, name)

    def _tell(self, compared: Compared, scan: PartsScan, scanned: Scanned, manifest: Manifest | None) -> None:
        """Turn what a comparison found into findings that name rows and files."""
        counts = dict(compared.counts)
        # The rows of a file that cannot be read are not lost twice: the file has its own finding.
        for kind in ("row_lost", "hit_count", "hit_without_row") if scanned.unread else ():
            if counts.get(kind, 0) <= scanned.unread:
                counts.pop(kind, None)
        numbers = {
            suspect.manifest_row
            for kind in counts
            for suspect in compared.suspects[kind]
            if suspect.place is None and suspect.manifest_row is not None
        }
        keys = keys_at(manifest, numbers) if manifest is not None else {}
        for kind, count in counts.items():
            suspects = compared.suspects[kind]
            for suspect in suspects:
                where, what = self._words(kind, suspect, scan, keys)
                self._findings.add(kind, where, what)
            self._findings.count_only(kind, count - len(suspects))

    def _words(self, kind: str, suspect: Suspect, scan: PartsScan, keys: dict[int, str]) -> tuple[str, str]:
        where = f"a row whose key has the digest {suspect.digest.hex()}"
        if suspect.place is not None and kind == "hit_without_row":
            where = f"{scan.name_at(suspect.place, HITS)}: {where}"
        elif suspect.place is not None:
            where = f"{scan.name_at(suspect.place, RESULTS)}: {scan.key_at(suspect.place)}"
        elif suspect.manifest_row in keys:
            where = f"row {suspect.manifest_row + 1:,} of the manifest: {keys[suspect.manifest_row]}"
        text = self._codes.text
        match kind:
            case "key_doubled" | "manifest_doubled":
                return where, f"{suspect.first:,} times"
            case "code_differs":
                return where, f"results say {text(suspect.first)}, the ledger {text(suspect.second)}"
            case "outcome_old":
                return (
                    where,
                    f"outcome {suspect.first + 1:,} in the results, {suspect.second + 1:,} in the ledger",
                )
            case "hit_count":
                return where, f"`hit_count` is {suspect.first:,}, there are {suspect.second:,} hits"
            case "hit_without_row" | "hit_of_failed":
                return where, f"{suspect.first:,} hits"
        return where, ""


def _operation(view: LedgerView) -> str | None:
    named = (view.job or {}).get("operation") or view.fingerprint.get("operation")
    return str(named) if named else None
