"""A sealed part, and where it can be: the one record of it, for who writes it, notes it and looks for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

Place = Literal["current", "staged", "coming", "history"]
"""Where a sealed part is: what readers see, what waits to replace something there, what is about to be seen,
and what was replaced."""

CURRENT: Final = "current"
"""The place of the parts that readers see."""

STAGED: Final = "staged"
"""The place, and the folder under the output folder, of renewed outcomes that readers do not see yet."""

HISTORY: Final = "history"
"""The place, and the folder, of outcomes that later ones have replaced: parts without hits."""


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A pair of files, `results/<name>` and `hits/<name>`; one of `history/` has results only.

    Attributes:
        name: File name in both folders.
        rows: Rows of `results`.
        hits: Rows of `hits`.
        results_sha256: Of the file of results, lower-case hexadecimal.
        hits_sha256: Of the file of hits; empty where there is none.
        first_seq: Number of the first outcome in it; 0 for a part without rows, or where nobody knows.
        last_seq: Number of the last one, likewise; numbers between them may be in other parts.
        place: Where it is.
        stays: It is in the generation of parts that is coming.
    """

    name: str
    rows: int
    hits: int
    results_sha256: str
    hits_sha256: str
    first_seq: int = 0
    last_seq: int = 0
    place: Place = CURRENT
    stays: bool = False

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        """The part whose `COLUMNS` a ledger has given."""
        found = dict(zip(COLUMNS, values, strict=True))
        return cls(**found | {"stays": bool(found["stays"])})


COLUMNS: Final = tuple(each.name for each in fields(SealedPart))
"""The columns of a ledger's table of parts that make a `SealedPart`, in its order."""
