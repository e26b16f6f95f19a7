"""What a request says, whichever official client wrote it: parameters, action, version, reply format.

Official clients differ in ways that a server must not notice (booleans, spaces, chunked bodies, headers).
Query and form are one set of parameters here; where both have a name, the form wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from batchsearch.emulator.http.error_table import RefusedError, missing
from batchsearch.service.facts import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UPLOAD_VERSION: Final = "2019-12-19"
OLD_VERSION: Final = "2019-03-25"
MAX_FIELDS: Final = 200
"""Most parameters read from a query or a form: the longest operation has 18, the RPC signature adds 9."""

# The path of each 2019-03-25 operation.
OLD_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {"/v2/image/search": "SearchImage", "/v2/image/add": "AddImage", "/v2/image/delete": "DeleteImage"}
)

# What the metadata allows as GET too.
_BY_GET: Final = frozenset(
    {"AuthorizeFileUpload", "DumpMeta", "DumpMetaList", "IncreaseInstance", "IncreaseList"}
)

# Parameters of the RPC protocol itself: never an operation's.
COMMON_PARAMETERS: Final = frozenset(
    {
        "Action",
        "Version",
        "Format",
        "AccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureNonce",
        "SignatureVersion",
        "SecurityToken",
        "Timestamp",
    }
)

_ABSOLUTE: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


@dataclass(frozen=True, slots=True)
class Inbound:
    """One HTTP request, taken apart but not yet believed.

    Attributes:
        method: `POST` or another.
        path: Path as sent, without query.
        query: Decoded pairs of the query, in order.
        form: Decoded pairs of the body; empty when the body is no form.
        headers: By lower-case name; a repeated header's values are joined with commas.
        body: The exact bytes, as the signature covers them.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    form: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def parameters(self) -> dict[str, str]:
        """Query and form merged; the form wins, and within each the last of equal names."""
        return {**dict(self.query), **dict(self.form)}


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for.

    Attributes:
        action: Name of the operation as the client wrote it.
        version: API version as the client wrote it.
        parameters: The operation's own parameters, by the vendor's names.
        xml: The answer is wanted as XML; otherwise JSON.
    """

    action: str
    version: str
    parameters: Mapping[str, str]
    xml: bool


def decode_pair_text(text: str) -> str:
    """Undo form encoding: `+` is a space, `%XX` a byte of UTF-8; anything undecodable is replaced.

    The three escapes of base64 are undone first, since one image holds hundreds of thousands of them.
    """
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    text = text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
    return unquote(text, errors="replace") if "%" in text else text


def parse_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a query or form, in order.

    Raises:
        RefusedError: `BadRequest`: more than `MAX_FIELDS` of them.
    """
    if not text:
        return ()
    if text.count("&") >= MAX_FIELDS:
        raise RefusedError("BadRequest")
    pieces = (piece.partition("=") for piece in text.split("&") if piece)
    return tuple((decode_pair_text(name), decode_pair_text(value)) for name, _, value in pieces)


def _is_form(content_type: str) -> bool:
    # A body without a type is read as a form; JSON is not parsed, as the real gateway does not.
    kind = content_type.partition(";")[0].strip().lower()
    return kind in {"", "application/x-www-form-urlencoded"}


def read_inbound(method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> Inbound:
    """Take a request apart.

    Args:
        method: HTTP method.
        target: Request target as sent, with query; the absolute form is understood.
        headers: Names and values as sent.
        body: Body bytes, unframed.

    Raises:
        RefusedError: `BadRequest`: far more parameters than any operation has.
    """
    merged: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        merged[key] = f"{merged[key]},{value.strip()}" if key in merged else value.strip()
    path, _, query = _ABSOLUTE.sub("", target).partition("?")
    form = ""
    if body and _is_form(merged.get("content-type", "")):
        form = body.decode("utf-8", errors="replace")
    return Inbound(
        method=method.upper(),
        path=path or "/",
        query=parse_pairs(query.partition("#")[0]),
        form=parse_pairs(form),
        headers=MappingProxyType(merged),
        body=body,
    )


def wants_xml(inbound: Inbound) -> bool:
    """Whether the answer is to be XML: `Format=XML`, or an Accept header that names XML and no JSON."""
    wanted = dict(inbound.query).get("Format") or dict(inbound.form).get("Format")
    if wanted is not None:
        return wanted.lower() == "xml"
    accept = inbound.headers.get("accept", "").lower()
    return "xml" in accept and "json" not in accept and "html" not in accept


def read_call(inbound: Inbound) -> Call:
    """Which operation is called, in which version, with what.

    Raises:
        RefusedError: `MissingAction`, `MissingVersion`, `InvalidVersion`, `InvalidApi.NotFound` (a path or
            method that nothing answers to), `InvalidType` (2019-03-25 searches).
    """
    merged = inbound.parameters()
    parameters = {name: value for name, value in merged.items() if name not in COMMON_PARAMETERS}
    action = inbound.headers.get("x-acs-action") or merged.get("Action", "")
    version = inbound.headers.get("x-acs-version") or merged.get("Version", "")
    xml = wants_xml(inbound)
    if inbound.path in OLD_PATHS:
        if inbound.method != "POST":
            raise RefusedError("InvalidApi.NotFound")
        if version not in {"", OLD_VERSION}:
            raise RefusedError("InvalidVersion")
        return _old_call(OLD_PATHS[inbound.path], parameters, xml=xml)
    if inbound.path != "/":
        raise RefusedError("InvalidApi.NotFound")
    if not action:
        raise missing("Action")
    if not version:
        raise missing("Version")
    if version != (UPLOAD_VERSION if action == "AuthorizeFileUpload" else API_VERSION):
        raise RefusedError("InvalidVersion")
    if inbound.method != "POST" and not (inbound.method == "GET" and action in _BY_GET):
        raise RefusedError("InvalidApi.NotFound")
    return Call(action, version, MappingProxyType(parameters), xml)


def _old_call(action: str, parameters: dict[str, str], *, xml: bool) -> Call:
    # 2019-03-25 has one search operation with a Type; the rest answers like its newer namesake.
    if action == "SearchImage":
        kind = parameters.pop("Type", "SearchByPic")
        if kind not in {"SearchByPic", "SearchByName"}:
            raise RefusedError("InvalidType")
        action = "SearchImageByPic" if kind == "SearchByPic" else "SearchImageByName"
    parameters.pop("RegionId", None)
    return Call(action, OLD_VERSION, MappingProxyType(parameters), xml)
