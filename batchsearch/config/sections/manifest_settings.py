"""The job file's `manifest` section: the table whose rows are worked on."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from batchsearch.config.image_folders import with_its_format
from batchsearch.config.sections.section import Settings, Share
from batchsearch.config.shape import IS_PATH, ONE_OR_MANY
from batchsearch.service.conditions import parse_conditions

IMAGE_NAME: Final = "pic_name"
"""The column that names an image within its product, where `images` makes rows of images."""

TableFormat = Literal["csv", "parquet", "jsonl", "arrow", "xlsx", "feed", "list", "images"]
"""How a manifest's files are written; `manifest.formats` says which endings of names tell it."""

CsvTypeName = Literal["string", "int64", "float64", "bool", "date", "timestamp"]

IN_MEMORY: Final = "table://"
"""So begins the path of a manifest that is a table in the memory of the program that runs the job."""


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
        description="Column names of files that do not begin with them: their first line is a row, too. "
        "Where the line that `skip_lines` leaves out has the same names (those that are there twice are "
        "numbered), or some more or fewer, its order counts: columns may move.",
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


MAKING_ROWS: Final = (
    "images",
    "image_separator",
    "most_images",
    "group",
    "parent",
    "without_image",
    "fill",
    "where",
    "row_number",
)
"""Settings that say how a table's rows become those that are worked on."""


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
    images: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        (),
        description="Columns with a product's images, each of which becomes a row of its own: names, or "
        "patterns such as `image1..image5` and `image*`. A cell may hold several images. `key` names the "
        "product then; `image`, `image_index` and `pic_name` are made. One image a row when absent.",
    )
    key: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        ("product_id", "pic_name"),
        min_length=1,
        description="Column or columns that name a row. Must be unique and never null. With `images` they "
        "name the product, on one or more rows, and `pic_name` is added.",
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
    image_separator: str = Field(
        "auto",
        min_length=1,
        description="What stands between the images of one cell: a text such as `|`, `none`, or `auto`: line "
        "breaks, and commas, semicolons, bars and blanks where another image follows. JSON arrays are read "
        "unless it is `none`.",
    )
    most_images: int | None = Field(
        None, ge=1, description="Images of a product that are taken, the first ones; all when absent."
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="Column whose equal values make rows a group, such as Shopify's `Handle`: for "
        "`without_image: inherit` and `fill`.",
    )
    parent: str | None = Field(
        None,
        min_length=1,
        description="Column with a parent's own id, where `group` holds the parent's id and the parent has "
        "none there: WooCommerce's `SKU`, with `group: Parent`.",
    )
    without_image: Literal["fail", "skip", "inherit"] = Field(
        "fail",
        description="What becomes of a row without an image: it fails (`Local.NoImage`), is left out, "
        "counted and listed (`skip`), or takes the images of its `group` (`inherit`).",
    )
    fill: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        (), description="Columns whose empty cells are filled with what the row's `group` says in them."
    )
    where: str | None = Field(
        None,
        description="Rows that are worked on, others are left out: conditions on columns in the language of "
        '`Filter`, such as `status = "active" and price > 10`. Names with blanks stand in backticks, and '
        "`is null` is understood.",
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
    max_shrink: Share | None = Field(
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
        if self.path.startswith(IN_MEMORY):
            return Path.cwd()
        path = Path(self.path)
        return path if self.format == "images" else path.parent

    def rows_as_said(self) -> dict[str, object]:
        """What is said of how rows are made, by setting; nothing of what is left at its default."""
        said = self.model_dump(mode="json", include=set(MAKING_ROWS), exclude_defaults=True)
        return {name: said[name] for name in MAKING_ROWS if name in said}

    def of_made_rows(self, path: str, **changes: object) -> ManifestSettings:
        """The settings of a Parquet table that has this manifest's rows, or some of them, as they were made.

        Args:
            path: Where it is.
            changes: What else differs.
        """
        nothing = {name: type(self).model_fields[name].default for name in MAKING_ROWS}
        return self.model_copy(update={**nothing, "path": path, "format": "parquet", **changes})

    @field_validator("images")
    @classmethod
    def _images_are_named_once(cls, images: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((column for column in images if images.count(column) > 1), None)
        if twice is not None:
            raise ValueError(f"names the column {twice!r} twice")
        return images

    @field_validator("columns")
    @classmethod
    def _images_make_columns(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if not info.data.get("images"):
            return columns
        for meaning in ("image", "pic_name"):
            if columns.get(meaning, meaning) != meaning:
                raise ValueError(
                    f"has `{meaning}: {columns[meaning]}`, but `manifest.images` makes the column "
                    f"`{meaning}` of each row; leave it out"
                    + (", and name that column there" if meaning == "image" else "")
                )
        for meaning in ("primary_image", "secondary_image"):
            if meaning in columns:
                raise ValueError(f"has `{meaning}`, but `manifest.images` gives each row one image, not two")
        return columns

    @field_validator("most_images")
    @classmethod
    def _most_of_several(cls, most: int | None, info: ValidationInfo) -> int | None:
        if most is not None and info.data.get("images") == ():
            raise ValueError("needs `images`: without them each row has one image")
        return most

    @field_validator("where")
    @classmethod
    def _where_reads(cls, where: str | None) -> str | None:
        if where is not None:
            parse_conditions(where)
        return where

    @field_validator("parent", "fill", "without_image")
    @classmethod
    def _needs_a_group(cls, value: object, info: ValidationInfo) -> object:
        asks = value == "inherit" if info.field_name == "without_image" else bool(value)
        if asks and "group" in info.data and info.data["group"] is None:
            raise ValueError("needs `group`: the column that says which rows belong together")
        return value

    @field_validator("key")
    @classmethod
    def _each_column_once(cls, key: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        twice = next((column for column in key if key.count(column) > 1), None)
        if twice is not None:
            raise ValueError(f"names the column {twice!r} twice")
        if info.data.get("images") and key == (IMAGE_NAME,):
            raise ValueError(f"names the product with `images`; `{IMAGE_NAME}` alone names none")
        # A product's images are told apart by their names.
        return (*key, IMAGE_NAME) if info.data.get("images") and IMAGE_NAME not in key else key

    @field_validator("carry", mode="before")
    @classmethod
    def _one_column_is_a_list(cls, carry: object) -> object:
        return (carry,) if isinstance(carry, str) and carry not in ("all", "none") else carry
