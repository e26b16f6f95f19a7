"""An operation's parameters: read from text, checked, refused with the documented code.

A mandatory parameter that is absent is refused by the gateway (`Missing<Parameter>`); one that is there but
empty by the service itself (`NoSpecified<Parameter>`). An optional one that is empty counts as absent.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pybase64 import b64decode

from batchsearch.emulator.http.error_table import RefusedError, missing
from batchsearch.emulator.search.image_memory import shared_memory
from batchsearch.emulator.search.image_reading import DecodedImage, ImageRefusedError
from batchsearch.emulator.search.records import Box
from batchsearch.service.facts import (
    CATEGORIES,
    DEFAULT_NUM,
    INT32_MAX,
    INT32_MIN,
    MAX_CUSTOM_CONTENT,
    MAX_FILTER,
    MAX_ID,
    MAX_IMAGE_BYTES,
    MAX_NUM,
    MAX_RESULTS,
    MAX_START,
    MAX_STR_ATTR,
    MAX_TEXT,
    MIN_NUM,
    SERVICE_TYPES,
    STR_ATTR_FORBIDDEN,
)
from batchsearch.service.filter import FilterError, parse_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.emulator.http.upload_place import UploadStore
    from batchsearch.service.expressions import Expression

INT_ATTRS: Final = ("IntAttr", "IntAttr2", "IntAttr3", "IntAttr4")
STR_ATTRS: Final = ("StrAttr", "StrAttr2", "StrAttr3", "StrAttr4")

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_SCORE: Final = re.compile(r"[01](\.[0-9]{1,2})?")
_REGION: Final = re.compile(r"([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9}),([0-9]{1,9})")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_MAX_BASE64: Final = (MAX_IMAGE_BYTES + 2) // 3 * 4


@dataclass(frozen=True, slots=True)
class Arguments:
    """Reads one call's parameters. Every method raises `RefusedError` for what the service would refuse.

    Attributes:
        values: The parameters as text, by the vendor's names.
        longest_id: Most characters of a product id and of an image name.
        handed: Images that were handed over as they are, within the process, by the parameters that would
            hold them.
    """

    values: Mapping[str, str]
    longest_id: int = MAX_ID
    handed: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def text(self, name: str) -> str | None:
        """An optional text; None when absent or empty."""
        return self.values.get(name) or None

    def mandatory(self, name: str) -> str:
        """A text that must be there: `Missing<Name>` when absent, `NoSpecified<Name>` when empty."""
        value = self.values.get(name)
        if value is None:
            raise missing(name)
        if not value:
            raise RefusedError(f"NoSpecified{name}")
        return value

    def name_of(self, name: str) -> str:
        """A ProductId or PicName that must be there: not too long, no control characters."""
        return _checked_name(name, self.mandatory(name), self.longest_id)

    def optional_name_of(self, name: str) -> str | None:
        """A ProductId or PicName that may be left out, but not be empty."""
        return None if name not in self.values else self.name_of(name)

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean, in any case of letters: `BadRequest` when it is neither true nor false."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise RefusedError("BadRequest")
        return value.lower() == "true"

    def whole(self, name: str, code: str) -> int | None:
        """A whole number as text; refused with `code` when it is none."""
        value = self.text(name)
        if value is None:
            return None
        if not _WHOLE.fullmatch(value):
            raise RefusedError(code)
        return int(value)

    def page(self) -> tuple[int, int]:
        """Num and Start: 1 to 100, 0 to 499, together at most 500."""
        num = self.whole("Num", "InvalidNumParameter")
        start = self.whole("Start", "InvalidStartParameter")
        num = DEFAULT_NUM if num is None else num
        start = 0 if start is None else start
        if num < MIN_NUM:
            raise RefusedError("InvalidNumParameter")
        if num > MAX_NUM:
            raise RefusedError("OverflowMaxReturnNum")
        if not 0 <= start <= MAX_START:
            raise RefusedError("InvalidStartParameter")
        if start + num > MAX_RESULTS:
            raise RefusedError("OverflowMaxResultNum")
        return num, start

    def category(self, service_type: str) -> int | None:
        """The category given; the only one of service types that have a single one."""
        value = self.whole("CategoryId", "InvalidCategory")
        only = SERVICE_TYPES[service_type].category
        if only is not None:
            return only
        if value is not None and value not in CATEGORIES:
            raise RefusedError("InvalidCategory")
        return value

    def filter(self) -> Expression | None:
        """The filter, parsed: `InvalidFilterClause` when it is too long or does not parse."""
        value = self.text("Filter")
        if value is None:
            return None
        if len(value) > MAX_FILTER:
            raise RefusedError("InvalidFilterClause")
        try:
            return parse_filter(value)
        except (FilterError, RecursionError):
            raise RefusedError("InvalidFilterClause") from None

    def searched_text(self) -> str:
        """Text, 1 to 512 characters: `InvalidText` when it says nothing, `InvalidTextLength` if too long."""
        value = self.values.get("Text")
        if value is None:
            raise missing("Text")
        if len(value) > MAX_TEXT:
            raise RefusedError("InvalidTextLength")
        if not value.strip() or _CONTROL.search(value):
            raise RefusedError("InvalidText")
        return value

    def threshold(self) -> float:
        """ScoreThreshold, 0.00 to 1.00 with at most two decimals: `BadRequest` otherwise."""
        value = self.text("ScoreThreshold")
        if value is None:
            return 0.0
        if not _SCORE.fullmatch(value) or float(value) > 1:
            raise RefusedError("BadRequest")
        return float(value)

    def attributes(self) -> dict[str, int | str]:
        """CustomContent, IntAttr* and StrAttr* that are given, by snake_case name."""
        found: dict[str, int | str] = {}
        content = self.values.get("CustomContent")
        if content is not None:
            if len(content) > MAX_CUSTOM_CONTENT:
                raise RefusedError("InvalidCustomContent")
            found["custom_content"] = content
        for name in INT_ATTRS:
            number = self.whole(name, f"Invalid{name}")
            if number is not None:
                if not INT32_MIN <= number <= INT32_MAX:
                    raise RefusedError(f"Invalid{name}")
                found[name.replace("IntAttr", "int_attr")] = number
        for name in STR_ATTRS:
            value = self.values.get(name)
            if value is not None:
                if len(value) > MAX_STR_ATTR or set(value) & set(STR_ATTR_FORBIDDEN):
                    raise RefusedError(f"Invalid{name}")
                found[name.replace("StrAttr", "str_attr")] = value
        return found

    def image(
        self, name: str, service_type: str, uploads: UploadStore, *, unreadable: str = "UnsupportedPicFormat"
    ) -> DecodedImage:
        """An image given as base64, or as the URL of an uploaded object.

        Args:
            name: The parameter.
            service_type: Decides the image rules.
            uploads: Where URLs lead.
            unreadable: Code for text that is neither.
        """
        value = self.handed.get(name, self.values.get(name))
        if value is None:
            raise missing(name)
        if not value:
            # Compare has one code for both images, the rest one named after the parameter.
            raise RefusedError("NoSpecifiedPicContent" if name == "PicContent" else "NoSpecifiedPic")
        if isinstance(value, bytes):
            data = value
        elif value.startswith(("http://", "https://")):
            data = uploads.image_at(value)
        elif len(value) > _MAX_BASE64:
            raise RefusedError("InvalidPicContent")
        else:
            try:
                data = b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise RefusedError(unreadable) from None
        try:
            return shared_memory().image(data, service_type)
        except ImageRefusedError as error:
            raise RefusedError(error.code) from None

    def region(self, image: DecodedImage) -> Box | None:
        """Region, `x1,x2,y1,y2` in pixels: `InvalidRegion` unless it lies inside the image, not empty."""
        value = self.text("Region")
        if value is None:
            return None
        match = _REGION.fullmatch(value)
        if match is None:
            raise RefusedError("InvalidRegion")
        x1, x2, y1, y2 = (int(part) for part in match.groups())
        # Both corners are pixels of the image, the last one included.
        if not (x1 < x2 < image.width and y1 < y2 < image.height):
            raise RefusedError("InvalidRegion")
        return Box(x1=x1, x2=x2, y1=y1, y2=y2)


def _checked_name(name: str, value: str, longest: int) -> str:
    if len(value) > longest or _CONTROL.search(value):
        raise RefusedError(f"Invalid{name}")
    return value
