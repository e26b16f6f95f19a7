"""The guard before a DeleteImage job's first call: how much of what the instances hold may it delete?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.section import allowed_of
from batchsearch.errors import ManifestError, RunEndedError
from batchsearch.service.codes.lookup import action_of, code_for
from batchsearch.service.form import build_call
from batchsearch.service.parameters import ParameterProblem
from batchsearch.service.responses import DetailResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.run.direct_calls import DirectClient
    from batchsearch.service.client import Client

_TRIES: Final = 5
_PAUSE: Final = 1.5
"""Between two questions, seconds: `Detail` is granted once a second."""
_BY_FILTER: Final = "is_delete_by_filter"
_EVERYTHING: Final = "100%"


def is_guarded(settings: JobSettings) -> bool:
    """Whether a job deletes, and not whatever it names."""
    return settings.operation == "DeleteImage" and str(settings.max_deleted).strip() != _EVERYTHING


async def guard_deletions(
    settings: JobSettings,
    instances: Sequence[tuple[str, Client | DirectClient]],
    rows: int,
    *,
    pause: float = _PAUSE,
) -> None:
    """Ask the instances how many images they hold, and refuse a run that would delete more than it may.

    A row that names no image deletes all of its product and counts as one.

    Args:
        settings: The job.
        instances: Names of the instances, and who asks them.
        rows: Rows that are to be worked on.
        pause: Between two questions, seconds.

    Raises:
        ManifestError: The run would delete more.
        RunEndedError: An instance does not say how many images it holds.
    """
    if rows == 0:
        return
    if _BY_FILTER in settings.manifest.columns or _is_true(settings.parameters.get(_BY_FILTER)):
        raise ManifestError.at(
            settings.manifest.path,
            f"deletes by filter, which may be any number of images; `max_deleted: {_EVERYTHING}` "
            "allows it. Nothing was deleted",
        )
    held = sum([await _images_held(name, client, settings, pause) for name, client in instances])
    if rows <= allowed_of(settings.max_deleted, held):
        return
    share = f" ({100 * rows / held:.1f} %)" if held else ""
    raise ManifestError.at(
        settings.manifest.path,
        f"names {rows:,} images to delete, the instance holds {held:,}{share}, and `max_deleted` "
        f"allows {settings.max_deleted}. Nothing was deleted. If all are to go, run once with "
        f"`--set max_deleted={_EVERYTHING}`",
    )


async def _images_held(name: str, client: Client | DirectClient, settings: JobSettings, pause: float) -> int:
    call = build_call("Detail", name, {}, ())
    if isinstance(call, ParameterProblem):  # nothing of it is the user's
        raise RunEndedError(call.code, call.message)
    why, refused = "it gives no number", "Detail"
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(pause)
        answer = await client.send(call)
        if isinstance(answer.response, DetailResponse) and answer.response.instance is not None:
            count = answer.response.instance.total_count
            if count is not None:
                return count
            break
        refused = answer.code or refused
        why = f"{refused}: {answer.message}"
        code = code_for(refused, answer.http_status)
        if answer.origin == "api" and action_of(code, settings.codes) != "retry":
            break
    raise RunEndedError(
        refused,
        f"{name}: does not say how many images it holds ({why}), so that nobody can tell how much of it "
        f"would be deleted; allow the operation Detail, or set `max_deleted: {_EVERYTHING}`",
    )


def _is_true(value: Any) -> bool:
    return value is True or str(value).casefold() == "true"
