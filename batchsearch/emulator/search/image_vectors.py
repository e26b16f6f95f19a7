"""Vectors of images, and the boxes that they were made with: a subject, a region, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.emulator.search.image_memory import shared_memory
from batchsearch.emulator.search.items import Regions
from batchsearch.emulator.search.records import Box
from batchsearch.emulator.search.subject import SubjectWay, identify_subjects
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.emulator.search.embedding import Embedder
    from batchsearch.emulator.search.image_reading import DecodedImage
    from batchsearch.service.facts import ServiceType


def subject_way(subject: str) -> SubjectWay:
    """How subjects are identified, by its name in settings.

    Raises:
        ConfigError: No way is called so.
    """
    if subject == "border":
        return "border"
    if subject == "u2netp":
        return "u2netp"
    raise ConfigError(f"no way to identify subjects is called {subject!r}; there are border, u2netp")


class ImageVectors:
    """Looks at images for one instance; what was looked at in the same way before comes from memory.

    Args:
        embedder: The network.
        service_type: The kind of instance: some have no subjects.
        subject: How subjects are identified.
    """

    def __init__(self, embedder: Embedder, service_type: ServiceType, subject: SubjectWay) -> None:
        self._embedder = embedder
        self._service_type = service_type
        self._subject = subject
        self._known = shared_memory().looks

    def of(
        self, image: DecodedImage, *, crop: bool, region: Box | None
    ) -> tuple[NDArray[np.float32], Regions]:
        """The vector of an image, and the boxes that it was made with.

        Args:
            image: The decoded image.
            crop: Identify the subject.
            region: The subject, which overrides `crop`.
        """
        way: Box | SubjectWay | None = region or self._subject
        if not self._service_type.subject or (region is None and not crop):
            way = None
        return self._known.of((self._embedder.model, image.sha256, way), lambda: self._looked_at(image, way))

    def _looked_at(
        self, image: DecodedImage, way: Box | SubjectWay | None
    ) -> tuple[NDArray[np.float32], Regions]:
        if way is None:
            return self._embedder.embed(image), Regions()
        if isinstance(way, Box):
            return self._embedder.embed(image, _inside(way, image)), Regions(way)
        subjects = identify_subjects(image.image, way, sides=(image.width, image.height))
        if not subjects:
            whole = Box(x1=0, x2=image.width - 1, y1=0, y2=image.height - 1)
            return self._embedder.embed(image), Regions(whole, (whole,))
        return self._embedder.embed_with_subject(image, subjects[0]), Regions(subjects[0], subjects)


def _inside(region: Box, image: DecodedImage) -> Box:
    """The region cut to the image, at least one pixel of it."""
    x1 = min(max(region.x1, 0), image.width - 1)
    y1 = min(max(region.y1, 0), image.height - 1)
    return Box(
        x1=x1,
        x2=min(max(region.x2, x1), image.width - 1),
        y1=y1,
        y2=min(max(region.y2, y1), image.height - 1),
    )
