"""Where the images of an instance's items are: in the tables of the job, by product and image name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.run.places import image_root
from batchsearch.errors import BatchsearchError
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.emulator.search.catalogue import Catalogue
    from batchsearch.manifest.rows import ImageReference

MOST: Final = 200_000
"""Images whose places are kept; the rest of a larger table is not shown."""
_ADD: Final = OPERATIONS["AddImage"]
_KEY_COLUMNS: Final = 2


@dataclass(frozen=True, slots=True)
class KnownImages:
    """Images by product id and image name.

    Attributes:
        places: Where each is.
        root: Where relative paths start.
        tables: The tables that they are from, for people.
        attributes: What the tables say of each beside its names.
    """

    places: dict[tuple[str, str], ImageReference] = field(default_factory=dict)
    root: Path | None = None
    tables: tuple[str, ...] = ()
    attributes: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def has(self, product_id: str | None, pic_name: str | None) -> bool:
        """Whether it is known where the image is."""
        return (product_id or "", pic_name or "") in self.places


@dataclass(frozen=True, slots=True)
class ShownImages:
    """Which items can be shown: those of the tables, and those that an embedded instance keeps copies of.

    Attributes:
        known: The tables' images.
        catalogue: The embedded instance's items; None of a purchased one.
    """

    known: KnownImages
    catalogue: Catalogue | None

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables, for people."""
        return self.known.tables

    def has(self, product_id: str | None, pic_name: str | None) -> bool:
        """Whether it is known where the image itself is: a copy is too small to be asked about."""
        return self.known.has(product_id, pic_name)

    def shows(self, product_id: str | None, pic_name: str | None) -> bool:
        """Whether there is an image, or a copy, to look at."""
        return self.has(product_id, pic_name) or self.copy(product_id, pic_name) is not None

    def copy(self, product_id: str | None, pic_name: str | None) -> bytes | None:
        """The copy that the instance keeps; None where it keeps none."""
        if self.catalogue is None or not product_id or not pic_name:
            return None
        return self.catalogue.image_copy(product_id, pic_name)


def known_images(settings: JobSettings) -> KnownImages:
    """What the job's tables know of the instance's items; nothing where they name no products."""
    catalogue = settings.emulator.catalogue
    if settings.instance.endpoint == EMULATOR and catalogue is not None:
        root = Path(catalogue.root or catalogue.manifest.images_folder)
        return _read(catalogue.manifest, root)
    manifest = settings.manifest
    columns = dict(manifest.columns)
    if not {"product_id", "pic_name"} <= columns.keys() and len(manifest.key) == _KEY_COLUMNS:
        # A job for duplicates names its products by the key of its rows.
        columns = {
            "image": columns.get("image", "image"),
            "product_id": manifest.key[0],
            "pic_name": manifest.key[1],
        }
        manifest = manifest.model_copy(update={"columns": columns})
    return _read(manifest, image_root(settings))


def _read(manifest: ManifestSettings, root: Path) -> KnownImages:
    from batchsearch.manifest.source import Manifest, Wanted

    wanted = Wanted(
        images=tuple(image.role for image in _ADD.images),
        required=("product_id", "pic_name"),
        allowed=_ADD.keys,
    )
    found = KnownImages(root=root.absolute(), tables=(str(manifest.path),))
    try:
        for batch in Manifest.open(manifest, base=Path(manifest.path).parent, wanted=wanted).batches():
            for row in batch.rows:
                values = dict(row.parameters)
                key = str(values.pop("product_id", "")), str(values.pop("pic_name", ""))
                place = row.images[0] if row.images else None
                # Images that are in the table itself are not kept: they would fill the memory.
                if place is not None and place.data is None:
                    found.places.setdefault(key, place)
                found.attributes.setdefault(key, values)
                if len(found.attributes) >= MOST:
                    return found
    except BatchsearchError:
        # A table that names no products, or is not there: pages go without images.
        return found if found.attributes else KnownImages(root=root.absolute())
    return found
