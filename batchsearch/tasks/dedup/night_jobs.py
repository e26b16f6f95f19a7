"""What the manifest's columns mean for dedup, and the jobs that follow from it: the search and the upkeep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.config.model import TruthSettings
from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.errors import ConfigError, Problem
from batchsearch.nearest import did_you_mean
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.output_layout import SEARCH, UPKEEP
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.tasks.dedup.candidates.catalogue_images import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.dedup_settings import SyncName
    from batchsearch.manifest.source import Manifest

SEARCH_OPERATION: Final = "SearchImageByPic"
DEFAULT_RESULTS: Final = 100
"""Hits that a search asks for where the job does not say: as many as one call can bring."""
DISTINCT: Final = "distinct_product_id"
"""The search's parameter that lists one image of each product."""
SYNC_OPERATIONS: Final = {"add": "AddImage", "update": "UpdateImage", "delete": "DeleteImage"}
"""The operation behind each `dedup.sync`."""


@dataclass(frozen=True, slots=True)
class Given:
    """Columns of the manifest by their own names.

    Attributes:
        product: Product id.
        pic_name: Name of the image; None where the manifest has none.
        image: The images.
    """

    product: str
    pic_name: str | None
    image: str


def dedup_settings(settings: JobSettings) -> DedupSettings:
    """The job's `dedup` section, or its defaults.

    Raises:
        ConfigError: The job is not one of searches by image.
    """
    if settings.operation != SEARCH_OPERATION:
        raise ConfigError(
            f"operation: `batchsearch dedup` searches each image, so it needs {SEARCH_OPERATION}, "
            f"not {settings.operation}"
        )
    return settings.dedup or DedupSettings()


def given_columns(settings: JobSettings, names: list[str]) -> Given:
    """The manifest's columns that name products and images.

    Args:
        settings: The job.
        names: Columns that the manifest has.

    Raises:
        ConfigError: A setting names a column that there is not; with every such setting.
    """
    dedup = dedup_settings(settings)
    key = settings.manifest.key
    wanted = {
        "product_column": dedup.product_column,
        "pic_name_column": dedup.pic_name_column,
        "category_column": dedup.category_column,
        "oldest_column": dedup.oldest_column,
        "title_column": dedup.title_column,
        **{f"different_when[{at}]": column for at, column in enumerate(dedup.different_when)},
        **{f"same_when[{at}]": column for at, column in enumerate(dedup.same_when)},
        **{f"attributes.{name}": column for name, column in dedup.attributes.items()},
    }
    problems = [
        Problem(f"dedup.{setting}", f"the manifest has no column {column!r}{did_you_mean(column, names)}")
        for setting, column in wanted.items()
        if column is not None and column not in names
    ]
    pic_name = dedup.pic_name_column or ("pic_name" if "pic_name" in names else None)
    if pic_name is None and len(key) > 1:
        pic_name = key[1]
    if dedup.upkeep and pic_name is None:
        problems.append(
            Problem("dedup.pic_name_column", f"is needed for `sync: {dedup.upkeep[0]}`: the image's name")
        )
    if "update" in dedup.upkeep and not dedup.attributes:
        problems.append(
            Problem("dedup.attributes", "is needed for `sync: update`: which attributes it is to update")
        )
    taken = [OPERATIONS[SYNC_OPERATIONS[step]] for step in dedup.upkeep if step != "delete"]
    for name in dedup.attributes:
        # With several steps each is given what it takes: UpdateImage cannot change a category.
        if taken and not any(name in operation.keys for operation in taken):
            known = {key for operation in taken for key in operation.keys}
            names_of = " and ".join(operation.name for operation in taken)
            problems.append(
                Problem(
                    f"dedup.attributes.{name}",
                    f"{names_of} takes nothing called `{name[:60]}`{did_you_mean(name, known)}",
                )
            )
    if problems:
        raise ConfigError(problems)
    product = dedup.product_column or ("product_id" if "product_id" in names else key[0])
    return Given(product, pic_name, settings.manifest.columns.get("image", "image"))


def result_columns(settings: JobSettings, given: Given, names: list[str]) -> Columns:
    """The same columns as the search's results call them.

    Args:
        settings: The job.
        given: As `given_columns` says.
        names: Columns of the manifest that the results carry.
    """
    dedup = dedup_settings(settings)
    written = dict(zip(names, passthrough_names(SEARCH_OPERATION, names), strict=True))
    return Columns(
        product=written[given.product],
        pic_name=None if given.pic_name is None else written[given.pic_name],
        image=written.get(given.image),
        category=None if dedup.category_column is None else written[dedup.category_column],
        oldest=None if dedup.oldest_column is None else written[dedup.oldest_column],
        title=_title(dedup.title_column, names, written),
        different_when={name: written[name] for name in dedup.different_when},
        same_when={name: written[name] for name in dedup.same_when},
    )


_TITLES: Final = ("title", "product_title", "product_name", "item_name", "name", "titel", "nombre", "titre")
"""Columns that are taken for the product's title where the job names none, the likelier ones first."""


def _title(named: str | None, names: list[str], written: Mapping[str, str]) -> str | None:
    """The results' column with the product's title; None where there is none."""
    if named is not None:
        return written[named]
    by_name = {name.casefold().replace(" ", "_"): name for name in reversed(names)}
    found = next((by_name[usual] for usual in _TITLES if usual in by_name), None)
    return None if found is None else written[found]


def told_now(manifest: Manifest, columns: Columns) -> Iterator[pa.RecordBatch]:
    """What the manifest's columns that speak of products say now: by `row_key`, named as in the results.

    Nothing where no column speaks.
    """
    speaking = {*columns.different_when.values(), *columns.same_when.values()}
    speaking |= {columns.title} if columns.title else set()
    if not speaking:
        return
    schema = pa.schema([("row_key", pa.string()), *((name, pa.string()) for name in sorted(speaking))])
    given = manifest.schema_carried.names
    written = dict(zip(passthrough_names(SEARCH_OPERATION, given), given, strict=True))
    for batch in manifest.batches():
        keys = pa.array([row.key for row in batch.rows], pa.string())
        texts = [batch.carried.column(written[name]).cast(pa.string()) for name in schema.names[1:]]
        yield pa.record_batch([keys, *texts], schema=schema)


def _in_folder(settings: JobSettings, name: str) -> JobSettings:
    """The job with an output folder inside its own; the embedded instance stays one for all of them."""
    folder = Path(settings.output.dir)
    return settings.model_copy(
        update={
            "output": settings.output.model_copy(update={"dir": str(folder / name)}),
            "emulator": settings.emulator.model_copy(
                update={"data": settings.emulator.data or str(folder / "emulator")}
            ),
        }
    )


def search_job(settings: JobSettings, given: Given, began: Mapping[str, Any] | None = None) -> JobSettings:
    """The search of a night.

    It asks for `DEFAULT_RESULTS` hits where the job names no number, and for one image of each product where
    products may have several: else their own images fill the list. An answer of an earlier run never serves
    an equal image: since then the instance has other products.

    Args:
        settings: The job.
        given: Columns of its manifest.
        began: What the search is that the output folder holds, by setting (`engine.job.identity`): what it
            was silent about stays as it was then. None for a first night.
    """
    job = _in_folder(settings, SEARCH)
    said = {*job.parameters, *job.manifest.columns}
    changed: dict[str, object] = {"reuse": job.reuse.model_copy(update={"max_age_hours": 0.0})}
    silent = began is not None and began.get("results_per_row") is None
    if job.results_per_row is None and not said & {"num", "start"} and not silent:
        changed["results_per_row"] = DEFAULT_RESULTS
    silent = began is not None and f"parameters.{DISTINCT}" not in began
    if given.pic_name is not None and DISTINCT not in said and not silent:
        changed["parameters"] = {**job.parameters, DISTINCT: True}
    return job.model_copy(update=changed)


def sync_job(settings: JobSettings, given: Given, step: SyncName) -> JobSettings:
    """One step of a night's upkeep: the same manifest, another operation.

    Args:
        settings: The job.
        given: Columns of its manifest.
        step: `add`, `update` or `delete`.
    """
    dedup = dedup_settings(settings)
    operation = OPERATIONS[SYNC_OPERATIONS[step]]
    columns = {"product_id": given.product}
    if step != "delete":
        columns |= {name: column for name, column in dedup.attributes.items() if name in operation.keys}
    if given.pic_name is not None:
        columns["pic_name"] = given.pic_name
    if operation.images:
        columns["image"] = given.image
    job = _in_folder(settings, UPKEEP[step])
    if step == "add" and "update" in dedup.upkeep:
        # Attributes alone are the update's.
        job = job.model_copy(update={"reuse": job.reuse.model_copy(update={"notice_parameters": False})})
    parameters = {
        name: value for name, value in settings.parameters.items() if name in _SHARED & operation.keys
    }
    return job.model_copy(
        update={
            "operation": operation.name,
            "parameters": parameters,
            "results_per_row": None,
            "manifest": job.manifest.model_copy(update={"columns": columns}),
            "truth": TruthSettings(),
            "dedup": None,
        }
    )


_SHARED: Final = frozenset({"category_id", "crop"})
"""Parameters of the search that say the same of an image when it is added."""
