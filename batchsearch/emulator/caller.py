"""A plain signed caller, for trying an emulator out and for tests that must not trust the real client.

It signs what it is told to, sends one request on a connection of its own, and returns what came back: no
retries, no checks, no parsing beyond JSON.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from batchsearch.emulator.http.protocol import read_inbound
from batchsearch.emulator.http.signatures import AccessKey, canonical_request_v3
from batchsearch.service.facts import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

FORM: Final = "application/x-www-form-urlencoded"
# What official clients put into the query rather than into the form.
IN_QUERY: Final = frozenset({"ScoreThreshold"})
# Operations of which they put everything there.
ALL_IN_QUERY: Final = frozenset({"Detail", "DumpMeta", "DumpMetaList", "IncreaseInstance", "IncreaseList"})


@dataclass(frozen=True, slots=True)
class Received:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        body: Bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> Any:
        """`Code` of the body: 0 for a success, the error's name otherwise."""
        return self.json().get("Code", 0)


def signed_v3(
    key: AccessKey,
    *,
    action: str,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
    now: float | None = None,
    method: str = "POST",
) -> dict[str, str]:
    """Headers of a request, with an ACS3-HMAC-SHA256 signature over all of them.

    Args:
        key: Signs.
        action: The operation.
        target: Path and query as they are sent.
        body: The exact body.
        headers: Further headers; must hold `host`. May override any that are made here.
        now: Seconds since 1970; the machine's clock when absent.
        method: HTTP method.
    """
    digest = hashlib.sha256(body).hexdigest()
    sent = {
        "x-acs-action": action,
        "x-acs-version": API_VERSION,
        "x-acs-date": datetime.fromtimestamp(time.time() if now is None else now, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        "x-acs-signature-nonce": secrets.token_hex(16),
        "x-acs-content-sha256": digest,
        **({"x-acs-security-token": key.security_token} if key.security_token is not None else {}),
        **headers,
    }
    names = tuple(sorted(sent))
    inbound = read_inbound(method, target, sent.items(), body)
    canonical = hashlib.sha256(canonical_request_v3(inbound, names, digest).encode()).hexdigest()
    text = f"ACS3-HMAC-SHA256\n{canonical}"
    signature = hmac.new(key.access_key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    listed = ";".join(names)
    sent["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key.access_key_id},SignedHeaders={listed},Signature={signature}"
    )
    return sent


class Caller:
    """Calls one emulator with one key pair."""

    def __init__(self, endpoint: str, key: AccessKey, *, timeout: float = 30.0) -> None:
        """Call `endpoint` (`http://HOST:PORT`), signed with `key`; give up after `timeout` seconds."""
        self._address = endpoint.removeprefix("http://")
        self._key = key
        self._timeout = timeout

    def call(
        self,
        action: str,
        parameters: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        key: AccessKey | None = None,
        now: float | None = None,
    ) -> Received:
        """Call an operation; parameters go where official clients put them.

        Args:
            action: The operation.
            parameters: By the vendor's names.
            headers: Further headers, all signed.
            key: Signs instead of the caller's own.
            now: Seconds since 1970 that the request claims.
        """
        texts = {name: str(value) for name, value in parameters.items()}
        query = {name: value for name, value in texts.items() if action in ALL_IN_QUERY or name in IN_QUERY}
        form = {name: value for name, value in texts.items() if name not in query}
        body = urlencode(form).encode()
        target = f"/?{urlencode(query)}" if query else "/"
        given = {"host": self._address, "accept": "application/json", **(headers or {})}
        if body:
            given.setdefault("content-type", FORM)
        sent = signed_v3(key or self._key, action=action, target=target, body=body, headers=given, now=now)
        return self.send("POST", target, body, sent)

    def send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Received:
        """Send a request as it is.

        Raises:
            OSError: the connection ended.
            http.client.HTTPException: what came back is no whole answer.
        """
        connection = http.client.HTTPConnection(self._address, timeout=self._timeout)
        try:
            connection.request(method, target, body=body, headers=dict(headers))
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Received(response.status, received, response.read())
        finally:
            connection.close()
