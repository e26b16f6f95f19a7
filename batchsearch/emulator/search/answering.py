"""Between a query and what it finds: the index' question, and the answer's records (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.emulator.search.records import Hit, ImageInfo, Item, Query
from batchsearch.emulator.search.vector_index import Found, Wanted
from batchsearch.service.facts import MAX_RESULTS, OTHER_CATEGORY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.emulator.search.item_changes import Regions

# SearchImageByPic 2025-05, `SortExprValues`: the greatest value in categories 0 to 2, and in all others.
_SORT_MOST_CLOTHES: Final = 7.33136443711219e24
_SORT_MOST: Final = 5.37633353624177e24
_CLOTHES: Final = frozenset((0, 1, 2))


def wanted_of(vector: NDArray[np.float32], query: Query) -> Wanted:
    """What the index is asked for a query."""
    return Wanted(
        vector,
        most=min(query.start + query.num, MAX_RESULTS),
        category=query.category_id,
        filter=query.filter,
        threshold=query.score_threshold,
        distinct=query.distinct_product_id,
    )


def predicted(found: Found) -> int:
    """The category that an image is taken to be of."""
    return OTHER_CATEGORY if found.category is None else found.category


def info_of(category: int | None, regions: Regions) -> ImageInfo:
    """What is told of an image."""
    known = OTHER_CATEGORY if category is None else category
    return ImageInfo(known, regions.region, regions.multi_region)


def hit_of(item: Item, score: float) -> Hit:
    """An item found, with the vendor's older score beside its own."""
    most = _SORT_MOST_CLOTHES if item.category_id in _CLOTHES else _SORT_MOST
    return Hit(item, score, f"{score * most:.15g};0")
