"""Somebody is told how a run ended, whatever the end: summary or error."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from batchsearch.errors import StoppedEarlyError
from batchsearch.telemetry.notify.message import Notification, of_error, of_summary
from batchsearch.telemetry.notify.webhook import webhook_of
from batchsearch.telemetry.observers import exit_code_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchsearch.config.model import JobSettings
    from batchsearch.telemetry.summary import Summary


@asynccontextmanager
async def notifying(
    settings: JobSettings, *, when_cancelled: bool
) -> AsyncIterator[Callable[[Summary], None]]:
    """Tells the job's webhook how the run inside ended; what it yields is to be given the summary.

    Args:
        settings: The job.
        when_cancelled: A cancellation is a signal's doing and is told as well; otherwise it is the
            caller's own, who need not wait for a webhook.

    Raises:
        ConfigError: The webhook's address is none.
    """
    webhook = webhook_of(settings.notify)
    ended: list[Summary] = []
    notification: Notification | None = None
    try:
        yield ended.append
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, Exception) or when_cancelled:
            known = error if isinstance(error, Exception) else StoppedEarlyError()
            notification = of_error(
                known,
                exit_code=exit_code_of(known),
                operation=settings.operation,
                instance=settings.instance.name,
                output=settings.output.dir,
            )
        raise
    else:
        if ended:
            notification = of_summary(ended[-1].as_dict(), output=settings.output.dir)
    finally:
        if webhook is not None and notification is not None:
            await webhook.notify(notification)
