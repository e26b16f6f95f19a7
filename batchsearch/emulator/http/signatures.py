"""Whether a request was signed by whom it says, and not before today.

Written from the vendor's signature documents and held against the recorded vectors; shares nothing with the
client's own signing. Three schemes are understood:

* **ACS3-HMAC-SHA256** (V3): over the headers that the request lists, the query and the body's hash;
* **RPC V1, HMAC-SHA1**: over all parameters of query and form;
* **ROA, HMAC-SHA1** (2019-03-25): over some headers and the resource; the body only through Content-MD5.

`verify` is pure: clock and keys are arguments. Only `NonceStore` remembers.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from batchsearch.emulator.http.error_table import RefusedError, missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.emulator.http.protocol import Inbound

WINDOW_SECONDS: Final = 900.0
"""A request dated further than this from now, either way, is refused (15 minutes)."""
MAX_NONCES: Final = 200_000
MAX_STRING_SHOWN: Final = 2_000

_V3: Final = "ACS3-HMAC-SHA256"
_V3_HEADER: Final = re.compile(
    r"ACS3-HMAC-SHA256\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9A-Fa-f]{64})"
)
_ROA_HEADER: Final = re.compile(r"acs\s+([^:\s]+):([A-Za-z0-9+/=]+)")
# Without these a signed request could be repeated, redirected or given another body.
_V3_REQUIRED: Final = (
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
)
_ISO: Final = "%Y-%m-%dT%H:%M:%SZ"
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/=_.-]{8,4096}")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
# By code point of the UTF-8 bytes read as Latin-1.
_PERCENT: Final = {byte: f"%{byte:02X}" for byte in range(256) if byte not in _UNRESERVED}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key pair that the emulator knows.

    Attributes:
        access_key_id: Public half.
        access_key_secret: Secret half; never shown.
        security_token: Token that must come with a temporary key pair, or None for a lasting one.
        expires: When the token stops working, seconds since 1970, or None for never.
        active: False: disabled (`InvalidAccessKeyId.Inactive`).
        instances: Instances that it may use, or None for all (`NoPermission` for the others).
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)
    expires: float | None = None
    active: bool = True
    instances: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose signature holds.

    Attributes:
        key: Whose it is.
        scheme: `v3`, `rpc` or `roa`.
        nonce: Its nonce, or None where the old ROA client sends none.
        date: When it says it was made, seconds since 1970.
    """

    key: AccessKey
    scheme: str
    nonce: str | None
    date: float


class NonceStore:
    """Remembers each nonce until its request would be stale anyway; holds a bounded number.

    When full, the nonces nearest to their end are forgotten first.
    """

    def __init__(self, capacity: int = MAX_NONCES) -> None:
        self._capacity = capacity
        self._known: set[bytes] = set()
        self._by_end: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._known)

    def use(self, signed: Signed, *, now: float) -> bool:
        """Note the nonce of a request; False when it was used before.

        Args:
            signed: The verified request. One without nonce always passes.
            now: Seconds since 1970.
        """
        if signed.nonce is None:
            return True
        while self._by_end and (self._by_end[0][0] < now or len(self._by_end) >= self._capacity):
            self._known.discard(heapq.heappop(self._by_end)[1])
        name = f"{signed.key.access_key_id}\n{signed.nonce}".encode("utf-8", errors="replace")
        digest = hashlib.sha256(name).digest()[:16]
        if digest in self._known:
            return False
        self._known.add(digest)
        heapq.heappush(self._by_end, (signed.date + WINDOW_SECONDS, digest))
        return True


def percent(text: str) -> str:
    """RFC 3986 percent-encoding of UTF-8; unreserved are letters, digits and `-_.~`."""
    raw = text.encode("utf-8", errors="surrogateescape")
    return raw.decode("latin-1").translate(_PERCENT)


def verify(inbound: Inbound, keys: Mapping[str, AccessKey], *, now: float) -> Signed:
    """Find out who signed a request.

    Args:
        inbound: The request.
        keys: Key pairs by public half.
        now: Seconds since 1970.

    Raises:
        RefusedError: with the gateway's code: `MissingAccessKeyId`, `InvalidAccessKeyId.*`,
            `InvalidSecurityToken.*`, `MissingSecurityToken`, `InvalidTimeStamp.*`, `SignatureDoesNotMatch`.
    """
    authorization = inbound.headers.get("authorization", "")
    if authorization.startswith(_V3):
        return _verify_v3(inbound, authorization, keys, now)
    if authorization.startswith("acs "):
        return _verify_roa(inbound, authorization, keys, now)
    if authorization:
        raise RefusedError("SignatureDoesNotMatch")
    return _verify_rpc(inbound, keys, now)


def _key_for(key_id: str, token: str | None, keys: Mapping[str, AccessKey], *, now: float) -> AccessKey:
    key = keys.get(key_id)
    if key is None:
        raise RefusedError("InvalidAccessKeyId.NotFound")
    if not key.active:
        raise RefusedError("InvalidAccessKeyId.Inactive")
    if token is not None and not _TOKEN.fullmatch(token):
        raise RefusedError("InvalidSecurityToken.Malformed")
    if key.security_token is None:
        if token is not None:
            raise RefusedError("InvalidSecurityToken.MismatchWithAccessKey")
        return key
    if token is None:
        raise missing("SecurityToken")
    if not hmac.compare_digest(token.encode(), key.security_token.encode()):
        raise RefusedError("InvalidSecurityToken.MismatchWithAccessKey")
    if key.expires is not None and now >= key.expires:
        raise RefusedError("InvalidSecurityToken.Expired")
    return key


def _seconds(text: str, *, http: bool, now: float) -> float:
    try:
        when = parsedate_to_datetime(text) if http else datetime.strptime(text, _ISO).replace(tzinfo=UTC)
        seconds = when.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        raise RefusedError("InvalidTimeStamp.Format") from None
    if abs(now - seconds) > WINDOW_SECONDS:
        raise RefusedError("InvalidTimeStamp.Expired")
    return seconds


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")


# ---- V3


def canonical_request_v3(inbound: Inbound, signed_headers: tuple[str, ...], payload_hash: str) -> str:
    """The text that V3 hashes: method, path, query, signed headers, their names, the payload's hash."""
    query = "&".join(f"{percent(name)}={percent(value)}" for name, value in sorted(inbound.query))
    headers = "".join(f"{name}:{inbound.headers.get(name, '').strip()}\n" for name in signed_headers)
    names = ";".join(signed_headers)
    return f"{inbound.method}\n{inbound.path}\n{query}\n{headers}\n{names}\n{payload_hash}"


def _verify_v3(inbound: Inbound, authorization: str, keys: Mapping[str, AccessKey], now: float) -> Signed:
    match = _V3_HEADER.fullmatch(authorization.strip())
    if match is None:
        raise RefusedError("SignatureDoesNotMatch")
    key_id, listed, signature = match.groups()
    headers = inbound.headers
    key = _key_for(key_id, headers.get("x-acs-security-token"), keys, now=now)
    if "x-acs-date" not in headers:
        raise missing("Timestamp")
    date = _seconds(headers["x-acs-date"], http=False, now=now)
    nonce = headers.get("x-acs-signature-nonce", "")
    if not nonce:
        raise missing("SignatureNonce")
    names = tuple(listed.lower().split(";"))
    present = {name for name in headers if name.startswith("x-acs-")}
    if inbound.body and "content-type" in headers:
        # It says how the body is read. The official asynchronous client sends an unsigned one without body.
        present.add("content-type")
    payload_hash = hashlib.sha256(inbound.body).hexdigest()
    complete = (
        names == tuple(sorted(set(names)))
        and {*_V3_REQUIRED, *present} <= set(names) <= headers.keys()
        and headers["x-acs-content-sha256"].lower() == payload_hash
    )
    canonical = canonical_request_v3(inbound, names, payload_hash)
    string_to_sign = f"{_V3}\n{hashlib.sha256(_bytes_of(canonical)).hexdigest()}"
    expected = hmac.new(key.access_key_secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature.lower()) or not complete:
        raise RefusedError("SignatureDoesNotMatch")
    return Signed(key, "v3", nonce, date)


# ---- RPC V1


def string_to_sign_rpc(inbound: Inbound) -> str:
    """The text that RPC V1 signs: method and all parameters of query and form, less the signature itself."""
    pairs = sorted(pair for pair in (*inbound.query, *inbound.form) if pair[0] != "Signature")
    joined = "&".join(f"{percent(name)}={percent(value)}" for name, value in pairs)
    # Everything but these three is unreserved by now.
    again = joined.replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{inbound.method}&%2F&{again}"


def _verify_rpc(inbound: Inbound, keys: Mapping[str, AccessKey], now: float) -> Signed:
    given = inbound.parameters()
    for name in ("AccessKeyId", "Signature", "Timestamp", "SignatureNonce"):
        if not given.get(name):
            raise missing(name)
    key = _key_for(given["AccessKeyId"], given.get("SecurityToken"), keys, now=now)
    date = _seconds(given["Timestamp"], http=False, now=now)
    known = (given.get("SignatureMethod"), given.get("SignatureVersion")) == ("HMAC-SHA1", "1.0")
    string_to_sign = string_to_sign_rpc(inbound)
    expected = _sha1(f"{key.access_key_secret}&", string_to_sign)
    if not known or not hmac.compare_digest(expected.encode(), _bytes_of(given["Signature"])):
        raise RefusedError("SignatureDoesNotMatch", detail=_shown(string_to_sign, key))
    return Signed(key, "rpc", given["SignatureNonce"], date)


# ---- ROA


def string_to_sign_roa(inbound: Inbound) -> str:
    """The text that ROA signs: method, four headers, the `x-acs-` headers, path with its unencoded query."""
    headers = inbound.headers
    fixed = (headers.get(name, "") for name in ("accept", "content-md5", "content-type", "date"))
    lines = [inbound.method, *fixed]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-acs-")]
    query = "&".join(f"{name}={value}" if value else name for name, value in sorted(inbound.query))
    return "\n".join((*lines, f"{inbound.path}?{query}" if query else inbound.path))


def _verify_roa(inbound: Inbound, authorization: str, keys: Mapping[str, AccessKey], now: float) -> Signed:
    match = _ROA_HEADER.fullmatch(authorization.strip())
    if match is None:
        raise RefusedError("SignatureDoesNotMatch")
    headers = inbound.headers
    key = _key_for(match.group(1), headers.get("x-acs-security-token"), keys, now=now)
    if "date" not in headers:
        raise missing("Date")
    date = _seconds(headers["date"], http=True, now=now)
    # MD5 is what the vendor's Content-MD5 is made of; it protects nothing here but what the client asked for.
    digest = base64.b64encode(hashlib.md5(inbound.body, usedforsecurity=False).digest()).decode()
    whole = headers.get("content-md5", digest) == digest
    string_to_sign = string_to_sign_roa(inbound)
    expected = _sha1(key.access_key_secret, string_to_sign)
    if not whole or not hmac.compare_digest(expected, match.group(2)):
        raise RefusedError("SignatureDoesNotMatch", detail=_shown(string_to_sign, key))
    return Signed(key, "roa", headers.get("x-acs-signature-nonce"), date)


def _sha1(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), _bytes_of(text), hashlib.sha1).digest()).decode()


def _shown(string_to_sign: str, key: AccessKey) -> str:
    # The real gateway appends its own string to sign; an image or a token in it would end up in logs.
    if len(string_to_sign) > MAX_STRING_SHOWN or key.security_token is not None:
        return ""
    return f" server string to sign is:{string_to_sign}"
