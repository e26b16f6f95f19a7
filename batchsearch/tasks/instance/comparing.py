"""`batchsearch instance diff`: what an instance holds against what the catalogue says, image by image.

Compared are the names, and the attributes that the catalogue speaks of: those whose columns the job maps, and
its parameters. Both sides are spilled by key and joined part by part, so that memory does not grow with them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.rows.held_items import compared_attributes
from batchsearch.engine.run.opening import open_manifest
from batchsearch.errors import ConfigError
from batchsearch.publish import make_folder, publishing
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameters import check_parameters
from batchsearch.steps import step
from batchsearch.storage.parts.parquet_table import reading, writing
from batchsearch.tasks.dedup.night_jobs import given_columns, sync_job
from batchsearch.tasks.instance.instance_export import SCHEMA as HELD
from batchsearch.tasks.instance.spilled import PARTS, Key, Spill
from batchsearch.tasks.load.lines import ObjectNameError, bare_name, object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.manifest.source import Manifest

Change = Literal["missing", "extra", "attributes"]
"""In the catalogue and not on the instance; the reverse; on both, with other attributes."""

SCHEMA: Final = pa.schema(
    [
        ("change", pa.string()),
        ("product_id", pa.string()),
        ("pic_name", pa.string()),
        ("row_key", pa.string()),
        ("fields", pa.list_(pa.string())),
        ("catalogue", pa.string()),
        ("instance", pa.string()),
    ]
)
"""Columns of the table of differences; the last two are JSON objects of the attributes in `fields`."""

_IDS: Final = ("product_id", "pic_name")
_CATALOGUE: Final = pa.schema([*HELD, ("row_key", pa.string())])
_SHOWN: Final = 5
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One image that differs.

    Attributes:
        change: How.
        product_id: Its product.
        pic_name: Its name on the instance, or the one that it would have.
        row_key: Its row of the catalogue; None where there is none.
        fields: Attributes that differ.
        catalogue: What the catalogue says of them.
        instance: What the instance has.
    """

    change: Change
    product_id: str
    pic_name: str
    row_key: str | None = None
    fields: tuple[str, ...] = ()
    catalogue: Mapping[str, Any] = field(default_factory=dict)
    instance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_cleared(self) -> bool:
        """Whether the catalogue says nothing where the instance has something: no update can say that."""
        return any(self.catalogue.get(name) is None for name in self.fields)

    def as_row(self) -> dict[str, Any]:
        """A row of `SCHEMA`."""
        return asdict(self) | {
            "fields": list(self.fields),
            "catalogue": json.dumps(dict(self.catalogue), ensure_ascii=False) if self.fields else None,
            "instance": json.dumps(dict(self.instance), ensure_ascii=False) if self.fields else None,
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """An instance and a catalogue, compared.

    Attributes:
        instance: The instance's name.
        export: The export that was compared.
        file: The table of differences.
        held: Images on the instance.
        rows: Rows of the catalogue.
        counts: How many images differ in each way.
        fields: How many differ in each attribute.
        compared: The attributes that were compared.
        unusable: Rows of the catalogue whose values no call could carry.
        repeated: Rows of the catalogue that name an image that another row has named.
        examples: The first differences of each kind.
    """

    instance: str
    export: str
    file: str
    held: int
    rows: int
    counts: Mapping[str, int]
    fields: Mapping[str, int]
    compared: tuple[str, ...]
    unusable: int
    repeated: int
    examples: tuple[Difference, ...]

    @property
    def total(self) -> int:
        """Images that differ."""
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self) | {
            "counts": dict(self.counts),
            "fields": dict(self.fields),
            "compared": list(self.compared),
            "examples": [each.as_row() for each in self.examples],
        }


def catalogue_job(settings: JobSettings) -> JobSettings:
    """The job whose rows name images of the instance: the job itself, or what its dedup adds.

    Raises:
        ConfigError: Its rows name no images of an instance.
    """
    if settings.operation == "SearchImageByPic" and settings.dedup is not None:
        names = open_manifest(settings, OPERATIONS[settings.operation]).schema_carried.names
        return sync_job(settings, given_columns(settings, names), "add")
    if not set(_IDS) <= OPERATIONS[settings.operation].keys:
        what = (
            f"the rows of {settings.operation} name no images of an instance; give a job of AddImage, of "
            "another operation with `product_id` and `pic_name`, or one with a `dedup` section"
        )
        raise ConfigError.at("operation", what)
    return settings


def compare(
    settings: JobSettings, instance: InstanceSettings, export: Path, file: Path, chosen: Chosen | None = None
) -> Compared:
    """Compare an export of a job's instance with the job's manifest, and write what differs.

    Args:
        settings: The job, as `catalogue_job` returns it.
        instance: Which of its instances; rows that go to others are left out.
        export: Parquet file from `instance export`.
        file: Where the differences go, as Parquet.
        chosen: Told each of them.

    Raises:
        ConfigError: The export is none.
        ManifestError: The manifest is not usable.
        OutputError: The export cannot be read, or the differences cannot be written.
    """
    operation = OPERATIONS[settings.operation]
    manifest = open_manifest(settings, operation)
    catalogue = _Catalogue(settings, instance, manifest)
    with writing(file, "cannot be made"):
        make_folder(file.absolute().parent)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=file.parent, prefix=".diff-")))
            step("reading the export")
            with Spill(folder, "held", HELD) as held:
                count = 0
                for row in _held(export):
                    held.add(row)
                    count += 1
            step("reading the catalogue")
            with Spill(folder, "catalogue", _CATALOGUE) as told:
                for row in catalogue.rows():
                    told.add(row)
            step("comparing")
            found = _Joined(catalogue.compared(), loaded=settings.load is not None)
            with publishing(file) as target, pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
                waiting: list[dict[str, Any]] = []
                for difference in found.differences(held, told):
                    if chosen is not None:
                        chosen.add(difference)
                    waiting.append(difference.as_row())
                    if len(waiting) >= _AT_ONCE:
                        writer.write_table(pa.Table.from_pylist(waiting, SCHEMA))
                        waiting = []
                writer.write_table(pa.Table.from_pylist(waiting, SCHEMA))
    return Compared(
        instance=instance.name,
        export=str(export),
        file=str(file),
        held=count,
        rows=catalogue.count,
        counts=dict(found.counts),
        fields=dict(found.fields.most_common()),
        compared=tuple(sorted(found.compared)),
        unusable=catalogue.unusable,
        repeated=found.repeated,
        examples=tuple(found.examples),
    )


class Chosen:
    """What would mend the differences: rows to add (anew), attributes to update, images to delete."""

    def __init__(self) -> None:
        self.add_rows: set[str] = set()
        self.updates: list[dict[str, Any]] = []
        self.deletions: list[dict[str, str]] = []

    def add(self, difference: Difference) -> None:
        """Take note of a difference."""
        named = {"product_id": difference.product_id, "pic_name": difference.pic_name}
        if difference.change == "extra":
            self.deletions.append(named)
        elif difference.row_key is not None and (
            difference.change == "missing" or difference.is_cleared or "category_id" in difference.fields
        ):
            # UpdateImage can neither clear an attribute nor change a category.
            self.add_rows.add(difference.row_key)
        else:
            self.updates.append(named | dict(difference.catalogue))


def _held(export: Path) -> Iterator[dict[str, Any]]:
    makes = "`batchsearch instance export` makes one"
    if not export.exists():
        raise ConfigError(f"{export}: there is no such file; {makes}")
    with reading(export), pq.ParquetFile(export) as file:
        missing = [name for name in _IDS if name not in file.schema_arrow.names]
        if missing:
            what = f"is no export of an instance: it has no column {missing[0]!r}"
            raise ConfigError(f"{export}: {what}; {makes}")
        there = [name for name in HELD.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=there):
            yield from batch.to_pylist()


class _Catalogue:
    """Reads the rows of the manifest as the instance should hold them."""

    def __init__(self, settings: JobSettings, instance: InstanceSettings, manifest: Manifest) -> None:
        self._settings = settings
        self._instance = instance
        self._worker = next(each for each in workers_of(settings) if each.instance.name == instance.name)
        self._manifest = manifest
        self._operation = OPERATIONS[settings.operation]
        self._told = set(settings.manifest.columns) | set(settings.parameters)
        self.count = self.unusable = 0

    def rows(self) -> Iterator[dict[str, Any]]:
        settings, instance = self._settings, self._instance
        for batch in self._manifest.batches():
            for row in (batch.rows[place] for place in self._worker.places(batch)):
                self.count += 1
                self._told.update(row.parameters)
                own = {key: value for key, value in row.parameters.items() if key in self._operation.keys}
                values, problems = check_parameters(
                    self._operation.name,
                    {**settings.parameters, **own},
                    service_type=instance.service_type,
                    longest_id=instance.longest_id,
                )
                wrong = {problem.parameter for problem in problems} & set(HELD.names)
                if wrong or not set(_IDS) <= values.keys():
                    self.unusable += 1
                    continue
                values["pic_name"] = self._name(values)
                yield {name: values.get(name) for name in HELD.names} | {"row_key": row.key}

    def compared(self) -> frozenset[str]:
        """Attributes that the catalogue speaks of; to be asked when it was read."""
        return compared_attributes(self._told & self._operation.keys, self._instance.service_type)

    def _name(self, values: Mapping[str, Any]) -> str:
        """The image's name on the instance; one that a batch task brings is named by `load.names`."""
        name: str = values["pic_name"]
        if self._settings.load is None:
            return name
        try:
            return object_name(self._settings.load.names, values["product_id"], name, None)
        except ObjectNameError:
            return name


class _Joined:
    """Joins both sides, part by part, and counts."""

    def __init__(self, compared: frozenset[str], *, loaded: bool) -> None:
        self.compared = compared
        self._loaded = loaded
        self.counts: Counter[str] = Counter()
        self.fields: Counter[str] = Counter()
        self.repeated = 0
        self.examples: list[Difference] = []

    def differences(self, held: Spill, told: Spill) -> Iterator[Difference]:
        for part in range(PARTS):
            for difference in self._part(held, told, part):
                if self.counts[difference.change] < _SHOWN:
                    self.examples.append(difference)
                self.counts[difference.change] += 1
                self.fields.update(difference.fields)
                yield difference

    def _part(self, held: Spill, told: Spill, part: int) -> Iterator[Difference]:
        there = {(row["product_id"], row["pic_name"]): row for row in held.part(part)}
        # A batch task brings a name without an image's extension under one with it.
        bare = {(product, bare_name(name)): name for product, name in there} if self._loaded else {}
        seen: set[Key] = set()
        for row in told.part(part):
            key = (row["product_id"], row["pic_name"])
            if key in seen:
                self.repeated += 1
                continue
            seen.add(key)
            other = there.pop(key, None) or there.pop((key[0], bare.get(key, "")), None)
            if other is None:
                yield Difference("missing", *key, row_key=row["row_key"])
                continue
            fields = tuple(sorted(name for name in self.compared if row[name] != other[name]))
            if fields:
                yield Difference(
                    "attributes",
                    key[0],
                    other["pic_name"],
                    row["row_key"],
                    fields,
                    {name: row[name] for name in fields},
                    {name: other[name] for name in fields},
                )
        for product, name in there:
            yield Difference("extra", product, name)


async def compared_from(
    settings: JobSettings, instance: InstanceSettings, export: Path, file: Path, chosen: Chosen | None = None
) -> Compared:
    """`compare`, in a thread.

    Raises:
        BatchsearchError: As `compare` raises.
    """
    return await asyncio.to_thread(compare, settings, instance, export, file, chosen)
