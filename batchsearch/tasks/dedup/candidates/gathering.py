"""All that speaks for pairs of products: the search's hits, the pre-check's matches, people's judgements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.tasks.dedup.candidates.hits import Tally, read_matches
from batchsearch.tasks.dedup.candidates.in_pieces import pieces
from batchsearch.tasks.dedup.candidates.matches import only
from batchsearch.tasks.dedup.candidates.off_memory import give_back
from batchsearch.tasks.dedup.candidates.pair_folding import PairFolder, kept
from batchsearch.tasks.dedup.clusters.decide import with_judged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.hits import HitRules
    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.clusters.decide import Judged
    from batchsearch.tasks.dedup.clusters.table_rows import Sources


@dataclass(frozen=True, slots=True)
class Gathering:
    """Makes pairs from all that a night knows.

    Attributes:
        images: What the search's results say.
        rules: Which hits count.
        sources: What the tables are made from.
        judged: What people have said of pairs.
        changed_at: When each row's image was first seen to be another one; None where nobody looked.
        room: Where pairs are that are too many for memory.
    """

    images: Images
    rules: HitRules
    sources: Sources
    judged: Judged
    changed_at: NDArray[np.int64] | None
    room: Room

    def pairs(self, useless: NDArray[np.bool_] | None = None) -> tuple[Pairs, Tally]:
        """The pairs, and what became of the hits.

        Args:
            useless: Rows whose images prove nothing; None for none.

        Raises:
            OutputError: The hits cannot be read.
        """
        images = self.images
        count = len(images.products)
        # A product with an image that could not be searched cannot testify against any pair.
        mute = self.room.array(count, bool, 0)
        for some in pieces(len(images)):
            mute[images.product[some][~images.searched[some]]] = True
        tally = Tally(self.room.array(count, bool, 0), mute, self.room.array(len(images), bool, 0))
        folder = PairFolder(self.room)
        found = read_matches(
            self.sources.search, images, self.rules, tally, changed_at=self.changed_at, useless=useless
        )
        for matches in found:
            folder.add(matches)
        if self.sources.local is not None:
            local = self.sources.local(images)
            matches = local.matches
            if useless is not None:
                answer = images.row_of(matches.other, matches.found_image)
                matches = only(matches, ~(useless[matches.row] | useless[answer]))
            folder.add(matches)
            tally.cut[local.crowded] = True
        give_back()
        pairs = with_judged(folder.pairs(), self.judged, self.room)
        give_back()
        if not self.rules.outside:
            # Wherever a pair comes from: both its products are in the manifest, or there is no pair.
            pairs = kept(pairs, images.present_products(), self.room)
        return pairs, tally
