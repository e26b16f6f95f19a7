"""A row on its way, and what holds for every row of a job."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from batchsearch.engine.rows.page_plan import Page, pages_of
from batchsearch.quick_record import quick_record
from batchsearch.service.facts import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from batchsearch.engine.renewal.renewal_rules import Renewal, Source
    from batchsearch.engine.rows.answer_cache import CachedAnswer
    from batchsearch.images.outcome import ImageFacts, Prepared
    from batchsearch.manifest.rows import Row
    from batchsearch.service.client import Answer
    from batchsearch.service.form import Call
    from batchsearch.storage.ledger.entries import History


@dataclass(frozen=True, slots=True)
class Failure:
    """What a row ended as when it did not end well.

    Attributes:
        code: The vendor's code, or `Local.…` or `Transport.…`.
        origin: `local`, `api` or `transport`.
        owner: Who can mend it.
        message: What was wrong.
    """

    code: str
    origin: str
    owner: str
    message: str


@quick_record
class Attempt:
    """One HTTP request and how it was answered.

    Attributes:
        page: Page of results that it asked for.
        sent_at: Wall clock when it left.
        latency: Seconds to its answer.
        http_status: Status of the answer, None when there was none.
        code: Error code, None for success.
        request_id: The service's id of the answer.
        denied: Flow control refused it.
        request: Names what was asked; None when an older batchsearch noted the attempt.
        run: The run that made it; None likewise.
    """

    page: int
    sent_at: datetime
    latency: float
    http_status: int | None
    code: str | None
    request_id: str | None
    denied: bool
    request: str | None = None
    run: str | None = None

    @classmethod
    def of(cls, page: int, answer: Answer, *, denied: bool, request: str | None, run: str) -> Self:
        """The attempt that brought this answer."""
        return cls(
            page,
            answer.sent_at,
            answer.latency,
            answer.http_status,
            answer.code,
            answer.request_id,
            denied,
            request,
            run,
        )

    def as_json(self) -> str:
        """For the ledger."""
        return json.dumps(
            [
                self.page,
                self.sent_at.isoformat(),
                self.latency,
                self.http_status,
                self.code,
                self.request_id,
                self.denied,
                self.request,
                self.run,
            ]
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From the ledger."""
        page, sent_at, *rest = json.loads(text)
        return cls(page, datetime.fromisoformat(sent_at), *rest)


@quick_record
class PageAnswer:
    """What one page adds to its row.

    Attributes:
        fields: Columns of `results`, by name; the first page's count.
        hits: Rows of `hits` but for row key and rank, in order.
        field_problems: Fields of the answer that were missing or of an unexpected type.
    """

    fields: Mapping[str, Any]
    hits: tuple[Mapping[str, Any], ...]
    field_problems: int

    def as_json(self) -> bytes:
        """For the ledger."""
        text = json.dumps([self.fields, self.hits, self.field_problems], ensure_ascii=False)
        return text.encode("utf-8", "replace")

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """From the ledger."""
        fields, hits, problems = json.loads(text)
        return cls(fields, tuple(hits), problems)


@dataclass(slots=True, eq=False)
class PendingRow:
    """One admitted row, from the manifest to its outcome.

    Attributes:
        row: The manifest row.
        carried: The batch that holds the row's own columns, at `row.index`.
        digest: Its name in the ledger.
        attempts: All attempts so far, those of earlier runs included.
        answers: Answered pages by number.
        page: Page that is being asked for.
        has_history: The ledger holds attempts or pages of it.
        values: Checked parameters, before they are mapped to what is sent.
        sources: What the images were found to be, in the operation's order.
        images: The images ready to send.
        addresses: Where they were uploaded to, when they travel by address. Never shown.
        call: The request for `page`, when it is built.
        request_key: Names the request; equal keys would be equal requests.
        written_key: Names it as it is written, defaults and all, as batchsearch 0.1.0 did; None if equal.
        prepare_seconds: Time spent on fetching, checking and encoding.
        first_sent: When this run first sent it, steady clock.
        attempts_here: Attempts of this run for this page that flow control did not refuse.
        denied_here: Attempts of this run for this page that it did.
        repeats_here: Attempts of this run for this page, whether they count against the row or not.
        place: Its place among the rows admitted by this run, from 1: the older row goes first.
        resigned: It was repeated with a new signature or new credentials.
        refusal: What the latest refusal of this page said of itself.
        cached: The answer to an equal request: no call is needed.
        renewal: The outcome that it has already, when it is to get another one.
        source: What the manifest and its images' files said of it when it was read.
        forgotten: What the ledger holds of its attempts and pages is of another request.
    """

    row: Row
    carried: pa.RecordBatch
    digest: bytes
    attempts: list[Attempt] = field(default_factory=list)
    answers: dict[int, PageAnswer] = field(default_factory=dict)
    page: int = 0
    has_history: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[ImageFacts | None, ...] = ()
    images: tuple[Prepared, ...] = ()
    addresses: tuple[str, ...] = field(default=(), repr=False)
    call: Call | None = None
    request_key: str | None = None
    written_key: str | None = None
    prepare_seconds: float = 0.0
    first_sent: float | None = None
    attempts_here: int = 0
    denied_here: int = 0
    repeats_here: int = 0
    place: int = 0
    resigned: bool = False
    refusal: PageAnswer | None = None
    cached: CachedAnswer | None = None
    renewal: Renewal | None = None
    source: Source | None = None
    forgotten: bool = False

    @property
    def request_keys(self) -> tuple[str, ...]:
        """Every name under which a ledger may know the request."""
        return tuple(key for key in (self.request_key, self.written_key) if key is not None)

    def forget_other_requests(self) -> None:
        """Begin anew where what was tried and answered before was another request: the row has changed."""
        if any(attempt.request not in {None, *self.request_keys} for attempt in self.attempts):
            self.attempts, self.answers, self.page = [], {}, 0
            self.forgotten = True

    def let_go_of_images(self) -> None:
        """Drop the images' bytes; what they were is kept."""
        self.images = tuple(replace(image, data=b"") for image in self.images)

    def let_go(self) -> None:
        """Drop the bytes of images and request."""
        self.call = None
        self.let_go_of_images()

    def begin_page(self, page: int) -> None:
        """Turn to another page; it has its own attempts."""
        self.page = page
        self.call = None
        self.has_history = True
        self.attempts_here = self.denied_here = self.repeats_here = 0
        self.resigned = False
        self.refusal = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What holds for every row of a job.

    Attributes:
        run_id: This run.
        operation: Operation called.
        instance: Instance name.
        service_type: Kind of instance.
        parameters: Parameters for every row; a row's own win over them.
        pages: Pages of results that each row asks for, at most.
        prefixes: What the columns of each image begin with, in the operation's order.
        has_hits: The operation answers with hits.
        symmetric: The order of a row's images does not matter to its answer.
        reusable: An answer serves equal requests of later runs: the operation only asks.
        longest_id: Most characters of a product id or an image name.
        several_keys: Rows are named by more than one column.
        spends: Its calls take slots of an instance; else something stands in for one.
    """

    run_id: str
    operation: str
    instance: str
    service_type: str
    parameters: Mapping[str, Any]
    pages: tuple[Page, ...]
    prefixes: tuple[str, ...]
    has_hits: bool
    symmetric: bool = False
    reusable: bool = True
    longest_id: int = MAX_ID
    several_keys: bool = False
    spends: bool = True

    @classmethod
    def of(
        cls,
        *,
        run_id: str,
        operation: str,
        instance: str,
        service_type: str,
        parameters: Mapping[str, Any],
        results_per_row: int | None,
        roles: tuple[str, ...],
        has_hits: bool,
        symmetric: bool = False,
        reusable: bool = True,
        longest_id: int = MAX_ID,
        several_keys: bool = False,
    ) -> Self:
        """The facts of a job whose operation takes images in these roles."""
        prefixes = tuple(role.removesuffix("image") for role in roles)
        pages = pages_of(results_per_row)
        return cls(
            run_id,
            operation,
            instance,
            service_type,
            parameters,
            pages,
            prefixes,
            has_hits,
            symmetric,
            reusable,
            longest_id,
            several_keys,
        )

    def is_last(self, page: int, hits: int) -> bool:
        """Whether nothing can come after a page that brought so many hits."""
        asked = self.pages[page]
        return asked.last or asked.num is None or hits < asked.num

    def work_for(
        self, row: Row, carried: pa.RecordBatch, digest: bytes, history: History | None
    ) -> PendingRow:
        """A row to be worked on, taken up where earlier runs left it."""
        pending = PendingRow(row, carried, digest)
        if history is not None:
            pending.has_history = True
            pending.attempts = [Attempt.from_json(text) for text in history.attempts]
            pending.answers = {page: PageAnswer.from_json(text) for page, text in history.pages.items()}
            pending.page = len(pending.answers)
        return pending
