"""From an image to a vector whose dot product with another image's vector is their similarity.

EfficientNet-Lite0's pooled features, projected to 256 dimensions (see `models/README.md`). An image whose
subject is known is described by two such vectors in equal parts: the subject's, with a little of what is
around it, and the whole image's. Of six kinds of changed copies of the sample catalogue, the subject alone
finds 93.9 % as first hit (a banner or a crop moves its box), the whole alone 98.5 %, both together 99.4 %;
and both together meet images that were added or searched without subject identification.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from batchsearch.emulator.models import open_arrays, open_session
from batchsearch.emulator.search.records import Box

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from batchsearch.emulator.search.image_reading import DecodedImage

DIMENSIONS: Final = 256

MODEL: Final = "efficientnet-lite0-int8/pcaw256/1"
"""Names the vectors that are made where nothing else is said; those of another name are not comparable."""

MODELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        MODEL: "efficientnet_lite0_int8.onnx",
        "efficientnet-lite0/pcaw256/1": "efficientnet_lite0_fp16w.onnx",
    }
)
"""The networks' files by the names of their vectors, newest first: what was begun with one stays with it."""

_SIDE = 224
_AROUND = 0.1  # of the subject's sides, added on each side of it
_NEARLY_ALL = 0.9  # a subject that covers this much of the image is the image


class Embedder:
    """Makes vectors. Calls may come from any thread; `memory` spares those that were made before.

    Attributes:
        model: Names them.

    Args:
        model: A key of `MODELS`.
    """

    def __init__(self, model: str = MODEL) -> None:
        self.model = model
        self._session = open_session(MODELS[model], wanted_for="the embedded instance")
        projection = open_arrays("pcaw256.npz")
        self._mean: NDArray[np.float32] = projection["mu"].astype(np.float32)
        self._weights: NDArray[np.float32] = projection["W"].astype(np.float32)

    def embed(self, image: DecodedImage, box: Box | None = None) -> NDArray[np.float32]:
        """The unit vector of a part of the image, or of all of it; shape (256,), read-only."""
        if self.model != MODEL or (box is not None and not _is_enough(_area(box, image))):
            # Vectors of earlier models were made of all pixels, and stay comparable.
            # Held until its pixels were used: a large image is in memory no longer than its room is taken.
            image = image.whole()
        made = self._infer(image.image, None if box is None else _area(box, image))
        made.setflags(write=False)
        return made

    def embed_with_subject(self, image: DecodedImage, subject: Box) -> NDArray[np.float32]:
        """The unit vector of the image and its subject in equal parts; shape (256,)."""
        if subject.area >= _NEARLY_ALL * image.width * image.height:
            return self.embed(image)
        return _unit(self.embed(image) + self.embed(image, _widened(subject, image)))

    def _infer(
        self, image: Image.Image, area: tuple[float, float, float, float] | None
    ) -> NDArray[np.float32]:
        # The network was trained on squares; a squeezed image keeps its margins, a cut one loses them.
        square = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=area, reducing_gap=3.0)
        pixels = np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None]
        # One image a call: in a batch the last bits of a vector would depend on its neighbours.
        features = self._session.run(None, {"image": np.ascontiguousarray(pixels)})[0][0]
        return self._project(np.asarray(features, dtype=np.float32))

    def _project(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        spread = _unit(np.sqrt(_unit(np.maximum(features, 0.0))))
        return _unit((spread - self._mean) @ self._weights)


@cache
def shared_embedder(model: str) -> Embedder:
    """The process's one embedder of a model; instances share its network.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    return Embedder(model)


def similarity(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Dot product of two unit vectors, cut to 0..1 and to six decimals."""
    product = float(np.dot(first.astype(np.float64), second.astype(np.float64)))
    return round(min(max(product, 0.0), 1.0), 6)


def _unit(vector: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), dtype=np.float32)


def _area(box: Box, image: DecodedImage) -> tuple[float, float, float, float]:
    """A part of the image, right and bottom exclusive, in pixels as they were decoded."""
    width, height = image.image.size
    across, down = width / image.width, height / image.height
    right, bottom = min((box.x2 + 1) * across, width), min((box.y2 + 1) * down, height)
    return box.x1 * across, box.y1 * down, right, bottom


def _is_enough(area: tuple[float, float, float, float]) -> bool:
    return min(area[2] - area[0], area[3] - area[1]) >= _SIDE


def _widened(box: Box, image: DecodedImage) -> Box:
    across, down = round(_AROUND * box.width), round(_AROUND * box.height)
    return Box(
        x1=max(0, box.x1 - across),
        x2=min(image.width - 1, box.x2 + across),
        y1=max(0, box.y1 - down),
        y2=min(image.height - 1, box.y2 + down),
    )
