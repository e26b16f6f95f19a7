"""The formats of tables: their names, the endings of files in them, and who reads them: one definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.manifest.formats.unpacked import packing_of, table_in_zip

if TYPE_CHECKING:
    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.config.sections.manifest_settings import TableFormat as Format
    from batchsearch.manifest.formats.table_file import TableFile
    from batchsearch.manifest.remote_file import ManifestPath


@dataclass(frozen=True, slots=True)
class About:
    """One format.

    Attributes:
        called: What people call files in it.
        suffixes: Endings that tell it.
        packed: Whether such a file may be packed (see `unpacked`).
    """

    called: str
    suffixes: tuple[str, ...] = ()
    packed: bool = False


FORMATS: Final[dict[Format, About]] = {
    "csv": About("CSV", (".csv", ".tsv", ".txt", ".tab"), packed=True),
    "parquet": About("Parquet", (".parquet", ".pq")),
    "jsonl": About("JSON Lines", (".jsonl", ".ndjson", ".json"), packed=True),
    "arrow": About("Arrow", (".arrow", ".arrows", ".ipc", ".feather")),
    "xlsx": About("Excel", (".xlsx", ".xlsm")),
    "feed": About("XML feed", (".xml", ".rss", ".atom"), packed=True),
    "list": About("list", (".lst", ".list"), packed=True),
    "images": About("folder of images"),
}

_BY_SUFFIX: Final[dict[str, Format]] = {
    suffix: name for name, about in FORMATS.items() for suffix in about.suffixes
}
ENDINGS: Final = ", ".join([*_BY_SUFFIX, ".csv.gz", ".csv.zst", ".zip"])


def named_format(name: str) -> Format | None:
    """The format that the ending of a name says, packed or not; None where it says none."""
    name = name.lower()
    for packing in (".gz", ".zst", ".zip"):
        if name.endswith(packing):
            found = named_format(name.removesuffix(packing))
            return found if found is not None and FORMATS[found].packed else None
    return next((kind for suffix, kind in _BY_SUFFIX.items() if name.endswith(suffix)), None)


def format_of(path: ManifestPath) -> Format | None:
    """The format that a file's name says, of a zip file also the name of the table in it; or None."""
    found = named_format(path.name)
    packing = packing_of(path)
    if found is None and packing is not None and packing.name == "zip":
        inside = table_in_zip(path, lambda name: named_format(name) is not None)
        found = None if inside is None else named_format(inside)
        return found if found is not None and FORMATS[found].packed else None
    return found


def open_table(
    path: ManifestPath, kind: Format, settings: ManifestSettings, *, without: str | None = None
) -> TableFile:
    """One file of a manifest, its columns known.

    Args:
        path: The file; for `images` the folder.
        kind: Its format.
        settings: How it is written.
        without: Of a folder of images, the folder below it of which nothing is a row.

    Raises:
        ManifestError: It cannot be read, or is not in that format.
        ConfigError: A package that reads it is not installed.
    """
    # Only the reader that is needed: all of them together take long to import.
    match kind:
        case "csv":
            from batchsearch.manifest.formats.csv_files import CsvFile

            found: TableFile = CsvFile(path, settings.csv)
        case "parquet":
            from batchsearch.manifest.formats.parquet_files import ParquetFile

            found = ParquetFile(path)
        case "jsonl":
            from batchsearch.manifest.formats.json_files import JsonFile

            found = JsonFile(path)
        case "arrow":
            from batchsearch.manifest.formats.arrow_files import ArrowFile

            found = ArrowFile(path)
        case "xlsx":
            from batchsearch.manifest.formats.xlsx_files import XlsxFile

            found = XlsxFile(path, settings.xlsx)
        case "feed":
            from batchsearch.manifest.formats.feed_files import FeedFile

            found = FeedFile(path)
        case "list":
            from batchsearch.manifest.formats.list_files import ListFile

            found = ListFile(path)
        case "images":
            from batchsearch.manifest.formats.image_folder import ImageFolder

            found = ImageFolder(path, without=without)
    return found
