"""Fetch and prepare alone over a manifest: what would become of each image, without any call.

Nothing is spent and nothing of a run is touched: no credentials, no ledger, no instance. The same fetcher,
rules and decoders as in a run give the same verdicts.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.engine.run.manifest_check import checked
from batchsearch.engine.run.opening import open_manifest
from batchsearch.engine.run.places import image_root, require_root
from batchsearch.engine.run.remote_output import localised
from batchsearch.engine.run.to_end import progress_beside_logs, to_end
from batchsearch.errors import ConfigError, StoppedError
from batchsearch.images.fetching.addresses import shown_address
from batchsearch.images.image_identity import is_inline
from batchsearch.images.outcome import Prepared, Rejected, Unreachable
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop
from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.service.codes.table import CODES
from batchsearch.service.operations import OPERATIONS
from batchsearch.steps import step
from batchsearch.storage.parts.verdict_table import SavedImages, VerdictFile
from batchsearch.tasks.check.check_page import (
    PASS,
    REJECTED,
    REPAIRED,
    UNREACHABLE,
    CheckPage,
    CheckTally,
)
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.engine.run.signals import StopSignals
    from batchsearch.images.outcome import ImageFacts
    from batchsearch.images.rules import Rules
    from batchsearch.images.workshop import Workshop
    from batchsearch.manifest.rows import ImageReference, Row
    from batchsearch.manifest.source import Manifest
    from batchsearch.telemetry.terminal_options import TerminalOptions

ROWS_A_BATCH: Final = 256
BATCHES_AT_ONCE: Final = 2
"""Rows read ahead of the verdict that is written next; few where the images are in the manifest."""
CHECK_FOLDER: Final = "check"

_LONGEST_SHOWN: Final = 300
_NO_IMAGE: Final = Rejected("Local.NoImage", "the manifest's cell is empty: there is no image to send")

Verdict = dict[str, Any]
"""One row of `storage.parts.verdict_table`, by column name."""


class CheckStoppedError(StoppedError):
    """The check was stopped; its verdicts were not written, those of an earlier one are as they were."""

    def __init__(self) -> None:
        super().__init__("stopped: no verdicts were written; run the same command again")


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
        file = stack.enter_context(VerdictFile(folder))
        workshop = await stack.enter_async_context(
            open_workshop(image_root(settings), settings.images, jitter=jitter)
        )
        await _check_all(manifest, _Checker(roles, rules, settings.images, workshop, saved), file, tally)
    page = CheckPage(
        operation=settings.operation,
        service_type=rules.service_type,
        allowed=settings.failures_allowed(tally.total),
        tally=tally,
        seconds=time.monotonic() - started,
        verdicts=str(file.path),
        saved=None if save is None else str(save),
        advice={code: advice_on(code) for code in tally.codes},
        left_out=manifest.left_out.as_dict(),
        meanings={code: meaning_of(code) for code in tally.codes},
    )
    logger().info("check_finished", rows=tally.rows, unusable=tally.unusable, exit_code=int(page.exit_code))
    return page


async def _check_all(manifest: Manifest, checker: _Checker, file: VerdictFile, tally: CheckTally) -> None:
    """Every row's verdicts into the file, in manifest order, with little more than a batch in memory."""
    batches = manifest.batches(ROWS_A_BATCH)
    running: deque[asyncio.Future[list[list[Verdict]]]] = deque()
    checking = step("checking images", tally.total)

    async def finish_oldest() -> None:
        for verdicts in await running[0]:
            tally.add_row(verdicts)
            file.add(verdicts)
            checking.advance()
        running.popleft()

    try:
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            running.append(asyncio.gather(*map(checker.check, batch.rows)))
            if len(running) >= BATCHES_AT_ONCE:
                await finish_oldest()
        while running:
            await finish_oldest()
    except BaseException:
        for rest in running:
            rest.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


@dataclass(frozen=True, slots=True)
class _Checker:
    """Gives the verdicts of one row after the other, several at a time.

    Attributes:
        roles: What the row's images are, in the operation's order.
        rules: What the service takes.
        settings: How references are read.
        workshop: Reads and repairs images.
        saved: Keeps what would be sent; None keeps nothing.
    """

    roles: tuple[str, ...]
    rules: Rules
    settings: ImageSettings
    workshop: Workshop
    saved: SavedImages | None

    async def check(self, row: Row) -> list[Verdict]:
        """One verdict for each of the row's images, in the operation's order."""
        return [
            await self._check(row, role, reference)
            for role, reference in zip(self.roles, row.images, strict=True)
        ]

    async def _check(self, row: Row, role: str, reference: ImageReference | None) -> Verdict:
        begun: Verdict = {"row_key": row.key, "row_number": row.number, "role": role}
        if reference is None:
            return begun | _verdict(_NO_IMAGE)
        begun["reference"] = self._shown(reference)
        found = await self.workshop.make(reference, partial(self._judge, row.key, role))
        return begun | (_verdict(found) if isinstance(found, Rejected | Unreachable) else found)

    def _judge(self, key: str, role: str, data: bytes) -> Verdict:
        """In a thread: prepare, save."""
        made = self.workshop.prepare(data, self.rules)
        verdict = _verdict(made)
        if self.saved is not None and isinstance(made, Prepared):
            verdict["saved_as"] = self.saved.save(key, role, made.sent.format, made.data)
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
        return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _verdict(made: Prepared | Rejected | Unreachable) -> Verdict:
    if isinstance(made, Unreachable):
        return {"verdict": UNREACHABLE, "code": made.code, "message": made.message}
    if isinstance(made, Rejected):
        known = CODES.get(made.code)
        return {
            "verdict": REJECTED,
            "code": made.code,
            "prevents": None if known is None else known.prevents,
            "message": made.message,
            **_facts("source", made.source),
        }
    return {
        "verdict": REPAIRED if made.transforms else PASS,
        **_facts("source", made.source),
        **_facts("sent", made.sent),
        "transforms": list(made.transforms),
    }


def _facts(prefix: str, facts: ImageFacts | None) -> Verdict:
    if facts is None:
        return {}
    return {
        f"{prefix}_format": facts.format,
        f"{prefix}_width": facts.width,
        f"{prefix}_height": facts.height,
        f"{prefix}_bytes": facts.bytes,
        f"{prefix}_sha256": facts.sha256,
    }
