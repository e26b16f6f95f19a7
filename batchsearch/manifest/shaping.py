"""From a manifest's files to its rows: cells filled, rows let pass, images expanded, each by a layer.

::

    file ─▶ Filled (manifest.fill) ─▶ OfInstance (only_instance) ─▶ Where (manifest.where)
                                   ─▶ ImageRows (manifest.images) or WithImage (without_image: skip)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.agreement import agreed, headerless
from batchsearch.manifest.column_types import cell, normal_type
from batchsearch.manifest.filtered import OfInstance, Where, WithImage, conditions_over
from batchsearch.manifest.groups import Filled, GroupColumns, Groups
from batchsearch.manifest.layers import Layer, LeftOut
from batchsearch.manifest.product_images.image_cells import AUTO, NONE
from batchsearch.manifest.product_images.image_columns import holds_bytes, named_columns, type_problem
from batchsearch.manifest.product_images.image_rows import IMAGE_INDEX, PIC_NAME, ImagePlan, ImageRows
from batchsearch.manifest.product_images.repeated_images import RepeatedImages
from batchsearch.manifest.row_findings import LISTED
from batchsearch.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.manifest.formats.table_file import TableFile
    from batchsearch.manifest.meaning import Wanted


def shaped(tables: Sequence[TableFile], settings: ManifestSettings, wanted: Wanted) -> tuple[TableFile, ...]:
    """The files as tables of the rows that the job works on.

    Args:
        tables: The files, at least one.
        settings: Which rows and images are meant.
        wanted: What the operation takes.

    Raises:
        ManifestError: A column that a setting names is missing or of a type that cannot be used.
        ConfigError: `manifest.where` does not fit the columns.
    """
    names = tuple({name: None for table in tables for name in table.schema.names})
    columns, problems = named_columns(settings.images, names)
    if not settings.images:
        columns = [settings.columns.get(role, role) for role in wanted.images]
    problems = [f"{problem}{headerless(tables[0], settings)}" for problem in problems]
    problems += [*_missing(settings, names), *_unusable(tables, settings, columns, wanted)]
    if problems:
        raise ManifestError([Problem(str(tables[0].path), what) for what in problems[:LISTED]])
    if wanted.texts == "base64" and settings.image_separator == AUTO:
        # Base64 has line breaks and no other sign that could separate.
        settings = settings.model_copy(update={"image_separator": NONE})
    groups = _groups(tables, settings, columns)
    made: list[TableFile] = list(tables)
    if groups is not None and groups.columns.fill:
        made = [Filled(table, groups) for table in made]
    if wanted.of_instance is not None:
        made = [OfInstance(table, wanted.of_instance) for table in made]
    if settings.where is not None:
        conditions = conditions_over(settings.where, tables)
        made = [Where(table, conditions) for table in made]
    if settings.images:
        return _images(made, tables, settings, columns, groups)
    if settings.without_image == "skip" and wanted.images:
        made = [WithImage(table, columns, settings.key) for table in made]
    return tuple(made)


def left_out(tables: Sequence[TableFile]) -> LeftOut:
    """What the last whole reading of each file left out."""
    total = LeftOut()
    for table in tables:
        if isinstance(table, Layer):
            total += table.left_out
    return total


def kept_always(settings: ManifestSettings) -> frozenset[str]:
    """Columns that are carried whatever `manifest.carry` says: which product an image is of, its place."""
    return frozenset({*settings.key, IMAGE_INDEX}) if settings.images else frozenset()


def naming_images(settings: ManifestSettings, wanted: Wanted) -> ManifestSettings:
    """These settings, each row of an image giving its name to an operation that takes one.

    DeleteImage without a name would delete every image of the product.
    """
    if not settings.images or PIC_NAME not in wanted.allowed:
        return settings
    return settings.model_copy(update={"columns": {**settings.columns, PIC_NAME: PIC_NAME}})


def _images(
    made: Sequence[TableFile],
    tables: Sequence[TableFile],
    settings: ManifestSettings,
    columns: Sequence[str],
    groups: Groups | None,
) -> tuple[TableFile, ...]:
    key = tuple(name for name in settings.key if name != PIC_NAME)
    layers: list[ImageRows] = []
    plan = ImagePlan(
        columns=tuple(columns),
        key=key,
        separator=settings.image_separator,
        most=settings.most_images,
        without=settings.without_image,
        has_bytes=any(
            holds_bytes(normal_type(field.type))
            for table in tables
            for field in table.schema
            if field.name in columns
        ),
        groups=groups if settings.without_image == "inherit" else None,
        repeated=RepeatedImages(key, lambda: layers),
    )
    layers += [ImageRows(table, plan, number) for number, table in enumerate(made)]
    return tuple(layers)


def _groups(tables: Sequence[TableFile], settings: ManifestSettings, columns: Sequence[str]) -> Groups | None:
    if settings.group is None:
        return None
    inherits = settings.without_image == "inherit"
    # Without `images` an image that is taken over is a cell that is filled.
    fill = settings.fill if settings.images or not inherits else (*settings.fill, *columns)
    return Groups(
        GroupColumns(
            group=settings.group,
            teller=settings.parent or settings.group,
            fill=tuple(dict.fromkeys(fill)),
            images=tuple(columns) if inherits and settings.images else (),
            separator=settings.image_separator,
        ),
        tables,
    )


def _missing(settings: ManifestSettings, names: Sequence[str]) -> Iterator[str]:
    named = {"group": settings.group, "parent": settings.parent}
    named |= {f"fill.{place}": name for place, name in enumerate(settings.fill)}
    for setting, name in named.items():
        if name is not None and name not in names:
            yield f"has no column {cell(name)} (manifest.{setting}){did_you_mean(name, names)}"


def _spoken_for(settings: ManifestSettings, columns: Sequence[str]) -> Iterator[str]:
    """Settings that name a column whose images become rows."""
    carry = settings.carry if isinstance(settings.carry, tuple) else ()
    named = [("key", name) for name in settings.key] + [("carry", name) for name in carry]
    named += [(f"columns.{meaning}", name) for meaning, name in settings.columns.items()]
    for setting, name in named:
        if name in columns and name != "image":
            yield (
                f"column {cell(name)} (manifest.{setting}) holds images that become rows (manifest.images): "
                "each row's own is in the column `image`"
            )


def _unusable(
    tables: Sequence[TableFile], settings: ManifestSettings, columns: Sequence[str], wanted: Wanted
) -> Iterator[str]:
    """What is wrong with the columns that there are; of files without rows nobody knows the types."""
    has_rows = any(table.rows != 0 for table in tables)
    if settings.images:
        if len(wanted.images) > 1:
            yield "manifest.images: makes rows of one image each, and this operation takes two of each row"
        yield from _spoken_for(settings, columns)
        if has_rows:
            yield from _type_problems(tables, columns)
    if has_rows:
        yield from _fill_problems(tables, settings.fill)


def _type_problems(tables: Sequence[TableFile], columns: Sequence[str]) -> Iterator[str]:
    told: set[str] = set()
    for table in tables:
        for field in table.schema:
            if field.name not in columns or field.name in told:
                continue
            problem = type_problem(normal_type(field.type))
            if problem is not None:
                told.add(field.name)
                yield f"column {cell(field.name)} (manifest.images) {problem}"


def _fill_problems(tables: Sequence[TableFile], fill: Sequence[str]) -> Iterator[str]:
    found = agreed(tables, key=frozenset(), named=frozenset(), read=fill)
    types = pa.types
    fits = (types.is_string, types.is_integer, types.is_floating, types.is_boolean, types.is_null)
    for name, kind in found.kinds.items():
        if not any(fit(kind.normal) for fit in fits):
            yield (
                f"column {cell(name)} (manifest.fill) is {str(kind.normal)[:80]}; text, numbers and "
                "true/false can be filled"
            )
