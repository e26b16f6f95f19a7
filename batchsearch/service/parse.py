"""An answer's bytes to typed records, whatever the bytes are.

Fields that are missing where the pages promise them, unknown, null or of another type never fail an
answer: what can be read without loss is read (`"0.5"` as a score), the rest is None, and each kind of
deviation counts once.

But for the fields that an operation is asked for, and that say whether it went well: an answer that says
neither is no success with nothing in it. It has a code of its own and is asked for again.

How a failure is named, in this order: the `Code` of the body if it is a name; `Code.<n>` if it is a
number, which is how HTTP 200 with `Success: false` says it (`Code.Missing` without any); `Http.<status>`
for an error status whose JSON has no code; a `Transport.…` code where the answer is none of the service's.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.quick_record import quick_record
from batchsearch.service.answer_records import denial_of, read_response, shortened
from batchsearch.service.compact_json import decoded
from batchsearch.service.fields import INT64, WHOLE, Fields
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.service.operations import Operation, ResponseKind
    from batchsearch.service.responses import AccessDeniedDetail, Response

Origin = Literal["api", "transport"]

_ANSWER_FIELDS: Final = frozenset(
    [
        "RequestId",
        "Success",
        "Code",
        "Msg",
        "Message",
        "Head",
        "PicInfo",
        "Auctions",
        "Score",
        "AccessDeniedDetail",
        "Exists",
        "Data",
        "Instance",
    ]
)
_ASKED_FOR: Final[Mapping[ResponseKind, str | None]] = {
    "search": "Auctions",
    "listing": "Auctions",
    "compare": "Score",
    "exists": "Exists",
    "detail": "Instance",
    "task": "Data",
    "tasks": "Data",
    "mutation": None,
}
"""The field for which an operation is called; a change is called for no answer but that it went well."""

_STATUS_NAMED: Final = frozenset({408, 413, 429})  # what they mean needs no body
_CODE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")


@quick_record
class Parsed:
    """What an answer says.

    Attributes:
        code: Error code, None for success.
        origin: `api` when the service or its gateway speaks, `transport` when something else does; None
            for success.
        message: The answer's own words, shortened to 2,000 characters.
        request_id: The service's id of the answer.
        response: The typed answer: of every success, and of failures that carry fields of the operation.
        field_problems: Kinds of deviations from the documented fields.
        denial: Why access was denied, where the answer says so.
    """

    code: str | None
    origin: Origin | None
    message: str | None
    request_id: str | None
    response: Response | None
    field_problems: int
    denial: AccessDeniedDetail | None = None


def parse_answer(operation: str, status: int, body: bytes, *, request_id: str | None = None) -> Parsed:
    """What the answer to one call of an operation says; never raises, for any bytes.

    Args:
        operation: A name in `OPERATIONS`.
        status: HTTP status.
        body: The whole body, decompressed.
        request_id: Of the answer's headers, for a body that has none.
    """
    content = json_object(body)
    if content is None or 300 <= status < 400:  # noqa: PLR2004 - the redirecting statuses
        return parse_failure(status, body, request_id=request_id, operation=operation)
    return parse_content(operation, status, content, request_id=request_id)


def parse_content(
    operation: str, status: int, content: Mapping[str, Any], *, request_id: str | None = None
) -> Parsed:
    """The same for an answer that is a JSON object already.

    Args:
        operation: A name in `OPERATIONS`.
        status: HTTP status, no redirection.
        content: The object.
        request_id: Of the answer's headers, for an object that has none.
    """
    if not 200 <= status < 300:  # noqa: PLR2004 - the successful statuses
        blamed = 400 <= status < 500 and status not in _STATUS_NAMED  # noqa: PLR2004 - the 4xx statuses
        if blamed and _ANSWER_FIELDS.isdisjoint(content):
            what = f"HTTP {status} with a JSON object that has none of an answer's fields"
            return _foreign("Transport.NotTheService", what, request_id)
        refused = Fields(content, "", set())
        return _refused(OPERATIONS[operation], refused, status, refused.text("RequestId") or request_id)
    if _ANSWER_FIELDS.isdisjoint(content):
        # Taken for an answer with every field missing, a proxy's own JSON would pass for "nothing found".
        what = f"HTTP {status} with a JSON object that has none of an answer's fields"
        return _foreign("Transport.NotJson", what, request_id)
    described = OPERATIONS[operation]
    fields = Fields(content, "", set())
    own_id = fields.text("RequestId") or request_id
    # Lists of tasks say nothing of the kind.
    success = fields.boolean("Success", expected=described.response != "tasks")
    raw_code = content.get("Code")
    # A code other than 0 says that a request failed, whatever else is said.
    failed = success is False or not _says_success(raw_code)
    if not failed:
        lacking = _lacking(described, content, said=success is True)
        if lacking is not None:
            return _foreign("Transport.Unreadable", f"HTTP {status}, but {lacking}", own_id)
        response = read_response(described, fields)
        return Parsed(None, None, response.message, own_id, response, len(fields.problems))
    response = read_response(described, fields)
    denial = _denial_in(fields)
    message = _explained(response.message, denial)
    return Parsed(_code_of(raw_code), "api", message, own_id, response, len(fields.problems), denial)


def _lacking(described: Operation, content: Mapping[str, Any], *, said: bool) -> str | None:
    """What keeps an answer that refuses nothing from being a success; None for a success.

    Args:
        described: The operation.
        content: The answer.
        said: It says of itself that it is one.
    """
    asked_for = _ASKED_FOR[described.response]
    if not said and content.get("Code") is None:
        # Not even a code says so: then what was asked for has to be there, and nothing may speak against it.
        if "Success" in content:
            return "`Success` is neither true nor false, and there is no `Code`"
        if asked_for is None or content.get(asked_for) is None:
            return f"neither `Success` nor `{asked_for or 'Code'}` is there"
    if asked_for == "Auctions":
        return _lacking_in_hits(content.get("Auctions"))
    fields = Fields(content, "", set())
    readable = {
        "Score": lambda: fields.real("Score") is not None,
        "Exists": lambda: fields.boolean("Exists") is not None,
        "Instance": lambda: fields.inner("Instance") is not None,
        "Data": lambda: fields.inner("Data") is not None,
    }
    if asked_for is not None and not readable[asked_for]():
        return f"`{asked_for}` is missing or of another type"
    return None


def _lacking_in_hits(auctions: object) -> str | None:
    """What is wrong with a list of hits; one that is null has none, as the official clients read it."""
    if auctions is None:
        return None
    if not isinstance(auctions, list) or not all(isinstance(hit, dict) for hit in auctions):
        return "`Auctions` is no list of objects"
    for hit in auctions:
        for name in ("ProductId", "PicName"):
            said = hit.get(name)
            if said is not None and type(said) is not str and Fields(hit, "", set()).text(name) is None:
                return f"`{name}` in `Auctions` is no text"
        if hit.get("Score") is not None and Fields(hit, "", set()).real("Score") is None:
            return "`Score` in `Auctions` is no number"
    return None


def _denial_in(fields: Fields) -> AccessDeniedDetail | None:
    """Why access was denied, where an answer says so."""
    detail = fields.inner("AccessDeniedDetail")
    return denial_of(detail) if detail is not None and any(detail.content.values()) else None


def _explained(message: str | None, denial: AccessDeniedDetail | None) -> str | None:
    """A refusal's own words, and why access was denied."""
    if denial is None:
        return shortened(message)
    return shortened(f"{message.rstrip('. ')}: {denial}" if message else str(denial))


def parse_failure(
    status: int, body: bytes, *, request_id: str | None = None, operation: str | None = None
) -> Parsed:
    """What an answer says that is no JSON object under a successful status; never raises.

    Args:
        status: HTTP status.
        body: The whole body, decompressed.
        request_id: Of the answer's headers, for a body that has none.
        operation: A name in `OPERATIONS` whose fields a refusal may carry; None for other APIs' answers.
    """
    if 300 <= status < 400:  # noqa: PLR2004 - the redirecting statuses
        return _foreign("Transport.Redirected", f"HTTP {status} is a redirection", request_id)
    content = json_object(body)
    if content is None:
        return _not_json(status, body, request_id)
    fields = Fields(content, "", set())
    return _refused(OPERATIONS.get(operation or ""), fields, status, fields.text("RequestId") or request_id)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that the bytes are, or None: for anything else, nested too deeply, or no UTF-8."""
    try:
        content = decoded(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _says_success(code: object) -> bool:
    return code is None or code == 0 or (isinstance(code, str) and code.strip() in ("0", ""))


def _code_of(code: object) -> str:
    if isinstance(code, bool) or code is None:
        return "Code.Missing"
    if isinstance(code, int) and abs(code) < INT64:
        return f"Code.{code}"
    if isinstance(code, str) and WHOLE.fullmatch(code.strip()):
        return f"Code.{int(code)}"
    if isinstance(code, str) and _CODE_NAME.fullmatch(code.strip()):
        return code.strip()
    return "Code.Unreadable"


def _refused(described: Operation | None, fields: Fields, status: int, request_id: str | None) -> Parsed:
    raw_code = fields.content.get("Code")
    code = f"Http.{status}" if raw_code in (None, "") else _code_of(raw_code)
    message = fields.text("Message") or fields.text("Msg")
    denial = _denial_in(fields)
    compared = described is not None and described.response == "compare"
    response = read_response(described, fields) if described and compared and denial is not None else None
    return Parsed(code, "api", _explained(message, denial), request_id, response, 0, denial)


def _not_json(status: int, body: bytes, request_id: str | None) -> Parsed:
    if not body.strip():
        return _foreign(
            f"Http.{status}" if status in _STATUS_NAMED else "Transport.EmptyBody",
            f"HTTP {status} with an empty body",
            request_id,
        )
    error = _xml_error(body)
    if error is not None and not 200 <= status < 300:  # noqa: PLR2004 - the successful statuses
        code, message, own_id = error
        return Parsed(code, "api", shortened(message), own_id or request_id, None, 0)
    what = f"HTTP {status} with {len(body):,} bytes that are no JSON object"
    if status in _STATUS_NAMED:
        return _foreign(f"Http.{status}", what, request_id)
    refused = 400 <= status < 500  # noqa: PLR2004 - the statuses that blame the request
    return _foreign("Transport.NotTheService" if refused else "Transport.NotJson", what, request_id)


def _foreign(code: str, message: str, request_id: str | None) -> Parsed:
    return Parsed(code, "transport", message, request_id, None, 0)


def _xml_error(body: bytes) -> tuple[str, str | None, str | None] | None:
    """Code, message and request id of the gateway's XML, picked out without expanding any entity."""
    if b"<Error>" not in body[:2_000] and b"<Code>" not in body[:2_000]:
        return None
    text = body[:20_000].decode("utf-8", "replace")

    def element(name: str) -> str | None:
        found = re.search(rf"<{name}>([^<]*)</{name}>", text)
        return html.unescape(found[1]).strip() if found else None

    code = element("Code")
    if code is None or not _CODE_NAME.fullmatch(code):
        return None
    return code, element("Message"), element("RequestId")
