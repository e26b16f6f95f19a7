"""A running run's sign of life: `ledger/heartbeat.json`, what `batchsearch status` reads.

Written anew every two seconds, each time as a whole, and not synced: it says how things are now, and is
worth nothing after a power cut. It is never read by a run, so its loss costs nothing.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError
from batchsearch.publish import own_name, write_text
from batchsearch.telemetry.reading import Reading, reading_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEARTBEAT_FILE: Final = "heartbeat.json"
BEAT_SECONDS: Final = 2.0
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose run it is.

    Attributes:
        run_id: The run's name.
        pid: Its process.
        host: Where that runs.
        operation: Operation called.
        instance: Instance name.
        started_at: When it began, UTC.
    """

    run_id: str
    pid: int
    host: str
    operation: str
    instance: str
    started_at: datetime

    @classmethod
    def here(cls, run_id: str, operation: str, instance: str) -> Owner:
        """This process, from now on."""
        return cls(run_id, os.getpid(), socket.gethostname(), operation, instance, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat file says.

    Attributes:
        owner: Whose run it is.
        reading: The run at the file's moment.
        ended: Whether the run has said that it is over.
        exit_code: What its process exits with; None while it works.
        why: What ended it early; empty when nothing did.
    """

    owner: Owner
    reading: Reading
    ended: bool = False
    exit_code: int | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into the file."""
        return {
            **asdict(self.owner),
            "started_at": self.owner.started_at.isoformat(timespec="seconds"),
            "ended": self.ended,
            "exit_code": self.exit_code,
            "why": self.why,
            **self.reading.as_dict(),
        }


def write_beat(folder: Path, beat: Beat) -> None:
    """Put a beat into the ledger's folder; a disk that refuses is the ledger's to report, not ours."""
    path = folder / HEARTBEAT_FILE
    # Two writers are kept apart by the lock on the folder, so one temporary name serves.
    with suppress(OutputError):
        write_text(path, json.dumps(beat.as_dict(), ensure_ascii=False), own_name(path))


def read_beat(folder: Path) -> Beat | None:
    """What the ledger's folder has; None when there is none that can be read."""
    try:
        with (folder / HEARTBEAT_FILE).open("rb") as file:
            values = json.loads(file.read(_MOST_BYTES))
        return _beat(values)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _beat(values: Mapping[str, Any]) -> Beat:
    started = datetime.fromisoformat(values["started_at"])
    if started.tzinfo is None:
        raise ValueError("started_at has no time zone")
    owner = Owner(
        str(values["run_id"]),
        int(values["pid"]),
        str(values["host"]),
        str(values["operation"]),
        str(values["instance"]),
        started,
    )
    exit_code = values.get("exit_code")
    return Beat(
        owner,
        reading_from(values),
        ended=values.get("ended") is True,
        exit_code=None if exit_code is None else int(exit_code),
        why=str(values.get("why") or ""),
    )
