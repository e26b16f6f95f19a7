"""Images by address: uploaded to the vendor's object store first, then named in `PicContent`.

This is the way that the official SDK's "Advance" calls go, in three requests: a permission to upload from
the vendor's open platform, the upload itself, and the call with the object's address. Base64 in the form
saves the first two; this is for the case that the service should not take base64.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from batchsearch.errors import ConfigError
from batchsearch.proxies import DIRECT
from batchsearch.service.client import USER_AGENT, Answer, retry_after_of
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.endpoint import Endpoint, parse_endpoint
from batchsearch.service.http_exchange import Lost, Reply, Timeouts, exchange
from batchsearch.service.parse import Parsed, json_object, parse_failure
from batchsearch.service.signing import Unsigned, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import aiohttp

    from batchsearch.proxies import Proxies
    from batchsearch.service.clock import ServiceClock
    from batchsearch.service.credentials import Credentials, CredentialsProvider

OPEN_PLATFORM: Final = Endpoint("https", "openplatform.aliyuncs.com", 443)
"""Where permissions to upload are given."""

_PLATFORM_VERSION: Final = "2019-12-19"
_PERMISSION_FIELDS: Final = ("AccessKeyId", "EncodedPolicy", "Signature", "Bucket", "Endpoint", "ObjectKey")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An image in the object store.

    Attributes:
        url: Its address: what `build_call` takes in the image's place. Never shown.
    """

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Permission:
    fields: Mapping[str, str] = field(repr=False)
    storage: Endpoint


class Uploader:
    """Puts images where the service can fetch them.

    Args:
        session: From `exchange.new_session`.
        region: Region of the instance.
        credentials: Who asks.
        platform: Where permissions are given. The object store is spoken to over HTTPS, unless this is a
            plain HTTP address, as of a local stand-in.
        timeouts: How long one request may take.
        proxies: Which proxy to send requests through.
        clock: The service's time; `Client.service_time`. It learns from refusals here as well: the first
            request of a run by address is one for a permission.
        steady: Steady seconds.
        nonce: Makes a text never used before, of letters and digits.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        region: str,
        credentials: CredentialsProvider,
        *,
        clock: ServiceClock,
        platform: Endpoint = OPEN_PLATFORM,
        timeouts: Timeouts | None = None,
        proxies: Proxies = DIRECT,
        steady: Callable[[], float] = time.perf_counter,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._session = session
        self._region = region
        self._credentials = credentials
        self._platform = platform
        self._timeouts = timeouts or Timeouts()
        self._proxies = proxies
        self._clock = clock
        self._steady = steady
        self._nonce = nonce

    async def upload(self, image: bytes) -> Uploaded | Answer:
        """The image's address, or the answer that refused it; two requests, neither takes a call slot.

        A refusal of the object store has its code behind `Upload.`; everything else has the codes of any
        call.

        Raises:
            ConfigError: There are no credentials to sign with.
        """
        sent_at, began = self._clock(), self._steady()

        def failed(reply: Reply | Lost, parsed: Parsed | None = None) -> Answer:
            latency = self._steady() - began
            if isinstance(reply, Lost):
                status, code, said = reply.status, reply.code, reply.message
                return Answer(status, code, "transport", said, None, None, None, sent_at, latency)
            said_so = parsed or parse_failure(reply.status, reply.body)
            self._clock.learn(said_so.code, reply.headers)
            wait = retry_after_of(reply.headers, self._clock())
            return Answer(
                reply.status,
                said_so.code,
                said_so.origin,
                said_so.message,
                said_so.request_id,
                wait,
                None,
                sent_at,
                latency,
            )

        credentials = await self._credentials.get()
        reply = await self._ask_permission(sent_at, credentials)
        content = json_object(reply.body) if isinstance(reply, Reply) and reply.status // 100 == _OK else None
        if isinstance(reply, Lost) or content is None:
            refusal = failed(reply)
            if refusal.code and code_for(refusal.code, refusal.http_status).action == "refresh_credentials":
                self._credentials.refuse(credentials)
            return refusal
        permission = _permission(content, plain=self._platform.scheme == "http")
        if permission is None:
            return failed(reply, _refusal("BadPermission", "the permission to upload is not complete"))
        stored = await self._store(permission, image)
        if isinstance(stored, Lost):
            return failed(stored)
        if stored.status // 100 != _OK:
            refused = parse_failure(stored.status, stored.body)
            if refused.origin == "api":
                refused = _refusal(refused.code or "Unreadable", refused.message, refused.request_id)
            return failed(stored, refused)
        return Uploaded(f"http://{permission.storage.authority}/{permission.fields['ObjectKey']}")

    async def _ask_permission(self, when: datetime, credentials: Credentials) -> Reply | Lost:
        request = Unsigned(
            "GET",
            self._platform.authority,
            "AuthorizeFileUpload",
            _PLATFORM_VERSION,
            (("Product", "ImageSearch"), ("RegionId", self._region)),
        )
        signed = sign(
            request, credentials, scheme="v3", when=when, nonce=self._nonce(), user_agent=USER_AGENT
        )
        return await exchange(
            self._session,
            "GET",
            f"{self._platform}{signed.target}",
            headers=signed.headers,
            body=b"",
            timeouts=self._timeouts,
            proxies=self._proxies,
        )

    async def _store(self, permission: _Permission, image: bytes) -> Reply | Lost:
        given = permission.fields
        fields = {
            "OSSAccessKeyId": given["AccessKeyId"],
            "Signature": given["Signature"],
            "host": given["Endpoint"],
            "key": given["ObjectKey"],
            "policy": given["EncodedPolicy"],
            "success_action_status": "201",
        }
        boundary = self._nonce()
        return await exchange(
            self._session,
            "POST",
            f"{permission.storage}/",
            headers={
                "host": permission.storage.authority,
                "user-agent": USER_AGENT,
                "content-type": f"multipart/form-data; boundary={boundary}",
            },
            body=multipart(fields, given["ObjectKey"], image, boundary),
            timeouts=self._timeouts,
            proxies=self._proxies,
        )


_OK: Final = 2  # hundreds of an HTTP status


def multipart(fields: Mapping[str, str], file_name: str, data: bytes, boundary: str) -> bytes:
    """A `multipart/form-data` body: the fields, then the file as part `file`, which ends the form.

    Args:
        fields: Names and values, without line breaks.
        file_name: As the store keeps it; percent-encoded where it must be.
        data: The file.
        boundary: Occurs in no field; of letters and digits.
    """
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    shown = quote(file_name, safe="/ ")
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{shown}"\r\n'
        "Content-Type: \r\n\r\n".encode()
    )
    return b"".join((*parts, data, f"\r\n--{boundary}--\r\n".encode()))


def _permission(content: Mapping[str, object], *, plain: bool) -> _Permission | None:
    """The permission, if it is whole and its parts can stand where they must."""
    fields = {}
    for name in _PERMISSION_FIELDS:
        value = content.get(name)
        if not isinstance(value, str) or not value or not value.isprintable():
            return None
        fields[name] = value
    address = f"{fields['Bucket']}.{fields['Endpoint']}"
    try:
        storage = parse_endpoint(address if "://" in address or not plain else f"http://{address}")
    except ConfigError:
        return None
    if storage.scheme == "http" and not plain:
        return None
    return _Permission(fields, storage)


def _refusal(code: str, message: str | None, request_id: str | None = None) -> Parsed:
    return Parsed(f"Upload.{code}", "api", message, request_id, None, 0)
