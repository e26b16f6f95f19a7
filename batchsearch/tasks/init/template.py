"""Which settings a first job file has, for each kind of job, and what is set in them (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.compare_settings import CompareSettings
from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.config.sections.manifest_settings import XlsxSettings
from batchsearch.config.sections.rate_setting import UNLIMITED
from batchsearch.path_spellings import in_shell
from batchsearch.tasks.init.job_text import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from batchsearch.config.sections.manifest_settings import CsvSettings
    from batchsearch.tasks.init.guess_records import Guesses, Kind

_OPERATIONS: Final[dict[Kind, str]] = {
    "search": "SearchImageByPic",
    "compare": "CompareSimilarByImage",
    "dedup": "SearchImageByPic",
}
_WHAT: Final[dict[Kind, str]] = {
    "search": "Search an Image Search instance for every image of a manifest.",
    "compare": "Say how alike images are, pair by pair.",
    "dedup": "Find out which products of a catalogue are the same, night after night.",
}
_COMMAND: Final[dict[Kind, str]] = {"search": "run", "compare": "compare", "dedup": "dedup"}
_ABOUT_CSV: Final = {"skip_lines": "above the table"}
_ABOUT_CROP: Final = (
    "Copies of a photograph are found by all of it as well as by its subject, which the embedded instance "
    "would look at apart. For a purchased one delete this line."
)
CHANGE: Final = "CHANGE"
"""Marks what nobody can guess."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a first job file is to be about.

    Attributes:
        kind: Which job.
        manifest: The manifest's path as the job file is to have it.
        output: The output folder, likewise.
        guesses: What the manifest's columns are taken to be.
        csv: How a CSV manifest is written; None for Parquet.
        region: Region of the purchased instance; None for the embedded one.
        name: Name of the instance.
        qps: Queries per second that were bought; infinite for an embedded instance at its own speed.
        seen: A manifest was looked at.
        format: How the manifest is written, where its name does not say so.
        xlsx: Where the table of a workbook is.
    """

    kind: Kind
    manifest: str
    output: str
    guesses: Guesses
    csv: CsvSettings | None
    region: str | None
    name: str
    qps: float
    seen: bool = True
    format: str | None = None
    xlsx: XlsxSettings = field(default_factory=XlsxSettings)


def title(wishes: Wishes, file: str) -> list[str]:
    """The lines at the top of the file."""
    command, file = _COMMAND[wishes.kind], in_shell(file)
    return [
        _WHAT[wishes.kind],
        "",
        f"    batchsearch config check {file}",
        f"    batchsearch plan {file}",
        f"    batchsearch {command} {file}",
        "",
        "Run the last line again to resume. Relative paths start from the folder of this file. Settings that",
        "are comments show their defaults, or an example. Access keys are never written here: they come from",
        "the environment. With `batchsearch config schema > job.schema.json` editors complete this file.",
    ]


def lines(wishes: Wishes) -> list[Line]:
    """The settings of the file, in its order."""
    return [
        Line("operation", _OPERATIONS[wishes.kind]),
        *_instance(wishes),
        *_what_is_searched(wishes),
        *_manifest(wishes),
        *_images(wishes),
        *_of_the_kind(wishes),
        Line("max_failed", "10%", active=False),
        Line("output.dir", wishes.output),
        Line("window.start", "22:00", active=False),
        Line("window.end", "06:00", active=False),
        Line("window.tz", "UTC", active=False),
        *_catalogue(wishes),
    ]


def _instance(wishes: Wishes) -> Iterator[Line]:
    if wishes.region is None:
        note = (
            "The embedded instance needs no account. For a purchased one delete this line and give `region`."
        )
        yield Line("instance.endpoint", EMULATOR, note)
        yield Line("instance.region", "ap-southeast-1", active=False)
    else:
        yield Line("instance.region", wishes.region)
    yield Line("instance.name", wishes.name, "" if wishes.region is None else f"{CHANGE} if it is another.")
    yield Line(
        "instance.qps", _qps(wishes.qps), "" if wishes.region else "For a purchased one: what was bought."
    )
    yield Line("instance.service_type", "generic", f"{CHANGE} if it is another kind.")


def _qps(qps: float) -> float | str:
    if math.isinf(qps):
        return UNLIMITED
    return int(qps) if float(qps).is_integer() else qps


def _what_is_searched(wishes: Wishes) -> Iterator[Line]:
    if wishes.kind == "compare":
        return
    if wishes.kind == "search":
        yield Line("results_per_row", 10)
    elif wishes.region is None and not wishes.guesses.region:
        yield Line("parameters.crop", False, _ABOUT_CROP)
    yield Line("parameters.filter", 'int_attr >= 100 AND str_attr = "a"', active=False)


def _manifest(wishes: Wishes) -> Iterator[Line]:
    found = wishes.guesses
    yield Line("manifest.path", wishes.manifest, "" if wishes.seen else f"{CHANGE}.")
    if wishes.format is not None:
        yield Line("manifest.format", wishes.format, _why(found, "format"))
    key: Any = list(found.key) if len(found.key) != 1 else found.key[0]
    yield Line("manifest.key", key, _why(found, "key") or ("" if wishes.seen else f"{CHANGE}."))
    for meaning, column, what in (
        ("image", found.image if wishes.kind != "compare" and not found.images else None, "image"),
        ("primary_image", found.pair and found.pair[0], "images"),
        ("secondary_image", found.pair and found.pair[1], ""),
        ("category_id", found.category_id if wishes.kind != "compare" else None, "category"),
        ("region", found.region, "subject's box"),
    ):
        if column:
            yield Line(f"manifest.columns.{meaning}", column, _why(found, what))
    if found.priority and (wishes.kind != "compare" or found.pair):
        yield Line("manifest.columns.priority", found.priority, _why(found, "priority"), active=False)
    yield from _several(found)
    yield from _csv(wishes, found)
    yield from _xlsx(wishes, found)


def _xlsx(wishes: Wishes, found: Guesses) -> Iterator[Line]:
    if wishes.xlsx.sheet is not None:
        yield Line("manifest.xlsx.sheet", wishes.xlsx.sheet, _why(found, "sheet"))
    if wishes.xlsx.skip_rows:
        yield Line("manifest.xlsx.skip_rows", wishes.xlsx.skip_rows, _why(found, "above the table"))


def _several(found: Guesses) -> Iterator[Line]:
    """How rows with several images, or none, become rows with one each."""
    for name, value, what in (
        ("images", list(found.images), "images"),
        ("group", found.rows_of, "rows of a product"),
        ("parent", found.parent, ""),
        ("without_image", found.without_image, "without image"),
        ("fill", list(found.fill), ""),
        ("where", found.where, "rows"),
        ("row_number", found.row_number, ""),
    ):
        if value:
            yield Line(f"manifest.{name}", value, _why(found, what))


def _csv(wishes: Wishes, found: Guesses) -> Iterator[Line]:
    if wishes.csv is None:
        return
    for name in ("encoding", "delimiter", "escape", "skip_lines", "header"):
        value = getattr(wishes.csv, name)
        if value != type(wishes.csv).model_fields[name].default:
            yield Line(
                f"manifest.csv.{name}",
                "tab" if value == "\t" else value,
                _why(found, _ABOUT_CSV.get(name, name)),
            )
    types = {found.category_id: "int64"} if found.category_id and wishes.kind != "compare" else {}
    if types:
        yield Line("manifest.csv.types", types)


def _images(wishes: Wishes) -> Iterator[Line]:
    root = wishes.guesses.root
    lacks = [each.what for each in wishes.guesses.lacking if "images.root" in each.mended_by]
    why = _why(wishes.guesses, "images' folder") or "".join(f"{each}." for each in lacks)
    yield Line("images.root", root or ".", why, active=root is not None)
    if wishes.guesses.base64:
        yield Line("images.text", "base64")
    yield Line("images.max_side", 1024, active=False)
    yield Line("images.allow_hosts", ["images.example"], active=False)


def _of_the_kind(wishes: Wishes) -> Iterator[Line]:
    if wishes.kind == "compare":
        yield from _section("compare", CompareSettings, _compared(wishes))
    elif wishes.kind == "dedup":
        yield from _section("dedup", DedupSettings, _deduplicated(wishes))


def _compared(wishes: Wishes) -> dict[str, Any]:
    found = wishes.guesses
    if found.pair is not None or not wishes.seen:
        return {"pairs": "given"}
    known: dict[str, Any] = {"pairs": "groups", "image": found.image}
    return known if found.group is None else known | {"group": found.group}


def _deduplicated(wishes: Wishes) -> dict[str, Any]:
    found = wishes.guesses
    # Where rows are made of several images, these name themselves.
    image = None if found.images else found.image_name or found.image
    wanted = {
        "threshold": DedupSettings.model_fields["threshold"].default,
        # The embedded instance is empty at first; what a purchased one holds is not changed unasked.
        "sync": "add" if wishes.region is None else None,
        "product_column": found.product if found.product != "product_id" else None,
        "pic_name_column": image if image != "pic_name" else None,
        "category_column": found.category,
        "representative": "oldest" if found.oldest is not None else None,
        "oldest_column": found.oldest,
        "title_column": found.title,
        "different_when": list(found.different_when) or None,
        "same_when": list(found.same_when) or None,
        "attributes": {"category_id": found.category_id} if found.category_id is not None else None,
        "judgements": "judgements.csv",
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _section(name: str, model: type[BaseModel], known: dict[str, Any]) -> Iterator[Line]:
    """Every setting of a section: what is known is set, the others are comments with their defaults."""
    for setting, about in model.model_fields.items():
        if setting in known:
            yield Line(f"{name}.{setting}", known[setting])
            continue
        default = about.get_default(call_default_factory=True)
        if isinstance(default, tuple):
            default = list(default)
        if hasattr(default, "model_dump"):
            default = default.model_dump(mode="json")
        yield Line(f"{name}.{setting}", default, active=False)


def _catalogue(wishes: Wishes) -> Iterator[Line]:
    """For a search of the embedded instance: its catalogue is the manifest itself, so that there are hits."""
    found = wishes.guesses
    product = found.product or (found.key[0] if found.key else None)
    image = None if found.images else found.image_name or (found.key[-1] if found.key else None)
    if wishes.kind != "search" or wishes.region is not None or not wishes.seen or found.image is None:
        return
    note = "To try things out: the embedded instance holds the manifest's own images, which find themselves."
    yield Line("emulator.catalogue.manifest.path", wishes.manifest, note, explained=False)
    yield Line("emulator.catalogue.manifest.key", list(found.key), explained=False)
    for meaning, column in (
        ("product_id", product),
        ("pic_name", image),
        ("image", None if found.images else found.image),
        ("category_id", found.category_id),
    ):
        if column is not None:
            yield Line(f"emulator.catalogue.manifest.columns.{meaning}", column)
    if wishes.format is not None:
        yield Line("emulator.catalogue.manifest.format", wishes.format, explained=False)
    for line in _several(found):
        yield Line(f"emulator.catalogue.{line.name}", line.value, explained=False)
    for line in (*_csv(wishes, found), *_xlsx(wishes, found)):
        yield Line(f"emulator.catalogue.{line.name}", line.value, explained=False)
    if found.root is not None:
        yield Line("emulator.catalogue.root", found.root, explained=False)


def _why(found: Guesses, what: str) -> str:
    why = next((each.why for each in found.told if each.what == what), None)
    return "" if why is None else f"Guessed: {why}."
