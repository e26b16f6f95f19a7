"""The file behind `ErrorUrl`: which lines of a task failed, and why (pure).

Its form is on no page (BATCH). Read is JSON a line that names the image, under any of the usual names; any
other line is counted, and the file is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from batchsearch.service.line_files import Line

UNKNOWN_LINE: Final = "Increment.LineFailed"
_PRODUCT: Final = ("ProductId", "productId", "product_id")
_NAME: Final = ("PicName", "picName", "pic_name")
_CODE: Final = ("Code", "code", "ErrorCode", "errorCode", "error_code")
_MESSAGE: Final = ("Message", "message", "Msg", "msg", "ErrorMessage", "errorMessage", "Reason", "reason")
_INSIDE: Final = ("Meta", "meta", "Item", "item", "Data", "data")
_LONGEST: Final = 2_000
_LONGEST_CODE: Final = 128


class ErrorLines:
    """Reads the lines of one file.

    Attributes:
        unread: How many of them say nothing of any image.
    """

    def __init__(self) -> None:
        self.unread = 0

    def read(self, lines: Iterable[Line]) -> Iterator[tuple[str | None, str, str, str | None]]:
        """Product (None where it is not said), image name, code and message of each line that names one."""
        for line in lines:
            found = _of(line.content) if line.content is not None else None
            if found is None:
                self.unread += 1
            else:
                yield found


def _of(content: Mapping[str, Any]) -> tuple[str | None, str, str, str | None] | None:
    inner: dict[str, Any] = next(
        (content[name] for name in _INSIDE if isinstance(content.get(name), dict)), {}
    )
    both = {**inner, **content}
    name = _first(both, _NAME)
    if name is None:
        return None
    code = _first(both, _CODE) or UNKNOWN_LINE
    message = _first(both, _MESSAGE)
    said = None if message is None else redacted(message[:_LONGEST])
    return _first(both, _PRODUCT), name, code[:_LONGEST_CODE], said


def _first(content: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = content.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None
