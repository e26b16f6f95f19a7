"""The local folder in which a run over an output in a store works, and what it knows of that output."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputError
from batchsearch.publish import make_folder, own_name, publish, write_text
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.ledger.checksum import forget_sum
from batchsearch.storage.remote.output_index import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.storage.remote.output_index import Index

NOTE: Final = "carried.json"
COMING: Final = ".coming"
"""Folder in the work folder for files on their way; nothing in it outlasts a run."""

SET_ASIDE: Final = "set-aside"
"""Folder in the work folder for parts that had to make room; nothing in it is read or deleted."""

LEFT: Final = "left-behind"
LEFT_BEHIND: Final = "left-behind.sqlite3"
"""Beside the ledger: the last one whose place was taken by that of a run on another machine."""


def default_folder(address: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The work folder of an output where the job names none: in the user's cache, by the address's digest."""
    cache = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".cache")
    return Path(cache) / "batchsearch" / "outputs" / hashlib.sha256(address.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Note:
    """What a work folder knows of its output in the store.

    Attributes:
        work: The folder's own name, random.
        address: The output's address.
        carried: The index that it last carried up or brought down; None for none.
        sending: The index that it was about to write; None for none.
    """

    work: str
    address: str
    carried: Moment | None = None
    sending: Moment | None = None

    def is_ahead_of(self, index: Index) -> bool:
        """Whether the folder holds all that an index names, and perhaps more.

        It does where the index came from this folder as it is now, or was brought down and nothing was
        carried since. A folder put back from an older copy is not ahead of what it carried after that copy.
        """
        if index.work == self.work:
            return index.moment in (self.carried, self.sending)
        return index.moment == self.carried


def read_note(folder: Path, address: str) -> Note:
    """What a folder knows; a new name where it knows nothing yet.

    Raises:
        OutputError: It is the work folder of another output, or cannot be read.
    """
    file = folder / NOTE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        note = Note(
            str(values["work"]),
            str(values["address"]),
            *(None if values[name] is None else Moment(*map(int, values[name])) for name in _MOMENTS),
        )
    except FileNotFoundError:
        return Note(secrets.token_hex(8), address)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{file}: cannot be read ({type(error).__name__}); remove the work folder"
        ) from error
    if note.address != address:
        raise OutputError(
            f"{folder}: is the work folder of {note.address}; give this job another `output.work_dir`"
        )
    return note


_MOMENTS: Final = ("carried", "sending")


def write_note(folder: Path, note: Note) -> None:
    """Keep what a folder knows; at every moment there is the old note or the new one.

    Raises:
        OutputError: The disk refuses.
    """
    values: dict[str, object] = {"work": note.work, "address": note.address}
    for name in _MOMENTS:
        moment: Moment | None = getattr(note, name)
        values[name] = None if moment is None else [moment.generation, moment.sequence]
    file = folder / NOTE
    write_text(file, json.dumps(values), own_name(file))


def room_for_coming(folder: Path) -> Path:
    """An empty folder for files on their way.

    Raises:
        OSError: The disk refuses.
    """
    clear_coming(folder)
    room = folder / COMING
    room.mkdir(parents=True)
    return room


def clear_coming(folder: Path) -> None:
    """Remove what was on its way."""
    shutil.rmtree(folder / COMING, ignore_errors=True)


def make_room(folder: Path, files: Mapping[str, str]) -> None:
    """Set aside parts that the output does not have: another machine has taken it over since.

    Args:
        folder: The work folder.
        files: SHA-256 of every file that the output has, by its path below the folder.

    Raises:
        OSError: The disk refuses.
    """
    room = folder / SET_ASIDE / f"{LEFT}-{secrets.token_hex(4)}"
    for path in sorted(folder.rglob("part-*.parquet")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(f"{SET_ASIDE}/") or (name in files and sha256_of(path) == files[name]):
            continue
        target = room / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def set_ledger(new: Path, ledger: Path) -> None:
    """Put a ledger into its place; the one that was there is kept beside it under another name.

    Raises:
        OSError: The disk refuses.
    """
    make_folder(ledger.parent)
    aside = ledger.with_name(LEFT_BEHIND)
    # The journal goes with its database, or not at all: beside another one it would be taken for that one's.
    for ending in ("-wal", "-shm", ""):
        aside.with_name(aside.name + ending).unlink(missing_ok=True)
    for ending in ("-wal", ""):
        with suppress(FileNotFoundError):
            ledger.with_name(ledger.name + ending).rename(aside.with_name(aside.name + ending))
    ledger.with_name(ledger.name + "-shm").unlink(missing_ok=True)
    forget_sum(ledger)
    publish(new, ledger)
