"""Images that somebody has put on the page: kept by their content, judged as a run would judge them.

They are kept in memory, few of them, and end with the session. What goes back to the browser are copies that
this process has written itself; of the file as it came not a byte.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.console.asked import AskedImage
from batchsearch.images.outcome import Prepared, Rejected, Unreachable
from batchsearch.images.prepare import Preparing
from batchsearch.images.rules import rules_for_copies

if TYPE_CHECKING:
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.rules import Rules
    from batchsearch.images.workshop import LocalWorkshop
    from batchsearch.manifest.rows import ImageReference

MOST_IMAGES: Final = 32
MOST_BYTES: Final = 128_000_000
PREVIEW_SIDE: Final = 1_024
THUMBNAIL_SIDE: Final = 256
QUALITY: Final = 85
MOST_COPY_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class ShelvedImage:
    """An image, and what becomes of it.

    Attributes:
        sha256: Of the file as it came, hexadecimal.
        name: What it is called, for people.
        data: The file as it came.
        verdict: Ready to be sent, or refused.
        preview: A copy of what is sent, at most `PREVIEW_SIDE` pixels a side; of what came where nothing is
            sent. None where it cannot be decoded.
    """

    sha256: str
    name: str
    data: bytes
    verdict: Prepared | Rejected
    preview: Prepared | None

    @property
    def sides(self) -> tuple[int, int] | None:
        """Width and height that regions are in: of the image sent; None where nothing is sent."""
        if isinstance(self.verdict, Prepared):
            return self.verdict.sent.width, self.verdict.sent.height
        return None

    @property
    def is_converted(self) -> bool:
        """Whether pixels of the image sent are others than those of the file."""
        if not isinstance(self.verdict, Prepared):
            return False
        geometry = self.verdict.geometry
        source = (geometry.source_width, geometry.source_height)
        return geometry.orientation != 1 or source != self.sides

    def as_asked(self) -> AskedImage:
        """What a question keeps of it; raises TypeError for one that is refused, which is not sent."""
        made = self.verdict
        if not isinstance(made, Prepared):
            raise TypeError("an image that is refused is not sent")
        sent = made.sent
        return AskedImage(
            self.sha256,
            self.name,
            sent.width,
            sent.height,
            sent.bytes,
            sent.format,
            made.transforms,
            sent.sha256,
        )


class ImageShelf:
    """Keeps images by content and rules.

    Args:
        workshop: Reads images and makes them fit.
        settings: How the job reads images.
    """

    def __init__(self, workshop: LocalWorkshop, settings: ImageSettings) -> None:
        self._workshop = workshop
        self._settings = settings
        self._kept: OrderedDict[tuple[str, Rules], ShelvedImage] = OrderedDict()

    @property
    def kept(self) -> tuple[ShelvedImage, ...]:
        """The images that are there, the latest last."""
        return tuple(self._kept.values())

    async def put(self, data: bytes, name: str, rules: Rules) -> ShelvedImage:
        """Keep an image, judged by rules."""
        return self._keep(await self._workshop.work(self._judged, data, name, rules), rules)

    async def put_fetched(
        self, reference: ImageReference, name: str, rules: Rules
    ) -> ShelvedImage | Rejected | Unreachable:
        """The same for one that is fetched, or read where the job's images are."""
        made = await self._workshop.make(reference, lambda data, _: self._judged(data, name, rules))
        return self._keep(made, rules) if isinstance(made, ShelvedImage) else made

    async def get(self, sha256: str, rules: Rules) -> ShelvedImage | None:
        """An image that was put, judged by rules; None when it had to make room."""
        found = self._kept.get((sha256, rules))
        if found is not None:
            self._kept.move_to_end((sha256, rules))
            return found
        other = self.any_of(sha256)
        return None if other is None else await self.put(other.data, other.name, rules)

    def any_of(self, sha256: str) -> ShelvedImage | None:
        """An image that was put, by whatever rules it was judged."""
        return next((each for (key, _), each in self._kept.items() if key == sha256), None)

    async def copy(self, reference: ImageReference, side: int) -> Prepared | None:
        """A small copy of an image of the job's own; None where there is none to be had."""
        made = await self._workshop.make(reference, Preparing(self._copies(side)))
        return made if isinstance(made, Prepared) else None

    async def copy_of(self, data: bytes, side: int) -> Prepared | None:
        """A small copy of an image."""
        made = await self._workshop.work(self._workshop.prepare, data, self._copies(side))
        return made if isinstance(made, Prepared) else None

    def is_local(self, reference: ImageReference) -> bool:
        """Whether an image is on this machine."""
        return self._workshop.is_local(reference)

    def _copies(self, side: int) -> Rules:
        return rules_for_copies(side, self._settings, most_bytes=MOST_COPY_BYTES, quality=QUALITY)

    def _judged(self, data: bytes, name: str, rules: Rules) -> ShelvedImage:
        """For the workshop's threads."""
        sha256 = hashlib.sha256(data).hexdigest()
        verdict = self._workshop.prepare(data, rules)
        whole = verdict.data if isinstance(verdict, Prepared) else data
        copied = self._workshop.prepare(whole, self._copies(PREVIEW_SIDE))
        preview = copied if isinstance(copied, Prepared) else None
        return ShelvedImage(sha256, name, data, verdict, preview)

    def _keep(self, image: ShelvedImage, rules: Rules) -> ShelvedImage:
        self._kept[image.sha256, rules] = image
        self._kept.move_to_end((image.sha256, rules))
        while len(self._kept) > MOST_IMAGES or (
            len(self._kept) > 1 and sum(len(each.data) for each in self._kept.values()) > MOST_BYTES
        ):
            self._kept.popitem(last=False)
        return image
