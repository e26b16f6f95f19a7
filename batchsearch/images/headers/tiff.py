"""TIFF and BigTIFF: directories, and whether every strip or tile lies inside the file (TIFF 6.0)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from batchsearch.images.headers.exif import LAST, ORIENTATION_TAG, SHORT, UPRIGHT
from batchsearch.images.headers.structure_facts import DamagedError, Flaw, Inspection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_SUBFILE: Final = 254
_OLD_SUBFILE: Final = 255
_WIDTH: Final = 256
_HEIGHT: Final = 257
_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_STRIPS: Final = (273, 279)
_TILES: Final = (324, 325)
_SAMPLES: Final = 277
_CHILDREN: Final = 330
_EXTRA_SAMPLES: Final = 338
_SAMPLE_FORMAT: Final = 339
_PROFILE: Final = 34675
_DNG_VERSION: Final = 50706
_WANTED: Final = frozenset(
    {
        _WIDTH,
        _HEIGHT,
        _BITS,
        _PHOTOMETRIC,
        *_STRIPS,
        *_TILES,
        ORIENTATION_TAG,
        _SAMPLES,
        _EXTRA_SAMPLES,
        _SAMPLE_FORMAT,
        _PROFILE,
    }
)
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
"""Field type: bytes of one value, for the types whose values are whole numbers or bytes."""
_MAX_ENTRIES: Final = 4096
_MAX_VALUES: Final = 1 << 20
_PAGE_FIELDS: Final = frozenset({_SUBFILE, _OLD_SUBFILE, _CHILDREN})
_REDUCED_OR_MASK: Final = 0b101
"""Bits of `NewSubfileType` that say: not the image itself, but a smaller version or its transparency."""
_OLD_REDUCED: Final = 2
_BIG_BIG: Final = "BigTIFF in big-endian order is not read"
_MOST_BITS: Final = 1024
_MOST_SAMPLES: Final = 0xFFFF
_MAX_PAGES: Final = 2_000
"""Directories looked at: `images.frame` names one of the first thousand pages."""
_MAX_CHILDREN: Final = 64
_PAGE_ENTRIES: Final = 512
"""Fields in front of a directory among which it says what it is; real ones have some dozens in all."""
_SENSOR: Final = frozenset({32803, 34892})
"""Photometric interpretations of what a camera's sensor saw: a mosaic of colours, or linear light."""
_COLOURS: Final = {3: "palette", 5: "cmyk", 6: "ycbcr", 8: "lab", 9: "lab", 10: "lab"}
"""Photometric interpretation: the note it adds."""


def scan(data: bytes, *, frame: int = 0) -> Inspection:
    """Reads a TIFF's directories.

    A directory that calls itself a reduced version or a mask is no page: many cameras and scanners put a
    thumbnail first, and the image itself into a directory below it.

    Args:
        data: The file.
        frame: Which page will be decoded; its directory gives sides and orientation. The last one if
            the file has fewer.

    Raises:
        DamagedError: A directory, strip or tile lies outside the file, or the sides are missing.
        IndexError: The file ends inside its header.
    """
    reader = _Reader(data)
    pages = reader.pages()
    if not pages:
        raise DamagedError("broken", "the file has no directory")
    chosen = pages[min(frame, len(pages) - 1)]
    fields = reader.fields(chosen, _WANTED)
    width, height = _one(fields, _WIDTH), _one(fields, _HEIGHT)
    if not width or not height:
        raise DamagedError("broken", "the directory gives no size")
    if _one(fields, _PHOTOMETRIC) in _SENSOR:
        name = "DNG" if _DNG_VERSION in reader.fields(reader.first, {_DNG_VERSION}) else "camera RAW"
        return Inspection(name, width, height, flaw=Flaw("unsupported", f"{name} is not read"))
    if reader.big and reader.order == "big":
        return Inspection("TIFF", width, height, flaw=Flaw("unsupported", _BIG_BIG))
    _check_bounds(fields, len(data), (width, height))
    orientation, agreed = _orientation(fields, reader.kinds.get(ORIENTATION_TAG))
    return Inspection(
        "TIFF",
        width,
        height,
        frames=len(pages),
        bits=min(_MOST_BITS, max(fields.get(_BITS, ()), default=1)),
        components=min(_MOST_SAMPLES, max(1, _one(fields, _SAMPLES))),
        orientation=orientation,
        icc=_PROFILE in fields,
        page_at=chosen,
        notes=_notes(fields, pages=len(pages), agreed=agreed),
    )


def _is_reduced(fields: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether a directory says of itself that it is a smaller version of another one, or a mask."""
    if _SUBFILE in fields:
        return bool(_one(fields, _SUBFILE) & _REDUCED_OR_MASK)
    return _one(fields, _OLD_SUBFILE) == _OLD_REDUCED


def _orientation(fields: Mapping[int, tuple[int, ...]], kind: int | None) -> tuple[int, bool]:
    """The orientation to apply and whether decoders agree on it."""
    values = fields.get(ORIENTATION_TAG)
    if values is None:
        return UPRIGHT, True
    if len(values) != 1 or not UPRIGHT <= values[0] <= LAST:
        return UPRIGHT, False
    # A decoder that turns images goes by the number alone, so a valid one counts in any type.
    return values[0], kind == SHORT


def _notes(fields: Mapping[int, tuple[int, ...]], *, pages: int, agreed: bool) -> tuple[str, ...]:
    """What makes the page other than plain."""
    bits = min(_MOST_BITS, max(fields.get(_BITS, ()), default=1))
    colour = _COLOURS.get(_one(fields, _PHOTOMETRIC))
    notes = {
        "metadata": not agreed,
        f"{bits}bit": bits != 8,
        colour or "": colour is not None,
        "alpha": any(kind in {1, 2} for kind in fields.get(_EXTRA_SAMPLES, ())),
        "float": 3 in fields.get(_SAMPLE_FORMAT, ()),
        "pages": pages > 1,
    }
    return tuple(note for note, holds in notes.items() if holds)


def _one(fields: Mapping[int, tuple[int, ...]], tag: int) -> int:
    """The first value of a field, 0 where it is missing."""
    values = fields.get(tag, ())
    return values[0] if values else 0


def _check_bounds(fields: Mapping[int, tuple[int, ...]], length: int, size: tuple[int, int]) -> None:
    """Raises DamagedError unless all image data lies inside the file."""
    width, height = size
    for offsets_tag, counts_tag in (_STRIPS, _TILES):
        offsets, counts = fields.get(offsets_tag), fields.get(counts_tag)
        if not offsets:
            continue
        if not counts:
            # Old writers leave the counts out for a single uncompressed strip.
            counts = (0,) * len(offsets)
        if any(offset + count > length for offset, count in zip(offsets, counts, strict=False)):
            raise DamagedError("truncated", "image data lies behind the end", width=width, height=height)
        return
    raise DamagedError("broken", "no image data", width=width, height=height)


class _Reader:
    """Numbers and fields of one file, in its byte order and offset size."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        self.big = self.number(2, 2) == 43
        self.kinds: dict[int, int] = {}
        self._word = 8 if self.big else 4
        self._entry = 20 if self.big else 12
        self._count = 8 if self.big else 2
        self.first = self.number(8, 8) if self.big else self.number(4, 4)

    def number(self, at: int, size: int) -> int:
        """An unsigned number.

        Raises:
            DamagedError: It lies behind the end of the file.
        """
        if at + size > len(self.data):
            raise DamagedError("truncated", "a directory or field lies behind the end")
        return int.from_bytes(self.data[at : at + size], self.order)

    def _entries(self, directory: int) -> int:
        count = self.number(directory, self._count)
        if count > _MAX_ENTRIES:
            raise DamagedError("broken", "a directory has too many fields")
        return count

    def pages(self) -> list[int]:
        """Where the directories of the full-resolution pages start, in order; all if none says it is one."""
        every: list[int] = []
        full: list[int] = []
        known: set[int] = set()
        at = self.first
        while at and at not in known and len(known) < _MAX_PAGES:
            known.add(at)
            every.append(at)
            fields = self._page_fields(at)
            if _is_reduced(fields):
                full += self._full_children(fields.get(_CHILDREN, ()), known)
            else:
                full.append(at)
            at = self.next_directory(at)
        return full or every

    def _full_children(self, children: tuple[int, ...], known: set[int]) -> Iterator[int]:
        """Those of the directories below another one that are full-resolution pages."""
        for child in children:
            if child and child not in known and len(known) < _MAX_PAGES:
                known.add(child)
                if not _is_reduced(self._page_fields(child)):
                    yield child

    def _page_fields(self, directory: int) -> dict[int, tuple[int, ...]]:
        """What a directory says of its place among the others, at a cost that no file decides."""
        return self.fields(directory, _PAGE_FIELDS, entries=_PAGE_ENTRIES, values=_MAX_CHILDREN)

    def next_directory(self, directory: int) -> int:
        """Where the next directory starts, 0 after the last one."""
        end = directory + self._count + self._entry * self._entries(directory)
        return self.number(end, self._word)

    def fields(
        self,
        directory: int,
        wanted: Collection[int],
        *,
        entries: int = _MAX_ENTRIES,
        values: int | None = None,
    ) -> dict[int, tuple[int, ...]]:
        """The values of the fields that are asked for, by tag; the first of each tag.

        Args:
            directory: Where it starts.
            wanted: Tags.
            entries: Fields looked at.
            values: Values read of one field; all of them when None.
        """
        found: dict[int, tuple[int, ...]] = {}
        self.kinds = {}
        for index in range(min(entries, self._entries(directory))):
            at = directory + self._count + index * self._entry
            tag = self.number(at, 2)
            if tag not in wanted or tag in found:
                continue
            kind = self.number(at + 2, 2)
            count = self.number(at + 4, self._word)
            size = _SIZES.get(kind, 0)
            self.kinds[tag] = kind
            if not size or not count:
                found[tag] = ()
                continue
            value = at + 4 + self._word
            if size * count > self._word:
                value = self.number(value, self._word)
            if tag == _PROFILE:
                count = 1
            elif values is not None:
                count = min(count, values)
            if count > _MAX_VALUES:
                raise DamagedError("broken", "a field has too many values")
            if value + size * count > len(self.data):
                raise DamagedError("truncated", "a field's values lie behind the end")
            found[tag] = tuple(
                int.from_bytes(self.data[place : place + size], self.order)
                for place in range(value, value + size * count, size)
            )
        return found
