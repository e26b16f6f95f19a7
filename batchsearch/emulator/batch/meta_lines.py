"""The lines of `increment.meta`: one JSON object each; read, judged, and written of an item (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.http.error_table import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.emulator.search.item_changes import Regions
    from batchsearch.emulator.search.records import Item

META_NAME: Final = "increment.meta"
ITEM_FIELDS: Final = {
    "ProductId": "product_id",
    "PicName": "pic_name",
    "CategoryId": "category_id",
    "CustomContent": "custom_content",
    **{f"IntAttr{number}": f"int_attr{number}" for number in ("", "2", "3", "4")},
    **{f"StrAttr{number}": f"str_attr{number}" for number in ("", "2", "3", "4")},
}
"""Fields of a line that are an item's own, by the vendor's names."""
_READ: Final = ("OperationType", *ITEM_FIELDS, "Region")


class MetaError(ValueError):
    """The list as a whole cannot be used; the message says which line, and why."""


@dataclass(frozen=True, slots=True)
class MetaLine:
    """One line of a list.

    Attributes:
        number: From 1.
        end: Where the next one begins, bytes.
        text: As it stands there, without its end.
    """

    number: int
    end: int
    text: bytes


def fields_of(line: MetaLine) -> dict[str, Any]:
    """The one object of a line.

    Raises:
        MetaError: It is something else, which fails the whole task.
    """
    try:
        found = json.loads(line.text.decode("utf-8"))
    except UnicodeDecodeError:
        raise MetaError(f"line {line.number} is not UTF-8") from None
    except json.JSONDecodeError as error:
        more = error.msg == "Extra data"
        wrong = "holds more than one JSON object" if more else f"is no JSON object: {error.msg}"
        raise MetaError(f"line {line.number} {wrong}") from None
    except ValueError:
        raise MetaError(f"line {line.number} holds a number that is far too long") from None
    except RecursionError:
        raise MetaError(f"line {line.number} is nested too deeply") from None
    if not isinstance(found, dict):
        raise MetaError(f"line {line.number} is no JSON object")
    return found


def texts_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a line as a request would have them; what is null counts as absent.

    Raises:
        RefusedError: `InvalidMetaItem`: one is neither a text nor a whole number.
    """
    texts: dict[str, str] = {}
    for name in _READ:
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RefusedError("InvalidMetaItem")
        # Half a surrogate pair is text in JSON, and nowhere else.
        texts[name] = str(value).encode("utf-8", errors="replace").decode("utf-8")
    return texts


def named_in(fields: Mapping[str, Any], name: str) -> str | None:
    """A name as a line gives it, whether it can be used or not, for the list of what failed."""
    value = fields.get(name)
    return None if value is None else str(value).encode("utf-8", errors="replace").decode("utf-8")[:512]


def folder_of(path: str) -> str | None:
    """The folder in the bucket that a task's path names; None for a path that is none.

    It begins with a slash and does not end with one; steps (`.`, `..`) and empty names are none.
    """
    if not path.startswith("/") or not _is_key(path[1:]):
        return None
    return path[1:]


def key_of(folder: str, pic_name: str) -> str:
    """The object that an image's name stands for.

    Raises:
        RefusedError: `InvalidPicName`: it begins or ends with a slash, or has steps or empty names.
    """
    if not _is_key(pic_name):
        raise RefusedError("InvalidPicName")
    return f"{folder}/{pic_name}"


def _is_key(text: str) -> bool:
    return not {"", ".", ".."} & set(text.split("/"))


def line_of(item: Item, regions: Regions) -> bytes:
    """An item as a line that would add it again; its region only if it was given, not if it was found."""
    fields: dict[str, Any] = {"OperationType": "ADD"}
    for name, own in ITEM_FIELDS.items():
        value = getattr(item, own)
        if value is not None:
            fields[name] = value
    box = regions.region
    if box is not None and not regions.multi_region:
        fields["Region"] = f"{box.x1},{box.x2},{box.y1},{box.y2}"
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace") + b"\n"
