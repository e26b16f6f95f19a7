"""Which finished rows somebody wants to be asked for again (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Chosen:
    """Failed rows by what they failed with, and any rows by their keys; a row is chosen by any of these.

    Attributes:
        codes: Error codes; `*` stands for anything, as in `Transport.*`.
        origins: `local`, `api` or `transport`.
        failed: Every failed row.
        rows: Keys of finished rows, whatever they ended as.
    """

    codes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    failed: bool = False
    rows: tuple[str, ...] = ()

    def outcomes(self, there: Iterable[tuple[str | None, str | None]]) -> list[tuple[str, str | None]]:
        """Those of the (code, origin) that there are which are chosen; success never is."""
        return [
            (code, origin)
            for code, origin in there
            if code is not None
            and (
                self.failed
                or origin in self.origins
                or any(fnmatchcase(code, pattern) for pattern in self.codes)
            )
        ]
