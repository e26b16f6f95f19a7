"""What the galleries of a run show: rows of a search with their first hits, or pairs that were compared.

A card is a plain value that goes into the page as JSON; `app.js` reads exactly these names:

* a row: `k` row key, `part` of the job where it has several, `t` thumbnail, `q` image, `e` code, `x` message,
  `s` score of the first hit, `n` hits, `g` category, `h` its first hits, each `[product id, image name,
  score, thumbnail, category]`;
* a pair: `k` row key, `a` and `b` what is compared, `pa` and `pb` their images, `ta` and `tb` their
  thumbnails, `s` score, `u` group, `e` code, `x` message. Pairs of products have more: see `cluster_cards`.

A thumbnail is its index, -1 for none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import python_rows, whole_numbers
from batchsearch.tasks.report.best import Best
from batchsearch.tasks.report.references import named_columns, passthrough_reference, regions_of
from batchsearch.tasks.report.run_facts import numbers
from batchsearch.tasks.report.table_reading import batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from batchsearch.tasks.report.output_kind import RunFolder
    from batchsearch.tasks.report.references import Named, RowImages, Source
    from batchsearch.tasks.report.thumbnails import Thumbnails

Card = dict[str, Any]

Order = Literal["score", "sample"]

FIRST_HITS: Final = 6
_OF_ONE_CODE: Final = 24
_MOST_CODES: Final = 100
_LONGEST_MESSAGE: Final = 300
_SCATTER: Final = 2_654_435_761
"""Knuth's multiplier: spreads row numbers evenly, the same way each time."""
_DIGITS: Final = 4


class FailedRows:
    """Some failed rows of each code."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = ("error_code", *columns)
        self._found: dict[str, list[dict[str, Any]]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take what is still wanted of a batch."""
        codes = batch.column(batch.schema.get_field_index("error_code")).cast(pa.string())
        for code in pc.unique(codes.drop_null()).to_pylist():
            known = self._found.get(code)
            if known is None:
                if len(self._found) >= _MOST_CODES:
                    continue
                known = self._found[code] = []
            if len(known) < _OF_ONE_CODE:
                rows = batch.filter(pc.equal(codes, code)).slice(0, _OF_ONE_CODE - len(known))
                known += python_rows(rows.select(_once(self.columns)))

    def rows(self, most: int) -> list[dict[str, Any]]:
        """So many at most, codes in turn, so that the rare ones are there too."""
        turns = max(map(len, self._found.values()), default=0)
        rows = [found[turn] for turn in range(turns) for found in self._found.values() if turn < len(found)]
        return rows[:most]


class GoodRows:
    """An even sample of rows that ended well, or those at both ends of the scores.

    Args:
        columns: What is kept of a row.
        most: How many.
        order: `score` for those with the highest and the lowest `score`, three to one, or `sample`.
    """

    def __init__(self, columns: Sequence[str], most: int, *, order: Order) -> None:
        self._by_score = order == "score"
        self.columns = ("error_code", "row_number", *columns)
        lowest = most // 4 if self._by_score else 0
        self._best: Best[dict[str, Any]] = Best(most - lowest)
        self._lowest: Best[dict[str, Any]] = Best(lowest)

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at a batch."""
        good = np.asarray(batch.column(batch.schema.get_field_index("error_code")).is_null())

        def taken(rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
            return python_rows(batch.take(pa.array(rows)).select(_once(self.columns)))

        if self._by_score:
            scores = numbers(batch, "score")
            self._best.offer(np.where(good, -scores, np.nan), taken)
            self._lowest.offer(np.where(good, scores, np.nan), taken)
        else:
            scattered = (whole_numbers(batch.column("row_number")) * _SCATTER) % 2**32
            self._best.offer(np.where(good, scattered.astype(np.float64), np.nan), taken)

    def rows(self, most: int) -> list[dict[str, Any]]:
        """So many at most of what was kept, the highest scores first, or in the order of the manifest."""
        if not self._by_score:
            return sorted(self._best.rows()[:most], key=lambda row: row["row_number"] or 0)
        highest, lowest = self._best.rows(), self._lowest.rows()
        lowest = lowest[: max(most // 4, most - len(highest))]
        rows = {row["row_key"]: row for row in (*highest[: most - len(lowest)], *lowest)}
        return sorted(rows.values(), key=lambda row: -row["score"])


class NamedRows:
    """Rows that are named beforehand.

    Args:
        columns: What is kept of a row.
        keys: Their row keys.
    """

    def __init__(self, columns: Sequence[str], keys: Sequence[str]) -> None:
        self.columns = ("error_code", "row_number", *columns)
        self._keys = pa.array(list(keys), pa.string())
        self._found: list[dict[str, Any]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take those that a batch has."""
        if len(self._keys):
            place = batch.schema.get_field_index("row_key")
            rows = batch.filter(pc.is_in(batch.column(place), value_set=self._keys))
            self._found += python_rows(rows.select(_once(self.columns)))

    def rows(self) -> list[dict[str, Any]]:
        """What was found."""
        return self._found


def _once(columns: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(columns))


def search_columns(run: RunFolder) -> list[str]:
    """What is kept of a search's row for its card."""
    own = ["row_key", "error_message", "pic_category_id", "pic_region", "multi_region", "hit_count"]
    return own + named_columns(run).columns


def compare_columns(run: RunFolder) -> list[str]:
    """What is kept of a compared pair for its card."""
    return ["row_key", "error_message", "score", *named_columns(run).columns]


def first_hits(run: RunFolder, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The first hits of these rows, in order.

    Raises:
        OutputError: The hits cannot be read.
    """
    columns = ["row_key", "rank", "score", "product_id", "pic_name", "category_id"]
    wanted = pa.array(list(keys), pa.string())
    found: dict[str, list[dict[str, Any]]] = {}
    if not keys:
        return found
    for batch in batches(run.hits, columns):
        near = pc.less_equal(batch.column(1), FIRST_HITS)
        chosen = pc.and_kleene(near, pc.is_in(batch.column(0), value_set=wanted))
        for hit in batch.filter(chosen).to_pylist():
            found.setdefault(hit["row_key"], []).append(hit)
    for hits in found.values():
        hits.sort(key=lambda hit: hit["rank"])
    return found


def search_cards(
    rows: Sequence[Mapping[str, Any]],
    hits: Mapping[str, Sequence[Mapping[str, Any]]],
    named: Named,
    thumbnails: Thumbnails,
    *,
    own: Source | None,
    found: Source | None,
    known: RowImages,
) -> list[Card]:
    """Cards of a search's rows.

    Args:
        rows: The rows, in the order in which thumbnails go to them.
        hits: Their first hits by row key.
        named: Which columns hold images.
        thumbnails: Asked for the images.
        own: Where the rows' images are.
        found: Where the images are that hits name; None: they are rows of this search, or not known.
        known: Rows of this search by product.
    """
    cards = []
    role, column = next(iter(named.images.items()), ("image", None))
    for row in rows:
        text = row[column] if column is not None else None
        key = row["row_key"]
        if column is None and found is not None and named.product is not None:
            # A search by name has no image of its own: it shows the one that it names.
            name = "" if named.pic_name is None else str(row[named.pic_name])
            image = thumbnails.want(
                found, (str(row[named.product]), name), regions=regions_of(row), close=True
            )
        else:
            image = thumbnails.want(
                own,
                (key, role),
                reference=passthrough_reference(text),
                regions=regions_of(row),
                close=key in hits,
            )
        top = []
        for hit in hits.get(key, ()):
            product, name = str(hit["product_id"]), str(hit["pic_name"])
            if found is not None:
                index = thumbnails.want(found, (product, name), close=True)
            else:
                index = product_thumbnail(thumbnails, own, known, product, name)
            top.append([hit["product_id"], hit["pic_name"], score(hit["score"]), index, hit["category_id"]])
        cards.append(
            card(
                k=key,
                t=image,
                q=None if text is None else str(text),
                e=row["error_code"],
                x=short(row["error_message"]),
                s=top[0][2] if top else None,
                n=row["hit_count"],
                g=row["pic_category_id"],
                h=top or None,
            )
        )
    return cards


def product_thumbnail(
    thumbnails: Thumbnails, own: Source | None, known: RowImages, product: str, name: str | None
) -> int:
    """The thumbnail of a product's image that is a row of the search: the named one, or any of it."""
    row = known.by_product.get((product, name or "")) or known.by_product.get((product, ""))
    if row is None:
        return -1
    return thumbnails.want(
        own,
        (row.row_key, "image"),
        reference=passthrough_reference(row.text),
        regions=row.regions,
        close=True,
    )


def groups_of(scores: Sequence[Path], keys: Sequence[str]) -> dict[str, str]:
    """The groups of these pairs, by the table of scores; a pair without one is left out.

    Raises:
        OutputError: The table cannot be read.
    """
    wanted = pa.array(list(keys), pa.string())
    found: dict[str, str] = {}
    for batch in batches(scores, ["pair_key", "group"]):
        known = pc.and_(pc.is_in(batch.column(0), value_set=wanted), batch.column(1).is_valid())
        for row in batch.filter(known).to_pylist():
            found[row["pair_key"]] = row["group"]
    return found


def compare_cards(
    rows: Sequence[Mapping[str, Any]],
    named: Named,
    thumbnails: Thumbnails,
    own: Source | None,
    groups: Mapping[str, str],
) -> list[Card]:
    """Cards of compared pairs, in the order in which thumbnails go to them."""
    sides = (("a", "primary_image"), ("b", "secondary_image"))
    cards = []
    for row in rows:
        made: Card = {}
        for side, role in sides:
            column = named.images.get(role)
            text = None if column is None else row[column]
            made[f"p{side}"] = None if text is None else str(text)
            made[f"t{side}"] = thumbnails.want(
                own, (row["row_key"], role), reference=passthrough_reference(text), close=True
            )
        shown = score(row["score"])
        message = short(row["error_message"])
        group = groups.get(row["row_key"])
        cards.append(card(k=row["row_key"], s=shown, u=group, e=row["error_code"], x=message, **made))
    return cards


def card(**values: Any) -> Card:
    """A card without the values that it does not have."""
    return {name: value for name, value in values.items() if value is not None}


def score(value: float | None) -> float | None:
    """A score to four digits: more tell nothing, and every digit is a byte."""
    return None if value is None or value != value else round(value, _DIGITS)  # noqa: PLR0124 - only NaN differs


def short(text: str | None) -> str | None:
    """A message, cut where it is longer than anybody reads."""
    if text is None or len(text) <= _LONGEST_MESSAGE:
        return text
    return text[: _LONGEST_MESSAGE - 1] + "…"
