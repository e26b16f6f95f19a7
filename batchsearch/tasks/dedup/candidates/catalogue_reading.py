"""Reads what a search's results say of every row into `Images`, in memory that texts do not fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import whole_numbers
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.tasks.dedup.candidates.ages import Ages
from batchsearch.tasks.dedup.candidates.catalogue_images import Images, batches_of, schema_of
from batchsearch.tasks.dedup.candidates.coding import Coding, numbered
from batchsearch.tasks.dedup.candidates.in_pieces import pieces
from batchsearch.tasks.dedup.candidates.off_memory import Room, Texts, give_back
from batchsearch.tasks.dedup.candidates.sorted_rows import SortedRows
from batchsearch.tasks.dedup.candidates.text_index import TextIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Columns

EARLIER: Final = "earlier_outcomes"
_SILENT: Final = (
    r"^(|n/?a|n\.a\.|#n/a|#(name|ref|value|null|num|div/0)[?!]?"
    r"|null|none|nil|nan|unknown|undefined|tbd|[-\x{2013}\x{2014}?.]+"
    rf"|{'|'.join(f'{digit}{{8,}}' for digit in range(10))}|\d(\.\d+)?e\+\d\d)$"
)
"""Values that say nothing: placeholders, codes of one digit alone, and codes that Excel has rounded."""
_KEYS_AT_ONCE: Final = 1 << 17
_ROWS_AT_ONCE: Final = 1 << 19
_RENEWED: Final = "renewed"


def read_images(  # noqa: PLR0917 - what is read, and what else is known
    search: Path,
    columns: Columns,
    present_keys: Iterator[list[str]] | None,
    others: Iterable[tuple[pa.Array, pa.Array]] = (),
    copies: Path | None = None,
    told: Iterable[pa.RecordBatch] | None = None,
    room: Room | None = None,
) -> Images:
    """Everything that is needed of the search results.

    Args:
        search: Output folder of the search.
        columns: What columns are called in its results.
        present_keys: The manifest's row keys; None counts every row as present.
        others: Further products and names of images, which no row has.
        copies: File of further rows, which were not searched; None for none.
        told: What the manifest says now, by `row_key` and the results' names of columns, some rows at a time:
            a row that was searched on an earlier night has in the results what its columns said then.
        room: Where texts are that are too many for memory; None keeps all in memory.

    Raises:
        OutputError: The results cannot be read, or the room cannot be written.
    """
    given = schema_of(search / RESULTS).names
    history = [EARLIER] if EARLIER in given else []
    wanted = [*_texts_of(columns), *_NUMBERS, *([columns.oldest] if columns.oldest else []), *history]
    # A column that the manifest or the job has since tonight alone is in no result of an earlier night.
    named = (columns.title, columns.category, *columns.different_when.values(), *columns.same_when.values())
    new = {name for name in named if name}

    def rows() -> Iterator[pa.Table]:
        for batch in batches_of(search / RESULTS, list(dict.fromkeys(wanted)), copies, new=new):
            renewed = _any_earlier(batch.column(EARLIER)) if history else pa.nulls(len(batch), pa.bool_())
            table = pa.Table.from_batches([batch])
            yield (table.drop_columns(history) if history else table).append_column(_RENEWED, renewed)

    images = images_of(rows(), columns, present_keys, others, told, room or Room())
    give_back()
    return images


def images_of(  # noqa: PLR0917 - what is read, and what else is known
    batches: Iterable[pa.Table],
    columns: Columns,
    present_keys: Iterator[list[str]] | None,
    others: Iterable[tuple[pa.Array, pa.Array]],
    told: Iterable[pa.RecordBatch] | None,
    room: Room,
) -> Images:
    """What rows of results say, in whatever order they come. Arguments as for `read_images`."""
    by_row, numbers = _in_order(batches, columns, room)
    give_back()
    count, row_index = len(numbers["run"]), TextIndex(by_row["row_key"], room)
    products, names = Coding(room), Coding(room)
    for product, name in others:
        products.add(product)
        names.add(name)
    product_index, product = numbered(by_row[columns.product], products, empty="")
    if columns.pic_name:
        name_index, name = numbered(by_row[columns.pic_name], names, empty="")
    else:
        names.add(pa.repeat("", min(count, 1)))
        name_index = TextIndex(names.texts(), room)
        # No text is before an empty one.
        name = room.array(count, np.int32, 0)
    sha256 = by_row["source_sha256"]
    file_index, file = numbered(sha256, Coding(room))
    files = len(file_index.texts)
    del file_index
    categories = category = None
    if columns.category:
        category_index, category = numbered(by_row[columns.category], Coding(room))
        categories = category_index.texts

    titles, speaking = _spoken(columns, by_row, told, row_index, room)
    return Images(
        **numbers,
        product_index=product_index,
        name_index=name_index,
        row_index=row_index,
        product=product,
        name=name,
        sha256=sha256,
        file=file,
        files=files,
        references=by_row[columns.image] if columns.image else None,
        present=_present(row_index, present_keys, room),
        categories=categories,
        category=category,
        titles=titles,
        values=speaking,
        room=room,
    )


def _spoken(
    columns: Columns,
    by_row: dict[str, pa.Array],
    told: Iterable[pa.RecordBatch] | None,
    rows: TextIndex,
    room: Room,
) -> tuple[pa.Array | None, dict[str, NDArray[np.int32]]]:
    """Titles, and numbers of the values of columns that speak, as the manifest has them now."""
    now = ToldColumns(told or (), rows, room)
    named = sorted({*columns.different_when.values(), *columns.same_when.values()})
    texts = {each: now.over(each, by_row[each]) for each in {*named, columns.title} if each}
    titles = texts[columns.title] if columns.title else None
    return titles, {each: _valued(texts[each], room) for each in named}


def _in_order(
    batches: Iterable[pa.Table], columns: Columns, room: Room
) -> tuple[dict[str, pa.Array], dict[str, Any]]:
    """The rows ascending by their keys: texts by column, and the rest by its name in `Images`.

    Rows are numbered by the text of their keys, so that where two are equally good the same one is taken
    whichever was answered, and so stored, first.
    """
    texts_of = _texts_of(columns)
    rows = SortedRows("row_key", room)
    for batch in batches:
        rows.add(_plain(batch, texts_of, columns.oldest))
    count = rows.count
    texts = {name: Texts(room) for name in texts_of}
    runs, run = pa.array([], pa.string()), room.array(count, np.int32)
    first_at = np.empty(0, np.int64)
    answered, area = room.array(count, np.int64), room.array(count, np.int64)
    renewed, searched = room.array(count, bool), room.array(count, bool)
    ages = Ages(count, room) if columns.oldest else None
    end = 0
    for piece in rows.pieces():
        for some in piece.to_batches(max_chunksize=_ROWS_AT_ONCE):
            at = slice(end, end + len(some))
            end += len(some)
            for name, kept in texts.items():
                kept.add(some.column(name))
            finished, now = (whole_numbers(some.column(name)) for name in ("finished_at", "answered_at"))
            answered[at] = np.where(now > 0, now, finished)
            area[at] = whole_numbers(some.column("area"))
            renewed[at] = some.column(_RENEWED).to_numpy(zero_copy_only=False)
            searched[at] = some.column("searched").to_numpy(zero_copy_only=False)
            runs = pc.unique(pa.concat_arrays([runs, pc.unique(some.column("run_id"))]))
            # Runs are as many as there were nights.
            first_at = np.append(first_at, np.full(len(runs) - len(first_at), np.iinfo(np.int64).max))
            run[at] = pc.index_in(some.column("run_id"), value_set=runs).to_numpy(zero_copy_only=False)
            np.minimum.at(first_at, run[at], finished)
            if ages is not None:
                ages.add(some.column("age"))
    runs, run = _in_time(runs, first_at, run)
    by_row = {name: kept.array() for name, kept in texts.items()}
    oldest = None if ages is None else ages.order()
    return by_row, {
        "run": run,
        "runs": runs,
        "answered_at": answered,
        "renewed": renewed,
        "area": area,
        "searched": searched,
        "oldest": oldest,
    }


_NUMBERS: Final = ("run_id", "outcome", "answered_at", "finished_at", "source_width", "source_height")


def _texts_of(columns: Columns) -> list[str]:
    """The columns that are kept as texts."""
    wanted = ["row_key", columns.product, columns.pic_name, columns.image, "source_sha256", columns.category]
    wanted += [*columns.different_when.values(), *columns.same_when.values(), columns.title]
    return list(dict.fromkeys(name for name in wanted if name))


def _plain(batch: pa.Table, texts: list[str], oldest: str | None) -> pa.Table:
    """What is kept of some rows."""
    moments = {}
    for name in ("answered_at", "finished_at"):
        column = batch.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz="UTC"))
        moments[name] = column.cast(pa.int64())
    sides = (batch.column(name).cast(pa.int64()) for name in ("source_width", "source_height"))
    kept = {name: batch.column(name).cast(pa.string()) for name in texts}
    false = pa.scalar(value=False)
    kept |= {
        **moments,
        "area": pc.multiply(*sides),
        "run_id": pc.fill_null(batch.column("run_id").cast(pa.string()), pa.scalar("")),
        "searched": pc.fill_null(pc.equal(batch.column("outcome"), pa.scalar("ok")), false),
        _RENEWED: pc.fill_null(batch.column(_RENEWED), false),
    }
    if oldest:
        kept["age"] = batch.column(oldest)
    return pa.table(kept)


def _valued(column: pa.Array, room: Room) -> NDArray[np.int32]:
    """A number for each different value, -1 for empty ones; blanks around it and case do not matter.

    What people and programs write where they know nothing says nothing either.
    """
    plain = Texts(room)
    for some in pieces(len(column)):
        texts = pc.utf8_lower(pc.utf8_trim_whitespace(column.slice(some.start, some.stop - some.start)))
        silent = pc.match_substring_regex(texts, _SILENT)
        plain.add(pc.if_else(silent, pa.nulls(len(texts), texts.type), texts))
    return numbered(plain.array(), Coding(room))[1]


def _any_earlier(column: pa.Array) -> pa.Array:
    """Which rows had an outcome before: from how many there were, or from what they were."""
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    count = pc.list_value_length(column) if is_list else column
    return pc.greater(count.fill_null(0), 0)


def _in_time(
    runs: pa.Array, first: NDArray[np.int64], run: NDArray[np.int32]
) -> tuple[pa.Array, NDArray[np.int32]]:
    """Runs in the order of their first moment; of one moment, by name."""
    by_name = pc.sort_indices(runs).to_numpy()
    order = by_name[np.argsort(first[by_name], kind="stable")]
    rank = np.empty(len(runs), np.int32)
    rank[order] = np.arange(len(runs))
    for some in pieces(len(run)):
        run[some] = rank[run[some]]
    return runs.take(pa.array(order)), run


def _present(rows: TextIndex, keys: Iterator[list[str]] | None, room: Room) -> NDArray[np.bool_]:
    if keys is None:
        return room.array(len(rows.texts), bool, 1)
    present = room.array(len(rows.texts) + 1, bool, 0)
    waiting: list[str] = []
    for some in keys:
        waiting += some
        if len(waiting) >= _KEYS_AT_ONCE:
            present[rows.places(pa.array(waiting, pa.string()))] = True
            waiting = []
    present[rows.places(pa.array(waiting, pa.string()))] = True
    return present[:-1]


class ToldColumns:
    """Columns of the manifest, by the rows of results.

    Args:
        told: The manifest's rows, some at a time: `row_key`, and columns as results name them.
        rows: The results' row keys.
        room: For what memory does not hold.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The disk refuses.
    """

    def __init__(self, told: Iterable[pa.RecordBatch], rows: TextIndex, room: Room) -> None:
        self._room = room
        self._place = room.array(len(rows.texts), np.int32, -1)
        self._texts: dict[str, Texts] = {}
        end = 0
        for batch in told:
            at = rows.places(batch.column("row_key"))
            known = np.flatnonzero(at >= 0)
            self._place[at[known]] = known + end
            end += len(batch)
            for name in batch.schema.names:
                if name != "row_key":
                    texts = self._texts.setdefault(name, Texts(room))
                    texts.add(batch.column(name).cast(pa.string()))

    def over(self, named: str, then: pa.Array) -> pa.Array:
        """A column's texts as the manifest has them now, or else as they were; asked once of each column.

        Args:
            named: What the results call it.
            then: Its texts by row.

        Raises:
            OutputError: The disk refuses.
        """
        if named not in self._texts:
            return then
        now, found = self._texts.pop(named).array(), Texts(self._room)
        for some in pieces(len(then)):
            place = self._place[some]
            told = now.take(pa.array(place, pa.int64(), mask=place < 0)).cast(pa.string())
            before = then.slice(some.start, some.stop - some.start).cast(pa.string())
            found.add(pc.if_else(pa.array(place >= 0), told, before))
        return found.array()
