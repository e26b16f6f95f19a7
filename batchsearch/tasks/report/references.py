"""Where the images of a report are: in columns of the results, in the manifest, in a catalogue.

Results carry an image's reference as anybody may see it: paths whole, addresses without what may be secret,
inline images not at all. What they do not carry is looked for in the table that the job was over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import python_rows
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.manifest.rows import reference
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.sealed.delivered import delivered_files
from batchsearch.tasks.report.table_reading import batches, columns_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.manifest.rows import ImageReference
    from batchsearch.tasks.report.output_kind import RunFolder

_ADD: Final = OPERATIONS["AddImage"]
_RENAMED: Final = "manifest_"
"""What stands before a manifest's column in the results that has the name of one of batchsearch's."""
_ROLES: Final = {"compare": ("primary_image", "secondary_image"), "search": ("image",), "upkeep": ("image",)}

ImageKey = tuple[str, str]
"""Names an image in its source: a row key and the image's role, or a product id and an image name."""


@dataclass(frozen=True, slots=True)
class RowSource:
    """Images of a job's own rows, by row key and role.

    Attributes:
        root: Where relative paths start.
        settings: How images are read.
        job: The job; None when it is not known, so that only what the results carry can be shown.
    """

    root: Path
    settings: ImageSettings
    job: JobSettings | None = None

    def stream(self, wanted: Collection[ImageKey]) -> Iterator[tuple[ImageKey, ImageReference]]:
        """Read the manifest up to the last row wanted.

        Raises:
            ManifestError: The manifest is gone, or no longer what the job says.
        """
        if self.job is None or not wanted:
            return
        operation = OPERATIONS[self.job.operation]
        roles = tuple(image.role for image in operation.images)
        wishes = Wanted(
            images=roles,
            allowed=operation.keys | {"priority"},
            texts=self.settings.texts,
        )
        left = set(wanted)
        keys = {key for key, _ in left}
        base = Path(self.job.manifest.path).parent
        for batch in Manifest.open(self.job.manifest, base=base, wanted=wishes).batches():
            places = [place for place, key in enumerate(batch.keys()) if key in keys]
            for row in batch.pick(places) if places else ():
                for role, image in zip(roles, row.images, strict=True):
                    if (row.key, role) in left and image is not None:
                        left.remove((row.key, role))
                        yield (row.key, role), image
            if not left:
                return


@dataclass(frozen=True, slots=True)
class CatalogueSource:
    """Images that an embedded instance was filled with, by product id and image name."""

    root: Path
    settings: ImageSettings
    manifest: ManifestSettings

    def stream(self, wanted: Collection[ImageKey]) -> Iterator[tuple[ImageKey, ImageReference]]:
        """Read the catalogue up to the last image wanted.

        Raises:
            ManifestError: The catalogue's table is gone, or no longer what the job says.
        """
        left = set(wanted)
        wishes = Wanted(
            images=tuple(image.role for image in _ADD.images),
            required=("product_id", "pic_name"),
            allowed=_ADD.keys,
        )
        base = Path(self.manifest.path).parent
        for batch in Manifest.open(self.manifest, base=base, wanted=wishes).batches():
            named = zip(batch.values("product_id"), batch.values("pic_name"), strict=True)
            found = {place: (str(product), str(name)) for place, (product, name) in enumerate(named)}
            places = [place for place, key in found.items() if key in left]
            for place, row in zip(places, batch.pick(places) if places else (), strict=True):
                key = found[place]
                if key in left and row.images[0] is not None:
                    left.remove(key)
                    yield key, row.images[0]
            if not left:
                return


Source = RowSource | CatalogueSource
"""A table that images are looked up in: where its paths start, how they are read, those that are there."""


def row_source(run: RunFolder, images: Path | None) -> RowSource | None:
    """Where a run's own images are; None when neither the ledger nor `images` says.

    Args:
        run: The run.
        images: A folder that images were moved to.
    """
    job = run.job
    if job is None:
        return None if images is None else RowSource(images.absolute(), ImageSettings())
    root = Path(job.images.root or job.manifest.images_folder)
    settings = job.images if images is None else job.images.of_folder()
    return RowSource((images or root).absolute(), settings, job)


def scores_file(output: Path) -> tuple[Path, ...]:
    """The table of scores that `batchsearch compare` has written; none where there is none."""
    return delivered_files(output, "scores.parquet")


def catalogue_source(run: RunFolder) -> CatalogueSource | None:
    """Where the images are that the run's hits name; None when that is known to the instance only."""
    job = run.job
    if job is None or job.instance.endpoint != EMULATOR or job.emulator.catalogue is None:
        return None
    catalogue = job.emulator.catalogue
    root = Path(catalogue.root or catalogue.manifest.images_folder)
    images = job.images if catalogue.root is None else job.images.of_folder()
    return CatalogueSource(root.absolute(), images, catalogue.manifest)


@dataclass(frozen=True, slots=True)
class Named:
    """Which columns of a run's results say what.

    Attributes:
        images: Role and column of each image that the results carry a reference of.
        product: Column of product ids; None when there is none.
        pic_name: Column of image names; likewise.
    """

    images: Mapping[str, str]
    product: str | None
    pic_name: str | None

    @property
    def columns(self) -> list[str]:
        """All of them."""
        return [*self.images.values(), *(name for name in (self.product, self.pic_name) if name)]


def named_columns(run: RunFolder, *, product: str = "product_id", pic_name: str = "pic_name") -> Named:
    """Find the columns by what the job says of them, else by the names they have when it says nothing.

    Args:
        run: The run.
        product: What the job, or the column itself, calls product ids.
        pic_name: What it calls image names.

    Raises:
        OutputError: The results cannot be read.
    """
    present = columns_of(run.results)
    said = dict(run.job.manifest.columns) if run.job is not None else {}
    roles = _ROLES[run.kind]
    if run.job is not None:
        roles = tuple(image.role for image in OPERATIONS[run.job.operation].images)

    def find(meaning: str) -> str | None:
        name = said.get(meaning, meaning)
        return next((each for each in (_RENAMED + name, name) if each in present), None)

    images = {role: column for role in roles if (column := find(role)) is not None}
    return Named(images, find(product), find(pic_name))


@dataclass(frozen=True, slots=True)
class RowImage:
    """The image of one row of a search's results.

    Attributes:
        row_key: The row.
        text: Its reference as carried; None when nothing of it was.
        regions: Subjects found in it, `x1,x2,y1,y2` in the source's pixels, the main one first.
        category: Its category; None when none is known.
    """

    row_key: str
    text: str | None
    regions: tuple[str, ...]
    category: int | None


@dataclass(slots=True)
class RowImages:
    """Looks up rows of a search's results, by row key and by product, in one pass.

    Attributes:
        by_key: What was found, by row key.
        by_product: What was found, by product id and image name; by product id alone under an empty name.
    """

    by_key: dict[str, RowImage] = field(default_factory=dict)
    by_product: dict[ImageKey, RowImage] = field(default_factory=dict)

    def find(
        self, run: RunFolder, named: Named, keys: Collection[str], products: Collection[ImageKey]
    ) -> None:
        """Read the results once.

        Args:
            run: The search.
            named: Which of its columns say what.
            keys: Row keys.
            products: Product ids and image names.

        Raises:
            OutputError: The results cannot be read.
        """
        if not keys and not products:
            return
        ids = {product for product, _ in products}
        columns = ["row_key", "pic_region", "multi_region", "pic_category_id", *named.columns]
        for batch in batches(run.results, list(dict.fromkeys(columns))):
            mask = _is_in(batch.column(0), keys)
            if named.product is not None and ids:
                texts = batch.column(batch.schema.get_field_index(named.product)).cast(pa.string())
                mask = pc.or_(mask, _is_in(texts, ids))
            for row in python_rows(batch.filter(mask)):
                self._take(row, named, keys, products)

    def _take(
        self, row: dict[str, Any], named: Named, keys: Collection[str], products: Collection[ImageKey]
    ) -> None:
        column = next(iter(named.images.values()), None)
        text = row[column] if column is not None else None
        found = RowImage(
            row["row_key"], None if text is None else str(text), regions_of(row), row["pic_category_id"]
        )
        if found.row_key in keys:
            self.by_key[found.row_key] = found
        if named.product is None or row[named.product] is None:
            return
        name = "" if named.pic_name is None else str(row[named.pic_name])
        product = str(row[named.product])
        if (product, name) in products:
            self.by_product[product, name] = found
        self.by_product.setdefault((product, ""), found)


def regions_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The subjects of a row's image, the main one first, each once."""
    found = [row.get("pic_region"), *(row.get("multi_region") or ())]
    return tuple(dict.fromkeys(region for region in found if region))


def passthrough_reference(text: str | None) -> ImageReference | None:
    """The reference that a carried text is, when it is whole: a path. Anything else is looked for again."""
    found = reference(text)
    return found if found is not None and found.path is not None else None


def _is_in(column: pa.Array, values: Collection[str]) -> pa.Array:
    return pc.is_in(column, value_set=pa.array(_list(values), pa.string()))


def _list(values: Collection[str]) -> Sequence[str]:
    return values if isinstance(values, list) else list(values)
