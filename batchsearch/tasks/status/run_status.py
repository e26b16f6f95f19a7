"""How the run of an output folder stands, found out from outside: nothing is changed, no run is disturbed.

The heartbeat says what the run says of itself; the lock says whether anybody still holds the folder, since
the kernel lets go of it the moment its holder dies. A fresh heartbeat is believed at once; only a stale one
makes us try the lock, for a few microseconds.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.lock import is_held
from batchsearch.storage.output_layout import (
    INSIDE,
    LEDGER,
    LEDGER_FOLDER,
    LOCK,
    SUMMARY,
    NoOutputError,
    lanes_in,
    no_output,
    record_in,
)
from batchsearch.telemetry.heartbeat import Beat, read_beat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

State = Literal["opening", "running", "silent", "dead", "ended"]

STATES: Final[Mapping[State, str]] = {
    "opening": "A run has begun and checks its manifest; it has not called yet.",
    "running": "A run works.",
    "silent": "A run holds the folder but has not reported for a while: stopped, or its disk hangs.",
    "dead": "The run's process is gone without having ended it; running the command again resumes.",
    "ended": "No run works here; the last one has ended.",
}
"""What a run can be found doing."""

FRESH_SECONDS: Final = 10.0
"""A heartbeat no older than this is a living run's."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How the run of one output folder stands.

    Attributes:
        folder: The output folder.
        state: One of `STATES`.
        moment: When it was looked at, UTC.
        beat: What the run last said of itself; None where no run has.
        holder: What the lock's file says of who holds it, or held it when it died.
        outcomes: Rows that have their outcome, as the ledger counts them; None where the heartbeat knows.
        summary: The last run's summary; None while one works, or where there is none.
    """

    folder: str
    state: State
    moment: datetime
    beat: Beat | None = None
    holder: Mapping[str, Any] | None = None
    outcomes: int | None = None
    summary: Mapping[str, Any] | None = None

    @property
    def last_sign(self) -> datetime | None:
        """When the run was last known to live, UTC."""
        if self.beat is not None:
            return self.beat.reading.moment
        try:
            since = datetime.fromisoformat((self.holder or {})["since"])
        except (KeyError, TypeError, ValueError):
            return None
        return since if since.tzinfo is not None else None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change here until somebody starts a run."""
        return self.state in ("dead", "ended")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        sign = self.last_sign
        return {
            "folder": self.folder,
            "state": self.state,
            "last_sign": None if sign is None else sign.isoformat(timespec="seconds"),
            "outcomes": self.outcomes,
            "holder": None if self.holder is None else dict(self.holder),
            "progress": None if self.beat is None else self.beat.as_dict(),
            "summary": None if self.summary is None else dict(self.summary),
        }


def look_at(folder: Path, now: datetime) -> list[RunStatus]:
    """How the runs of an output folder stand: its own, its instances', or those inside a dedup folder.

    Args:
        folder: The output folder (`output.dir`) of a job, or of `batchsearch dedup`.
        now: Wall clock, UTC.

    Raises:
        ConfigError: No run has ever worked there.
        OutputError: A ledger cannot be read.
    """
    folders: list[Path] = []
    for place in (folder, *(folder / name for name in INSIDE)):
        folders += [place] if (place / LEDGER_FOLDER).is_dir() else lanes_in(place, holding=LEDGER_FOLDER)
    if not folders:
        raise NoOutputError(no_output(folder))
    return [_look_at_run(place, now) for place in folders]


def _look_at_run(folder: Path, now: datetime) -> RunStatus:
    beat, holder = read_beat(folder / LEDGER_FOLDER), record_in(folder / LOCK)
    name = str(folder)
    working = beat is not None and not beat.ended
    if beat is not None and working and _is_fresh(beat, now) and not _is_gone(beat):
        return RunStatus(name, "running", now, beat, holder)
    if is_held(folder / LOCK):
        # The file of the one who holds it may not be written yet, and the beat may be an earlier run's.
        same = beat is not None and holder is not None and holder.get("run") == beat.owner.run_id
        if beat is not None and same and working:
            return RunStatus(name, "running" if _is_fresh(beat, now) else "silent", now, beat, holder)
        return RunStatus(name, "opening", now, None, holder)
    if beat is not None and holder is not None and holder.get("run") != beat.owner.run_id:
        beat, working = None, True  # a later run died before its first beat
    if working or (beat is None and holder is not None):
        return RunStatus(name, "dead", now, beat, holder, _outcomes(folder))
    summary = record_in(folder / SUMMARY)
    return RunStatus(name, "ended", now, beat, None, None if beat else _outcomes(folder), summary)


def _is_fresh(beat: Beat, now: datetime) -> bool:
    return abs(now - beat.reading.moment) <= timedelta(seconds=FRESH_SECONDS)


def _is_gone(beat: Beat) -> bool:
    """Whether the run's process is not there any more, as far as this host can tell."""
    if beat.owner.host != socket.gethostname() or beat.owner.pid <= 0:
        return False
    try:
        os.kill(beat.owner.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _outcomes(folder: Path) -> int | None:
    file = folder / LEDGER
    if not file.exists():
        return None
    try:
        with LedgerReader(file, oldest=1) as reader:
            return reader.finished_count()
    except OutputError:
        return None  # an older or a damaged one: `verify` says what is wrong with it
