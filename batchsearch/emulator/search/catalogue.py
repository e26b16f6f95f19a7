"""One instance's catalogue: images in, items in SQLite, the most similar items out.

What the protocol half of the emulator calls, and all that it knows of the search half. Parameters are taken
as checked; what the service would refuse is refused before this.

Decisions the API pages leave open:

- On product instances a category limits a search, a predicted one as much as a given one: "If no category is
  specified, the system predicts and selects a category." An item searched by name has its own. So a wrong
  guess can hide the very image that is looked for, as it can at the service; `predicted_category_limits`
  turns that off, and a predicted category is then reported and limits nothing.
- Whatever is not of the product type has the one category 88888888.
- A category is predicted by the nearest items, each weighing its similarity squared; an empty catalogue
  predicts 88888888.
- An item that is added without a category gets the predicted one for good.
- `Region` is searched exactly as given. An identified subject is searched together with the image around
  it (see `embedding`). Where nothing stands out, the subject is the whole image.
- A text finds items by their own words (see `word_index`), not by what their pictures show: no network that
  relates texts to images is small and free enough to be a part of this package.
- What a filter alone finds comes oldest first.
- Comparing two images gives the score that one would get as a hit of the other with default settings.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np

from batchsearch.emulator.search.answering import hit_of, info_of, predicted, wanted_of
from batchsearch.emulator.search.embedding import DIMENSIONS, MODELS, shared_embedder, similarity
from batchsearch.emulator.search.image_copies import ImageCopies, remove_copies, small_copy
from batchsearch.emulator.search.image_vectors import ImageVectors, subject_way
from batchsearch.emulator.search.item_changes import Addition
from batchsearch.emulator.search.item_index import ItemIndex
from batchsearch.emulator.search.items import CatalogueFullError, ItemStore, Regions, ids_of
from batchsearch.emulator.search.records import (
    Box,
    ImageInfo,
    Item,
    NewItem,
    Query,
    SearchResult,
)
from batchsearch.emulator.search.vector_index import Found, Wanted
from batchsearch.errors import ConfigError
from batchsearch.service.facts import OTHER_CATEGORY, SEARCHED_BY_TEXT, SERVICE_TYPES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.emulator.search.image_reading import DecodedImage
    from batchsearch.emulator.search.item_changes import Change, Changed
    from batchsearch.service.expressions import Expression

__all__ = ["Catalogue", "CatalogueFullError"]

_NO_VECTOR: Final = np.empty(0, np.float32)
_LISTED: Final = 1_000  # items read at a time for a list


class Catalogue:
    """The items of one instance, searchable by image and by name. Calls may come from any thread.

    Args:
        name: Instance name; names the file in the data folder.
        service_type: A key of `batchsearch.service.facts.SERVICE_TYPES`.
        capacity: Most items that it takes.
        data: Folder to keep the items in, shared with other instances; None keeps them in memory.
        subject: How subjects are identified: `border` or `u2netp`.
        predicted_category_limits: On product instances, search only the category that is predicted when
            none is given.
        copies_bytes: Bytes of small copies of images that are kept at most, beside the items; 0 keeps none,
            and removes what was kept.

    Attributes:
        keeps_copies: False while what is added is known elsewhere, so that no copy of it is made.

    Raises:
        ConfigError: No such service type or way, or the file is of another service type or model.
        MissingExtraError: onnxruntime is not installed.
        OutputInUseError: Another process has this catalogue open.
        OutputError: The file cannot be opened.
    """

    def __init__(
        self,
        *,
        name: str,
        service_type: str,
        capacity: int,
        data: Path | None,
        subject: str = "border",
        predicted_category_limits: bool = True,
        copies_bytes: int = 0,
    ) -> None:
        if service_type not in SERVICE_TYPES:
            raise ConfigError(
                f"no service type is called {service_type!r}; there are {', '.join(SERVICE_TYPES)}"
            )
        way = subject_way(subject)
        self._category = SERVICE_TYPES[service_type].category
        self._keeps_to_predicted = predicted_category_limits
        self._service_type = service_type
        self._capacity = capacity
        self.keeps_copies = True
        path = None if data is None else data / f"{quote(name, safe='')}.sqlite3"
        facts = {"instance name": (name,), "service type": (service_type,), "model": tuple(MODELS)}
        with ExitStack() as handles:
            # The store is closed first: what it still commits is passed on to the index.
            by_text = service_type == SEARCHED_BY_TEXT
            self._index = handles.enter_context(closing(ItemIndex(DIMENSIONS, by_text=by_text)))
            self._store = handles.enter_context(closing(ItemStore(path, facts)))
            # Only now: the file of another process's catalogue is left alone.
            self._index.copies = _copies(path, copies_bytes)
            # Vectors of two networks cannot be compared: a file goes on with the one that it began with.
            self._vectors = ImageVectors(
                shared_embedder(self._store.facts["model"]), SERVICE_TYPES[service_type], way
            )
            for ids, items, vectors in self._store.load():
                self._index.append(ids, vectors, items)
            self._handles = handles.pop_all()

    def close(self) -> None:
        """Finish what waits and let go of the file; later calls raise RuntimeError."""
        self._handles.close()

    # -- upkeep --------------------------------------------------------------------------------------

    def add(self, item: NewItem, image: DecodedImage, *, crop: bool, region: Box | None) -> ImageInfo:
        """Add an image, replacing the one of the same product id and image name; durable on return.

        Args:
            item: With the category given, or None to have it predicted on product instances.
            image: The decoded image.
            crop: Identify the subject.
            region: The subject, which overrides `crop`.

        Raises:
            CatalogueFullError: The instance is full.
            OutputError: The item could not be committed.
        """
        addition = self.addition(item, image, crop=crop, region=region)
        self._store.put(
            addition.item,
            addition.regions,
            addition.vector,
            capacity=self._capacity,
            then=lambda identity: self._index.put(identity, addition),
        )
        return info_of(addition.item.category_id, addition.regions)

    def addition(self, item: NewItem, image: DecodedImage, *, crop: bool, region: Box | None) -> Addition:
        """What `add` would add: the item with its category, and what there is to know of its image."""
        vector, regions = self._vectors.of(image, crop=crop, region=region)
        category = item.category_id if self._category is None else self._category
        if category is None:
            found = self._index.vectors.search(Wanted(vector, most=1, predict=True))
            category = predicted(found)
        copied = small_copy(image) if self._index.copies is not None and self.keeps_copies else None
        return Addition(replace(item, category_id=category), regions, vector, copied)

    def change_all(
        self,
        changes: Sequence[Change],
        *,
        also: Callable[[sqlite3.Connection, Sequence[Changed]], None],
    ) -> None:
        """Add and delete many images in their order, all of them or none; durable on return.

        Args:
            changes: The changes; an addition that finds no room leaves the others alone.
            also: Told within the transaction what each did: what it writes is kept with them, or not at all.

        Raises:
            OutputError: They could not be committed.
        """

        def then(made: Sequence[Changed]) -> None:
            self._index.follow(changes, made)

        self._store.change_all(changes, capacity=self._capacity, also=also, then=then)

    def update(self, product_id: str, pic_name: str | None, changes: Mapping[str, Any]) -> int:
        """Change attributes of one image, or of all images of a product; returns how many those are.

        Args:
            product_id: The product.
            pic_name: One of its images, or None for all.
            changes: New values by name (`custom_content`, `int_attr` to `int_attr4`, `str_attr` to
                `str_attr4`); names left out keep their values.

        Raises:
            ValueError: A name is none of these.
            OutputError: The change could not be committed.
        """
        return self._store.update(product_id, pic_name, changes, then=self._index.describe)

    def delete(self, product_id: str, pic_name: str | None) -> list[str]:
        """Delete one image, or all images of a product; returns the names deleted, oldest first."""
        return self._store.delete(ids_of(product_id, pic_name), then=self._index.remove)

    def delete_matching(self, expression: Expression) -> list[str]:
        """Delete every item whose attributes match; returns the image names deleted, oldest first."""
        # The index mirrors what is committed, and only the thread that commits changes it.
        return self._store.delete(lambda _: self._index.vectors.matching(expression), then=self._index.remove)

    def get(self, product_id: str, pic_name: str) -> Item | None:
        """One item, None when the catalogue does not have it."""
        return self._store.item(product_id, pic_name)

    def count(self) -> int:
        """How many items there are."""
        return len(self._store)

    @property
    def store(self) -> ItemStore:
        """Where its items are, and what else an instance has to remember."""
        return self._store

    @property
    def capacity(self) -> int:
        """Most items that it takes."""
        return self._capacity

    def listed(
        self, wanted: Callable[[Item], bool], *, after: int = 0, most: int
    ) -> tuple[list[tuple[Item, Regions]], int | None]:
        """Items that somebody wants to look at, oldest first, and where the next page begins.

        Args:
            wanted: Whether an item is among them.
            after: Where the page before ended; 0 for the first.
            most: Items of a page.

        Returns:
            The items with the regions of their images, and what to give as `after` next; None at the end.
        """
        found: list[tuple[Item, Regions]] = []
        place = last = after
        while chunk := self._store.after(place, _LISTED):
            for stored in chunk:
                place = stored.identity
                if not wanted(stored.item):
                    continue
                if len(found) == most:
                    return found, last
                found.append((stored.item, stored.regions))
                last = place
        return found, None

    def image_copy(self, product_id: str, pic_name: str) -> bytes | None:
        """A small JPEG of an item's image; None where none is kept."""
        copies = self._index.copies
        stored = None if copies is None else self._store.stored(product_id, pic_name)
        return None if copies is None or stored is None else copies.get(stored.identity)

    def regions(self, product_id: str, pic_name: str) -> Regions | None:
        """Where the subject of an item's image is, None when the catalogue does not have it."""
        stored = self._store.stored(product_id, pic_name)
        return None if stored is None else stored.regions

    # -- searching -----------------------------------------------------------------------------------

    def search_image(
        self, image: DecodedImage, query: Query, *, crop: bool, region: Box | None
    ) -> SearchResult:
        """The items most similar to an image.

        Args:
            image: The decoded image.
            query: What to keep, and which page.
            crop: Identify the subject.
            region: The subject, which overrides `crop`.
        """
        vector, regions = self._vectors.of(image, crop=crop, region=region)
        predict = self._category is None and query.category_id is None
        found = self._find(vector, query, predict=predict)
        category = self._category
        if category is None:
            category = predicted(found) if query.category_id is None else query.category_id
        return self._result(found, query, info_of(category, regions))

    def search_name(self, product_id: str, pic_name: str, query: Query) -> SearchResult | None:
        """The items most similar to one of the catalogue, itself among them; None when it is not there.

        Args:
            product_id: The item's product.
            pic_name: The item's image name.
            query: What to keep, and which page.
        """
        stored = self._store.stored(product_id, pic_name)
        if stored is None:
            return None
        category = self._category
        if category is None:
            category = stored.item.category_id if query.category_id is None else query.category_id
            if self._keeps_to_predicted:
                query = replace(query, category_id=category)
        found = self._find(stored.vector, query, predict=False)
        return self._result(found, query, info_of(category, stored.regions))

    def search_text(self, text: str, query: Query) -> SearchResult:
        """The items that have the text's words, those with most of them first.

        Args:
            text: The text.
            query: What to keep, and which page.

        Raises:
            ValueError: The instance is of a kind that is not searched by text.
        """
        if self._index.words is None:
            raise ValueError(f"instances of the kind {self._service_type} are not searched by text")
        ids, scores = self._index.words.scores(text)
        found = self._index.vectors.ranked(ids, scores, wanted_of(_NO_VECTOR, query))
        return self._result(found, query, ImageInfo(OTHER_CATEGORY, None, ()))

    def matching(self, expression: Expression | None, *, start: int, num: int) -> list[Item]:
        """A page of the items whose attributes match, of all where nothing is asked, oldest first."""
        ids = self._index.vectors.matching(expression)[start : start + num]
        items = self._store.items(ids)
        return [items[identity] for identity in ids if identity in items]

    def compare(self, first: DecodedImage, second: DecodedImage) -> float:
        """Similarity of two images, 0 to 1, six decimals: symmetric, exactly 1 for the same bytes."""
        if first.sha256 == second.sha256:
            return 1.0
        vectors = [self._vectors.of(image, crop=True, region=None)[0] for image in (first, second)]
        return similarity(*vectors)

    def _find(self, vector: NDArray[np.float32], query: Query, *, predict: bool) -> Found:
        wanted = wanted_of(vector, query)
        return self._index.vectors.search(
            replace(
                wanted,
                category=wanted.category if self._category is None else None,
                predict=predict,
                keep_to_predicted=self._keeps_to_predicted,
            )
        )

    def _result(self, found: Found, query: Query, info: ImageInfo) -> SearchResult:
        page = list(zip(found.ids, found.scores, strict=True))[query.start : query.start + query.num]
        items = self._store.items([identity for identity, _ in page])
        # An item that was deleted since it was found is left out.
        hits = tuple(hit_of(items[identity], score) for identity, score in page if identity in items)
        return SearchResult(hits, found.total, info)


def _copies(items: Path | None, most_bytes: int) -> ImageCopies | None:
    """The small copies beside a file of items; None where none are to be kept."""
    path = None if items is None else items.with_suffix(".images.sqlite3")
    if most_bytes:
        return ImageCopies(path, most_bytes)
    if path is not None:
        remove_copies(path)
    return None
