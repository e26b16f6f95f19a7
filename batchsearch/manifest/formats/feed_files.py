"""Product feeds in XML, as Google Merchant takes them: an element a product, what is in it the columns.

RSS (`item`), Atom (`entry`), feeds of `product`, `offer` or `shopitem`, and sitemaps of images (`url`). A
column is named as its element, without a prefix (`g:id` is `id`); elements that come several times are a list
of texts; what is nested is named `images/image`; an enclosure is the image that it names. The file is
streamed, and read as if it came from an enemy: no document type, no entity of its own, nothing is fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from batchsearch.manifest.formats.table_file import UnreadableError
from batchsearch.manifest.formats.unpacked import unpacked
from batchsearch.manifest.formats.value_table import LONGEST_ROW, RowError, ValueTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROW_ELEMENTS: Final = ("item", "entry", "product", "offer", "shopitem")
_OF_SITEMAPS: Final = ("urlset", "url")
"""The root of a sitemap, and its row: elsewhere an address."""
_PREFERRED: Final = "g"
"""The prefix that Google's own names have; beside them a feed may give other values under the same name."""
_CHUNK: Final = 128 * 1024
_DEEPEST: Final = 100
_NOTHING: Final = f"has none of {', '.join(f'<{name}>' for name in ROW_ELEMENTS)}: is it a product feed?"


class FeedFile(ValueTable):
    """One product feed."""

    def _records(self) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
        reader = _Reader()
        fed = 0
        with unpacked(self.path) as file:
            while True:
                chunk = file.read(_CHUNK)
                fed += len(chunk)
                try:
                    reader.parser.Parse(chunk, not chunk)
                except expat.ExpatError as error:
                    what = expat.ErrorString(error.code)
                    if not chunk and reader.depth:
                        what = "it ends too early"
                    raise UnreadableError(error.lineno, f"is no well-formed XML: {what}") from None
                except (ValueError, LookupError) as error:
                    raise UnreadableError(None, f"has an encoding that is not read here: {error}") from None
                # What is between two marks is held by the parser until it ends.
                if fed - reader.parser.CurrentByteIndex > LONGEST_ROW:
                    raise UnreadableError(reader.parser.CurrentLineNumber, _too_long())
                yield from reader.done
                reader.any_row = reader.any_row or bool(reader.done)
                reader.done = []
                if not chunk:
                    break
        if not reader.any_row:
            raise UnreadableError(None, _NOTHING)


class _Reader:
    """Makes rows of a feed's elements as they come."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = _refuse
        self.parser.EntityDeclHandler = _refuse
        self.parser.ExternalEntityRefHandler = _refuse
        self.done: list[tuple[int, Mapping[str, Any], int]] = []
        self.any_row = False
        self.depth = 0
        self._root = ""
        self._row_element = ""
        self._row_depth = 0
        self._line = 0
        self._size = 0
        self._values: dict[str, tuple[bool, list[str]]] = {}
        self._inside: list[tuple[str, bool]] = []
        self._texts: list[list[str]] = []

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise UnreadableError(self.parser.CurrentLineNumber, f"is nested more than {_DEEPEST} deep")
        prefix, _, name = tag.rpartition(":")
        if not self._row_depth:
            lowered = name.lower()
            self._root = self._root or lowered
            known = lowered in ROW_ELEMENTS or (self._root, lowered) == _OF_SITEMAPS
            if lowered == self._row_element or (known and not self._row_element):
                self._row_element, self._row_depth = lowered, self.depth
                self._line, self._size, self._values = self.parser.CurrentLineNumber, 0, {}
                for attribute, value in attributes.items():
                    self._note(attribute, value, is_preferred=False)
            return
        self._inside.append((name, prefix == _PREFERRED))
        self._texts.append([])
        if "href" in attributes:
            self._text(attributes["href"])
        elif "url" in attributes and _is_image(attributes):
            self._text(attributes["url"])

    def _text(self, data: str) -> None:
        self._size += len(data) if self._row_depth else 0
        if self._size > LONGEST_ROW:
            raise UnreadableError(self._line, _too_long())
        if self._texts:
            self._texts[-1].append(data)

    def _end(self, _: str) -> None:
        if self._row_depth == self.depth:
            values = {
                name: found if len(found) > 1 else found[0] for name, (_, found) in self._values.items()
            }
            self.done.append((self._line, values, self._size))
            self._row_depth = 0
        elif self._row_depth:
            text = "".join(self._texts.pop()).strip()
            if text:
                self._note("/".join(name for name, _ in self._inside), text, is_preferred=self._inside[0][1])
            self._inside.pop()
        self.depth -= 1

    def _note(self, name: str, text: str, *, is_preferred: bool) -> None:
        known = self._values.get(name)
        if known is None or (is_preferred and not known[0]):
            self._values[name] = (is_preferred, [text])
        elif known[0] == is_preferred:
            known[1].append(text)


def _is_image(attributes: Mapping[str, str]) -> bool:
    """Whether an enclosure is an image, by what it says of itself; one that says nothing may be one."""
    kind = attributes.get("medium") or attributes.get("type") or "image"
    return kind.lower().startswith("image")


def _refuse(*_: Any) -> int:
    raise UnreadableError(
        None, "has a document type or entities of its own, which no product feed needs; they are not read"
    )


def _too_long() -> str:
    return f"is longer than {LONGEST_ROW // 2**20} MiB: is it a product feed?"
