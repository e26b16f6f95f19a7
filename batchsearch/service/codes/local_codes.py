"""The codes of parameters and requests that are refused before any call is spent on them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from batchsearch.local_code import LocalCode

if TYPE_CHECKING:
    from collections.abc import Mapping


LOCAL_CODES: Final[Mapping[str, LocalCode]] = MappingProxyType(
    {
        code.name: code
        for code in (
            LocalCode(
                "Local.UnknownParameter",
                None,
                "The operation has no parameter of this name.",
                "Use one of the operation's parameters, by its snake_case name.",
            ),
            LocalCode(
                "Local.MissingParameter",
                "Missing*",
                "A parameter that the operation needs is absent or null.",
                "Give it in the job file's `parameters`, or map a manifest column to it.",
            ),
            LocalCode(
                "Local.InvalidParameter",
                "BadRequest",
                "A value is not of the parameter's type.",
                "Correct the value, or the manifest column's type.",
            ),
            LocalCode(
                "Local.ContradictoryParameters",
                "BadRequest",
                "Parameters exclude each other, or one has no effect without another.",
                "Remove one of them, or add the one that is missing.",
            ),
            LocalCode(
                "Local.UnknownInstance",
                "InvalidInstance",
                "The row names an instance that the job file does not have.",
                "Add it to `instances`, or correct the manifest's cell.",
            ),
            LocalCode(
                "Local.InvalidInstanceName",
                "InvalidInstance",
                "An instance name is 1 to 20 characters long.",
                "Set `instance.name` to the name shown in the console, which is not the instance id.",
            ),
            LocalCode(
                "Local.InvalidCategory",
                "InvalidCategory",
                "The category id is none of the service's.",
                "Use one of the documented ids, or leave it out to have the category predicted.",
            ),
            LocalCode(
                "Local.InvalidRegion",
                "InvalidRegion",
                "A region is `x1,x2,y1,y2` in whole pixels within the image, with x1 < x2 and y1 < y2.",
                "Mind the order: both x before both y. The last pixel belongs to the region, and two pixels "
                "beyond the edge are taken for rounding.",
            ),
            LocalCode(
                "Local.InvalidNum",
                "InvalidNumParameter",
                "Num is a whole number from 1 to 100.",
                "Use `results_per_row` for more than 100 hits.",
            ),
            LocalCode(
                "Local.InvalidStart",
                "InvalidStartParameter",
                "Start is a whole number from 0 to 499.",
                "Lower it.",
            ),
            LocalCode(
                "Local.TooManyResults",
                "OverflowMaxResultNum",
                "Start and Num together pass the 500th result.",
                "Lower one of them.",
            ),
            LocalCode(
                "Local.InvalidFilter",
                "InvalidFilterClause",
                "The filter is not in the filter language or longer than 4,096 characters.",
                "Correct it where the message points.",
            ),
            LocalCode(
                "Local.InvalidScoreThreshold",
                "BadRequest",
                "A score threshold is from 0.00 to 1.00 with at most two decimals.",
                "Round it.",
            ),
            LocalCode(
                "Local.NothingToChange",
                None,
                "An update names an image and no attribute that is to change.",
                "Fill the manifest's cell, or map a column to an attribute.",
            ),
            LocalCode(
                "Local.InvalidProductId",
                "InvalidProductId",
                "A product id is text of 1 to 256 characters.",
                "Correct the manifest's cell; `instance.longest_id: 512` allows longer ones.",
            ),
            LocalCode(
                "Local.InvalidPicName",
                "InvalidPicName",
                "An image name is text of 1 to 256 characters.",
                "Correct the manifest's cell; `instance.longest_id: 512` allows longer ones.",
            ),
            LocalCode(
                "Local.InvalidCustomContent",
                "InvalidCustomContent",
                "Custom content is text of at most 4,096 characters.",
                "Shorten it.",
            ),
            LocalCode(
                "Local.InvalidIntAttr",
                "InvalidIntAttr",
                "An integer attribute is a 32-bit integer.",
                "Correct the manifest's cell.",
            ),
            LocalCode(
                "Local.InvalidStrAttr",
                "InvalidStrAttr",
                "A text attribute has at most 128 characters and none of `\\ ¥ $ & %`.",
                "Shorten it or replace the character.",
            ),
            LocalCode(
                "Local.BodyTooLarge",
                None,
                "The encoded request is larger than the 8 MB that the service accepts.",
                "Lower `images.max_side` or `images.quality`, so that the images get smaller.",
            ),
        )
    }
)
"""The local codes of `api`; images have their own table."""
