"""A file's bytes in, what is sent out: passed untouched, trimmed, repaired, or refused with a code.

Never an exception. Called from worker threads; nothing here keeps state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.descriptors import is_exhausted
from batchsearch.images.decoding.blank import blankness, flat_colour, is_blank, may_be_blank
from batchsearch.images.decoding.decode import decode
from batchsearch.images.decoding.encode import reencode
from batchsearch.images.decoding.trim import can_trim, trimmed
from batchsearch.images.headers.png import image_data_matches
from batchsearch.images.image_identity import file_digest
from batchsearch.images.inspect import inspect
from batchsearch.images.outcome import ImageFacts, Prepared, Rejected
from batchsearch.images.regions import Geometry
from batchsearch.images.verdict import PASS, Reject, Repair, judge
from batchsearch.own_errors import INTERNAL_ERROR, told

if TYPE_CHECKING:
    from batchsearch.images.decoding.encode import Encoded
    from batchsearch.images.headers.structure_facts import Inspection
    from batchsearch.images.rules import Rules

Repairer = Callable[["bytes", "Inspection", "tuple[str, ...]", "Rules"], "Encoded | Reject"]
"""Decodes an image that a structure scan found whole and writes it within the rules, or says why not."""

__all__ = ["ImageFacts", "Prepared", "Preparing", "Rejected", "prepare"]


def prepare(data: bytes, rules: Rules, *, repair: Repairer = reencode) -> Prepared | Rejected:
    """Makes an image ready to be sent; nothing that the bytes do raises.

    Args:
        data: The whole file.
        rules: What the service takes.
        repair: What decodes and rewrites images that do not comply: in this thread, or `Decoders.repair`.

    Raises:
        OSError: This machine has no file descriptors left; to be tried again.
    """
    source: ImageFacts | None = None
    try:
        seen = inspect(data, frame=rules.frame)
        if seen.format is not None:
            source = _facts(seen, data)
        return _prepare(data, seen, source, rules, repair)
    except OSError as error:
        if is_exhausted(error):
            raise
        return Rejected(INTERNAL_ERROR, told(error), source)
    except MemoryError:
        return Rejected("Local.ImageOutOfMemory", "there is not enough memory for this image", source)
    except Exception as error:  # noqa: BLE001 - one row's image must never end the run
        return Rejected(INTERNAL_ERROR, told(error), source)


def passed(data: bytes, rules: Rules) -> Prepared | None:
    """An image that goes out as it came, where its structure tells so; None where more is to be done.

    Takes as long as reading the file once, and decodes nothing: for small files no thread is needed.

    Args:
        data: The whole file.
        rules: What the service takes.
    """
    if rules.verify != "none":
        return None
    try:
        seen = inspect(data, frame=rules.frame)
        if judge(seen, len(data), rules) != PASS or _is_suspected(seen, len(data), rules):
            return None
        if seen.format == "PNG" and not image_data_matches(data):
            return None
        return _untouched(data, seen, _facts(seen, data))
    except Exception:  # noqa: BLE001 - `prepare` says what it is
        return None


@dataclass(frozen=True, slots=True)
class Preparing:
    """The task of a workshop that makes images ready to be sent.

    Attributes:
        rules: What the service takes.
    """

    rules: Rules

    def __call__(self, data: bytes, repair: Repairer, /) -> Prepared | Rejected:
        """The image, ready to be sent, or why it is not sent."""
        return prepare(data, self.rules, repair=repair)


def _prepare(
    data: bytes, seen: Inspection, source: ImageFacts | None, rules: Rules, repair: Repairer
) -> Prepared | Rejected:
    verdict = judge(seen, len(data), rules)
    if isinstance(verdict, Reject) or source is None:
        code, message = (verdict.code, verdict.message) if isinstance(verdict, Reject) else _UNKNOWN
        return Rejected(code, message, source)
    if isinstance(verdict, Repair):
        return _repaired(data, seen, source, verdict.reasons, rules, repair)
    if seen.format == "PNG" and not image_data_matches(data):
        return Rejected("Local.ImageBroken", "PNG: a checksum of the image data is wrong", source)
    refused = _looked_at(data, seen, rules)
    if refused is not None:
        return Rejected(refused.code, refused.message, source)
    return _untouched(data, seen, source)


def _untouched(data: bytes, seen: Inspection, source: ImageFacts) -> Prepared:
    return Prepared(data, source, source, (), Geometry(seen.width, seen.height, 1, seen.width, seen.height))


def _repaired(  # noqa: PLR0917 - what `prepare` has found out, handed on whole
    data: bytes,
    seen: Inspection,
    source: ImageFacts,
    reasons: tuple[str, ...],
    rules: Rules,
    repair: Repairer,
) -> Prepared | Rejected:
    """The image made to comply: without a decoder where that is enough, else decoded and written anew."""
    if seen.format == "JPEG" and can_trim(reasons):
        lighter = _trimmed(data, source, reasons, rules)
        if lighter is not None:
            return lighter
    result = repair(data, seen, reasons, rules)
    if isinstance(result, Reject):
        return Rejected(result.code, result.message, source)
    geometry = result.geometry
    sides = geometry.sent_width, geometry.sent_height
    sent = ImageFacts("JPEG", *sides, len(result.data), file_digest(result.data).hex())
    return Prepared(result.data, source, sent, result.transforms, geometry)


def _looked_at(data: bytes, seen: Inspection, rules: Rules) -> Reject | None:
    """Why an image that complies is not sent all the same; its pixels are decoded only where that may be."""
    suspected = _is_suspected(seen, len(data), rules)
    if rules.verify == "none" and not suspected:
        return None
    decoded = decode(data, seen, rules, _GLANCE if rules.verify == "none" else None)
    if rules.verify == "none" and not isinstance(decoded, Reject) and flat_colour(decoded.image) is not None:
        decoded = decode(data, seen, rules)
    if isinstance(decoded, Reject):
        return decoded if rules.verify == "decode" else None
    colour = flat_colour(decoded.image) if suspected else None
    if colour is None or not is_blank(colour, several=False):
        return None
    return Reject("Local.ImageBlank", blankness(colour, several=False, see_through=False))


def _is_suspected(seen: Inspection, size: int, rules: Rules) -> bool:
    """Whether an image may be one flat colour that is not to be sent."""
    return rules.blank not in _AS_IN_THE_FILE and may_be_blank(seen, size)


def _trimmed(
    data: bytes, source: ImageFacts, reasons: tuple[str, ...], rules: Rules
) -> Prepared | Rejected | None:
    """The image without what stands around it, where that alone makes it comply."""
    image = trimmed(data)
    if image is None:
        return None
    seen = inspect(image, frame=rules.frame)
    same = (seen.width, seen.height) == (source.width, source.height)
    if not same or judge(seen, len(image), rules) != PASS:
        return None
    refused = _looked_at(image, seen, rules)
    if refused is not None:
        return Rejected(refused.code, refused.message, source) if refused.code == "Local.ImageBlank" else None
    words = ("metadata", "trim:jpeg") if "metadata" in reasons else ("trim:jpeg",)
    geometry = Geometry(seen.width, seen.height, 1, seen.width, seen.height)
    return Prepared(image, source, _facts(seen, image), words, geometry)


def _facts(seen: Inspection, data: bytes) -> ImageFacts:
    return ImageFacts(seen.format or "", seen.width, seen.height, len(data), file_digest(data).hex())


_AS_IN_THE_FILE = frozenset({"send", "lost"})
"""Values of `images.blank` with which nothing can be blank that goes out untouched."""
_GLANCE = (8, 8)
"""Sides at which a JPEG tells whether it may be flat: decoded at an eighth."""
_UNKNOWN = ("Local.NotAnImage", "the first bytes are those of no known format")
