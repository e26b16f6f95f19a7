"""The values that go into the ledger and come out of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from batchsearch.quick_record import quick_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def digest_of(row_key: str) -> bytes:
    """Sixteen bytes that stand for a row key in the ledger."""
    return hashlib.blake2b(row_key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def digests_of_texts(row_keys: Iterable[bytes]) -> list[bytes]:
    """`digest_of` many row keys, given as UTF-8."""
    # Copying a hash that is set up is a quarter faster than setting one up.
    begin = hashlib.blake2b(digest_size=16).copy
    found: list[bytes] = []
    add = found.append
    for key in row_keys:
        digest = begin()
        digest.update(key)
        add(digest.digest())
    return found


@quick_record
class FinishedRow:
    """A row with its outcome, as it becomes durable.

    Attributes:
        digest: `digest_of` its row key.
        code: Error code, None for success.
        origin: `local`, `api` or `transport`; None for success.
        result: The row of `results` as one JSON object, UTF-8.
        hits: The rows of `hits`, one JSON object a line, UTF-8; empty for none.
        carried: The manifest's own columns: an Arrow IPC record batch of one row.
        has_history: Attempts or pages of this row are in the ledger and leave with this record.
        answer: The request that this row's call has answered for good, when equal ones need no call.
        finished_at: When, seconds since 1970.
        request: First 16 bytes of its request key; None when no request could be made.
        source: What the manifest and the image's file said of the row; None when unknown.
        replaces: It had an outcome before, which this one replaces.
    """

    digest: bytes
    code: str | None
    origin: str | None
    result: bytes
    hits: bytes
    carried: bytes
    has_history: bool
    answer: AnswerKey | None = None
    finished_at: float = 0.0
    request: bytes | None = None
    source: bytes | None = None
    replaces: bool = False


class RowState(NamedTuple):
    """What the ledger knows of a row that has its outcome.

    Attributes:
        code: Error code, None for success.
        origin: `local`, `api` or `transport`; None for success.
        finished_at: Seconds since 1970.
        outcomes: How many it has had.
        request: First 16 bytes of its request key, if it had one.
        source: What the manifest and the image's file said of it; None when unknown.
        renewal: Why it is to get another outcome; None when it is not.
    """

    code: str | None
    origin: str | None
    finished_at: float
    outcomes: int
    request: bytes | None
    source: bytes | None
    renewal: str | None


@quick_record
class AnswerKey:
    """An answered request: the SHA-256 that names it, and when it was answered, seconds since 1970."""

    request_key: bytes
    answered_at: float


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """Where the answer to a request is.

    Attributes:
        answered_at: Seconds since 1970.
        result: The outcome that holds it, while that is not sealed.
        hits: Its hits, likewise.
        parts: Sealed parts one of which holds it, by folder (under the output folder, empty for that one
            itself) and name.
    """

    answered_at: float
    result: bytes | None
    hits: bytes | None
    parts: tuple[tuple[str, str], ...]


class UsageKey(NamedTuple):
    """What a counter counts for: a UTC day (`2026-11-21`), an instance, an operation, a counter's name."""

    day: str
    instance: str
    operation: str
    counter: str


@quick_record
class PendingRow:
    """An outcome waiting for its part."""

    seq: int
    result: bytes
    hits: bytes
    carried: bytes


@quick_record
class Waiting:
    """How much waits for a part: outcomes, and the bytes of their results, hits and carried columns."""

    rows: int
    payload: int


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger knows of a row that has no outcome yet.

    Attributes:
        attempts: Attempts in order, each a JSON object as recorded.
        pages: Answered pages by number, each as recorded.
    """

    attempts: tuple[str, ...]
    pages: Mapping[int, bytes]
