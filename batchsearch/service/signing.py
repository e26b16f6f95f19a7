"""Signatures, as pure functions of the request, the credentials, a time and a nonce.

Two schemes: ACS3-HMAC-SHA256 ("V3", the default: in headers, over a hash of the body) and RPC V1
HMAC-SHA1 (in the query, over every parameter). Both are held to the signatures that the official
libraries make.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from batchsearch.quick_record import quick_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from batchsearch.service.credentials import Credentials

Scheme = Literal["v3", "v1"]

EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()
FORM_TYPE: Final = "application/x-www-form-urlencoded"

_V3_ALGORITHM: Final = "ACS3-HMAC-SHA256"

_BLOCK: Final = 64  # bytes that SHA-256 takes at a time
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


@quick_record
class Unsigned:
    """What there is to sign.

    Attributes:
        method: `POST` or `GET`.
        host: As in the `Host` header, with the port where it is not the scheme's own.
        action: The operation's name.
        version: The API's version.
        query: Parameters of the URL, not encoded.
        body: The form body as sent; empty for none.
        body_sha256: Lower-case hexadecimal SHA-256 of the body.
    """

    method: str
    host: str
    action: str
    version: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    body_sha256: str = EMPTY_SHA256


@quick_record
class Signed:
    """What is sent in front of the body. Valid once, for fifteen minutes.

    Attributes:
        target: Path and query, encoded: the request line's.
        headers: All that the scheme needs, lower-case names.
    """

    target: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def sign(
    request: Unsigned,
    credentials: Credentials,
    *,
    scheme: Scheme,
    when: datetime,
    nonce: str,
    user_agent: str,
) -> Signed:
    """The request line and headers that prove who asks.

    Args:
        request: What is asked.
        credentials: Who asks; with a security token both schemes carry it, signed.
        scheme: `v3` or `v1`.
        when: The time by the service's clock, in UTC; it accepts fifteen minutes of difference.
        nonce: Never used before with these credentials.
        user_agent: Sent unsigned, so that a proxy may add to it.
    """
    stamp = f"{when.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
    if scheme == "v1":
        return _sign_v1(request, credentials, stamp, nonce, user_agent)
    headers = {
        "host": request.host,
        "x-acs-action": request.action,
        "x-acs-version": request.version,
        "x-acs-date": stamp,
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": request.body_sha256,
    }
    if request.body:
        headers["content-type"] = FORM_TYPE
    if credentials.security_token:
        headers["x-acs-accesskey-id"] = credentials.access_key_id
        headers["x-acs-security-token"] = credentials.security_token
    query = encoded_query(request.query)
    canonical = canonical_request(request.method, "/", query, headers, request.body_sha256)
    headers["authorization"] = authorization_v3(credentials, headers, canonical)
    headers["accept"] = "application/json"
    headers["user-agent"] = user_agent
    return Signed(f"/?{query}" if query else "/", headers)


def encoded_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Parameters sorted by name, percent-encoded after RFC 3986: canonical, and fit for the wire too."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parameters))


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], body_sha256: str
) -> str:
    """The text that V3 signs the hash of.

    Args:
        method: In capitals.
        path: Absolute.
        query: From `encoded_query`.
        headers: The headers to be signed; names in any case.
        body_sha256: Of the exact bytes of the body.
    """
    named, listed = _ordered(tuple(headers))
    lines = "".join([f"{name}:{headers[given].strip()}\n" for name, given in named])
    return f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{body_sha256}"


@lru_cache(maxsize=64)
def _ordered(names: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], str]:
    """Headers' names in small letters and as they are given, in the order of signing; and their list."""
    named = tuple(sorted((name.lower(), name) for name in names))
    return named, ";".join(name for name, _ in named)


def authorization_v3(credentials: Credentials, headers: Mapping[str, str], canonical: str) -> str:
    """The `Authorization` header: who signed which headers, and the signature over `canonical`."""
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = _hmac_sha256(credentials.access_key_secret, f"{_V3_ALGORITHM}\n{hashed}".encode())
    _, listed = _ordered(tuple(headers))
    return (
        f"{_V3_ALGORITHM} Credential={credentials.access_key_id},SignedHeaders={listed},Signature={signature}"
    )


def _hmac_sha256(secret: str, text: bytes) -> str:
    """HMAC-SHA256, hexadecimal; the key is taken in once, not for every text."""
    inner, outer = (state.copy() for state in _keyed(secret))
    inner.update(text)
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=4)
def _keyed(secret: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The two hashes of an HMAC (RFC 2104) that have seen the key."""
    key = secret.encode()
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key = key.ljust(_BLOCK, b"\0")
    return hashlib.sha256(key.translate(_INNER)), hashlib.sha256(key.translate(_OUTER))


def string_to_sign_v1(method: str, pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The text that V1 signs.

    Args:
        method: In capitals.
        pairs: Every parameter of query and body but `Signature`, names and values percent-encoded after
            RFC 3986 already.
    """
    joined = b"&".join(name + b"=" + value for name, value in sorted(pairs))
    # The second encoding: in percent-encoded text only these three characters are left to encode.
    encoded = joined.replace(b"%", b"%25").replace(b"&", b"%26").replace(b"=", b"%3D")
    return method.encode() + b"&%2F&" + encoded


def signature_v1(credentials: Credentials, text: bytes) -> str:
    """Base64 of the HMAC-SHA1 over `text`, keyed with the secret and an ampersand."""
    key = f"{credentials.access_key_secret}&".encode()
    return base64.b64encode(hmac.digest(key, text, "sha1")).decode()


def _sign_v1(request: Unsigned, credentials: Credentials, stamp: str, nonce: str, user_agent: str) -> Signed:
    query = [
        ("Action", request.action),
        ("Format", "json"),
        ("Version", request.version),
        ("Timestamp", stamp),
        ("SignatureNonce", nonce),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("AccessKeyId", credentials.access_key_id),
        *request.query,
    ]
    if credentials.security_token:
        query.append(("SecurityToken", credentials.security_token))
    encoded = encoded_query(query)
    pairs = [_split(pair) for pair in encoded.encode().split(b"&")]
    if request.body:
        pairs += [_split(pair) for pair in request.body.split(b"&")]
    signature = signature_v1(credentials, string_to_sign_v1(request.method, pairs))
    headers = {
        "host": request.host,
        "x-acs-action": request.action,
        "x-acs-version": request.version,
        "user-agent": user_agent,
    }
    if request.body:
        headers["content-type"] = FORM_TYPE
    return Signed(f"/?{encoded}&Signature={quote(signature, safe='')}", headers)


def _split(pair: bytes) -> tuple[bytes, bytes]:
    name, _, value = pair.partition(b"=")
    return name, value
