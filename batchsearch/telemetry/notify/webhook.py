"""Sends a notification to a webhook, and never fails the run for it.

The address is the operator's own word, so a private host is as good as any. Redirections are not followed:
the summary goes where it was sent, or nowhere. What is shown of the address is its host alone.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from batchsearch._version import __version__
from batchsearch.config.sections.notify_settings import NOTIFY_VARIABLE, check_webhook
from batchsearch.errors import ConfigError
from batchsearch.proxies import ENVIRONMENT, proxies_of
from batchsearch.redaction import keep_secret
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchsearch.config.sections.notify_settings import NotifySettings
    from batchsearch.telemetry.notify.message import Notification

_FIRST_PAUSE: Final = 1.0
_PASSING: Final = frozenset({408, 425, 429})
_FIRST_GOOD, _FIRST_REDIRECT, _FIRST_SERVER_ERROR = 200, 300, 500


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where notifications go.

    Attributes:
        address: Never shown.
        settings: What is told, and how often it is tried.
        host: What may be shown of the address.
    """

    address: str = field(repr=False)
    settings: NotifySettings
    host: str

    async def notify(
        self,
        notification: Notification,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> bool:
        """Send it, if its kind is wanted; whether it was taken.

        Network trouble, server errors and 408, 425, 429 are tried again, after pauses that double; any
        other answer is final. Takes at most `attempts` times `timeout` and the pauses between.

        Args:
            notification: What is told.
            sleep: Waits so many seconds.
        """
        if notification.kind not in self.settings.when:
            return False
        body = json.dumps(notification.as_dict(), ensure_ascii=False).encode("utf-8", "replace")
        reason = ""
        for attempt in range(1, self.settings.attempts + 1):
            if attempt > 1:
                await sleep(_FIRST_PAUSE * 2 ** (attempt - 2))
            reason, final = await self._post(body)
            if not reason:
                logger().info("notify_sent", kind=notification.kind, host=self.host)
                return True
            if final:
                break
        logger().warning("notify_failed", kind=notification.kind, host=self.host, reason=reason)
        return False

    async def _post(self, body: bytes) -> tuple[str, bool]:
        """Why it was not taken, empty if it was; and whether trying again is useless."""
        import aiohttp

        headers = {"Content-Type": "application/json", "User-Agent": f"batchsearch/{__version__}"}
        timeout = aiohttp.ClientTimeout(total=self.settings.timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self.address, data=body, headers=headers, allow_redirects=False, proxy=self._proxy()
                ) as answer,
            ):
                status = answer.status
        except ConfigError as error:
            return str(error), True
        except (aiohttp.InvalidURL, ValueError):
            return "the address cannot be used", True
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # The error's own text may quote the address.
            return type(error).__name__, False
        if _FIRST_GOOD <= status < _FIRST_REDIRECT:
            return "", True
        if status < _FIRST_SERVER_ERROR and status not in _PASSING:
            return f"HTTP status {status}", True
        return f"HTTP status {status}", False

    def _proxy(self) -> str | None:
        """The environment's proxy for the address."""
        parts = urlsplit(self.address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return proxies_of(ENVIRONMENT, os.environ, where="").of(parts.scheme, self.host.lower(), port)


def webhook_of(settings: NotifySettings, environ: Mapping[str, str] = os.environ) -> Webhook | None:
    """Where a job's notifications go; None when nobody is told.

    Args:
        settings: The job's section.
        environ: May have the address, which then wins over the job file's.

    Raises:
        ConfigError: The environment's address is none.
    """
    given = environ.get(NOTIFY_VARIABLE, "").strip()
    address = given or settings.webhook
    if address is None:
        return None
    try:
        check_webhook(address)
    except ValueError as error:
        raise ConfigError(f"{NOTIFY_VARIABLE}: {error}") from None
    parts = urlsplit(address)
    if given:
        keep_secret(given)
        keep_secret(parts.password)
        keep_secret(parts.query)
        keep_secret(parts.path)
    return Webhook(address, settings, parts.hostname or "")
