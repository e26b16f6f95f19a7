"""The codes of images that could not be had: that says nothing about the files themselves."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from batchsearch.local_code import LocalCode

if TYPE_CHECKING:
    from collections.abc import Mapping

FETCH_CODES: Final[Mapping[str, LocalCode]] = MappingProxyType(
    {
        code.name: code
        for code in (
            LocalCode(
                "Transport.ImageConnect",
                None,
                "The image's host could not be reached.",
                "Check the address and the way there; run the row again when the host answers.",
            ),
            LocalCode(
                "Transport.ImageTimeout",
                None,
                "The image did not come within `images.fetch_timeout`.",
                "Give it more time, or fetch from a nearer place.",
            ),
            LocalCode(
                "Transport.ImageTls",
                None,
                "The image's host could not prove who it is.",
                "Mend the host's certificate, or this machine's list of authorities.",
            ),
            LocalCode(
                "Transport.ImageHttpStatus",
                None,
                "The image's host answered with an error that says nothing about the image.",
                "Look at the status in the message: often access is refused, or the host is overloaded.",
            ),
            LocalCode(
                "Transport.ImageEncoding",
                None,
                "The image's host has compressed the answer in a way that cannot be undone.",
                "If the message names `br`, install the extra `brotli`; else ask the host for plain files.",
            ),
            LocalCode(
                "Transport.ImageRedirects",
                None,
                "The image's host sent us around too often.",
                "Give the address at which the redirects end.",
            ),
            LocalCode(
                "Transport.ImageRead",
                None,
                "The image's file or stream could not be read to its end.",
                "Check access rights, the disk or the mount.",
            ),
        )
    }
)
"""By name. All are tried again a few times before a row ends with one of them."""
