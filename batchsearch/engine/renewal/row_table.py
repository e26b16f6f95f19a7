"""What becomes of each row of the manifest, in one byte a row, and what is found out of some (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from batchsearch.engine.renewal.renewal_rules import Reason

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection

    from numpy.typing import NDArray

    from batchsearch.engine.renewal.renewal_rules import Source
    from batchsearch.storage.ledger.entries import RowState

_WITHOUT: Final = 0
_STANDS: Final = 1
_FIRST_REASON: Final = 2
_NUMBERS: Final[dict[Reason | None, int]] = {
    None: _WITHOUT,
    **{reason: number for number, reason in enumerate(get_args(Reason), start=_FIRST_REASON)},
}


class RowTable:
    """The rows of a manifest by their places; at first none has an outcome.

    Args:
        rows: How many there are.
    """

    def __init__(self, rows: int) -> None:
        self._states = np.zeros(rows, dtype=np.uint8)

    def stands(self, places: NDArray[Any]) -> None:
        """The outcomes of these rows stand."""
        self._states[places] = _STANDS

    def tell(self, place: int, reason: Reason | None) -> None:
        """This row has an outcome: why it is to get another one, None where it stands."""
        self._states[place] = _STANDS if reason is None else _NUMBERS[reason]

    def among(self, reasons: Collection[Reason | None]) -> NDArray[np.bool_]:
        """The rows that are renewed for one of these reasons; with None among them those without outcome."""
        wanted = np.zeros(1 + max(_NUMBERS.values()), dtype=bool)
        wanted[[_NUMBERS[reason] for reason in reasons]] = True
        found: NDArray[np.bool_] = wanted[self._states]
        return found


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found out about one batch of finished rows.

    Attributes:
        codes: Outcomes that stand, by error code; None for success.
        reasons: Rows to be renewed, by digest.
        unknown: What rows come from of which nothing was noted, by digest.
    """

    codes: Counter[str | None]
    reasons: dict[bytes, Reason]
    unknown: dict[bytes, bytes]

    def add(self, digest: bytes, state: RowState, source: Source | None, reason: Reason | None) -> None:
        """One row more.

        Args:
            digest: Of its key.
            state: What the ledger knows of it.
            source: What is known of it now; None when nobody looked.
            reason: Why it is renewed; None where its outcome stands.
        """
        if reason is not None:
            self.reasons[digest] = reason
            return
        self.codes[state.code] += 1
        if source is not None and state.source is None and not source.missing:
            self.unknown[digest] = source.digest
