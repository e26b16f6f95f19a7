"""From a manifest row to a request that may be sent, or to the reason why none is.

Fetching over the network happens on the event loop; everything that takes the processor (reading a file,
checking, encoding, building the form body) happens in one hop to a worker thread.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.model import INSTANCE, PRIORITY
from batchsearch.engine.rows.outcome_columns import request_key
from batchsearch.engine.rows.pending_row import Failure
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.prepare import Preparing
from batchsearch.service.form import build_call
from batchsearch.service.parameters import ParameterProblem, check_parameters, without_defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.engine.renewal.row_source import SourceReader
    from batchsearch.engine.rows.answer_cache import CachedAnswer
    from batchsearch.engine.rows.held_items import HeldItems
    from batchsearch.engine.rows.pending_row import JobFacts, PendingRow
    from batchsearch.images.outcome import ImageFacts, Prepared
    from batchsearch.images.rules import Rules
    from batchsearch.images.workshop import Workshop
    from batchsearch.service.form import Call

_NO_IMAGE: Final = "the manifest's cell is empty: there is no image to send"


class Preparer:
    """Makes rows ready to be sent.

    Args:
        facts: What holds for every row.
        rules: What the service asks of an image.
        workshop: Reads images and makes them fit; does the processor's work.
        sources: Notes what a row comes from, before its images are read; None notes nothing.
        cached: Finds the answer to an equal request; None looks for none.
        may_be_answered: Whether there may be one, found in no time; None takes that for granted.
        by_address: Images are uploaded before the request is built: `prepare` stops short of it.
        build: Builds a request from its values and images.
        held: Knows what the instance holds already; None asks nobody.
    """

    def __init__(
        self,
        facts: JobFacts,
        rules: Rules,
        workshop: Workshop,
        *,
        sources: SourceReader | None = None,
        cached: Callable[..., CachedAnswer | None] | None = None,
        may_be_answered: Callable[[str], bool] | None = None,
        by_address: bool = False,
        build: Callable[..., Call | ParameterProblem] = build_call,
        held: HeldItems | None = None,
    ) -> None:
        self._facts = facts
        self._task = Preparing(rules)
        self._workshop = workshop
        self._sources = sources
        self._cached = cached
        self._may_be_answered = may_be_answered
        self._by_address = by_address
        self._build_call = build
        self._held = held

    async def prepare(self, pending: PendingRow) -> Failure | None:
        """Check parameters, get the images, make them fit, and build the first request.

        Returns:
            None when `work.call` is ready to be sent (or, by address, when the images are ready to be
            uploaded), or when `pending.cached` makes a call needless; else what the row ended as.

        Raises:
            MachineError: This machine lacked for long what is needed to read any image.
        """
        started = time.monotonic()
        try:
            failure = check_row(self._facts, pending)
            if failure is not None:
                return failure
            if self._held is not None and self._held.take(pending):
                return None
            if not pending.row.images:
                return await self._make_without_images(pending)
            references = [reference for reference in pending.row.images if reference is not None]
            if len(references) < len(pending.row.images):
                return _rejection(Rejected("Local.NoImage", _NO_IMAGE))
            return await self._workshop.make_all(
                references,
                self._task,
                partial(self._prepared, pending),
                # Before the images are read: what changes meanwhile is noticed another time.
                before=partial(self.note_source, pending),
            )
        finally:
            self.note_source(pending)
            pending.prepare_seconds += time.monotonic() - started

    def note_source(self, pending: PendingRow) -> None:
        """Note what a row comes from, by which a change is told."""
        if self._sources is not None and pending.source is None:
            pending.source = self._sources.of(pending.row)

    async def build(self, pending: PendingRow) -> Failure | None:
        """Build the request for `work.page` of a row that is prepared already.

        Returns:
            None when `work.call` is ready to be sent, else what the row ended as.
        """
        if not pending.row.images:
            return self._build(pending)
        return await self._workshop.work(self._build, pending)

    async def _make_without_images(self, pending: PendingRow) -> Failure | None:
        """A request that shows no image: made here, for a hop to a thread would cost more than it does."""
        failure = self._name(pending)
        if failure is not None:
            return failure
        if not pending.answers and self._is_to_be_looked_for(pending):
            await self._workshop.work(self.look_again, pending)
        return None if self._by_address or pending.cached else self._build(pending)

    def _is_to_be_looked_for(self, pending: PendingRow) -> bool:
        """Whether an equal request may be answered already."""
        if self._cached is None:
            return False
        may = self._may_be_answered
        return may is None or any(may(key) for key in pending.request_keys)

    def _prepared(
        self, pending: PendingRow, found: list[Prepared | Rejected | Unreachable]
    ) -> Failure | None:
        """What its images have become, as the row's own."""
        sources: list[ImageFacts | None] = []
        images: list[Prepared] = []
        for made in found:
            if isinstance(made, Unreachable):
                return Failure(made.code, "transport", "network", made.message)
            sources.append(made.source)
            if isinstance(made, Rejected):
                pending.sources = tuple(sources)
                return _rejection(made)
            images.append(made)
        pending.sources, pending.images = tuple(sources), tuple(images)
        failure = self._name(pending)
        if failure is not None:
            return failure
        if not pending.answers:
            self.look_again(pending)
        return None if self._by_address or pending.cached else self._build(pending)

    def _name(self, pending: PendingRow) -> Failure | None:
        """Give the request its key."""
        values = self._page_values(pending, 0)
        if isinstance(values, Failure):
            return values
        said = without_defaults(self._facts.operation, values, service_type=self._facts.service_type)
        pending.request_key = request_key(self._facts, said, pending.images)
        pending.written_key = None
        if said != values:
            pending.written_key = request_key(self._facts, values, pending.images)
        pending.forget_other_requests()
        return None

    def look_again(self, pending: PendingRow) -> None:
        """Look for an answer to an equal request that has come since; for a worker thread."""
        if self._cached is None:
            return
        asks_again = pending.renewal is not None and pending.renewal.asks_again
        for key in pending.request_keys:
            pending.cached = self._cached(key, of_this_round=asks_again)
            if pending.cached is not None:
                return

    def _page_values(self, pending: PendingRow, number: int) -> dict[str, Any] | Failure:
        """The parameters of one page, regions mapped to what is sent."""
        values = dict(pending.values)
        page = self._facts.pages[number]
        if page.num is not None:
            values["start"], values["num"] = page.start, page.num
        if "region" in values and pending.images:
            try:
                values["region"] = pending.images[0].geometry.to_sent(values["region"])
            except ValueError as error:
                return Failure("Local.InvalidRegion", "local", "row", f"region: {error}")
        return values

    def _build(self, pending: PendingRow) -> Failure | None:
        values = self._page_values(pending, pending.page)
        if isinstance(values, Failure):
            return values
        contents = pending.addresses or [image.data for image in pending.images]
        call = self._build_call(self._facts.operation, self._facts.instance, values, contents)
        if isinstance(call, ParameterProblem):
            return _bad_parameter(call)
        pending.call = call
        if self._facts.pages[pending.page].last:
            pending.let_go_of_images()
        return None


def check_row(facts: JobFacts, pending: PendingRow) -> Failure | None:
    """Read and check a row's parameters: nothing is fetched for a row that cannot be sent."""
    named = pending.row.parameters.get(INSTANCE)
    if named is not None and str(named) not in {"", facts.instance}:
        message = f"the job file has no instance {str(named)[:40]!r}"
        return Failure("Local.UnknownInstance", "local", "row", message)
    own = {name: value for name, value in pending.row.parameters.items() if name not in {PRIORITY, INSTANCE}}
    values, problems = check_parameters(
        facts.operation,
        {**facts.parameters, **own},
        service_type=facts.service_type,
        longest_id=facts.longest_id,
    )
    if problems:
        return _bad_parameter(problems[0])
    pending.values = values
    return None


def _rejection(rejected: Rejected) -> Failure:
    return Failure(rejected.code, "local", "image", rejected.message)


def _bad_parameter(problem: ParameterProblem) -> Failure:
    return Failure(problem.code, "local", "row", str(problem))
