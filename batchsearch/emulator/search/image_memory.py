"""What was found out about images, kept by their content: an image is decoded and embedded once.

Whoever adds a catalogue and then searches by it sends every image twice, and the second time nothing of it
has to be looked at again. What is kept is small (sides, subjects, one vector), never pixels, and bounded.
When it is full, a random entry makes room: a catalogue that is larger than the memory, sent through from the
first image to the last, would find nothing in one that gives up what is oldest.
"""

from __future__ import annotations

import hashlib
import random
import threading
from concurrent.futures import Future
from functools import cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from batchsearch.emulator.search.image_reading import DecodedImage, Facts, ImageRefusedError, decode_image
from batchsearch.service.facts import MAX_IMAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.emulator.search.item_changes import Regions

MOST_IMAGES: Final = 65_536
"""Images remembered: some 130 MB at most."""

_Value = TypeVar("_Value")


class Remembered(Generic[_Value]):
    """Values by key, no more than so many; each is made once, by whoever asks first. Any thread may ask.

    Args:
        most: Values kept.
        chance: Chooses what makes room: a random whole number below its argument.
    """

    def __init__(self, most: int, chance: Callable[[int], int] = random.randrange) -> None:
        self._most = most
        self._chance = chance
        self._lock = threading.Lock()
        self._values: dict[Hashable, _Value] = {}
        self._keys: list[Hashable] = []
        self._making: dict[Hashable, Future[_Value]] = {}

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self._keys)

    def of(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """The value under a key, or else the one that is made now, or is being made; raises as `make`."""
        with self._lock:
            if key in self._values:
                return self._values[key]
            making = self._making.get(key)
            mine: Future[_Value] = Future()
            if making is None:
                self._making[key] = mine
        if making is not None:
            return making.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, value)
        mine.set_result(value)
        return value

    def _keep(self, key: Hashable, value: _Value) -> None:
        if len(self._keys) < self._most:
            self._keys.append(key)
        else:
            place = self._chance(self._most)
            del self._values[self._keys[place]]
            self._keys[place] = key
        self._values[key] = value


class ImageMemory:
    """What is known of images by the SHA-256 of their files.

    Attributes:
        looks: Vector and subjects, by hash and how the image was looked at.

    Args:
        most: Images remembered.
    """

    def __init__(self, most: int = MOST_IMAGES) -> None:
        self._facts: Remembered[Facts | ImageRefusedError] = Remembered(most)
        self.looks: Remembered[tuple[NDArray[np.float32], Regions]] = Remembered(most)

    def image(self, data: bytes, service_type: str) -> DecodedImage:
        """What `decode_image` returns; one that was seen before is decoded when its pixels are asked for.

        Raises:
            ImageRefusedError: As `decode_image` raises.
        """
        if not 0 < len(data) <= MAX_IMAGE_BYTES:
            return decode_image(data, service_type)
        digest = hashlib.sha256(data).hexdigest()
        seen: list[DecodedImage] = []

        def look() -> Facts | ImageRefusedError:
            try:
                seen.append(decode_image(data, service_type, digest))
            except ImageRefusedError as refused:
                return refused.without_traceback()
            return seen[0].facts

        facts = self._facts.of((digest, service_type), look)
        if isinstance(facts, ImageRefusedError):
            raise facts.without_traceback()
        return seen[0] if seen else DecodedImage(facts, digest, data, service_type)


@cache
def shared_memory() -> ImageMemory:
    """The process's one memory: all instances look at images in the same ways."""
    return ImageMemory()
