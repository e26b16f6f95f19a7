"""What becomes of an image: ready to be sent, refused for good, or not reached this time."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from batchsearch.quick_record import quick_record

if TYPE_CHECKING:
    from batchsearch.images.regions import Geometry

Lack = Literal["descriptors", "root"]
"""What this machine may lack for a while."""


@quick_record
class ImageFacts:
    """What a results row says about an image file.

    Attributes:
        format: `JPEG`, `PNG` …, by content.
        width: Columns of the stored pixel grid; 0 where the file does not tell.
        height: Rows of the stored pixel grid; 0 where the file does not tell.
        bytes: Length of the file.
        sha256: Of the file, hexadecimal.
    """

    format: str
    width: int
    height: int
    bytes: int
    sha256: str


@quick_record
class Prepared:
    """An image that may be sent.

    Attributes:
        data: The file to send; the very object that came in where it passed untouched.
        source: The file as it came.
        sent: The file as it goes.
        transforms: What was done, in order, in short words; empty where it passed untouched.
        geometry: How coordinates of the two follow from each other.
    """

    data: bytes = field(repr=False)
    source: ImageFacts
    sent: ImageFacts
    transforms: tuple[str, ...]
    geometry: Geometry


@quick_record
class Rejected:
    """An image that is not sent; the outcome of its row.

    Attributes:
        code: A local code (`batchsearch.service.codes`).
        message: What was found, for a person; no bytes of the file, no secret of its address.
        source: The file as it came, where its format is known.
    """

    code: str
    message: str
    source: ImageFacts | None = None


@quick_record
class Unreachable:
    """An image that could not be had this time; says nothing about whether there is one.

    Attributes:
        code: `Transport.Image…`.
        message: What happened, for a person; addresses without user, query and fragment.
        transient: Whether another attempt may succeed without anybody changing anything.
        retry_after: Seconds to wait before it, where the host asked for that.
        here: What this machine lacks, where that is why: file descriptors, or the images' root. It is
            waited out, and no image is charged with it.
    """

    code: str
    message: str
    transient: bool
    retry_after: float | None = None
    here: Lack | None = None


def file_too_large(shown: str, most: int) -> Rejected:
    """The ending of a file of more bytes than are read."""
    what = f"{shown} is larger than {most // (1024 * 1024)} MB, the most that is read"
    return Rejected("Local.ImageFileTooLarge", what)


def without_descriptors(shown: str) -> Unreachable:
    """The ending where this process may open no file more."""
    what = f"{shown}: this machine has no file descriptors left (`ulimit -n`)"
    return Unreachable("Transport.ImageRead", what, transient=True, here="descriptors")
