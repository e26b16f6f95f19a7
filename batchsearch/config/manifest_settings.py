"""The job file's `manifest` section: the table whose rows are worked on."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from batchsearch.config.image_folders import with_its_format
from batchsearch.config.section import Settings
from batchsearch.config.shape import IS_PATH, ONE_OR_MANY
from batchsearch.config.share import checked_share

TableFormat = Literal["csv", "parquet", "jsonl", "arrow", "xlsx", "feed", "list", "images"]
"""How a manifest's files are written; `manifest.formats` says which endings of names tell it."""

CsvTypeName = Literal["string", "int64", "float64", "bool", "date", "timestamp"]


class CsvSettings(Settings):
    """How a CSV manifest is written."""

    encoding: str = Field("utf-8", description="Character encoding; a byte order mark is understood.")
    delimiter: str = Field(",", description="Separator between fields, one character; `tab` is understood.")
    quote: str = Field('"', description="Quote character.")
    escape: str | None = Field(
        None,
        description="Character that takes away the meaning of a quote, delimiter or line end after it, such "
        "as `\\` in what Spark and MySQL write; before anything else it is text. Absent: quotes in a quoted "
        "text are doubled.",
    )
    header: Annotated[tuple[str, ...] | None, ONE_OR_MANY] = Field(
        None,
        min_length=1,
        description="Column names of files that do not begin with them: their first line is a row, too.",
    )
    skip_lines: int = Field(
        0,
        ge=0,
        le=100,
        description="Lines above the column names that are no part of the table, such as the first two of an "
        "Amazon flat file, or Excel's `sep=;`.",
    )
    types: dict[str, CsvTypeName] = Field(
        default_factory=dict,
        description="Column types by name: string, int64, float64, bool, date, timestamp. "
        "Columns not named are text: no identifier loses its leading zeros.",
    )
    null_values: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        ("",), description="Unquoted texts that mean: no value."
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
            codecs.getincrementaldecoder(encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(
                f"{encoding!r} is no character encoding; utf-8, gb18030 and utf-16 are"
            ) from error
        return encoding

    @field_validator("header")
    @classmethod
    def _each_name_once(cls, header: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = next((name for name in header or () if (header or ()).count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"names the column {twice!r} twice")
        return header

    @field_validator("delimiter", mode="before")
    @classmethod
    def _tab_by_name(cls, delimiter: object) -> object:
        return "\t" if delimiter in ("tab", "\\t") else delimiter

    @field_validator("delimiter", "quote", "escape")
    @classmethod
    def _one_ascii_character(cls, mark: str | None, info: ValidationInfo) -> str | None:
        if mark is None:
            return None
        if len(mark) != 1 or not mark.isascii() or mark in "\r\n\0":
            raise ValueError(f"must be one ASCII character and no line end, not {mark[:8]!r}")
        if info.field_name == "quote" and mark == info.data.get("delimiter"):
            raise ValueError("cannot be the delimiter as well")
        if info.field_name == "escape" and mark in (info.data.get("delimiter"), info.data.get("quote")):
            raise ValueError(
                "cannot be the delimiter or the quote; without `escape`, quotes in a text are doubled"
            )
        return mark


class XlsxSettings(Settings):
    """Which table of an Excel workbook is meant."""

    sheet: str | None = Field(None, description="Name of the sheet; the first one that is shown when absent.")
    skip_rows: int = Field(
        0, ge=0, le=100, description="Rows above the column names that are no part of the table."
    )


class ManifestSettings(Settings):
    """The table whose rows are worked on."""

    path: Annotated[str, IS_PATH] = Field(
        min_length=1, description="File, folder or glob; or a folder of images."
    )
    format: Literal["auto"] | TableFormat = Field(
        "auto",
        description="How its files are written, by their names when `auto`: `csv`, `parquet`, `jsonl` (JSON "
        "Lines), `arrow`, `xlsx` (Excel; needs the extra `xlsx`), `feed` (a product feed in XML), `list` (a "
        "path or address a line, and no header), `images` (a folder of images and no table).",
    )
    key: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        ("product_id", "pic_name"),
        min_length=1,
        description="Column or columns that name a row. Must be unique and never null.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="What columns mean: `image`, `primary_image`, `secondary_image`, or a parameter of the "
        "operation given row by row, such as `product_id` or `region`, each with the column's name; or "
        "`priority`: higher numbers are worked on first. What the operation needs is looked for under its "
        "own name when not given.",
    )
    carry: Literal["all", "none"] | tuple[str, ...] = Field(
        "all",
        description="Columns that are carried into ledger and results: `all`, `none`, or a list. Others are "
        "read only where something else asks for them. `row_key` names each row anyway.",
    )
    csv: CsvSettings = Field(default_factory=CsvSettings, description="How a CSV manifest is written.")
    xlsx: XlsxSettings = Field(
        default_factory=XlsxSettings, description="Which table of an Excel workbook is meant."
    )
    row_number: str | None = Field(
        None,
        min_length=1,
        description="Name of a column that is added and numbers the rows of each file, "
        "`train-0.parquet:17`: a key for tables in which nothing names a row. Only for tables that never "
        "change: a row that is put in between renames all that follow.",
    )
    max_shrink: str | float | None = Field(
        None,
        description="Rows that the manifest may have less than at the last run: a share (`20%`) or a number. "
        "One that has lost more is taken for a broken export and refused; any is taken when absent.",
    )

    @model_validator(mode="before")
    @classmethod
    def _say_what_the_path_says(cls, given: object) -> object:
        return with_its_format(given) if isinstance(given, dict) else given

    @property
    def images_folder(self) -> Path:
        """Where relative paths of images start when nothing else says so."""
        path = Path(self.path)
        return path if self.format == "images" else path.parent

    @field_validator("max_shrink")
    @classmethod
    def _share_reads(cls, share: str | float | None) -> str | float | None:
        return None if share is None else checked_share(share)

    @field_validator("key")
    @classmethod
    def _each_column_once(cls, key: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((column for column in key if key.count(column) > 1), None)
        if twice is not None:
            raise ValueError(f"names the column {twice!r} twice")
        return key

    @field_validator("carry", mode="before")
    @classmethod
    def _one_column_is_a_list(cls, carry: object) -> object:
        return (carry,) if isinstance(carry, str) and carry not in ("all", "none") else carry
