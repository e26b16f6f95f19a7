"""How a text table is written, told from its first bytes: encoding, delimiter, header, lines above it (pure).

Every finding is checked against what is there: an encoding has to decode it, a delimiter has to cut its lines
into as many fields as the others, a first line that holds values is no header.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from batchsearch.manifest.formats.csv_text import once_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_RECORDS: Final = 50
_MOST_ABOVE: Final = 5
_SEP: Final = re.compile(r"(?i)\"?sep=(.)\"?\s*$")
_AMAZON: Final = re.compile(r"(?i)\"?(?:TemplateType|settings)=")
ENDING: Final = re.compile(
    r"\.(?:jpe?g|jpe|jfif|png|webp|bmp|gif|tiff?|ppm|hei[cf]|avif|jp2)(?:[?#].*)?$", re.IGNORECASE
)
ADDRESS: Final = re.compile(r"(?i:https?|s3|oss|gs|file)://|//[^/\s]+\.|(?i:data):image/")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)?")
_SINGLE_BYTES: Final = ("cp1251", "cp1252")
_SHOWN: Final = 40
_MARKS: Final = "€\u2013\u2014\u2018\u2019“”„«»©®™°·•…\u00d7½¼¾²³§\u00a0"
"""What stands alone in European texts."""


@dataclass(frozen=True, slots=True)
class Sniffed:
    """How a text table is written.

    Attributes:
        encoding: As Python calls it.
        delimiter: Between fields.
        escape: What takes away the meaning of a quote; None where quotes are doubled.
        skip_lines: Lines above the table.
        header: Column names, where the table has none of its own or some twice; None elsewhere.
        is_list: It is a list of paths or addresses and no table.
        told: What was found that is not usual, and why.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    escape: str | None = None
    skip_lines: int = 0
    header: tuple[str, ...] | None = None
    is_list: bool = False
    told: tuple[tuple[str, str, str], ...] = field(default=())


def sniff(head: bytes, *, is_whole: bool) -> Sniffed:
    """How a text table is written.

    Args:
        head: Its first bytes, unpacked.
        is_whole: Whether there are no more.
    """
    told: list[tuple[str, str, str]] = []
    encoding = _encoding(head, is_whole=is_whole)
    text = head.decode(encoding, errors="replace").lstrip("\ufeff")
    if encoding != "utf-8":
        told.append(("encoding", encoding, f"it is no UTF-8; as {encoding} it reads {_sample(text)}"))
    lines = text.splitlines()[: None if is_whole else -1]
    if _is_list(lines):
        return Sniffed(
            encoding,
            is_list=True,
            told=(*told, ("format", "list", "each line is one path or address, and there is no header")),
        )
    above, delimiter, why = _above(lines)
    given = delimiter
    if given is None:
        delimiter = _delimiter(lines)
        above, why = _title_lines(lines, delimiter) if not above else (above, why)
    if above:
        told.append(("above the table", f"{above} line{'s' if above > 1 else ''}", why))
    delimiter = delimiter or ","
    if delimiter != ",":
        told.append(("delimiter", _DELIMITERS[delimiter], "it cuts the lines into equally many fields"))
    body = "\n".join(lines[above:])
    escape = _escape(body, delimiter)
    records = _records(body, delimiter, escape)
    header, more, said = _header(records)
    if said:
        told.append(("header", ", ".join(header or ()), said))
    return Sniffed(encoding, delimiter, escape, above + more, header, told=tuple(told))


def _encoding(head: bytes, *, is_whole: bool) -> str:
    if head[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if _decodes(head, "utf-8", is_whole=is_whole) or _is_nearly_utf8(head):
        return "utf-8"
    for encoding, is_likely in _EAST_ASIAN.items():
        if _decodes(head, encoding, is_whole=is_whole) and is_likely(_pairs(head)):
            return encoding
    return max(_SINGLE_BYTES, key=lambda each: _likelihood(head, each))


def _decodes(head: bytes, encoding: str, *, is_whole: bool) -> bool:
    try:
        # The last character may be cut in two.
        codecs.getincrementaldecoder(encoding)().decode(head, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True


def _is_nearly_utf8(head: bytes) -> bool:
    """Whether a few bytes alone are no UTF-8: rows that were pasted from elsewhere are told one by one.

    Characters of several bytes are hardly ever made by chance of letters in another encoding.
    """
    if head.startswith(codecs.BOM_UTF8):
        return True
    text = head.decode("utf-8", errors="replace")
    wrong = text.count("\ufffd")
    right = sum(character > "\x7f" for character in text) - wrong
    return right > _MOSTLY * wrong


def _pairs(head: bytes) -> list[tuple[int, int]]:
    """The characters of two bytes, as the encodings of East Asia begin them: with a byte over 128."""
    found, place = [], 0
    while place < len(head) - 1:
        if head[place] <= 0x80:  # noqa: PLR2004 - ASCII
            place += 1
            continue
        found.append((head[place], head[place + 1]))
        place += 2
    return found


def _share(pairs: Sequence[tuple[int, int]], is_one: Callable[[int, int], bool]) -> float:
    return sum(is_one(*pair) for pair in pairs) / len(pairs) if pairs else 0.0


_MOSTLY: Final = 3
"""So many times as many characters of several bytes as bytes that are none make a text UTF-8."""
_HIGH: Final = range(0xA1, 0x100)
"""Second bytes of GB 2312, all of them; of Big5 the larger part."""
_LOW: Final = range(0x40, 0x7F)
"""Second bytes of Big5 that GB 2312 does not have."""
_GB_USUAL: Final = frozenset((*range(0xA1, 0xAA), *range(0xB0, 0xD8)))
"""First bytes of GB 2312's punctuation and symbols, and of its usual characters."""
_BIG5_USUAL: Final = range(0xA1, 0xC7)
"""First bytes of Big5's punctuation and symbols, and of its usual characters."""
_KANA: Final = {0x82: range(0x9F, 0x100), 0x83: range(0x40, 0x97)}
"""Hiragana and katakana of Shift_JIS: second bytes by first byte."""


def _is_simplified(pairs: Sequence[tuple[int, int]]) -> bool:
    """Mostly GB 2312's usual characters and its punctuation, hardly one with a second byte below theirs.

    Accented letters of Europe stand alone between letters of ASCII, where GB18030 would read a rare
    character; Cyrillic words are pairs of GB18030's second, rarer level.
    """
    usual, high = 0.6, 0.9
    return (
        _share(pairs, lambda one, two: one in _GB_USUAL and two in _HIGH) > usual
        and _share(pairs, lambda _, two: two in _HIGH) > high
    )


def _is_japanese(pairs: Sequence[tuple[int, int]]) -> bool:
    """A good part hiragana and katakana."""
    kana = 0.15
    return _share(pairs, lambda one, two: one in _KANA and two in _KANA[one]) > kana


def _is_traditional(pairs: Sequence[tuple[int, int]]) -> bool:
    """Mostly Big5's usual characters and its punctuation, a good part with a second byte of ASCII's range."""
    usual, low = 0.8, 0.1
    return (
        _share(pairs, lambda one, _: one in _BIG5_USUAL) > usual
        and _share(pairs, lambda _, two: two in _LOW) > low
    )


_EAST_ASIAN: Final = {"gb18030": _is_simplified, "cp932": _is_japanese, "big5": _is_traditional}
"""Encodings whose characters are pairs of bytes, each with how its texts are told from others'."""


def _likelihood(head: bytes, encoding: str) -> float:
    """How much text in a one-byte encoding looks like words: letters beside letters of their own script."""
    text = head.decode(encoding, errors="replace")
    high = [place for place, character in enumerate(text) if ord(character) > 127]  # noqa: PLR2004 - ASCII
    good = 0.0
    for place in high:
        around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        if encoding == "cp1251":
            # Words of Cyrillic have no letters of ASCII in them.
            good += text[place].isalpha() and not any(each.isascii() and each.isalpha() for each in around)
        else:
            latin = any(each.isascii() and each.isalpha() for each in around)
            good += (text[place].isalpha() and latin) or text[place] in _MARKS
        good -= text[place] == "\ufffd"
    return good / max(len(high), 1)


def _sample(text: str) -> str:
    found = next((word for word in re.split(r"[\s,;|\t\"]+", text) if not word.isascii()), "")
    return f"“{found[:_SHOWN]}”"


def is_reference(text: str) -> bool:
    """Whether a text is an address, or ends like an image's file name."""
    return bool(ADDRESS.match(text.strip()) or ENDING.search(text.strip()))


def _is_list(lines: Sequence[str]) -> bool:
    given = [line.strip().strip('"') for line in lines if line.strip()][:_RECORDS]
    if not given or not all(is_reference(line) or line.startswith("#") for line in given):
        return False
    for delimiter in _DELIMITERS:
        if not all(delimiter in line for line in given):
            continue
        # Two references a line are two columns; what follows a comma in one address is a part of it.
        if all(sum(is_reference(part) for part in line.split(delimiter)) > 1 for line in given):
            return False
        if not all(ADDRESS.match(line) for line in given):
            return False
    return True


def _above(lines: Sequence[str]) -> tuple[int, str | None, str]:
    """Lines above the table that programs are known to write, and the delimiter that they give away."""
    first = lines[0] if lines else ""
    if (mark := _SEP.match(first)) is not None:
        return 1, mark[1], "Excel's line `sep=` says the delimiter"
    if _AMAZON.match(first) and len(lines) > 2:  # noqa: PLR2004 - two of the template's, then the names
        return 2, None, "Amazon's template begins with its version and with names for people"
    return 0, None, ""


def _delimiter(lines: Sequence[str]) -> str | None:
    body = "\n".join(lines[:200])
    best: tuple[float, str] | None = None
    for delimiter in _DELIMITERS:
        counts = Counter(len(record) for record in _records(body, delimiter, None) if record)
        if not counts:
            continue
        fields, times = max(counts.items(), key=lambda each: (each[1] * (each[0] > 1), each[0]))
        if fields > 1:
            score = times / sum(counts.values()) + min(fields, 100) / 1_000
            best = max(best, (score, delimiter)) if best is not None else (score, delimiter)
    return None if best is None else best[1]


def _title_lines(lines: Sequence[str], delimiter: str | None) -> tuple[int, str]:
    """Lines of fewer fields above a table, such as a title, or who made the export and when."""
    if delimiter is None:
        return 0, ""
    counts = [line.count(delimiter) for line in lines[:_RECORDS] if line.strip()]
    usual = Counter(counts).most_common(1)[0][0] if counts else 0
    above = next((number for number, line in enumerate(lines) if line.count(delimiter) >= usual), 0)
    # A title may hold a comma; a name that goes on in the next line has an open quote.
    is_title = 0 < above <= _MOST_ABOVE and all(
        line.count(delimiter) <= (usual - 1) // 2 and line.count('"') % 2 == 0 for line in lines[:above]
    )
    return (above, "they have no columns; the table's names come after them") if is_title else (0, "")


def _escape(body: str, delimiter: str) -> str | None:
    if '\\"' not in body:
        return None
    try:
        _strictly(body, delimiter, None)
    except csv.Error:
        try:
            _strictly(body, delimiter, "\\")
        except csv.Error:
            return None
        return "\\"
    return None


def _strictly(body: str, delimiter: str, escape: str | None) -> None:
    # The last record may be cut.
    whole = body[: body.rfind("\n")] if "\n" in body else body
    for number, _ in enumerate(
        csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter, escapechar=escape, strict=True)
    ):
        if number >= _RECORDS:
            return


def _records(body: str, delimiter: str, escape: str | None) -> list[list[str]]:
    found = []
    try:
        for record in csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, escapechar=escape):
            if record:
                found.append(record)
            if len(found) >= _RECORDS:
                break
    except csv.Error:
        pass
    return found


def _header(records: Sequence[Sequence[str]]) -> tuple[tuple[str, ...] | None, int, str]:
    """Names for the columns where the first record does not give them, its lines to skip, and why."""
    if not records:
        return None, 0, ""
    first = list(records[0])
    while first and not first[-1].strip():
        first.pop()
    value = next((cell for cell in first if is_reference(cell)), None)
    numbers = [cell for cell in first if _NUMBER.fullmatch(cell.strip())]
    if value is None and numbers and len(records) > 1 and _same_shape(first, records[1]):
        value = numbers[0]
    if value is not None and first:
        names = _names_for(first)
        return names, 0, f"the first line holds values, such as {value[:_SHOWN]!r}: its columns are numbered"
    twice = sorted(name for name, count in Counter(first).items() if count > 1)
    if twice:
        return (
            once_each(records[0]),
            1,
            f"the column {twice[0][:_SHOWN]!r} is there several times: the later ones get a number",
        )
    return None, 0, ""


def _same_shape(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether numbers in one record are numbers in the other: years may be names of columns."""
    return all(
        bool(_NUMBER.fullmatch(one.strip())) == bool(_NUMBER.fullmatch(other.strip()))
        for one, other in zip(first, second, strict=False)
    )


def _names_for(first: Sequence[str]) -> tuple[str, ...]:
    names, images = [], 0
    for number, cell in enumerate(first, start=1):
        if is_reference(cell):
            images += 1
            names.append("image" if images == 1 else f"image_{images}")
        else:
            names.append(f"column_{number}")
    return tuple(names)
