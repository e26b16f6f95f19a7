"""The fields of an answer as typed records; every deviation is noted, and none fails an answer (pure)."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.redaction import redacted
from batchsearch.service.fields import INT64, WHOLE
from batchsearch.service.parameter_values import is_encodable
from batchsearch.service.responses import (
    AccessDeniedDetail,
    Category,
    CompareResponse,
    DetailResponse,
    ExistsResponse,
    Head,
    Hit,
    InstanceFacts,
    MutationResponse,
    PicInfo,
    Response,
    SearchResponse,
    TaskFacts,
    TaskListResponse,
    TaskResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.service.fields import Fields
    from batchsearch.service.operations import Operation

_MESSAGE_LENGTH: Final = 2_000


def shortened(text: str | None) -> str | None:
    """The other side's words as they may be kept: not too many, and without the secrets that they quote."""
    if text is None:
        return None
    text = redacted(text[: 4 * _MESSAGE_LENGTH])
    return text if len(text) <= _MESSAGE_LENGTH else f"{text[: _MESSAGE_LENGTH - 1]}…"


def read_response(described: Operation, fields: Fields) -> Response:
    """The typed answer of an operation; notes every deviation in `fields.problems`."""
    success = fields.boolean("Success", expected=described.response != "tasks")
    request_id = fields.text("RequestId", expected=True)
    if described.response == "detail":
        instance = fields.inner("Instance", expected=True)
        facts = _instance(instance) if instance else None
        fields.done("Code", "Msg", "Message")
        return DetailResponse(success, None, None, request_id, facts)
    if described.response in {"task", "tasks"}:
        return _of_tasks(described, fields, success, request_id)
    code = _code_number(fields)
    message = shortened(_message(fields, described.message_field))
    said = success, code, message, request_id
    response: Response
    if described.response in {"search", "listing"}:
        scored = described.response == "search"
        head = fields.inner("Head", expected=scored)
        pic_info = fields.inner("PicInfo", expected=scored)
        response = SearchResponse(
            *said,
            _head(head) if head else None,
            _pic_info(pic_info, shown=bool(described.images)) if pic_info else None,
            tuple(
                _hit(entry, scored=scored) for entry in fields.each("Auctions", expected=success is not False)
            ),
        )
    elif described.response == "compare":
        detail = fields.inner("AccessDeniedDetail")
        score = fields.real("Score", expected=success is not False)
        response = CompareResponse(*said, score, denial_of(detail) if detail else None)
    elif described.response == "exists":
        item = fields.inner("Auctions")
        exists = fields.boolean("Exists", expected=True)
        response = ExistsResponse(*said, exists, _hit(item, found=False) if item else None)
    else:
        pic_info = fields.inner("PicInfo")
        data = fields.inner("Data")
        names: tuple[str, ...] = ()
        if data is not None:
            names = data.texts("PicNames")
            data.done()
        response = MutationResponse(*said, _pic_info(pic_info) if pic_info else None, names)
    fields.done("HostId", "Recommend", "AccessDeniedDetail")
    return response


def _of_tasks(
    described: Operation, fields: Fields, success: bool | None, request_id: str | None
) -> TaskResponse | TaskListResponse:
    """The answer of what begins a batch task, or lists them.

    The two kinds of tasks name the same things differently. Numbers come as text and as numbers.
    """
    message = shortened(_message(fields, described.message_field))
    data = fields.inner("Data", expected=True)
    fields.done("Code", "HostId", "Recommend", "AccessDeniedDetail")
    if described.response == "task":
        task_id = data and data.word("Id", expected=True)
        status = data and (data.text("IncrementStatus") or data.text("DumpMetaStatus"))
        return TaskResponse(success, None, message, request_id, task_id or None, status or None)
    if data is None:
        return TaskListResponse(success, None, message, request_id, None, None, None, ())
    increments = data.inner("Increments")
    listed = data.each("DumpMetaList") if increments is None else increments.each("Instance")
    return TaskListResponse(
        success,
        None,
        message,
        request_id,
        data.integer("PageNumber"),
        data.integer("PageSize"),
        data.integer("TotalCount"),
        tuple(map(_task, listed)),
    )


def _task(fields: Fields) -> TaskFacts:
    return TaskFacts(
        task_id=fields.word("Id", expected=True),
        status=fields.text("Status", expected=True),
        code=fields.word("Code"),
        message=shortened(fields.text("Msg")),
        bucket_name=fields.text("BucketName"),
        path=fields.text("Path"),
        callback_address=fields.text("CallbackAddress"),
        file_url=fields.text("ErrorUrl") or fields.text("MetaUrl"),
        utc_create=fields.whole("UtcCreate"),
        utc_modified=fields.whole("UtcModified"),
    )


def _code_number(fields: Fields) -> int | None:
    """`Code` as a number; a name there is the failure's code and no deviation."""
    raw = fields.content.get("Code")
    if isinstance(raw, str) and not WHOLE.fullmatch(raw.strip()):
        fields.text("Code")
        return None
    return fields.integer("Code", expected=True)


def _message(fields: Fields, name: Literal["Msg", "Message"]) -> str | None:
    """The message under the operation's own name, or the other one: the pages mix them."""
    message = fields.text(name)
    other = fields.text("Message" if name == "Msg" else "Msg")
    return message if message is not None else other


def _head(fields: Fields) -> Head:
    head = Head(
        fields.integer("DocsFound", expected=True),
        fields.integer("DocsReturn", expected=True),
        fields.integer("SearchTime", expected=True),
    )
    fields.done()
    return head


def _pic_info(fields: Fields, *, shown: bool = True) -> PicInfo:
    """What the service says of the image; where none was shown to it, of its categories alone."""
    regions = []
    for entry in fields.each("MultiRegion"):
        region = entry.text("Region", expected=True)
        entry.done()
        if region is not None:
            regions.append(region)
    categories = []
    for entry in fields.each("AllCategories"):
        categories.append(Category(entry.integer("Id", expected=True), entry.text("Name", expected=True)))
        entry.done()
    info = PicInfo(
        fields.integer("CategoryId", expected=shown), fields.text("Region"), tuple(regions), tuple(categories)
    )
    fields.done()
    return info


def _hit(fields: Fields, *, found: bool = True, scored: bool = True) -> Hit:
    """One entry of `Auctions`; what is looked up by name or by filter has no score."""
    if scored and found and (plain := _plain_hit(fields.content)) is not None:
        return plain
    expected = {"ProductId": True, "PicName": True, "CategoryId": found, "Score": found and scored}
    read: Mapping[type, Callable[..., Any]] = {str: fields.text, int: fields.integer, float: fields.real}
    hit = Hit(*(read[kind](name, expected=expected.get(name, False)) for name, kind in _HIT_FIELDS.items()))
    fields.done()
    return hit


_HIT_FIELDS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "ProductId": str,
        "PicName": str,
        "CategoryId": int,
        "CustomContent": str,
        "Score": float,
        "SortExprValues": str,
        "IntAttr": int,
        "IntAttr2": int,
        "IntAttr3": int,
        "IntAttr4": int,
        "StrAttr": str,
        "StrAttr2": str,
        "StrAttr3": str,
        "StrAttr4": str,
    }
)
"""The documented fields of an entry of `Auctions`, in the order of `Hit`, and their types."""
_ALWAYS_IN_HITS: Final = frozenset({"ProductId", "PicName", "CategoryId", "Score"})


def _plain_hit(content: Mapping[str, Any]) -> Hit | None:
    """An entry that is all as it is documented, as nearly every one is; None for one to be read with care."""
    kinds = _HIT_FIELDS.get
    for name, value in content.items():
        kind = type(value)
        if kind is not kinds(name):
            return None
        if kind is str:
            fits = value.isascii() or is_encodable(value)
        else:
            fits = -INT64 <= value < INT64 if kind is int else math.isfinite(value)
        if not fits:
            return None
    if not content.keys() >= _ALWAYS_IN_HITS:
        return None
    return Hit(*map(content.get, _HIT_FIELDS))


def denial_of(fields: Fields) -> AccessDeniedDetail:
    """Why access was denied, from `AccessDeniedDetail`."""
    detail = AccessDeniedDetail(
        fields.text("AuthAction"),
        fields.text("AuthPrincipalDisplayName"),
        fields.text("AuthPrincipalOwnerId"),
        fields.text("AuthPrincipalType"),
        fields.text("EncodedDiagnosticMessage"),
        fields.text("NoPermissionType"),
        fields.text("PolicyType"),
    )
    fields.done()
    return detail


def _instance(fields: Fields) -> InstanceFacts:
    facts = InstanceFacts(
        fields.text("Name", expected=True),
        fields.text("Region"),
        fields.integer("ServiceType"),
        fields.integer("Capacity"),
        fields.integer("TotalCount"),
        fields.integer("Qps"),
        fields.text("UtcCreate"),
        fields.text("UtcExpireTime"),
    )
    fields.done()
    return facts
