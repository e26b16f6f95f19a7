"""Images that were searched find themselves, or the instance does not hold the catalogue (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.errors import BatchsearchError, ExitCode
from batchsearch.tasks.dedup.candidates.in_pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST_SHARE: Final = 0.5
"""Of the images searched, so many at least must find their own product."""


class CatalogueNotHeldError(BatchsearchError):
    """The instance does not hold what was searched, so that "no duplicates" would say nothing.

    Attributes:
        rows: Row keys of the images that did not find themselves: to be searched again once they are there.
    """

    exit_code = ExitCode.ENDED

    def __init__(self, message: str, rows: Sequence[str]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


def lost_images(searched: NDArray[np.bool_], found_itself: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Which images searched did not find their own product; None where enough did.

    Args:
        searched: Rows that were searched, and well.
        found_itself: Rows whose hits name their own product.
    """
    count = int(np.count_nonzero(searched))
    found = sum(int(np.count_nonzero(searched[some] & found_itself[some])) for some in pieces(len(searched)))
    if count == 0 or found >= LEAST_SHARE * count:
        return None
    lost: NDArray[np.bool_] = searched & ~found_itself
    return lost


def not_held_message(instance: str, searched: int, lost: int, *, adds: bool) -> str:
    """What to say of it.

    Args:
        instance: Its name.
        searched: Images searched.
        lost: Of these, how many did not find themselves.
        adds: Whether the job adds images by itself.
    """
    begin = (
        f"only {searched - lost:,} of {searched:,} images that were searched found themselves: the instance "
        f"{instance} does not hold this catalogue, and no duplicate can be found in it. "
    )
    way = (
        "They were added, so look whether `dedup.product_column` and `dedup.pic_name_column` name what the "
        "instance calls them"
        if adds
        else "Add the images with `dedup.sync: add`, or look whether `instance.name` and "
        "`dedup.product_column` are right"
    )
    return f"{begin}{way}; the next night searches them again. The tables are as they were"
