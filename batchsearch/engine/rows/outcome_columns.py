"""From what happened to a row to what the output says of it (pure)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from batchsearch.engine.rows.pending_row import PageAnswer
from batchsearch.service.compact_json import encoded
from batchsearch.service.facts import MAX_NUM
from batchsearch.service.responses import (
    BatchOutcome,
    CompareResponse,
    ExistsResponse,
    Hit,
    MutationResponse,
    SearchResponse,
)
from batchsearch.storage.ledger.entries import AnswerKey, FinishedRow
from batchsearch.storage.parts.fitting import PROBLEMS, counted, hits_fitting, results_fitting
from batchsearch.storage.parts.results_and_hits import OF_THE_ROW
from batchsearch.storage.parts.row_columns import key_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from batchsearch.engine.rows.pending_row import Failure, JobFacts, PendingRow
    from batchsearch.images.outcome import ImageFacts, Prepared
    from batchsearch.images.regions import Geometry
    from batchsearch.service.client import Answer
    from batchsearch.service.responses import PicInfo


def request_key(facts: JobFacts, values: Mapping[str, Any], images: Sequence[Prepared]) -> str:
    """SHA-256 that names a request: two rows with the same key ask the service the same question.

    Args:
        facts: Operation, instance, and how many pages are asked for.
        values: Parameters of the first page, regions as they are sent, without what the service assumes.
        images: What is sent.
    """
    sent = [image.sent.sha256 for image in images]
    asked = {
        "operation": facts.operation,
        "instance": facts.instance,
        "pages": len(facts.pages),
        "values": dict(values),
        "pictures": sorted(sent) if facts.symmetric else sent,
    }
    last = facts.pages[-1].num
    if len(facts.pages) > 1 and last != MAX_NUM:
        # 150 hits and 200 are two pages each, and not the same question.
        asked["last"] = last
    return hashlib.sha256(_sorted(asked).encode()).hexdigest()


# `json.dumps` with an option would make an encoder for every request.
_sorted = json.JSONEncoder(sort_keys=True).encode


def request_name(request_key: str | None) -> bytes | None:
    """What the ledger keeps of a row's request key: enough to tell whether it is the same."""
    return None if request_key is None else bytes.fromhex(request_key)[:16]


def page_answer(pending: PendingRow, answer: Answer) -> PageAnswer:
    """What an answered page adds to its row, regions mapped back to the source's pixels."""
    response = answer.response
    found: dict[str, Any] = {}
    hits: list[dict[str, Any]] = []
    if response is not None:
        found = {
            "response_code": response.code,
            "response_message": response.message,
            "response_success": response.success,
        }
    if isinstance(response, SearchResponse):
        if response.head is not None:
            found["docs_found"] = response.head.docs_found
            found["docs_return"] = response.head.docs_return
            found["search_time_ms"] = response.head.search_time
        found |= _subject_fields(response.pic_info, pending.images[0].geometry if pending.images else None)
        names, of_hit = _hit_names(), _hit_values()
        own = {"page": pending.page, "request_id": answer.request_id}
        for hit in response.hits:
            said = zip(names, of_hit(hit), strict=True)
            hits.append({name: value for name, value in said if value is not None} | own)
    elif isinstance(response, CompareResponse):
        found["score"] = response.score
        if response.access_denied_detail is not None:
            found["access_denied_detail"] = asdict(response.access_denied_detail)
    elif isinstance(response, BatchOutcome):
        found |= {"task_id": response.task_id, "loaded_name": response.loaded_name}
    elif isinstance(response, ExistsResponse):
        found |= {"exists": response.exists, **_held_fields(response.item)}
    elif isinstance(response, MutationResponse):
        found |= _mutation_fields(response, pending.images[0].geometry if pending.images else None)
    return PageAnswer(found, tuple(hits), answer.field_problems)


_NAMES_AND_SCORES: Final = frozenset({"product_id", "pic_name", "score", "sort_expr_values"})


@cache
def _hit_names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Hit))


@cache
def _hit_values() -> Callable[[Hit], tuple[Any, ...]]:
    """All of them, in order: a page has a hundred hits."""
    return attrgetter(*_hit_names())


def _subject_fields(info: PicInfo | None, geometry: Geometry | None) -> dict[str, Any]:
    if info is None:
        return {}
    return {
        "pic_category_id": info.category_id,
        "pic_region": _to_source(info.region, geometry),
        "pic_region_sent": info.region,
        "multi_region": [_to_source(region, geometry) for region in info.multi_region],
        "multi_region_sent": list(info.multi_region),
        "all_categories": [{"id": category.id, "name": category.name} for category in info.all_categories],
    }


def _held_fields(item: Hit | None) -> dict[str, Any]:
    """What the instance keeps with an image that was looked up."""
    names = _hit_names() if item is not None else ()
    return {f"held_{name}": getattr(item, name) for name in names if name not in _NAMES_AND_SCORES}


def _mutation_fields(response: MutationResponse, geometry: Geometry | None) -> dict[str, Any]:
    found = _subject_fields(response.pic_info, geometry)
    if response.pic_names:
        found["deleted_pic_names"] = list(response.pic_names)
    return found


def _to_source(region: str | None, geometry: Geometry | None) -> str | None:
    """A region in the source's pixels; None for text that is no region.

    Without an image of the row's own (a search by name) it is the stored image's, as answered.
    """
    if region is None or geometry is None:
        return region
    try:
        return geometry.to_source(region)
    except ValueError:
        return None


def image_fields(prefix: str, source: ImageFacts | None, image: Prepared | None) -> dict[str, Any]:
    """What a row says of one image: the file as it came, and as it was sent.

    Args:
        prefix: Before each column's name, where a row has several images.
        source: The file; None where its format is not known.
        image: What is sent for it; None where it is refused.
    """
    found: dict[str, Any] = {}
    for side, facts in (("source", source), ("sent", image.sent if image is not None else None)):
        if facts is not None:
            found[f"{prefix}{side}_format"] = facts.format
            found[f"{prefix}{side}_width"] = facts.width
            found[f"{prefix}{side}_height"] = facts.height
            found[f"{prefix}{side}_bytes"] = facts.bytes
            found[f"{prefix}{side}_sha256"] = facts.sha256
    if image is not None:
        found[f"{prefix}transforms"] = list(image.transforms)
    return found


def finished_row(
    facts: JobFacts, pending: PendingRow, failure: Failure | None, now: datetime, *, lasting: bool = False
) -> FinishedRow:
    """The record of a row that has its outcome: its line of `results`, and its hits when it ended well.

    Args:
        facts: What holds for the whole job.
        pending: The row, with everything that happened to it.
        failure: What it ended as; None for success.
        now: Wall clock.
        lasting: The answer holds for every equal request.
    """
    cached = pending.cached
    moment = now.isoformat()
    result = _row_fields(facts, pending, failure, moment)
    hits: list[Mapping[str, Any]] = []
    answer = None
    if cached is not None:
        result |= cached.fields
        result |= _regions_in_source(result, pending)
        result |= {"coalesced_from": cached.row_key or None, "answered_at": cached.answered_at.isoformat()}
        hits = list(cached.hits)
    elif failure is None:
        pages = [pending.answers[number] for number in sorted(pending.answers)]
        result |= pages[0].fields
        hits = [hit for page in pages for hit in page.hits]
    else:
        if pending.refusal is not None:
            result |= pending.refusal.fields
            result["field_problems"] += pending.refusal.field_problems
        if pending.attempts:
            result["answered_at"] = moment
    if failure is not None:
        result |= {
            "error_code": failure.code,
            "error_origin": failure.origin,
            "error_owner": failure.owner,
            "error_message": failure.message,
        }
    else:
        result.setdefault("answered_at", moment)
        if facts.has_hits:
            result["hit_count"] = len(hits)
    if lasting and facts.reusable and pending.request_key is not None and cached is None:
        answer = AnswerKey(bytes.fromhex(pending.request_key), now.timestamp())
    lines, dropped = _hit_lines(result, hits)
    result, misfits = results_fitting(facts.operation).fitted(result)
    dropped += len(misfits)
    if dropped:
        result[PROBLEMS] = counted(result.get(PROBLEMS), dropped)
    return FinishedRow(
        digest=pending.digest,
        code=failure.code if failure is not None else None,
        origin=failure.origin if failure is not None else None,
        result=encoded({name: value for name, value in result.items() if value is not None}),
        hits=lines,
        carried=pending.carried.slice(pending.row.index, 1).serialize().to_pybytes(),
        has_history=pending.has_history,
        answer=answer,
        finished_at=now.timestamp(),
        request=request_name(pending.request_key),
        source=pending.source.digest if pending.source is not None else None,
        replaces=pending.renewal is not None,
    )


def _hit_lines(result: Mapping[str, Any], hits: Sequence[Mapping[str, Any]]) -> tuple[bytes, int]:
    """A row's lines of `hits`, and how many of their values did not fit.

    What all of them say of the row is checked and written once.
    """
    if not hits:
        return b"", 0
    fitting = hits_fitting()
    kept, misfits = fitting.fitted({name: result[name] for name in OF_THE_ROW})
    # Without its end, so that each hit goes on from there; `rank` follows and needs no check.
    begin = encoded(kept)[:-1] + (b"," if kept else b"")
    dropped = len(misfits) * len(hits)
    lines: list[bytes] = []
    for rank, hit in enumerate(hits, start=1):
        found, misfits = fitting.fitted(hit)
        dropped += len(misfits)
        found["rank"] = rank
        lines += (begin, encoded(found)[1:], b"\n")
    return b"".join(lines), dropped


def _row_fields(facts: JobFacts, pending: PendingRow, failure: Failure | None, moment: str) -> dict[str, Any]:
    """What a row says of itself, whatever it was answered, at a moment in ISO text."""
    attempts = pending.attempts
    result: dict[str, Any] = {
        "row_key": pending.row.key,
        "key_values": key_values(pending.row.key, several=facts.several_keys),
        "in_manifest": True,
        "row_number": pending.row.number,
        "run_id": facts.run_id,
        "operation": facts.operation,
        "instance": facts.instance,
        "outcome": "ok" if failure is None else "failed",
        "request_key": pending.request_key,
        "calls": len({attempt.page for attempt in attempts}) if facts.spends else 0,
        "attempts": len(attempts) if facts.spends else 0,
        "denied": sum([attempt.denied for attempt in attempts]),
        "earlier_outcomes": pending.renewal.outcomes if pending.renewal is not None else 0,
        "request_ids": [attempt.request_id for attempt in attempts if facts.spends],
        "finished_at": moment,
        "prepare_ms": round(pending.prepare_seconds * 1000, 3),
        "field_problems": sum([page.field_problems for page in pending.answers.values()]),
    }
    if pending.call is not None:
        result["body_bytes"] = len(pending.call.body)
    if attempts:
        last = attempts[-1]
        result["http_status"] = last.http_status
        result["request_id"] = last.request_id
        result["first_sent_at"] = attempts[0].sent_at.isoformat()
        result["latency_ms"] = round(last.latency * 1000, 3)
    for place, prefix in enumerate(facts.prefixes):
        source = pending.sources[place] if place < len(pending.sources) else None
        image = pending.images[place] if place < len(pending.images) else None
        result |= image_fields(prefix, source, image)
    return result


def _regions_in_source(fields: Mapping[str, Any], pending: PendingRow) -> dict[str, Any]:
    """The answer's regions in the pixels of this row's own image."""
    geometry = pending.images[0].geometry if pending.images else None
    found: dict[str, Any] = {}
    if "pic_region_sent" in fields:
        found["pic_region"] = _to_source(fields["pic_region_sent"], geometry)
    if "multi_region_sent" in fields:
        found["multi_region"] = [_to_source(region, geometry) for region in fields["multi_region_sent"]]
    return found
