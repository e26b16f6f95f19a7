"""Which finished rows somebody wants to be asked for again (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class RowSelector:
    """Failed rows by what they failed with, and any rows by their keys: by any of these.

    Conditions choose among them, or among all rows where nothing else chooses.

    Attributes:
        codes: Error codes; `*` stands for anything, as in `Transport.*`.
        origins: `local`, `api` or `transport`.
        failed: Every failed row.
        rows: Keys of finished rows, whatever they ended as.
        where: Conditions that rows of the manifest meet, in the language of `manifest.where`.
        elsewhere: What is not in this output is in another one of the same job: that is no mistake.
    """

    codes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    failed: bool = False
    rows: tuple[str, ...] = ()
    where: str | None = None
    elsewhere: bool = False

    @property
    def only_where(self) -> bool:
        """Whether the conditions alone choose."""
        return not (self.codes or self.origins or self.failed or self.rows)

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
