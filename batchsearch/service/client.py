"""Sends one call and says what came of it.

One `send` is one HTTP request: each costs a slot, so repeating is the engine's decision. What the client
keeps between calls is how far this machine's clock is from the service's, learned from an answer that
refused a time stamp, and which credentials to sign with.
"""

from __future__ import annotations

import itertools
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from batchsearch._version import __version__
from batchsearch.proxies import DIRECT
from batchsearch.quick_record import quick_record
from batchsearch.retry_after import retry_after
from batchsearch.service.clock import ServiceClock
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.facts import API_VERSION
from batchsearch.service.http_exchange import Lost, Timeouts, exchange
from batchsearch.service.parse import parse_answer
from batchsearch.service.signing import Scheme, Unsigned, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from batchsearch.proxies import Proxies
    from batchsearch.service.credentials import CredentialsProvider
    from batchsearch.service.endpoint import Endpoint
    from batchsearch.service.form import Call
    from batchsearch.service.responses import AccessDeniedDetail, Response

USER_AGENT: Final = f"batchsearch/{__version__}"

_MOST_RETRY_AFTER: Final = 3_600.0  # seconds; a longer hint is taken for a mistake and cut


@quick_record
class Answer:
    """What came of one call.

    Attributes:
        http_status: Status, None when no answer came.
        code: Error code, None for success.
        origin: `api` when the service or its gateway refused, `transport` when something on the way
            failed, `local` when whoever stands in for an instance refused; None for success.
        message: The refusal's own words, or what failed.
        request_id: The service's id of the answer.
        retry_after: Seconds to wait before calling again, as the service hints.
        response: The typed answer.
        sent_at: Wall clock, UTC, when the request left.
        latency: Seconds from then to the end of the answer.
        field_problems: Kinds of deviations of the answer's fields from the documented ones.
        denial: Why access was denied, where the answer says so.
    """

    http_status: int | None
    code: str | None
    origin: Literal["api", "transport", "local"] | None
    message: str | None
    request_id: str | None
    retry_after: float | None
    response: Response | None
    sent_at: datetime
    latency: float
    field_problems: int = 0
    denial: AccessDeniedDetail | None = None


def _now() -> datetime:
    return datetime.now(UTC)


def nonces() -> Callable[[], str]:
    """Makes texts that nobody has used: 16 characters by chance, drawn once, and 16 that count on."""
    drawn, number = secrets.token_hex(8), itertools.count(secrets.randbits(48))
    return lambda: f"{drawn}{next(number):016x}"


class Client:
    """Calls one endpoint with one account's credentials.

    Attributes:
        service_time: The service's clock, as far as it is known; to be shared with whatever else signs.

    Args:
        session: From `exchange.new_session`; the client does not close it.
        endpoint: Where the service is.
        credentials: Who asks.
        timeouts: How long one call may take.
        signature: `v3` (ACS3-HMAC-SHA256) or `v1` (RPC HMAC-SHA1).
        proxies: Which proxy to send calls through.
        clock: Wall clock, UTC.
        steady: Steady seconds.
        nonce: Makes a text never used before; `nonces` when None.
        heard: Told the status and the body of each answer as it came, before anything is read from it.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        credentials: CredentialsProvider,
        *,
        timeouts: Timeouts | None = None,
        signature: Scheme = "v3",
        proxies: Proxies = DIRECT,
        clock: Callable[[], datetime] = _now,
        steady: Callable[[], float] = time.perf_counter,
        nonce: Callable[[], str] | None = None,
        heard: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._credentials = credentials
        self._timeouts = timeouts or Timeouts()
        self._signature = signature
        self._proxies = proxies
        self._clock = clock
        self._steady = steady
        self._nonce = nonce or nonces()
        self._authority, self._base = endpoint.authority, str(endpoint)
        self._heard = heard
        self.service_time = ServiceClock(clock)

    @property
    def address(self) -> str:
        """Host and port that calls go to."""
        return f"{self._endpoint.host}:{self._endpoint.port}"

    @property
    def skew(self) -> float:
        """Seconds that the service's clock is ahead of this machine's, as far as is known."""
        return self.service_time.skew

    async def send(self, call: Call) -> Answer:
        """Send the call, once, and say what came of it.

        Raises:
            ConfigError: There are no credentials to sign with. Nothing that the service or the network
                does raises.
        """
        credentials = await self._credentials.get()
        request = Unsigned(
            "POST",
            self._authority,
            call.operation,
            API_VERSION,
            call.query,
            call.body,
            call.body_sha256,
        )
        sent_at = self._clock()
        signed = sign(
            request,
            credentials,
            scheme=self._signature,
            when=self.service_time(),
            nonce=self._nonce(),
            user_agent=USER_AGENT,
        )
        began = self._steady()
        reply = await exchange(
            self._session,
            "POST",
            self._base + signed.target,
            headers=signed.headers,
            body=call.body,
            timeouts=self._timeouts,
            proxies=self._proxies,
        )
        latency = self._steady() - began
        if isinstance(reply, Lost):
            return Answer(
                reply.status, reply.code, "transport", reply.message, None, None, None, sent_at, latency
            )
        if self._heard is not None:
            self._heard(reply.status, reply.body)
        parsed = parse_answer(
            call.operation, reply.status, reply.body, request_id=reply.headers.get("x-acs-request-id")
        )
        self.service_time.learn(parsed.code, reply.headers)
        if parsed.code is not None and code_for(parsed.code, reply.status).action == "refresh_credentials":
            self._credentials.refuse(credentials)
        return Answer(
            http_status=reply.status,
            code=parsed.code,
            origin=parsed.origin,
            message=parsed.message,
            request_id=parsed.request_id,
            retry_after=retry_after_of(reply.headers, self._clock()),
            response=parsed.response,
            sent_at=sent_at,
            latency=latency,
            field_problems=parsed.field_problems,
            denial=parsed.denial,
        )

    async def refresh_credentials(self) -> None:
        """Replace the credentials if the service refused them; returns at once if it did not.

        Nothing is fetched twice: whoever asks while others fetch shares their result. To be awaited before
        a refused call is repeated, and before a slot is taken for any other.

        Raises:
            ConfigError: No place has any.
        """
        await self._credentials.refresh()


def retry_after_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `x-acs-retry-after` asks to wait; it counts milliseconds, 1 to an hour's worth.

    The standard `Retry-After` (whole seconds, or a date) is read where the vendor's header is absent:
    proxies send it.

    Args:
        headers: The answer's, by lower-case name.
        now: Wall clock, UTC.
    """
    text = headers.get("x-acs-retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 12 and int(text) > 0:  # noqa: PLR2004 - no overflow
        return min(int(text) * 0.001, _MOST_RETRY_AFTER)
    asked = retry_after(headers, now)
    return min(asked, _MOST_RETRY_AFTER) if asked else None
