"""What the service takes, per service type, and the codes under which an image is refused here.

Limits come from `batchsearch.service.facts` (the API pages); the job's image settings narrow them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.errors import ConfigError
from batchsearch.service.facts import (
    IMAGE_FORMATS,
    MAX_BODY_BYTES,
    MAX_IMAGE_BYTES,
    SERVICE_TYPES,
    TRANSFER_SECONDS,
)

if TYPE_CHECKING:
    from batchsearch.config.sections.image_settings import ImageSettings

PASSED_FORMATS: Final = frozenset({"JPEG", "PNG", "WEBP"})
"""Formats whose plain variants go out byte for byte. The service's other formats (`IMAGE_FORMATS`)
have too many variants that decoders disagree on, and BMP and PPM waste the upload: they are re-encoded."""

FORM_GROWTH: Final = 1.44
"""Bytes of request body for each byte of a compressed image: base64 (4/3), then `+`, `/` and `=`
percent-encoded (1.0625 for evenly spread bytes, 1.417 together), and a little to spare."""

BODY_RESERVE: Final = 64 * 1024
"""Bytes of the request body kept for everything that is not an image (Filter, CustomContent …)."""

UPLOAD_SHARE: Final = 0.8
"""Part of the service's transfer time that an upload may be planned to take."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an image must be before it is sent, and how to get it there.

    Attributes:
        service_type: Kind of instance that the limits are for.
        formats: Formats the service reads.
        passed_formats: Formats whose plain variants are sent untouched.
        max_bytes: Most bytes of the file sent.
        min_side: Least width and height sent, pixels.
        max_side: Most width and height sent, pixels, inclusive: the service's own limit.
        target_side: Longest side wanted, pixels; at most `max_side`.
        quality: JPEG quality of re-encoded images, 1..100, before any search for fewer bytes.
        snap: Whether a large JPEG may come out up to a tenth smaller than wanted, decoded far faster; up to a
            fifth where `resampling` is `quick`.
        verify: `decode` decodes a compliant image before it is passed; `none` trusts its structure.
        too_small: What becomes of an image with a side under `min_side`.
        frame: Which image of an animation or multi-page file is used, from 0; the last one if it has fewer.
        background: Red, green, blue (0..255) under transparent pixels and around padded images.
        max_pixels: Most pixels that decoding an image may be worth (see `cost`).
        blank: What becomes of an image that is one flat colour.
        resampling: How an image is made smaller: `fine` for a search, `quick` for people.
    """

    service_type: str
    formats: frozenset[str]
    passed_formats: frozenset[str]
    max_bytes: int
    min_side: int
    max_side: int
    target_side: int
    quality: int
    snap: bool
    verify: Literal["none", "decode"]
    too_small: Literal["reject", "pad", "enlarge"]
    frame: int
    background: tuple[int, int, int]
    max_pixels: int
    blank: Literal["lost", "reject", "send", "contrast"] = "lost"
    resampling: Literal["fine", "quick"] = "fine"


def rules_for(service_type: str, settings: ImageSettings, *, images: int = 1) -> Rules:
    """The rules of one service type, narrowed by a job's settings.

    Args:
        service_type: A name of `service.SERVICE_TYPES`.
        settings: The job's `images` section.
        images: Images in one request; they share the body, evenly.

    Raises:
        ConfigError: `images.max_side` is below what this service type accepts at least.
    """
    kind = SERVICE_TYPES[service_type]
    target = kind.max_side if settings.max_side is None else min(settings.max_side, kind.max_side)
    if target < kind.min_side:
        raise ConfigError.at(
            "images.max_side",
            f"{settings.max_side} is below {kind.min_side}, the shortest side that the service type "
            f"{kind.name!r} accepts; give at least {kind.min_side}",
        )
    background = settings.background.removeprefix("#")
    return Rules(
        service_type=kind.name,
        formats=frozenset(IMAGE_FORMATS),
        passed_formats=PASSED_FORMATS,
        max_bytes=_max_bytes(settings, images),
        min_side=kind.min_side,
        max_side=kind.max_side,
        target_side=target,
        quality=settings.quality,
        snap=settings.snap,
        verify=settings.verify,
        too_small=settings.too_small,
        frame=settings.frame,
        background=(int(background[:2], 16), int(background[2:4], 16), int(background[4:], 16)),
        max_pixels=settings.max_megapixels * 1_000_000,
        blank=settings.blank,
    )


def rules_for_copies(side: int, settings: ImageSettings, *, most_bytes: int, quality: int) -> Rules:
    """Rules by which every image is decoded and written anew, small: to be looked at, never to be sent.

    Args:
        side: Longest side, pixels.
        settings: The job's `images` section.
        most_bytes: Most bytes of a copy.
        quality: Of the JPEG to begin with.
    """
    return Rules(
        service_type="copy",
        formats=frozenset(IMAGE_FORMATS),
        passed_formats=frozenset(),
        max_bytes=most_bytes,
        min_side=1,
        max_side=side,
        target_side=side,
        quality=quality,
        snap=True,
        verify="none",
        too_small="enlarge",
        frame=settings.frame,
        background=(255, 255, 255),
        max_pixels=settings.max_megapixels * 1_000_000,
        blank="send",
        resampling="quick",
    )


def _max_bytes(settings: ImageSettings, images: int) -> int:
    """Bytes of one image that keep file, body and transfer time within their limits."""
    limits = [MAX_IMAGE_BYTES, int((MAX_BODY_BYTES - BODY_RESERVE) / FORM_GROWTH / images)]
    if settings.max_upload_bytes is not None:
        limits.append(settings.max_upload_bytes)
    if settings.upload_kbps is not None:
        body = settings.upload_kbps * 1000 / 8 * TRANSFER_SECONDS * UPLOAD_SHARE
        limits.append(int(body / FORM_GROWTH / images))
    return min(limits)
