"""From the search's output to tonight's tables: no call is made, and the same files give the same tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from batchsearch.service.facts import DEFAULT_NUM
from batchsearch.tasks.dedup.candidates.catalogue_reading import read_images
from batchsearch.tasks.dedup.candidates.gathering import Gathering
from batchsearch.tasks.dedup.candidates.hits import HitRules, ids_in
from batchsearch.tasks.dedup.candidates.matches import FOUND_BY, IDENTICAL_BYTES, SEARCH
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.own_image import CatalogueNotHeldError, lost_images, not_held_message
from batchsearch.tasks.dedup.candidates.shared_images import without_images
from batchsearch.tasks.dedup.candidates.sharing import Sharing
from batchsearch.tasks.dedup.candidates.spoken import all_agree, speaking_column, value_of_products
from batchsearch.tasks.dedup.clusters.components import GuardRules, cluster, with_notes
from batchsearch.tasks.dedup.clusters.decide import Catalogue, decide, to_verify
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import (
    CLUSTERS,
    FINDINGS,
    PAIRS,
    TableWriter,
    clusters_schema,
    findings_schema,
    pairs_schema,
)
from batchsearch.tasks.dedup.clusters.table_rows import cluster_rows, earlier_pairs, finding_rows, pair_rows
from batchsearch.tasks.dedup.clusters.verdicts import (
    ALIKE,
    COLOURS_DIFFER,
    RECOLOURED,
    VERDICTS,
    nothing_measured,
    spread_out,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.dedup_settings import DedupSettings
    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.hits import Tally
    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.clusters.decide import Decision, Judged
    from batchsearch.tasks.dedup.clusters.table_rows import Sources
    from batchsearch.tasks.dedup.clusters.verdicts import Measures


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
    shown = images.present | keep
    deciding = _Deciding(dedup, sources, images, shown, gathering.judged)
    pairs, tally = gathering.pairs()
    _check_held(images, tally, dedup, sources)
    decided = deciding.of(pairs)

    def accepted(useless: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        others = gathering.pairs(useless)[0]
        said = deciding.of(others).decision.accepted
        return others.a[said], others.b[said]

    shared = Sharing(images, shown, sources, accepted).weigh(pairs, decided.decision)
    if shared.useless.any():
        # What proves nothing is no evidence: the pairs are those that are left without it.
        pairs, tally = gathering.pairs(shared.useless)
        decided = deciding.of(pairs)
    decision, thresholds, measures = decided.decision, decided.thresholds, decided.measures
    counts = np.bincount(images.product[shown], minlength=len(images.products))
    guard = GuardRules(
        dedup.chain_guard.min_share,
        dedup.chain_guard.largest,
        tally.cut,
        tally.mute,
        dedup.min_confidence,
    )
    joined = np.unique(np.concatenate((pairs.a[decision.accepted], pairs.b[decision.accepted])))
    preference = preference_of(images, counts, shown, dedup, joined)
    clusters = cluster(pairs, decision, guard, preference, images.product_id)
    clusters = with_notes(clusters, [image for image in shared.images if image.worth == "look"])
    earlier = earlier_pairs(sources.folder, images)
    bare = without_images(shared.images, images.product, shown)
    with (
        TableWriter(sources.folder, PAIRS, pairs_schema(), sources.night) as pairs_file,
        TableWriter(sources.folder, CLUSTERS, clusters_schema(), sources.night) as clusters_file,
        TableWriter(sources.folder, FINDINGS, findings_schema(), sources.night) as findings_file,
    ):
        for piece in pair_rows(
            pairs,
            decision,
            (thresholds, decided.colours, measures),
            images=images,
            earlier=earlier,
            sources=sources,
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
    key = pairs.key[decision.accepted]
    known = earlier.key[earlier.accepted]
    return {
        "products": int((counts > 0).sum()),
        "images": int(shown.sum()),
        "left_out": int((~shown).sum()),
        "pairs": len(pairs),
        "accepted": len(key),
        "accepted_by": {
            name: int((pairs.found_by[decision.accepted] == number).sum())
            for number, name in enumerate(FOUND_BY)
        },
        "new_pairs": len(key) - shared_keys(key, known),
        "gone_pairs": len(known) - shared_keys(known, key),
        "judged_same": int((decision.judged == 1).sum()),
        "judged_different": int((decision.judged == 2).sum()),  # noqa: PLR2004 - place in `JUDGED`
        "colour_variants": int(
            (
                (
                    (decision.verdict == RECOLOURED)
                    | ((decision.reason == COLOURS_DIFFER) & (pairs.score >= thresholds))
                )
                & ~decision.accepted
            ).sum()
        ),
        "verdicts": {name: int((decision.verdict == number).sum()) for number, name in enumerate(VERDICTS)},
        "compared": int(measures.known.sum()),
        "to_review": int(
            (((decision.verdict == RECOLOURED) | (decision.verdict == ALIKE)) & ~decision.accepted).sum()
        ),
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


def shared_keys(some: NDArray[np.int64], others: NDArray[np.int64]) -> int:
    """How many of some numbers are among others, which ascend."""
    if not len(others):
        return 0
    place = np.minimum(np.searchsorted(others, some), len(others) - 1)
    return int((others[place] == some).sum())


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


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was decided of pairs, and by which numbers."""

    decision: Decision
    thresholds: NDArray[np.float64]
    colours: NDArray[np.float64]
    measures: Measures


@dataclass(frozen=True, slots=True)
class _Deciding:
    """Decides pairs by everything that is known but the pairs themselves."""

    dedup: DedupSettings
    sources: Sources
    images: Images
    shown: NDArray[np.bool_]
    judged: Judged

    def of(self, pairs: Pairs) -> _Decided:
        dedup, images = self.dedup, self.images
        pairs = _with_same_files(pairs, images)
        thresholds = thresholds_of(pairs, images, self.shown, dedup)
        colours, measures = _compared(pairs, self.judged, thresholds, images, dedup, self.sources)
        decision = decide(
            pairs,
            thresholds,
            self.judged,
            near=dedup.near,
            best=dedup.mutual_best,
            trust_perceptual=dedup.precheck == "instead",
            variants=np.nan_to_num(colours) > (1.0 if dedup.colours is None else dedup.colours),
            measures=None if dedup.verify is None else measures,
            catalogue=_catalogue(pairs, images, self.shown, self.sources),
        )
        return _Decided(decision, thresholds, colours, measures)


def _with_same_files(pairs: Pairs, images: Images) -> Pairs:
    """The pairs, those that a search found and whose best matching images are one file as certain ones.

    A plain image has no shape by which it could be verified, but its file is the same.
    """
    if not (images.file >= 0).any():
        return pairs
    one, other = images.row_of(pairs.a, pairs.image_a), images.row_of(pairs.b, pairs.image_b)
    there = np.flatnonzero((one >= 0) & (other >= 0) & (pairs.found_by == SEARCH))
    first, second = images.file[one[there]], images.file[other[there]]
    same = (first >= 0) & (first == second)
    found_by = pairs.found_by.copy()
    found_by[there[same]] = IDENTICAL_BYTES
    return replace(pairs, found_by=found_by)


def _compared(  # noqa: PLR0917 - what is compared, why and with what
    pairs: Pairs,
    judged: Judged,
    thresholds: NDArray[np.float64],
    images: Images,
    dedup: DedupSettings,
    sources: Sources,
) -> tuple[NDArray[np.float64], Measures]:
    """How much the best matching images of each pair differ in colour (or NaN), and what was measured.

    Where the job verifies, only the pairs that it verifies are compared.
    """
    distance, measures = np.full(len(pairs), np.nan), nothing_measured(len(pairs))
    if sources.compare is None:
        return distance, measures
    one, other = images.row_of(pairs.a, pairs.image_a), images.row_of(pairs.b, pairs.image_b)
    wanted = (one >= 0) & (other >= 0)
    if dedup.verify is None:
        wanted &= pairs.score >= thresholds - dedup.near
    else:
        wanted &= to_verify(pairs, judged, dedup.verify)
    asked = np.flatnonzero(wanted)
    if len(asked):
        distance[asked], found = sources.compare(images, one[asked], other[asked])
        measures = spread_out(found, asked, len(pairs))
    return distance, measures


def _catalogue(pairs: Pairs, images: Images, shown: NDArray[np.bool_], sources: Sources) -> Catalogue | None:
    """What the columns that the job names say of each pair."""
    columns = sources.columns
    if not columns.different_when and not columns.same_when:
        return None

    def values(names: Mapping[str, str]) -> list[NDArray[np.int32]]:
        return [
            value_of_products(images.values[written][shown], images.product[shown], len(images.products))
            for written in names.values()
        ]

    distinguishing = values(columns.different_when)
    against = speaking_column(distinguishing, pairs.a, pairs.b, equal=False)
    in_favour = speaking_column(values(columns.same_when), pairs.a, pairs.b, equal=True)
    one_variant = all_agree(distinguishing, pairs.a, pairs.b)
    return Catalogue(against, in_favour, one_variant, len(columns.different_when))


def thresholds_of(
    pairs: Pairs, images: Images, shown: NDArray[np.bool_], dedup: DedupSettings
) -> NDArray[np.float64]:
    """The score that each pair needs.

    Args:
        pairs: All pairs kept.
        images: What the results say.
        shown: Rows that count: those of the manifest, or all.
        dedup: The job's `dedup` section.
    """
    needed = np.full(len(pairs), dedup.threshold)
    if not dedup.thresholds:
        return needed
    if images.categories is None or images.category is None:
        for name, threshold in dedup.thresholds.items():
            if name.lstrip("-").isdecimal():
                needed[pairs.category == int(name)] = threshold
        return needed
    # A place more at the end, for products without a category.
    by_category = np.full(len(images.categories) + 1, dedup.threshold)
    for place, name in enumerate(images.categories.to_pylist()):
        by_category[place] = dedup.thresholds.get(name, dedup.threshold)
    # As between two products the higher threshold counts, so it does between a product's own rows: the
    # order in which rows were answered says nothing. What has left the manifest has no say.
    by_product = np.full(len(images.products), -np.inf)
    np.maximum.at(by_product, images.product[shown], by_category[images.category[shown]])
    by_product[np.isneginf(by_product)] = dedup.threshold
    return np.asarray(np.maximum(by_product[pairs.a], by_product[pairs.b]), dtype=np.float64)


def preference_of(
    images: Images,
    counts: NDArray[np.int64],
    shown: NDArray[np.bool_],
    dedup: DedupSettings,
    among: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """By product: its place among those asked for, the one that is to stand for a cluster first.

    By the rule that the job names, then by the others: age (where a column says it), number of images,
    largest image; at last by product id.

    Args:
        images: What the results say.
        counts: Images of each product.
        shown: Rows that count.
        dedup: The job's `dedup` section.
        among: Products, ascending; None for all.
    """
    size = len(images.products)
    some = np.arange(size) if among is None else among
    asked = np.zeros(size, bool)
    asked[some] = True
    rows = np.flatnonzero(shown & asked[images.product])
    place = np.cumsum(asked, dtype=np.int32)[images.product[rows]] - 1
    area = np.zeros(len(some), np.int64)
    np.maximum.at(area, place, images.area[rows])
    age = np.full(len(some), np.iinfo(np.int64).max)
    if images.oldest is not None:
        np.minimum.at(age, place, images.oldest[rows])
    by_rule = {"oldest": age, "most_images": -counts[some], "best_image": -area}
    first = by_rule.pop(dedup.representative)
    # The last key is the one that np.lexsort goes by first.
    order = np.lexsort((*reversed(by_rule.values()), first))
    preference = np.zeros(size, np.int32)
    preference[some[order]] = np.arange(len(some))
    return preference
