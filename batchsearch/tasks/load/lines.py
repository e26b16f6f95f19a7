"""Lines of `increment.meta` and the names of images in the bucket (pure).

One JSON object a line (BATCH, 2025-05): `OperationType` `ADD` or `DELETE`, `ProductId`, `PicName` and what is
kept with the image. `PicName` is the object's path below the folder of the file, with its extension, and the
name under which the instance has the image.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.service.facts import IMAGE_FORMATS
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

META: Final = "increment.meta"
"""What the file with the lines is called, to the letter."""
Names = Literal["pic_name", "product_id/pic_name"]

_EXTENSIONS: Final[Mapping[str, str]] = {"JPEG": "jpg", "TIFF": "tiff"}
_KNOWN: Final = frozenset({*(name.lower() for name in IMAGE_FORMATS), "jpg", "tif"})
_INTEGERS: Final = frozenset(
    parameter.wire
    for parameter in OPERATIONS["AddImage"].parameters
    if parameter.kind in {"integer", "category"}
)
_NO_PART_OF_A_LINE: Final = frozenset({"InstanceName", "PicContent", "Crop"})
_LONGEST_KEY: Final = 1_023
"""Bytes of an object's name in OSS."""


class ObjectNameError(ValueError):
    """A name that no object below a folder can have; the message says why."""


def object_name(names: Names, product_id: str, pic_name: str, kind: str | None) -> str:
    """The name of an image in the bucket, below the folder.

    Args:
        names: As the setting says.
        product_id: The row's product.
        pic_name: The row's name of the image.
        kind: The image's format; None where there is no image, so that the name stays as it is.

    Raises:
        ObjectNameError: The name cannot be an object's.
    """
    name = f"{product_id}/{pic_name}" if names == "product_id/pic_name" else pic_name
    if name.startswith("/") or name.endswith("/"):
        raise ObjectNameError("begins or ends with `/`")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise ObjectNameError("has an empty part, `.` or `..` between its slashes")
    if any(ord(character) < ord(" ") or character in "\\\x7f" for character in name):
        raise ObjectNameError("has a control character or a backslash")
    if name.rpartition("/")[2] == META:
        raise ObjectNameError(f"is `{META}`, which is the list's own name")
    if kind is not None and PurePosixPath(name).suffix[1:].lower() not in _KNOWN:
        name += f".{_EXTENSIONS.get(kind, kind.lower())}"
    if len(name.encode("utf-8", "replace")) > _LONGEST_KEY:
        raise ObjectNameError(f"has more than {_LONGEST_KEY:,} bytes")
    return name


def bare_name(name: str) -> str:
    """A name without an image's extension."""
    stem, _, extension = name.rpartition(".")
    return stem if stem and extension.lower() in _KNOWN else name


def add_line(values: Mapping[str, str], name: str) -> str:
    """The line that adds an image.

    Args:
        values: The parameters of AddImage by the vendor's names, as text.
        name: Of the image in the bucket.
    """
    line: dict[str, Any] = {"OperationType": "ADD", "ProductId": values["ProductId"], "PicName": name}
    for key, text in values.items():
        if key not in line and key not in _NO_PART_OF_A_LINE:
            line[key] = int(text) if key in _INTEGERS else text
    return json.dumps(line, ensure_ascii=False)


def delete_line(product_id: str, name: str) -> str:
    """The line that deletes an image."""
    return json.dumps(
        {"OperationType": "DELETE", "ProductId": product_id, "PicName": name}, ensure_ascii=False
    )
