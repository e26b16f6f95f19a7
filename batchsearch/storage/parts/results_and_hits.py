"""The columns of `results` and `hits`, declared once: names, types, and what each one means.

`results` has one row for each row of the manifest, `hits` one row for each entry of a search's
`Auctions`. Every field carries its meaning in the Arrow metadata (`description`), and, where the
service sent it, the vendor's name (`vendor_name`). A contract test pins both tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = "3"

_TEXT = pa.string()
_INT = pa.int64()
_COUNT = pa.int32()
_REAL = pa.float64()
_TIME = pa.timestamp("us", tz="UTC")
_TEXTS = pa.list_(pa.string())


ACCESS_DENIED_FIELDS: Final = (
    "auth_action",
    "auth_principal_display_name",
    "auth_principal_owner_id",
    "auth_principal_type",
    "encoded_diagnostic_message",
    "no_permission_type",
    "policy_type",
)
"""Fields of `AccessDeniedDetail` (CompareSimilarByImage 2026-01), in snake_case."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, meaning, and the vendor's name when it is the vendor's value."""

    name: str
    type: pa.DataType
    description: str
    vendor_name: str | None = None

    def field(self) -> pa.Field:
        """The Arrow field, with its documentation in the metadata."""
        metadata = {"description": self.description}
        if self.vendor_name is not None:
            metadata["vendor_name"] = self.vendor_name
        return pa.field(self.name, self.type, nullable=True, metadata=metadata)


_ROW = (
    Column("row_key", _TEXT, "Names the manifest row: the key column's text, or a JSON array of several."),
    Column("key_values", _TEXTS, "What names the row, each key column as text: one entry for one column."),
    Column("in_manifest", pa.bool_(), "Whether the row was in the manifest when a run last began."),
    Column("left_at", _TIME, "Wall clock when the row was first missed in the manifest; null while it is."),
    Column("row_number", _INT, "Position in the manifest when the row was worked on, from 0. Names nothing."),
    Column("run_id", _TEXT, "The run that finished the row."),
    Column("operation", _TEXT, "Operation called."),
    Column("instance", _TEXT, "Instance name."),
    Column("outcome", _TEXT, "`ok` or `failed`."),
    Column("error_code", _TEXT, "Vendor's code, or `Local.…` or `Transport.…`; null when ok."),
    Column("error_origin", _TEXT, "`local` (refused before a call), `api` (the service) or `transport`."),
    Column("error_owner", _TEXT, "Who can mend it: image, row, job, account, service or network."),
    Column("error_message", _TEXT, "What was wrong, in the words of whoever said so."),
    Column("http_status", _COUNT, "HTTP status of the last answer."),
    Column("request_id", _TEXT, "The service's id of the last answer, for its support.", "RequestId"),
    Column("request_ids", _TEXTS, "Ids of every attempt's answer, in order; null entries had none."),
    Column("request_key", _TEXT, "SHA-256 over operation, instance, parameters and images sent."),
    Column("coalesced_from", _TEXT, "Row whose call answered this one too: the request is the same."),
    Column("calls", _COUNT, "Calls that the row needed: pages of results; 0 when another row's answered it."),
    Column("attempts", _COUNT, "HTTP requests made for the row, repeats included."),
    Column("denied", _COUNT, "Attempts that flow control refused."),
    Column("earlier_outcomes", _COUNT, "Outcomes that the row had before this one; they are in `history/`."),
    Column("first_sent_at", _TIME, "Wall clock when the first attempt left."),
    Column("answered_at", _TIME, "Wall clock when the answer came that this row has."),
    Column("finished_at", _TIME, "Wall clock when the outcome was known."),
    Column("latency_ms", _REAL, "From sending the last attempt to its answer."),
    Column("prepare_ms", _REAL, "Fetching, checking and encoding the row's images."),
    Column("body_bytes", _INT, "Size of one request's body."),
    Column("response_code", _INT, "The answer's own code; 0 is success.", "Code"),
    Column("response_message", _TEXT, "The answer's own message.", "Msg"),
    Column("response_success", pa.bool_(), "The answer's own verdict.", "Success"),
    Column("field_problems", _COUNT, "Fields of the answer that were missing or of an unexpected type."),
)


def _image(prefix: str, whose: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}source_format", _TEXT, f"Format of {whose} by content."),
        Column(f"{prefix}source_width", _COUNT, f"Width of {whose} as stored, pixels."),
        Column(f"{prefix}source_height", _COUNT, f"Height of {whose} as stored, pixels."),
        Column(f"{prefix}source_bytes", _INT, f"Size of {whose}, bytes."),
        Column(f"{prefix}source_sha256", _TEXT, f"SHA-256 of {whose}."),
        Column(f"{prefix}sent_format", _TEXT, f"Format of what was sent for {whose}."),
        Column(f"{prefix}sent_width", _COUNT, f"Width of what was sent for {whose}, pixels."),
        Column(f"{prefix}sent_height", _COUNT, f"Height of what was sent for {whose}, pixels."),
        Column(f"{prefix}sent_bytes", _INT, f"Size of what was sent for {whose}, bytes."),
        Column(f"{prefix}sent_sha256", _TEXT, f"SHA-256 of what was sent for {whose}."),
        Column(f"{prefix}transforms", _TEXTS, f"What was done to {whose}, in order; empty: sent as it was."),
    )


_SUBJECT = (
    Column("pic_category_id", _INT, "Category given or predicted.", "PicInfo.CategoryId"),
    Column("pic_region", _TEXT, "Subject, x1,x2,y1,y2 in the source's pixels.", "PicInfo.Region"),
    Column("pic_region_sent", _TEXT, "Subject as answered, in the sent pixels.", "PicInfo.Region"),
    Column("multi_region", _TEXTS, "All subjects, in the source's pixels.", "PicInfo.MultiRegion"),
    Column("multi_region_sent", _TEXTS, "All subjects as answered.", "PicInfo.MultiRegion"),
    Column(
        "all_categories",
        pa.list_(pa.struct([pa.field("id", _INT), pa.field("name", _TEXT)])),
        "Categories that the instance knows.",
        "PicInfo.AllCategories",
    ),
)

_LISTING = (Column("hit_count", _COUNT, "Entries of `Auctions` over all pages: rows in `hits`."),)

_SEARCH = (
    *_LISTING,
    Column("docs_found", _INT, "As sent; the vendor's pages contradict each other.", "Head.DocsFound"),
    Column("docs_return", _INT, "As sent; the vendor's pages contradict each other.", "Head.DocsReturn"),
    Column(
        "search_time_ms",
        _INT,
        "Search duration as the service says, of the row's first page of hits.",
        "Head.SearchTime",
    ),
    *_SUBJECT,
)

_COMPARE = (
    Column("score", _REAL, "Similarity of the two images, 0 to 1.", "Score"),
    Column(
        "access_denied_detail",
        pa.struct([pa.field(name, _TEXT) for name in ACCESS_DENIED_FIELDS]),
        "Why access was denied.",
        "AccessDeniedDetail",
    ),
)

_DELETED = (Column("deleted_pic_names", _TEXTS, "Names of the images that were deleted.", "PicNames"),)

_LOADED = (
    Column("task_id", _TEXT, "The batch task that did it; null where a call did."),
    Column("loaded_name", _TEXT, "Name of the image in the bucket, and on the instance; null likewise."),
)

_EXISTS = (
    Column("exists", pa.bool_(), "Whether the instance holds the image.", "Exists"),
    Column("held_category_id", _INT, "Category that the instance keeps with it.", "CategoryId"),
    Column("held_custom_content", _TEXT, "Custom content that it keeps.", "CustomContent"),
    *(
        Column(f"held_int_attr{n}", _INT, "Whole-number attribute that it keeps.", f"IntAttr{n}")
        for n in ("", "2", "3", "4")
    ),
    *(
        Column(f"held_str_attr{n}", _TEXT, "Text attribute that it keeps.", f"StrAttr{n}")
        for n in ("", "2", "3", "4")
    ),
)

RESULT_COLUMNS: Final = {
    "SearchImageByPic": (*_ROW, *_image("", "the image"), *_SEARCH),
    "SearchImageByName": (*_ROW, *_SEARCH),
    "CompareSimilarByImage": (
        *_ROW,
        *_image("primary_", "the first image"),
        *_image("secondary_", "the second image"),
        *_COMPARE,
    ),
    "SearchImageByText": (*_ROW, *_SEARCH),
    "SearchImageByFilter": (*_ROW, *_LISTING),
    "CheckImageExists": (*_ROW, *_EXISTS),
    "AddImage": (*_ROW, *_image("", "the image"), *_SUBJECT, *_LOADED),
    "UpdateImage": _ROW,
    "DeleteImage": (*_ROW, *_DELETED, *_LOADED),
}

ANSWER_COLUMNS: Final = (
    "error_code",
    "error_origin",
    "error_owner",
    "error_message",
    "http_status",
    "request_id",
    "response_code",
    "response_message",
    "response_success",
    "field_problems",
    *(column.name for column in (*_SEARCH, *_COMPARE, *_DELETED, *_EXISTS, *_LOADED)),
)
"""Columns of `results` that equal requests have in common, whichever row was called for."""

HIT_COLUMNS: Final = (
    Column("row_key", _TEXT, "The row of `results` that this hit belongs to."),
    Column("key_values", _TEXTS, "What names that row, each key column as text."),
    Column("run_id", _TEXT, "The run that finished that row."),
    Column("finished_at", _TIME, "Wall clock when that row's outcome was known."),
    Column("rank", _COUNT, "Place among the row's hits over all pages, from 1."),
    Column("score", _REAL, "Similarity, 0 to 1.", "Score"),
    Column("product_id", _TEXT, "Product of the image found.", "ProductId"),
    Column("pic_name", _TEXT, "Name of the image found.", "PicName"),
    Column("category_id", _INT, "Its category.", "CategoryId"),
    Column("custom_content", _TEXT, "Its custom content.", "CustomContent"),
    *(
        Column(f"int_attr{n}", _INT, "Its whole-number attribute.", f"IntAttr{n}")
        for n in ("", "2", "3", "4")
    ),
    *(Column(f"str_attr{n}", _TEXT, "Its text attribute.", f"StrAttr{n}") for n in ("", "2", "3", "4")),
    Column("sort_expr_values", _TEXT, "The service's older score; `score` replaces it.", "SortExprValues"),
    Column("page", _COUNT, "Page of results that it came on, from 0."),
    Column("request_id", _TEXT, "Id of the answer that it came in.", "RequestId"),
)


OF_THE_ROW: Final = ("row_key", "key_values", "run_id", "finished_at")
"""Columns of `hits` that say which row a hit belongs to; the others are what was answered."""


def table_schema(columns: tuple[Column, ...], table: str, version: str = SCHEMA_VERSION) -> pa.Schema:
    """The columns of a table as a file declares them, with its name and the version of its columns."""
    metadata = {"batchsearch.table": table, "batchsearch.schema_version": version}
    return pa.schema([column.field() for column in columns], metadata=metadata)


def own_results_schema(operation: str) -> pa.Schema:
    """The columns of `results` that batchsearch fills for an operation."""
    return table_schema(RESULT_COLUMNS[operation], "results")


def hits_schema() -> pa.Schema:
    """The columns of `hits`."""
    return table_schema(HIT_COLUMNS, "hits")


def passthrough_names(operation: str, names: list[str]) -> list[str]:
    """Names in `results` for the manifest's own columns.

    A column keeps its name unless batchsearch has one of that name, when it becomes `manifest_<name>`. Names
    are the same when only the case of letters differs: to SQL engines, `Outcome` is `outcome`.
    """
    own = {column.name.casefold() for column in RESULT_COLUMNS[operation]}
    taken = own | {name.casefold() for name in names}
    given = []
    for name in names:
        new = name
        while new.casefold() in own or (new != name and new.casefold() in taken):
            new = f"manifest_{new}"
        taken.add(new.casefold())
        given.append(new)
    return given


def results_schema(operation: str, carried: pa.Schema) -> pa.Schema:
    """The whole of `results`: the manifest's own columns first, then batchsearch's."""
    own = own_results_schema(operation)
    names = passthrough_names(operation, carried.names)
    fields = [
        field.with_name(name).with_nullable(True).with_metadata({"description": "From the manifest."})
        for field, name in zip(carried, names, strict=True)
    ]
    return pa.schema([*fields, *own], metadata=own.metadata)
