"""From the search's output to tonight's tables: no call is made, and the same files give the same tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from batchsearch.service.facts import DEFAULT_NUM
from batchsearch.tasks.dedup.candidates.ages import NOTHING
from batchsearch.tasks.dedup.candidates.catalogue_reading import read_images
from batchsearch.tasks.dedup.candidates.hits import HitRules, Tally, ids_in, read_matches
from batchsearch.tasks.dedup.candidates.in_pieces import pieces
from batchsearch.tasks.dedup.candidates.matches import FOUND_BY, only, pair_key
from batchsearch.tasks.dedup.candidates.off_memory import Room, give_back
from batchsearch.tasks.dedup.candidates.own_image import CatalogueNotHeldError, lost_images, not_held_message
from batchsearch.tasks.dedup.candidates.pair_folding import PairFolder, kept
from batchsearch.tasks.dedup.candidates.shared_images import without_images
from batchsearch.tasks.dedup.candidates.sharing import Sharing
from batchsearch.tasks.dedup.clusters.clustering import cluster, with_notes
from batchsearch.tasks.dedup.clusters.decide import DIFFERENT, JUDGED, SAME, with_judged
from batchsearch.tasks.dedup.clusters.deciding import Deciding
from batchsearch.tasks.dedup.clusters.earlier_tables import earlier_pairs
from batchsearch.tasks.dedup.clusters.guarding import GuardRules
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import CLUSTERS, FINDINGS, PAIRS, TableWriter
from batchsearch.tasks.dedup.clusters.table_rows import cluster_rows, finding_rows, pair_rows
from batchsearch.tasks.dedup.clusters.verdicts import ALIKE, COLOURS_DIFFER, RECOLOURED, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.dedup_settings import DedupSettings
    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.clusters.decide import Judged
    from batchsearch.tasks.dedup.clusters.deciding import Decided
    from batchsearch.tasks.dedup.clusters.earlier_tables import Earlier
    from batchsearch.tasks.dedup.clusters.table_rows import Sources


def hits_wanted(settings: JobSettings) -> int:
    """Hits that each search asks for."""
    return settings.results_per_row or int(settings.parameters.get("num", DEFAULT_NUM))


def hit_rules(dedup: DedupSettings, wanted: int) -> HitRules:
    """Which hits count."""
    enough = dedup.floor + dedup.near
    return HitRules(dedup.floor, enough, dedup.outside == "keep", dedup.order == "add_first", wanted)


def build(wanted: int, dedup: DedupSettings, sources: Sources) -> dict[str, Any]:
    """Write tonight's pairs and clusters; what is in them, in numbers.

    Until both are whole under temporary names, the tables of the night before stay as they are.

    Args:
        wanted: Hits that each search asks for.
        dedup: The job's `dedup` section.
        sources: What the tables are made from.

    Raises:
        CatalogueNotHeldError: The instance does not hold what was searched.
        MissingExtraError: scipy is not installed.
        OutputError: The search's output cannot be read or a table cannot be written.
    """
    keep = dedup.outside == "keep"
    others = ids_in(sources.search) if keep else ()
    room = Room(sources.folder)
    told = None if sources.told is None else sources.told()
    images = read_images(sources.search, sources.columns, sources.keys, others, sources.copies, told, room)
    gathering = Gathering(
        images,
        hit_rules(dedup, wanted),
        sources,
        sources.judgements.of_products(images.product_index),
        None if sources.changed_at is None else sources.changed_at(images),
        room,
    )
    shown = room.array(len(images), bool, 1) if keep else images.present
    deciding = Deciding(dedup, sources, images, shown, gathering.judged, room)
    pairs, tally = gathering.pairs()
    _check_held(images, tally, dedup, sources)
    decided = deciding.of(pairs)

    def accepted(useless: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        others = gathering.pairs(useless)[0]
        said = deciding.of(others).decision.accepted
        for some in pieces(len(others)):
            yield others.a[some][said[some]], others.b[some][said[some]]

    shared = Sharing(images, shown, sources, accepted, room).weigh(pairs, decided.decision)
    if shared.useless.any():
        # What proves nothing is no evidence: the pairs are those that are left without it.
        pairs, tally = gathering.pairs(shared.useless)
        decided = deciding.of(pairs)
    decision = decided.decision
    counts = images.images_of_products(shown)
    guard = GuardRules(
        dedup.chain_guard.min_share,
        dedup.chain_guard.largest,
        tally.cut,
        tally.mute,
        dedup.min_confidence,
    )
    preference = preference_of(images, counts, shown, dedup, room)
    clusters = cluster(pairs, decision, guard, preference, images.product_id, room)
    clusters = with_notes(clusters, [image for image in shared.images if image.worth == "look"], room)
    give_back()
    earlier = earlier_pairs(sources.folder, images, room)
    bare = without_images(shared.images, images.product, shown, room)
    with (
        TableWriter(sources.folder, PAIRS, sources.night) as pairs_file,
        TableWriter(sources.folder, CLUSTERS, sources.night) as clusters_file,
        TableWriter(sources.folder, FINDINGS, sources.night) as findings_file,
    ):
        for piece in pair_rows(
            pairs,
            decision,
            (decided.thresholds, decided.colours, decided.measures),
            images=images,
            earlier=earlier,
            sources=sources,
            room=room,
        ):
            pairs_file.add(piece)
        for piece in cluster_rows(clusters, images, counts, shown, sources=sources, room=room):
            clusters_file.add(piece)
        findings_file.add(finding_rows(shared.images, bare, images))
        written = (pairs_file, clusters_file, findings_file)
        for file in written:
            file.finish()
        for file in written:
            file.publish()
    found = _counts(pairs, decided, earlier)
    return {
        "products": int(np.count_nonzero(counts)),
        "images": int(np.count_nonzero(shown)),
        "left_out": len(shown) - int(np.count_nonzero(shown)),
        "pairs": len(pairs),
        **found,
        "clusters_unsure": clusters.unsure,
        "clusters": clusters.count,
        "duplicates": len(clusters.product) - clusters.count,
        "members": len(clusters.product),
        "review": len(clusters.review),
        "hits": tally.hits,
        "hits_on_itself": tally.of_itself,
        "hits_stale": tally.stale,
        "hits_outside": tally.outside,
        "searches_cut": tally.full,
        "shared_images": sum(image.worth == "nothing" for image in shared.images),
        "without_image": len(bare),
    }


def _counts(pairs: Pairs, decided: Decided, earlier: Earlier) -> dict[str, Any]:
    """What was decided of pairs, in numbers."""
    decision = decided.decision
    by_way, verdicts = np.zeros(len(FOUND_BY), np.int64), np.zeros(len(VERDICTS), np.int64)
    judged = np.zeros(len(JUDGED), np.int64)
    variants = compared = to_review = kept = 0
    for some in pieces(len(pairs)):
        accepted, verdict = decision.accepted[some], decision.verdict[some]
        by_way += np.bincount(pairs.found_by[some][accepted], minlength=len(by_way))
        verdicts += np.bincount(verdict, minlength=len(verdicts))
        judged += np.bincount(decision.judged[some], minlength=len(judged))
        other_colours = (decision.reason[some] == COLOURS_DIFFER) & (
            pairs.score[some] >= decided.thresholds[some]
        )
        variants += int((((verdict == RECOLOURED) | other_colours) & ~accepted).sum())
        to_review += int((((verdict == RECOLOURED) | (verdict == ALIKE)) & ~accepted).sum())
        compared += int(decided.measures.part(some).known.sum())
        key = pair_key(pairs.a[some][accepted], pairs.b[some][accepted])
        kept += int(np.count_nonzero(earlier.accepted[earlier.found(key)[1]]))
    accepted_now = int(by_way.sum())
    return {
        "accepted": accepted_now,
        "accepted_by": dict(zip(FOUND_BY, by_way.tolist(), strict=True)),
        "new_pairs": accepted_now - kept,
        "gone_pairs": earlier.count_accepted - kept,
        "judged_same": int(judged[SAME]),
        "judged_different": int(judged[DIFFERENT]),
        "colour_variants": variants,
        "verdicts": dict(zip(VERDICTS, verdicts.tolist(), strict=True)),
        "compared": compared,
        "to_review": to_review,
    }


def _check_held(images: Images, tally: Tally, dedup: DedupSettings, sources: Sources) -> None:
    """Refuse a night whose images are not in the instance."""
    if sources.held_by is None:
        return
    searched = images.searched & images.present
    lost = lost_images(searched, tally.found_itself)
    if lost is not None:
        message = not_held_message(
            sources.held_by, int(searched.sum()), int(lost.sum()), adds="add" in dedup.upkeep
        )
        raise CatalogueNotHeldError(message, images.row_keys.filter(pa.array(lost)).to_pylist())


def preference_of(
    images: Images, counts: NDArray[np.int32], shown: NDArray[np.bool_], dedup: DedupSettings, room: Room
) -> tuple[NDArray[np.integer[Any]], ...]:
    """By product: what makes it stand for its cluster, the smaller the rather; what counts first comes first.

    The rule that the job names, then the others: age (where a column says it), number of images, largest
    image. Where all are equal the product id says it.

    Args:
        images: What the results say.
        counts: Images of each product.
        shown: Rows that count.
        dedup: The job's `dedup` section.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    size = len(images.products)
    area, fewest = room.array(size, np.int64, 0), room.array(size, np.int32)
    age = None if images.oldest is None else room.array(size, np.int64, NOTHING)
    for some in pieces(len(images)):
        rows = np.flatnonzero(shown[some]) + some.start
        product = images.product[rows]
        np.minimum.at(area, product, -images.area[rows])
        if age is not None and images.oldest is not None:
            np.minimum.at(age, product, images.oldest[rows])
    for some in pieces(size):
        fewest[some] = -counts[some]
    by_rule = {"oldest": age, "most_images": fewest, "best_image": area}
    first = by_rule.pop(dedup.representative)
    return tuple(each for each in (first, *by_rule.values()) if each is not None)


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
            silent = ~images.searched[some]
            if not self.rules.outside:
                silent &= images.present[some]
            mute[images.product[some][silent]] = True
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
