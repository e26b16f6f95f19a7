"""Job files that would mend what differs between an instance and its catalogue; none of them is run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.run.embedded import data_folder
from batchsearch.engine.run.opening import open_manifest
from batchsearch.engine.run.places import image_root
from batchsearch.publish import make_folder, publishing, write_text
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.parts.parquet_table import writing
from batchsearch.tasks.instance.instance_export import SCHEMA as HELD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.tasks.instance.comparing import Chosen

_ROW_KEY: Final = "row_key"
_IDS: Final = ("product_id", "pic_name")
_KEPT: Final = ("instance", "calls", "codes", "stores", "emulator", "load")
"""Sections of the job that its mending jobs share."""


@dataclass(frozen=True, slots=True)
class MendingJob:
    """A job file that was written.

    Attributes:
        file: The job file.
        operation: What it calls.
        rows: How many rows it has.
    """

    file: str
    operation: str
    rows: int


def write_mending_jobs(
    settings: JobSettings, instance: InstanceSettings, chosen: Chosen, folder: Path
) -> list[MendingJob]:
    """Write a job file and its manifest for each kind of mending; one without rows is not written.

    Args:
        settings: The catalogue's job.
        instance: Which of its instances the jobs are for.
        chosen: What is to be mended.
        folder: Where the files go; those of an earlier comparison are replaced or removed.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The files cannot be written.
    """
    if settings.instances:
        settings = settings.model_copy(update={"instance": instance, "instances": []})
    with writing(folder, "the jobs cannot be written"):
        make_folder(folder.absolute())
        made = [
            _delete(settings, chosen, folder),
            _add(settings, chosen, folder),
            _update(settings, chosen, folder),
        ]
    return [job for job in made if job is not None]


def _delete(settings: JobSettings, chosen: Chosen, folder: Path) -> MendingJob | None:
    table = pa.Table.from_pylist(chosen.deletions, pa.schema([(name, pa.string()) for name in _IDS]))
    return _written(settings, "delete", "DeleteImage", [table], len(table), folder, {}, columns=_own(table))


def _update(settings: JobSettings, chosen: Chosen, folder: Path) -> MendingJob | None:
    names = sorted({name for row in chosen.updates for name in row} - set(_IDS))
    schema = pa.schema([HELD.field(name) for name in (*_IDS, *names)])
    table = pa.Table.from_pylist(chosen.updates, schema)
    return _written(settings, "update", "UpdateImage", [table], len(table), folder, {}, columns=_own(table))


def _own(table: pa.Table) -> dict[str, str]:
    """Columns that are named as the operation names them."""
    return {name: name for name in table.schema.names}


def _add(settings: JobSettings, chosen: Chosen, folder: Path) -> MendingJob | None:
    """The rows themselves, with all their columns."""
    if settings.operation != "AddImage":
        return None
    operation = OPERATIONS["AddImage"]
    manifest = open_manifest(settings, operation)

    def rows() -> Iterator[pa.Table]:
        for batch in manifest.batches():
            keys = [row.key for row in batch.rows]
            wanted = pa.array([key in chosen.add_rows for key in keys])
            if not pc.any(wanted).as_py():
                continue
            table = pa.Table.from_batches([batch.carried])
            if _ROW_KEY not in table.schema.names:
                table = table.append_column(_ROW_KEY, pa.array(keys))
            yield table.filter(wanted)

    given = settings.manifest
    names = manifest.schema_carried.names
    columns = {
        meaning: column
        for meaning in (*(image.role for image in operation.images), *operation.keys)
        if (column := given.columns.get(meaning, meaning)) in names
    }
    more = {"parameters": dict(settings.parameters), "images": _images(settings)}
    return _written(
        settings,
        "add",
        "AddImage",
        rows(),
        len(chosen.add_rows),
        folder,
        more,
        columns=columns,
        key=(_ROW_KEY,),
    )


def _images(settings: JobSettings) -> dict[str, Any]:
    found = settings.images.model_dump(mode="json", exclude_unset=True)
    if settings.images.base_url is None:
        found["root"] = str(image_root(settings).absolute())
    return found


def _written(  # noqa: PLR0917 - a job, its rows and where they go
    settings: JobSettings,
    name: str,
    operation: str,
    tables: Sequence[pa.Table] | Iterator[pa.Table],
    rows: int,
    folder: Path,
    more: dict[str, Any],
    *,
    columns: dict[str, str] | None = None,
    key: tuple[str, ...] = _IDS,
) -> MendingJob | None:
    """A job file and its manifest; what an earlier one left is removed where there are no rows."""
    file, path = folder / f"{name}.yaml", folder / f"{name}.parquet"
    if not rows:
        file.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return None
    writer = None
    with publishing(path) as target:
        for table in tables:
            writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
    dumped = settings.model_dump(mode="json", exclude_unset=True)
    job: dict[str, Any] = {"operation": operation}
    job |= {section: dumped[section] for section in _KEPT if dumped.get(section)}
    if settings.instance.unlimited:
        job["instance"]["qps"] = "unlimited"
    if settings.instance.endpoint == EMULATOR:
        job.setdefault("emulator", {})["data"] = str(data_folder(settings).absolute())
    manifest: dict[str, Any] = {"path": path.name, "key": list(key)}
    if columns:
        manifest["columns"] = columns
    job |= {"manifest": manifest, **{section: value for section, value in more.items() if value}}
    job["output"] = {"dir": f"output/{name}"}
    head = f"# {operation} for {rows:,} images, from a comparison of the instance with its catalogue.\n"
    if operation == "DeleteImage":
        head += "# It deletes. Look at the rows first; `max_deleted` holds back what would be too many.\n"
    write_text(file, head + yaml.safe_dump(job, sort_keys=False, allow_unicode=True))
    return MendingJob(str(file), operation, rows)
