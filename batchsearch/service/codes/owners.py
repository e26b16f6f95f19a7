"""Who can mend what an error code says: one table, whatever page tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.service.codes.table import Owner


@dataclass(frozen=True, slots=True)
class OwnerWords:
    """How an owner is told.

    Attributes:
        heading: What has to be mended, above a list of codes.
        who: Who can, in a sentence.
        mend: What to do, to whoever reads.
    """

    heading: str
    who: str
    mend: str


OWNERS: Final[Mapping[Owner, OwnerWords]] = MappingProxyType(
    {
        "image": OwnerWords("The image", "whoever gives the images", "Mend or replace the image."),
        "row": OwnerWords("The row's parameters", "whoever makes the manifest", "Change what was entered."),
        "job": OwnerWords("The job file", "whoever sets up the job", "Change the job file."),
        "account": OwnerWords(
            "The account or the instance",
            "whoever has the account",
            "Change the account or the instance at the vendor.",
        ),
        "service": OwnerWords(
            "The service", "the service", "Nothing is wrong here: the service has to recover."
        ),
        "network": OwnerWords(
            "The way between",
            "whoever runs the network",
            "Look at the network between here and the service.",
        ),
        "program": OwnerWords(
            "This program", "batchsearch", "This is a fault of batchsearch: please report it."
        ),
    }
)
"""The owners in the order in which pages list them."""
