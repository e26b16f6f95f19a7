"""What was asked before: kept in a folder of the user's, bounded, and free to look at again."""

from __future__ import annotations

import re
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from batchsearch.console.asked import Asked, titled
from batchsearch.console.wording import say
from batchsearch.errors import OutputError
from batchsearch.publish import publishing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_ENTRIES: Final = 500
MOST_BYTES: Final = 50_000_000
_LARGEST: Final = 4_000_000
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{12}")
_PRIVATE: Final = 0o700
_OWN: Final = 0o600


class History:
    """Answers, newest first.

    Args:
        folder: Where they are kept; None keeps them until the session ends.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._entries: OrderedDict[str, Asked] = OrderedDict()
        self._thumbnails: dict[str, bytes] = {}
        self._session: set[str] = set()
        self.trouble = ""
        if folder is not None:
            self._open(folder)

    def _open(self, folder: Path) -> None:
        if not folder.exists():
            return
        try:
            folder.chmod(_PRIVATE)
            names = sorted(path.stem for path in folder.glob("*.json") if _NAME.fullmatch(path.stem))
        except OSError as error:
            self.trouble = say("history.not_kept", folder=folder, error=error.strerror or error)
            self._folder = None
            return
        for name in names:
            path = folder / f"{name}.json"
            with suppress(OSError, ValueError):
                if path.stat().st_size <= _LARGEST:
                    self._entries[name] = Asked.from_json(path.read_text(encoding="utf-8"))
        self._make_room()

    def __iter__(self) -> Iterator[Asked]:
        return reversed(self._entries.values())

    def __len__(self) -> int:
        """How many answers there are."""
        return len(self._entries)

    def get(self, name: str) -> Asked | None:
        """An answer; None where it is not there any more."""
        return self._entries.get(name)

    def same(self, digest: str) -> Asked | None:
        """The latest good answer of this session to an equal question."""
        return next(
            (
                each
                for each in self
                if each.id in self._session and each.code is None and each.digest == digest
            ),
            None,
        )

    def add(self, asked: Asked, thumbnail: bytes | None) -> None:
        """Keep an answer, until the console ends; `write` keeps it for longer.

        Args:
            asked: The answer.
            thumbnail: A small JPEG of what it was about.
        """
        self._session.add(asked.id)
        self._entries[asked.id] = asked
        if thumbnail is not None:
            self._thumbnails[asked.id] = thumbnail
        self._make_room()

    def thumbnail(self, name: str) -> bytes | None:
        """The small JPEG of an answer."""
        if name in self._thumbnails or self._folder is None or name not in self._entries:
            return self._thumbnails.get(name)
        with suppress(OSError):
            return (self._folder / f"{name}.jpg").read_bytes()
        return None

    def change(self, name: str, *, title: str | None = None, pinned: bool | None = None) -> Asked | None:
        """Name an answer, or pin it; returns it as it is then, to be written."""
        before = self._entries.get(name)
        if before is None:
            return None
        after = replace(
            before,
            title=before.title if title is None else titled(title),
            pinned=before.pinned if pinned is None else pinned,
        )
        self._entries[name] = after
        return after

    def remove(self, name: str) -> None:
        """Delete an answer."""
        self._entries.pop(name, None)
        self._thumbnails.pop(name, None)
        self._session.discard(name)
        if self._folder is not None and _NAME.fullmatch(name):
            for ending in ("json", "jpg"):
                with suppress(OSError):
                    (self._folder / f"{name}.{ending}").unlink()

    def write(self, asked: Asked, thumbnail: bytes | None = None) -> None:
        """Put an answer on the disk, from any thread; one that cannot be written stays for the session."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            with publishing(self._folder / f"{asked.id}.json", mode=_OWN) as file:
                file.write(asked.to_json().encode("utf-8", "replace"))
            if thumbnail is not None:
                with publishing(self._folder / f"{asked.id}.jpg", mode=_OWN) as file:
                    file.write(thumbnail)
        except (OSError, OutputError) as error:
            # A full disk: the answer is on the page, and stays until the console ends.
            self.trouble = str(error)

    def _make_room(self) -> None:
        size = {name: len(each.body) for name, each in self._entries.items()}
        total = sum(size.values())
        for name in [name for name, each in self._entries.items() if not each.pinned]:
            if len(self._entries) <= MOST_ENTRIES and total <= MOST_BYTES:
                return
            total -= size[name]
            self.remove(name)
