"""Answers as bytes: JSON by default, XML when asked, errors in the gateway's shape."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from batchsearch.emulator.http.error_table import RefusedError, answer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE: Final = "application/json;charset=utf-8"
# The official clients parse an XML error only under exactly this type.
XML_TYPE: Final = "text/xml;charset=utf-8"
_XML_HEAD: Final = "<?xml version='1.0' encoding='UTF-8'?>"
_NOT_IN_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_HOST: Final = re.compile(r"[^A-Za-z0-9.:/_\[\]-]")
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9]")
MAX_HOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        status: HTTP status.
        body: Bytes of the body.
        content_type: Its type.
        code: Error code, or None for a success.
        request_id: The id in the body.
        headers: Further headers.
        value: The body before it became text; None where it never was a mapping.
        root: Name of the XML root element that `value` has or would have.
    """

    status: int
    body: bytes
    content_type: str
    code: str | None
    request_id: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    value: Mapping[str, Any] | None = None
    root: str = "Response"


def shown_host(host: str) -> str:
    """A Host header as an answer may repeat it, without the scheme that some clients put into it."""
    return _NOT_IN_HOST.sub("", host.removeprefix("http://"))[:MAX_HOST_SHOWN]


def new_request_id() -> str:
    """An upper-case UUID, as the service gives."""
    return str(uuid.uuid4()).upper()


def success(value: Mapping[str, Any], *, action: str, request_id: str, xml: bool) -> Reply:
    """A 200 with the operation's fields; `RequestId` is added."""
    body = {**value, "RequestId": request_id}
    return _reply(200, body, root=f"{action}Response", xml=xml, code=None, request_id=request_id)


def failure(
    error: RefusedError,
    *,
    action: str | None,
    host: str,
    request_id: str,
    xml: bool,
    retry_after: float | None = None,
    status: int | None = None,
) -> Reply:
    """An error in the gateway's shape: RequestId, HostId, Code, Message, Recommend.

    Args:
        error: What is refused, and why.
        action: The operation, or None when unknown: it decides among a code's messages.
        host: The Host header, for `HostId`.
        request_id: The answer's id.
        xml: Answer in XML.
        retry_after: Seconds to put into `x-acs-retry-after` (as whole milliseconds), or None for no such
            header.
        status: Another HTTP status than the documented one.
    """
    documented, message = answer_of(error.code, action)
    body = {
        "RequestId": request_id,
        "HostId": shown_host(host),
        "Code": error.code,
        "Message": f"{message}{error.detail}",
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={quote(error.code)}"
        f"&product=ImageSearch&requestId={request_id}",
        **error.extra,
    }
    headers = {}
    if retry_after is not None:
        headers["x-acs-retry-after"] = str(max(1, round(retry_after * 1000)))
    reply_status = documented if status is None else status
    return _reply(
        reply_status, body, root="Error", xml=xml, code=error.code, request_id=request_id, headers=headers
    )


def _reply(
    status: int,
    value: Mapping[str, Any],
    *,
    root: str,
    xml: bool,
    code: str | None,
    request_id: str,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    name = _NOT_IN_NAME.sub("", root)
    body = xml_bytes(name, value) if xml else json_bytes(value)
    kind = XML_TYPE if xml else JSON_TYPE
    return Reply(status, body, kind, code, request_id, MappingProxyType(dict(headers or {})), value, name)


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON; text that is no valid Unicode is replaced rather than refused."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")


def xml_bytes(root: str, value: Mapping[str, Any]) -> bytes:
    """The same fields as XML: one element for each field, repeated for each entry of a list."""
    return f"{_XML_HEAD}{_element(root, value)}".encode("utf-8", errors="replace")


def _element(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return "".join(_element(name, entry) for entry in value)
    if isinstance(value, dict) or hasattr(value, "items"):
        inner = "".join(_element(key, entry) for key, entry in value.items())
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    else:
        inner = escape(_NOT_IN_XML.sub("�", str(value)))
    return f"<{name}>{inner}</{name}>"
