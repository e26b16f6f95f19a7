"""Pairs of products, as single hits make them."""

import numpy as np

from batchsearch.tasks.dedup.candidates.matches import SEARCH, Matches, folded, pairs_of


def matched(*hits):
    """Pairs of single hits: product, other, score, how found."""
    columns = list(zip(*(hit[:3] for hit in hits), strict=True))
    count = len(hits)
    whole = np.arange(count, dtype=np.int32)
    return folded(
        pairs_of(
            Matches(
                product=np.array(columns[0], np.int32),
                other=np.array(columns[1], np.int32),
                row=whole,
                image=whole,
                found_image=whole,
                score=np.array(columns[2], np.float64),
                rank=np.ones(count, np.int32),
                category=np.full(count, 7, np.int64),
                found_by=np.array([hit[3] if len(hit) > 3 else SEARCH for hit in hits], np.int8),
            )
        )
    )
