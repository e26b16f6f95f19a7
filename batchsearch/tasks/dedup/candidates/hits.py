"""The search's hits, read as matches: self-matches dropped, stale ones not trusted, ranks among products.

A hit on an image that was **renewed** (its file changed) after the searching row was answered speaks of the
old image. It is not trusted; the renewed row's own search decides. See `trusted`. Nor is one on an image that
has left the manifest while its product stays: what a shop takes off a product says nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import one_array
from batchsearch.storage.parts.part_files import HITS
from batchsearch.tasks.dedup.candidates.catalogue_images import batches_of
from batchsearch.tasks.dedup.candidates.matches import SEARCH, Matches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Images

_COLUMNS: Final = ("row_key", "rank", "score", "product_id", "pic_name", "category_id")
_ROWS_AT_ONCE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class HitRules:
    """Which hits count.

    Attributes:
        floor: Lowest score that is kept.
        enough: Lowest score that two products can be the same with.
        outside: Whether products that the manifest does not have count.
        add_first: Whether a night's images are in the instance before its searches.
        wanted: Hits asked for in each search.
    """

    floor: float
    enough: float
    outside: bool
    add_first: bool
    wanted: int


@dataclass(slots=True)
class Tally:
    """What became of the hits.

    Attributes:
        hits: All there are.
        of_itself: On the product that was searched.
        stale: Of those not below the floor, on images that were renewed since, or have left the manifest.
        outside: On or of products that the manifest does not have.
        cut: By product: whether more than its hits say may be the same product.
        mute: By product: whether an image of it could not be searched.
        found_itself: By row: whether its hits name the product that was searched.
        full: Searches whose list was full to its end with scores not below the floor.
    """

    cut: NDArray[np.bool_]
    mute: NDArray[np.bool_]
    found_itself: NDArray[np.bool_]
    full: int = 0
    hits: int = 0
    of_itself: int = 0
    stale: int = 0
    outside: int = 0


def read_matches(
    search: Path,
    images: Images,
    rules: HitRules,
    tally: Tally,
    *,
    changed_at: NDArray[np.int64] | None = None,
    useless: NDArray[np.bool_] | None = None,
) -> Iterator[Matches]:
    """The matches of all hits, some hundred thousand at a time.

    Args:
        search: Output folder of the search.
        images: What its results say.
        rules: Which hits count.
        tally: Is told what became of them.
        changed_at: By row, when its image was first seen to be another one, microseconds since 1970; 0:
            never. None where nobody looked.
        useless: By row, whether its image proves nothing: it makes no match and fills no list.

    Raises:
        OutputError: The hits cannot be read.
    """
    if changed_at is not None and not changed_at.any():
        changed_at = None
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches_of(search / HITS, _COLUMNS):
        waiting.append(batch)
        held += len(batch)
        if held >= _ROWS_AT_ONCE:
            whole = pa.Table.from_batches(waiting)
            # The last row's hits may go on in the next batch.
            end = _last_begin(_texts(whole, "row_key"))
            waiting = whole.slice(end).to_batches()
            held = len(whole) - end
            yield _matches(whole.slice(0, end), images, rules, tally, changed_at=changed_at, useless=useless)
    if held:
        yield _matches(
            pa.Table.from_batches(waiting), images, rules, tally, changed_at=changed_at, useless=useless
        )


def ids_in(search: Path) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The products and the images' names that the hits speak of, some at a time and some of them repeatedly.

    Raises:
        OutputError: The hits cannot be read.
    """
    for batch in batches_of(search / HITS, ("product_id", "pic_name")):
        product, name = (pc.unique(batch.column(each).cast(pa.string())) for each in (0, 1))
        yield product.drop_null(), name.drop_null()


def hidden_rows(
    search: Path, images: Images, rules: HitRules, changed_at: NDArray[np.int64] | None = None
) -> list[str]:
    """Rows to be searched again, where a search lists one image of each product.

    Such a list names a product by its best image alone. When that image has changed since, the hit speaks of
    what it was, and the product's other images, which may be alike, were never listed.

    Args:
        search: Output folder of the search.
        images: What its results say.
        rules: Which hits count.
        changed_at: As in `read_matches`.

    Raises:
        OutputError: The hits cannot be read.
    """
    rows = images.images_of_products(images.present)
    if changed_at is not None and not changed_at.any():
        changed_at = None
    again: list[pa.Array] = []
    for batch in batches_of(search / HITS, _COLUMNS):
        hits = pa.Table.from_batches([batch])
        row = _rows(hits, images)
        other = images.product_index.places(_texts(hits, "product_id"))
        found = images.name_index.places(_texts(hits, "pic_name"))
        score = _numbers(hits, "score", np.float64, absent=-1.0)
        asked = (row >= 0) & (other >= 0) & (score >= rules.floor - 1e-9)
        asked &= images.present[row] & images.searched[row] & (rows[other] > 1)
        asked &= images.product[row] != other
        at = np.flatnonzero(asked)
        fresh = trusted(
            images, row[at], other[at], found[at], add_first=rules.add_first, changed_at=changed_at
        )
        again.append(images.row_keys.take(pa.array(np.unique(row[at[~fresh]]))))
    keys: list[str] = pc.unique(pa.concat_arrays(again)).to_pylist() if again else []
    return keys


def _last_begin(keys: pa.Array) -> int:
    """Where the last row key's run begins; the end where there is no other key."""
    last = keys[-1].as_py()
    at = len(keys) - 1
    while at > 0 and keys[at - 1].as_py() == last:
        at -= 1
    return at or len(keys)


def _matches(
    hits: pa.Table,
    images: Images,
    rules: HitRules,
    tally: Tally,
    *,
    changed_at: NDArray[np.int64] | None = None,
    useless: NDArray[np.bool_] | None = None,
) -> Matches:
    rank = _numbers(hits, "rank", np.int32)
    row = _rows(hits, images)
    score = _numbers(hits, "score", np.float64, absent=-1.0)
    other = images.product_index.places(_texts(hits, "product_id"))
    known = (row >= 0) & (other >= 0)
    product = np.where(row >= 0, images.product[row], -1).astype(np.int32)
    speaks = row if useless is None else np.where((row >= 0) & useless[row], -1, row)
    _mark_cut(speaks, rank, score, product=product, rules=rules, tally=tally)
    tally.found_itself[row[known & (product == other)]] = True
    inside = known
    if not rules.outside:
        inside = known & images.present[row] & images.present_products()[other]
    own = inside & (product == other)
    # Lists are ordered by score: what is below the floor moves no other product's place.
    strong = inside & ~own & (score >= rules.floor - 1e-9)
    at = np.flatnonzero(strong)
    found = images.name_index.places(_texts(hits, "pic_name").take(pa.array(at)))
    fresh = trusted(images, row[at], other[at], found, add_first=rules.add_first, changed_at=changed_at)
    if not rules.outside:
        fresh &= ~images.gone(other[at], found)
    stale = len(at) - int(fresh.sum())
    at, found = at[fresh], found[fresh]
    if useless is not None:
        answer = images.row_of(other[at], found)
        says = ~(useless[row[at]] | ((answer >= 0) & useless[answer]))
        at, found = at[says], found[says]
    tally.hits += len(hits)
    tally.of_itself += int(own.sum())
    tally.outside += int((~inside).sum())
    tally.stale += stale
    category = _numbers(hits.take(pa.array(at)), "category_id", np.int64, absent=-1)
    return Matches(
        product=product[at],
        other=other[at],
        row=row[at],
        image=images.name[row[at]],
        found_image=found,
        score=score[at],
        rank=_place_among_products(row[at], other[at], rank[at]),
        category=category,
        found_by=np.full(len(at), SEARCH, np.int8),
    )


def trusted(
    images: Images,
    row: NDArray[np.int32],
    other: NDArray[np.int32],
    found: NDArray[np.int32],
    *,
    add_first: bool,
    changed_at: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Which hits speak of the image that the product found has now.

    A hit on an image that never changed always does. One on a renewed image does only if the searching
    row was answered by the run that renewed it or by a later one; where searches come before the instance
    is brought in step, only by a later one.

    Args:
        images: What the results say.
        row: Row that was searched.
        other: Product found.
        found: Name of its image.
        add_first: Whether a night's images are in the instance before its searches.
        changed_at: By row, when its image was first seen to be another one; see `read_matches`. It knows of
            images that changed without being searched: a copy that needs no search of its own.
    """
    if not images.any_renewed and changed_at is None:
        return np.ones(len(row), bool)
    answer = images.row_of(other, found)
    known = answer >= 0
    answer = np.where(known, answer, 0)
    renewed = known & images.renewed[answer]
    changed_in = images.run[answer]
    asked_in = images.run[row]
    fresh = ~renewed | ((asked_in >= changed_in) if add_first else (asked_in > changed_in))
    if changed_at is not None:
        asked_at = images.answered_at[row]
        fresh &= ~(known & (changed_at[answer] > asked_at)) & (changed_at[row] <= asked_at)
    return np.asarray(fresh, dtype=bool)


def _mark_cut(
    row: NDArray[np.int32],
    rank: NDArray[np.int32],
    score: NDArray[np.float64],
    *,
    product: NDArray[np.int32],
    rules: HitRules,
    tally: Tally,
) -> None:
    """Lists that are full: what they do not show scores at most what their last entry scores."""
    full = (row >= 0) & (rank == rules.wanted) & (score >= rules.floor)
    tally.cut[product[full & (score >= rules.enough - 1e-9)]] = True
    tally.full += int(full.sum())


def _place_among_products(
    row: NDArray[np.int32], other: NDArray[np.int32], rank: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Each hit's place among the other products of its row, from 1."""
    place = np.zeros(len(row), np.int32)
    if len(row) == 0:
        return place
    # The first image of each product in a row's list gives the product its place.
    order = np.lexsort((rank, other, row))
    heads = np.concatenate(
        ([True], (row[order][1:] != row[order][:-1]) | (other[order][1:] != other[order][:-1]))
    )
    group = np.cumsum(heads) - 1
    first = order[heads]
    by_rank = np.lexsort((rank[first], row[first]))
    ordered_row = row[first][by_rank]
    begins = np.concatenate(([True], ordered_row[1:] != ordered_row[:-1]))
    start = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    of_group = np.empty(len(first), np.int32)
    of_group[by_rank] = np.arange(len(begins)) - start + 1
    place[order] = of_group[group]
    return place


def _rows(hits: pa.Table, images: Images) -> NDArray[np.int32]:
    """The row that each hit is of: the hits of one row are together."""
    keys = pc.run_end_encode(_texts(hits, "row_key"), run_end_type=pa.int32())
    ends = keys.run_ends.to_numpy()
    return np.repeat(images.row_index.places(keys.values), np.diff(ends, prepend=0))


def _texts(hits: pa.Table, name: str) -> pa.Array:
    return one_array(hits.column(name))


def _numbers(hits: pa.Table, name: str, kind: type, absent: float = 0) -> NDArray:  # type: ignore[type-arg]  # of `kind`
    column = _texts(hits, name)
    return np.asarray(column.fill_null(absent).to_numpy(zero_copy_only=False), dtype=kind)
