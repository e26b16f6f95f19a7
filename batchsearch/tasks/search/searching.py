"""Makes one search as a run would: the same fetching, the same rules for images, the same pacer."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.job.instance_worker import instance_named
from batchsearch.engine.job.request_facts import facts_of, rules_of
from batchsearch.engine.retry.asking import asked, rules_for_one
from batchsearch.engine.rows.outcome_columns import page_answer
from batchsearch.engine.rows.pending_row import Failure
from batchsearch.engine.rows.preparer import Preparer
from batchsearch.engine.run.instance_access import Services, client_of, pacer_for, uploader_of
from batchsearch.engine.run.places import image_root
from batchsearch.engine.run.remote_output import localised
from batchsearch.errors import ConfigError
from batchsearch.images.fetching.addresses import shown_address
from batchsearch.images.fetching.fetch import MAX_FILE_BYTES
from batchsearch.images.workshop import open_workshop
from batchsearch.manifest.rows import ImageReference, Row, reference
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.http_exchange import new_session
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.upload import Uploaded
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.tasks.search.query import Found

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.engine.rows.pending_row import JobFacts, PendingRow
    from batchsearch.pacing.pacer import Pacer
    from batchsearch.pacing.shared import SharedPacer
    from batchsearch.pacing.unpaced import Unpaced
    from batchsearch.service.client import Answer, Client
    from batchsearch.service.upload import Uploader
    from batchsearch.tasks.search.query import Query

STDIN: Final = "-"
_KEY: Final = "query"
_NOTHING: Final = pa.RecordBatch.from_pylist([{}])


async def search(settings: JobSettings, query: Query) -> Found:
    """Make one search.

    Args:
        settings: The job whose instance is searched, by whose rules images are read. Its manifest is not.
        query: What is asked for.

    Raises:
        ConfigError: There is no such file, no such instance, or no credentials; the job cannot be called.
        MachineError: This machine lacked for long what is needed to read any image.
    """
    settings = localised(settings)
    instance = instance_named(settings, query.instance)
    operation = OPERATIONS[query.operation]
    own = {name: value for name, value in settings.parameters.items() if name in operation.keys}
    results, page = query.wanted(own)
    kept = {name: value for name, value in own.items() if name not in {"num", "start"}}
    image, shown = _image(settings, query)
    asking = settings.model_copy(
        update={"operation": operation.name, "parameters": kept, "results_per_row": results}
    )
    named: dict[str, Any] = dict(zip(("product_id", "pic_name"), query.name or (), strict=False))
    if query.text is not None:
        named["text"] = query.text
    row = Row(_KEY, 0, 0, () if image is None else (image,), {**page, **query.parameters, **named})
    async with AsyncExitStack() as stack:
        found = Found(query, instance.name, shown)
        return await _Search(asking, instance, stack).answer(row, found)


class _Search:
    """One search over what it needs, which the stack takes down."""

    def __init__(self, settings: JobSettings, instance: InstanceSettings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._instance = instance
        self._stack = stack

    async def answer(self, row: Row, found: Found) -> Found:
        """Prepare the image, and ask page by page until all is there."""
        settings, instance, stack = self._settings, self._instance, self._stack
        operation = OPERATIONS[settings.operation]
        facts = facts_of(settings, operation, "", instance)
        root = image_root(settings)
        patience = settings.calls.max_outage_seconds
        preparer = Preparer(
            facts,
            rules_of(settings, operation, instance),
            await stack.enter_async_context(open_workshop(root, settings.images, patience=patience)),
            by_address=settings.calls.upload == "url" and bool(facts.prefixes),
        )
        pending = facts.work_for(row, _NOTHING, digest_of(row.key), None)
        # Before anybody is called: an image that is refused here costs nothing.
        failure = await preparer.prepare(pending)
        found = replace(
            found,
            source=pending.sources[0] if pending.sources else None,
            sent=pending.images[0].sent if pending.images else None,
            transforms=pending.images[0].transforms if pending.images else (),
            failure=failure,
        )
        return found if failure is not None else await self._asked(found, pending, facts, preparer)

    async def _asked(self, found: Found, pending: PendingRow, facts: JobFacts, preparer: Preparer) -> Found:
        settings, instance, stack = self._settings, self._instance, self._stack
        endpoint, credentials = await Services(settings, stack).of(instance)
        session = await stack.enter_async_context(new_session(connections=1))
        client = client_of(settings, session, endpoint, credentials)
        budget = OPERATIONS[settings.operation].budget
        pacer = pacer_for(instance, budget, endpoint.authority, embedded=instance.endpoint == EMULATOR)
        stack.push_async_callback(pacer.close)
        if pending.call is None:
            uploader = uploader_of(settings, instance, endpoint, session, credentials, client)
            failure = await _put(uploader, pending) if uploader is not None else None
            failure = failure or await preparer.build(pending)
            if failure is not None:
                return replace(found, failure=failure)
        return await self._pages(found, pending, facts, preparer, client, pacer)

    async def _pages(  # noqa: PLR0917 - one search and all that answers it
        self,
        found: Found,
        pending: PendingRow,
        facts: JobFacts,
        preparer: Preparer,
        client: Client,
        pacer: Pacer | SharedPacer | Unpaced,
    ) -> Found:
        hits: list[dict[str, Any]] = []
        while True:
            if pending.call is None:
                raise AssertionError("a page that is asked for has its call built")
            settings = self._settings
            rules = rules_for_one(settings)
            answer, calls = await asked(client, pending.call, pacer, rules)
            found = replace(
                found,
                calls=found.calls + calls,
                seconds=found.seconds + answer.latency,
                request_id=answer.request_id or found.request_id,
            )
            if answer.code is not None:
                return replace(found, failure=_failure(answer))
            page = page_answer(pending, answer)
            hits += [dict(hit) for hit in page.hits]
            if not found.fields:
                found = replace(found, fields=page.fields)
            if facts.is_last(pending.page, len(page.hits)):
                ranked = [{"rank": rank} | _plain(hit) for rank, hit in enumerate(hits, self._first(pending))]
                return replace(found, hits=ranked)
            pending.begin_page(pending.page + 1)
            failure = await preparer.build(pending)
            if failure is not None:
                return replace(found, failure=failure)

    @staticmethod
    def _first(pending: PendingRow) -> int:
        """The rank of the first hit, counted from the instance's best one."""
        start = pending.values.get("start")
        return 1 + (start if isinstance(start, int) else 0)


def _plain(hit: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hit.items() if name not in {"page", "request_id"}}


async def _put(uploader: Uploader, pending: PendingRow) -> Failure | None:
    """Upload the image, where images travel by address."""
    for image in pending.images:
        put = await uploader.upload(image.data)
        if not isinstance(put, Uploaded):
            return _failure(put)
        pending.addresses += (put.url,)
    return None


def _failure(answer: Answer) -> Failure:
    entry = code_for(answer.code or "", answer.http_status)
    return Failure(entry.name, answer.origin or "api", entry.owner, answer.message or entry.meaning)


def _image(settings: JobSettings, query: Query) -> tuple[ImageReference | None, str]:
    """Where the image is, and what it is called for people.

    A file is the caller's own and read as it is named; what is at an address is fetched by the job's rules.
    """
    if query.name is not None:
        return None, "/".join(query.name)
    if query.image is None:
        return None, query.text or str(
            query.parameters.get("filter") or settings.parameters.get("filter") or ""
        )
    text = query.image or ""
    if text == STDIN:
        return ImageReference(data=sys.stdin.buffer.read(MAX_FILE_BYTES + 1)), "stdin"
    found = reference(text)
    if found is not None and found.url is not None:
        return found, shown_address(found.url)
    # As it is typed first; a path out of the manifest starts where the job's images do.
    for path in (Path(text).expanduser(), image_root(settings) / text):
        if path.is_file():
            return ImageReference(data=_read(path)), text
    what = "is a folder; name one image in it" if Path(text).is_dir() else "there is no such image"
    raise ConfigError(f"{text}: {what}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
