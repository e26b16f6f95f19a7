"""Fetch and prepare alone over a manifest: what would become of each image, without any call.

Nothing is spent and nothing of a run is touched: no credentials, no ledger, no instance. The same fetcher,
rules and decoders as in a run give the same verdicts.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch._version import __version__
from batchsearch.config.image_texts import shown
from batchsearch.engine.run.collector import held_back
from batchsearch.engine.run.manifest_check import checked
from batchsearch.engine.run.opening import new_run_id, open_manifest
from batchsearch.engine.run.places import image_root, require_root
from batchsearch.engine.run.remote_output import localised
from batchsearch.engine.run.to_end import progress_beside_logs, to_end
from batchsearch.errors import ConfigError, StoppedError
from batchsearch.images.batches_ahead import BatchesAhead
from batchsearch.images.crew import Crew
from batchsearch.images.fetching.addresses import shown_address
from batchsearch.images.image_identity import is_inline
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop_at
from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.service.operations import OPERATIONS
from batchsearch.steps import step
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.parts.verdict_parts import ShardVerdicts, VerdictParts
from batchsearch.storage.parts.verdict_table import SavedImages
from batchsearch.tasks.check.check_page import CheckPage, CheckTally
from batchsearch.tasks.check.judging import Judging, verdict_of
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.engine.job.stop_signals import StopSignals
    from batchsearch.images.rules import Rules
    from batchsearch.images.workshop import Workshop
    from batchsearch.manifest.rows import ImageReference, Row
    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.check.judging import Verdict
    from batchsearch.telemetry.terminal_options import TerminalOptions

ROWS_A_BATCH: Final = 256
BATCHES_AT_ONCE: Final = 2
"""Rows read ahead of the verdict that is written next; few where the images are in the manifest."""
ROWS_A_SHARD: Final = 4_096
"""Rows whose verdicts are written together: what a kill may cost."""
CHECK_FOLDER: Final = "check"

_LONGEST_SHOWN: Final = 300
_MOST_CODES: Final = 5
_HOUR: Final = 3600.0
_NO_IMAGE: Final = Rejected("Local.NoImage", "the manifest's cell is empty: there is no image to send")


class CheckStoppedError(StoppedError):
    """The check was stopped; what it had looked at is kept for the next one."""

    def __init__(self) -> None:
        super().__init__(
            "stopped: no verdicts were written; what was checked is kept, and the same command goes on "
            "from there"
        )


def check_to_end(
    job: LoadedJob,
    terminal: TerminalOptions,
    *,
    output: Path | None = None,
    save: Path | None = None,
) -> CheckPage:
    """Check a job's images; for the command line.

    Args:
        job: The job.
        terminal: How it shows what it does.
        output: Folder for the verdicts; `check` in the job's output folder when None.
        save: Folder for what would be sent; None saves nothing.

    Raises:
        BatchsearchError: The job or the manifest is not usable, or nothing can be written.
    """
    showing = progress_beside_logs(terminal)

    async def main(_: StopSignals) -> CheckPage:
        return await check_job(job.settings, output=output, save=save)

    return to_end(main, showing, CheckStoppedError)


async def check_job(
    settings: JobSettings,
    *,
    output: Path | None = None,
    save: Path | None = None,
    jitter: Callable[[], float] = random.random,
) -> CheckPage:
    """Check a job's images and write a verdict for each.

    Args:
        settings: The job, its paths absolute.
        output: As for `check_to_end`.
        save: As for `check_to_end`.
        jitter: Random numbers in [0, 1), for the waits between attempts to fetch.

    Raises:
        ConfigError: The job sends no images, or cannot run as it is set.
        ManifestError: The manifest is not usable.
        OutputError: The verdicts or the images cannot be written.
    """
    operation = OPERATIONS[settings.operation]
    roles = tuple(image.role for image in operation.images)
    if not roles:
        raise ConfigError(f"{settings.operation} sends no images: there is nothing to check")
    started = time.monotonic()
    # By address each image travels alone; in one body they share its size.
    alone = settings.calls.upload == "url"
    rules = rules_for(settings.instance.service_type, settings.images, images=1 if alone else len(roles))
    manifest = open_manifest(settings, operation)
    require_root(settings)
    folder = output or Path(localised(settings).output.dir) / CHECK_FOLDER
    tally = CheckTally(total=await checked(manifest, folder))
    logger().info("check_started", operation=settings.operation, rows=tally.total, output=str(folder))
    async with AsyncExitStack() as stack:
        saved = None if save is None else SavedImages(save)
        parts = VerdictParts(folder, max_age=settings.reuse.max_age_hours * _HOUR)
        stack.enter_context(OutputLock(parts.lock, new_run_id()))
        workshop = await stack.enter_async_context(
            open_workshop_at(settings.workers, image_root(settings), settings.images, jitter=jitter)
        )
        checker = _Checker(roles, Judging(rules, keep=saved is not None), settings.images, workshop, saved)
        with held_back():
            shards = await _check_all(manifest, checker, parts, tally, _asked(settings, roles, rules, save))
        verdicts = await asyncio.to_thread(parts.join, shards)
    page = CheckPage(
        operation=settings.operation,
        service_type=rules.service_type,
        allowed=settings.failures_allowed(tally.total),
        tally=tally,
        seconds=time.monotonic() - started,
        verdicts=str(verdicts),
        saved=None if save is None else str(save),
        advice={code: advice_on(code) for code in tally.codes},
        left_out=manifest.left_out.as_dict(),
        meanings={code: meaning_of(code) for code in tally.codes},
    )
    logger().info("check_finished", rows=tally.rows, unusable=tally.unusable, exit_code=int(page.exit_code))
    return page


async def _check_all(
    manifest: Manifest, checker: _Checker, parts: VerdictParts, tally: CheckTally, asked: str
) -> int:
    """Every row's verdicts into parts, in manifest order; how many parts that are.

    Little more than a part is in memory. What was looked at is written even when the check is stopped.

    Args:
        manifest: The rows.
        checker: Gives their verdicts.
        parts: Takes them, and knows those of a check that was stopped.
        tally: Counts them.
        asked: Stands for everything but the rows that decides a verdict.
    """
    ahead: BatchesAhead[_Batch, list[list[Verdict]]] = BatchesAhead(checker.ahead)
    checking = step("checking images", tally.total)
    writer = _ShardWriter(parts, tally, checking.advance)
    reader = _ShardReader(manifest, parts, asked)
    try:
        async with Crew(checker.check, most=min(checker.ahead, checker.workshop.most_asked)) as crew:
            while (batch := await asyncio.to_thread(reader.next)) is not None:
                work = crew.begin(batch.rows) if batch.known is None else None
                ahead.begin(batch, len(batch.rows), work)
                while ahead.is_full:
                    writer.take(*await ahead.finish())
            while ahead:
                writer.take(*await ahead.finish())
    except BaseException:
        await ahead.drop()
        writer.stop()
        raise
    return writer.close()


@dataclass(eq=False, slots=True)
class _Batch:
    """Some rows, and what becomes of them.

    Attributes:
        shard: Which part they belong to.
        digest: Stands for what is asked of them.
        rows: The rows.
        known: Their verdicts, all in a row, where a check that was stopped had them.
    """

    shard: int
    digest: str
    rows: Sequence[Row]
    known: list[Mapping[str, Any]] | None


class _ShardReader:
    """Cuts the manifest into shards of whole batches, and finds what is known of them; for one thread."""

    def __init__(self, manifest: Manifest, parts: VerdictParts, asked: str) -> None:
        self._batches = manifest.batches(ROWS_A_BATCH)
        self._parts = parts
        self._asked = asked
        self._shard = self._rows = self._number = 0
        self._known = parts.read(0)

    def next(self) -> _Batch | None:
        """The next batch; None after the last."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        if self._rows >= ROWS_A_SHARD:
            self._shard += 1
            self._rows = self._number = 0
            self._known = self._parts.read(self._shard)
        rows = batch.rows
        digest = _digest(self._asked, rows)
        found = _Batch(self._shard, digest, rows, self._known.of_batch(self._number, digest))
        self._rows += len(rows)
        self._number += 1
        return found


class _ShardWriter:
    """Collects the verdicts of a shard and writes its part when it is whole."""

    def __init__(self, parts: VerdictParts, tally: CheckTally, advance: Callable[[int], None]) -> None:
        self._parts = parts
        self._tally = tally
        self._advance = advance
        self._shard = 0
        self._is_new = False
        self._held = ShardVerdicts()

    def take(self, batch: _Batch, made: list[list[Verdict]] | None) -> None:
        """Add a batch's verdicts, row by row: those that were made, or those that were known."""
        self._turn_to(batch.shard)
        self._is_new = self._is_new or made is not None
        by_row: Sequence[Sequence[Mapping[str, Any]]] = (
            _by_row(batch.known or [], len(batch.rows)) if made is None else made
        )
        for verdicts in by_row:
            self._tally.add_row(verdicts)
        self._advance(len(batch.rows))
        self._held.add(batch.digest, [verdict for verdicts in by_row for verdict in verdicts])

    def close(self) -> int:
        """Write what is left; how many parts there are, at least one."""
        self._write()
        return self._shard + 1

    def stop(self) -> None:
        """Write what there is, for the next check."""
        if self._held.batches:
            self._write()
        self._parts.tidy()

    def _turn_to(self, shard: int) -> None:
        if shard != self._shard:
            self._write()
            self._shard, self._is_new, self._held = shard, False, ShardVerdicts()

    def _write(self) -> None:
        if self._is_new or not self._held.batches:
            self._parts.write(self._shard, self._held)
            self._is_new = False
            tally = self._tally
            if tally.rows < tally.total:
                codes = dict(tally.codes.most_common(_MOST_CODES))
                logger().info(
                    "check_so_far", rows=tally.rows, of=tally.total, unusable=tally.unusable, codes=codes
                )


def _by_row(verdicts: list[Mapping[str, Any]], rows: int) -> list[list[Mapping[str, Any]]]:
    each = len(verdicts) // rows if rows else 0
    return [verdicts[start : start + each] for start in range(0, len(verdicts), each)] if each else []


def _digest(asked: str, rows: Sequence[Row]) -> str:
    """Stands for what is asked of rows: their keys, and where their images are."""
    digest = hashlib.blake2b(asked.encode(errors="surrogatepass"), digest_size=16)
    for row in rows:
        digest.update(f"{row.number}\0{row.key}\0".encode(errors="surrogatepass"))
        for image in row.images:
            if image is None:
                digest.update(b"-")
            elif image.data is not None:
                digest.update(hashlib.blake2b(image.data, digest_size=16).digest())
            else:
                digest.update(f"{image.path!r}{image.url!r}".encode())
    return digest.hexdigest()


def _asked(settings: JobSettings, roles: Sequence[str], rules: Rules, save: Path | None) -> str:
    """Everything but the rows that decides a verdict, as text."""
    images = settings.images.model_dump(exclude={"threads", "fetch_timeout", "fetch_per_host"})
    root = image_root(settings)
    return f"{__version__}\n{roles}\n{rules}\n{images}\n{root}\n{save and save.absolute()}"


@dataclass(frozen=True, slots=True)
class _Checker:
    """Gives the verdicts of one row after the other, several at a time.

    Attributes:
        roles: What the row's images are, in the operation's order.
        task: Judges an image.
        settings: How references are read.
        workshop: Reads and repairs images.
        saved: Keeps what would be sent; None keeps nothing.
    """

    roles: tuple[str, ...]
    task: Judging
    settings: ImageSettings
    workshop: Workshop
    saved: SavedImages | None

    @property
    def ahead(self) -> int:
        """Rows that are looked at before the oldest of them is waited for."""
        return max(BATCHES_AT_ONCE * ROWS_A_BATCH, ROWS_A_BATCH + self.workshop.size)

    async def check(self, row: Row) -> list[Verdict]:
        """One verdict for each of the row's images, in the operation's order."""
        return [
            await self._check(row, role, reference)
            for role, reference in zip(self.roles, row.images, strict=True)
        ]

    async def _check(self, row: Row, role: str, reference: ImageReference | None) -> Verdict:
        begun: Verdict = {"row_key": row.key, "row_number": row.number, "role": role}
        if reference is None:
            return begun | verdict_of(_NO_IMAGE)
        begun["reference"] = self._shown(reference)
        found = await self.workshop.make(reference, self.task)
        if isinstance(found, Rejected | Unreachable):
            return begun | verdict_of(found)
        verdict = begun | found.verdict
        if self.saved is not None and found.data is not None:
            verdict["saved_as"] = await self.workshop.work(
                self.saved.save, row.key, role, verdict["sent_format"], found.data
            )
        return verdict

    def _shown(self, reference: ImageReference) -> str:
        """A reference as it may be shown: no bytes, no user and no query of an address."""
        if reference.url is not None:
            return shown_address(reference.url)
        if reference.data is not None:
            return f"inline, {len(reference.data):,} bytes"
        text = reference.path or ""
        if is_inline(reference, self.settings):
            return f"inline, {len(text):,} characters of base64"
        text = shown(text, self.settings.texts)
        return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
