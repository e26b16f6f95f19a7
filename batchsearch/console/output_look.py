"""How the output of a console's own job stands: what its runs have spent today, and whether one works."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from batchsearch.errors import BatchsearchError
from batchsearch.tasks.status.run_status import look_at

if TYPE_CHECKING:
    from pathlib import Path

LOOK_SECONDS: Final = 3.0
"""How long a look is taken for the present."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a job's own output stands.

    Attributes:
        at: When it was looked at, monotonic.
        calls_today: Calls that runs over it have made today, by its ledger; None without one.
        is_running: A run works on it.
    """

    at: float
    calls_today: int | None
    is_running: bool


def looked_at(folder: Path) -> Look:
    """How an output folder stands now; nothing in it is changed."""
    now = datetime.now(UTC)
    if not folder.is_dir():
        return Look(time.monotonic(), None, is_running=False)
    from batchsearch.tasks.usage.statement import read_usage

    calls = sum(line.slots_used for line in read_usage([folder]).lines if line.day == now.date())
    try:
        states = {status.state for status in look_at(folder, now)}
    except BatchsearchError:
        states = set()
    return Look(time.monotonic(), calls, is_running=bool(states & {"opening", "running"}))
