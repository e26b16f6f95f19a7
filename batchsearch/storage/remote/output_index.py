"""The index of an output in a store: which files it is made of, as one JSON object (pure)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = 1
SET_ASIDE: Final = "_carried/set-aside"
"""Where objects go that had to make room and that no index has named; nothing there is read or deleted."""

TAG_LETTERS: Final = 16
"""Letters of a file's SHA-256 in its object's name."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OBJECT: Final = re.compile(rf"-[0-9a-f]{{{TAG_LETTERS}}}(\.[A-Za-z0-9]+)?$")


class BadIndexError(ValueError):
    """An index is not what this version writes; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the output.

    Attributes:
        path: Where it is in the work folder, with slashes: `results/part-000001.parquet`.
        object: Where it is in the store, below the output's address.
        sha256: Of its content, lower-case hexadecimal.
        rows: How many rows it has; None where it is no table.
    """

    path: str
    object: str
    sha256: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When in an output's life something was written: later ones are greater.

    Attributes:
        generation: Number of the run that held the output, from 1.
        sequence: Number of its index, from 1.
    """

    generation: int
    sequence: int

    def __lt__(self, other: Moment) -> bool:
        return (self.generation, self.sequence) < (other.generation, other.sequence)


@dataclass(frozen=True, slots=True)
class Index:
    """What an output was made of at one moment.

    Attributes:
        moment: When.
        work: Name of the work folder that it was carried from.
        run: The run that carried it.
        ledger: The copy of the ledger.
        files: All other files.
    """

    moment: Moment
    work: str
    run: str
    ledger: StoredFile
    files: tuple[StoredFile, ...]

    def objects(self) -> set[str]:
        """Everything that it names, below the output's address."""
        return {self.ledger.object, *(file.object for file in self.files)}

    def tables(self, name: str) -> list[StoredFile]:
        """The files of one table, `results` or `hits`, by name."""
        return sorted(
            (file for file in self.files if file.path.startswith(f"{name}/")), key=lambda file: file.path
        )

    def as_json(self) -> str:
        """As it is written."""
        return json.dumps(
            {
                "format": FORMAT,
                "generation": self.moment.generation,
                "sequence": self.moment.sequence,
                "work": self.work,
                "run": self.run,
                "ledger": _file_as_dict(self.ledger),
                "files": [_file_as_dict(file) for file in self.files],
            },
            indent=1,
        )


def index_from(text: bytes) -> Index:
    """The index that a text holds.

    Raises:
        BadIndexError: It is of another version, or leads out of the output.
    """
    try:
        values = json.loads(text)
        if values["format"] != FORMAT:
            raise BadIndexError(f"has format {values['format']!r}; this version reads {FORMAT}")
        return Index(
            Moment(int(values["generation"]), int(values["sequence"])),
            str(values["work"]),
            str(values["run"]),
            _file_from(values["ledger"]),
            tuple(_file_from(each) for each in values["files"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BadIndexError):
            raise
        raise BadIndexError(f"is no index of an output ({type(error).__name__})") from None


def object_name(path: str, sha256: str) -> str:
    """Where a file goes in the store: its own name with a piece of its SHA-256.

    Two contents never have one name: what a run that lost its lease still writes harms nobody.
    """
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    if not dot:
        stem, ending = ending, ""
    return f"{folder}{slash}{stem}-{sha256[:TAG_LETTERS]}{dot}{ending}"


def is_carried_object(name: str) -> bool:
    """Whether an object, by its name below the output's address, is one that `object_name` has named."""
    return _OBJECT.search(name) is not None and not name.startswith(f"{SET_ASIDE}/")


def left_over(names: Iterable[str], index: Index | None) -> list[str]:
    """Objects with names as `object_name` makes them that an index does not name."""
    kept = index.objects() if index is not None else set()
    return sorted(name for name in names if is_carried_object(name) and name not in kept)


def _file_as_dict(file: StoredFile) -> dict[str, Any]:
    found: dict[str, Any] = {"path": file.path, "object": file.object, "sha256": file.sha256}
    return found if file.rows is None else {**found, "rows": file.rows}


def _file_from(values: Any) -> StoredFile:
    path, name, sha256 = str(values["path"]), str(values["object"]), str(values["sha256"])
    for place in (path, name):
        parts = place.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\\" in place or "\0" in place:
            raise BadIndexError("names a file outside the output")
    if not _SHA256.fullmatch(sha256):
        raise BadIndexError("has a file without a SHA-256")
    rows = values.get("rows")
    return StoredFile(path, name, sha256, None if rows is None else int(rows))
