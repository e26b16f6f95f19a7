"""Words of the console that more than one page needs: one table, so that another language can follow."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Words:
    """How a parameter is called, and what is said about it."""

    label: str
    hint: str = ""


PARAMETERS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "category_id": Words("Category", "Left alone, the service predicts it."),
        "crop": Words("Identify the subject", "Off: the whole image is used, and no region can be drawn."),
        "region": Words("Region", "x1, x2, y1, y2 in pixels of the image that is sent. Mind the order."),
        "text": Words("Text", "What to look for, in words: at most 512 characters."),
        "num": Words("Number", "Results wanted, 1 to 100."),
        "start": Words("Start", "Results left out before them, 0 to 499."),
        "filter": Words("Filter", 'For example int_attr < 2000 AND str_attr = "red"'),
        "distinct_product_id": Words("One result of each product"),
        "score_threshold": Words("Score threshold", "The service leaves out what scores below it."),
        "product_id": Words("Product id"),
        "pic_name": Words("Image name"),
        "custom_content": Words("Custom content", "Any text that should come back with a hit."),
        "is_delete_by_filter": Words("Delete what the filter finds"),
        **{
            f"int_attr{number}": Words(f"Integer attribute {number or 1}", "A whole number of 32 bits.")
            for number in ("", "2", "3", "4")
        },
        **{
            f"str_attr{number}": Words(f"Text attribute {number or 1}", "At most 128 characters.")
            for number in ("", "2", "3", "4")
        },
    }
)

OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SearchImageByPic": "By image",
        "SearchImageByName": "By name",
        "SearchImageByText": "By text",
        "SearchImageByFilter": "By filter",
        "CheckImageExists": "Look up an image",
        "CompareSimilarByImage": "Compare two images",
        "AddImage": "Add an image",
        "UpdateImage": "Change attributes",
        "DeleteImage": "Delete",
    }
)

COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Score": "Score",
        "ProductId": "ProductId",
        "PicName": "PicName",
        "CategoryId": "Category",
        "CustomContent": "CustomContent",
        **{f"IntAttr{number}": f"IntAttr{number}" for number in ("", "2", "3", "4")},
        **{f"StrAttr{number}": f"StrAttr{number}" for number in ("", "2", "3", "4")},
        "SortExprValues": "SortExprValues (deprecated)",
    }
)
"""Fields of `Auctions` in the order in which the table shows them, by their names on the wire."""
