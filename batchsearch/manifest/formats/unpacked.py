"""A table's bytes, unpacked where its name says that it is packed: `.gz`, `.zst`, or `.zip` with one table.

They are unpacked as they are read, a piece at a time. What unpacks to far more than any table does is
refused: it was made to fill somebody's disk or night.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.manifest.remote_file import READ_AHEAD, RemoteFile
from batchsearch.service.line_files import PIECEWISE

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from batchsearch.manifest.remote_file import ManifestPath

_CHUNK: Final = 128 * 1024
_LEAST_REFUSED: Final = 1024 * 1024 * 1024
_MOST_TIMES: Final = 250
"""Tables unpack to ten or twenty times their size; gzip can do a thousand, others a million."""


class CutError(OSError):
    """A packed file ends too early, or is damaged; `strerror` says so."""


@dataclass(frozen=True, slots=True)
class Packing:
    """One way of packing a file.

    Attributes:
        name: What people call it.
        suffix: What the names of such files end with.
        mark: Their first bytes.
    """

    name: str
    suffix: str
    mark: bytes


PACKINGS: Final = (
    Packing("gzip", ".gz", b"\x1f\x8b"),
    Packing("zstd", ".zst", b"\x28\xb5\x2f\xfd"),
    Packing("zip", ".zip", b"PK"),
)
_GZIP, _ZSTD, _ZIP = PACKINGS


def packing_of(path: ManifestPath) -> Packing | None:
    """How a file is packed, by its name; None for one that is not."""
    suffix = path.suffix.lower()
    return next((each for each in PACKINGS if each.suffix == suffix), None)


def opened(path: ManifestPath) -> IO[bytes]:
    """The file's bytes as they are."""
    if isinstance(path, RemoteFile):
        return io.BufferedReader(path.open(ahead=READ_AHEAD))
    return path.open("rb")


def unpacked(path: ManifestPath) -> IO[bytes]:
    """The file's bytes, unpacked where its name says that they are packed.

    Raises:
        CutError: It is no such file. Reading raises it, too, where the file is damaged.
        OSError: It cannot be opened.
    """
    packing = packing_of(path)
    raw = opened(path)
    if packing is None:
        return raw
    try:
        if packing is _ZIP:
            return io.BufferedReader(_zipped(raw), _CHUNK)
        source: Any = (
            gzip.GzipFile(fileobj=raw, mode="rb")
            if packing is _GZIP
            else pa.CompressedInputStream(raw, "zstd")
        )
        return io.BufferedReader(_Unpacked(packing, source, _size(path), raw.close), _CHUNK)
    except BaseException:
        raw.close()
        raise


def table_in_zip(path: ManifestPath, is_table: Callable[[str], bool]) -> str | None:
    """The name of the one table in a zip file; None where there is none, several, or no readable zip file."""
    try:
        with opened(path) as raw, zipfile.ZipFile(raw) as file:
            names = [each.filename for each in _files_of(file) if is_table(each.filename)]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    return names[0] if len(names) == 1 else None


def _size(path: ManifestPath) -> int:
    return path.facts.size if isinstance(path, RemoteFile) else path.stat().st_size


def _files_of(file: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """What people have put into a zip file: neither folders nor what systems add of their own."""
    return [
        each
        for each in file.infolist()
        if not each.is_dir()
        and not any(part.startswith((".", "__MACOSX")) for part in each.filename.split("/"))
    ]


def _zipped(raw: IO[bytes]) -> io.RawIOBase:
    try:
        file = zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise CutError(None, "is no whole zip file, although its name ends with `.zip`") from None
    inside = _files_of(file)
    if len(inside) > 1:
        from batchsearch.manifest.formats.registry import named_format

        inside = [each for each in inside if named_format(each.filename) is not None] or inside
    if len(inside) != 1:
        names = ", ".join(each.filename[:40] for each in inside[:3])
        what = f"holds {len(inside)} files ({names}, …)" if inside else "holds no file"
        raise CutError(None, f"{what}; a zipped manifest holds one table: unpack it")
    info = inside[0]
    if info.flag_bits & 1:
        raise CutError(None, "is a zip file with a password; unpack it")
    if info.compress_type not in PIECEWISE:
        raise CutError(
            None, "is packed in a way that is not read here (`Deflate` is); pack it anew, or unpack it"
        )
    try:
        source = file.open(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError):
        raise CutError(None, "is packed in a way that is not read here; unpack it") from None

    def close() -> None:
        file.close()
        raw.close()

    return _Unpacked(_ZIP, source, info.compress_size, close)


class _Unpacked(io.RawIOBase):
    """What a packed file holds; closing it closes that file."""

    def __init__(self, packing: Packing, source: IO[bytes], packed: int, close: Callable[[], None]) -> None:
        self._packing = packing
        self._source = source
        self._most = max(_LEAST_REFUSED, _MOST_TIMES * packed)
        self._given = 0
        self._close = close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        name = self._packing.name
        try:
            data = self._source.read(len(view))
        except EOFError:
            raise CutError(None, self._ends_early()) from None
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, NotImplementedError):
            what = (
                f"is damaged: its name ends with `{self._packing.suffix}`, and what {name} unpacks makes no "
                "sense"
            )
            raise CutError(None, what) from None
        except (OSError, pa.ArrowException) as error:
            if self._packing is not _ZSTD or getattr(error, "strerror", None):
                raise
            is_short = "truncated" in str(error).lower()
            what = "is damaged: what zstd unpacks makes no sense"
            raise CutError(None, self._ends_early() if is_short else what) from None
        self._given += len(data)
        if self._given > self._most:
            what = f"unpacks to more than {_MOST_TIMES} times its size, as no table does; unpack it to look"
            raise CutError(None, what)
        view[: len(data)] = data
        return len(data)

    def _ends_early(self) -> str:
        return (
            f"is packed with {self._packing.name} and ends too early; it was not written or copied to its end"
        )

    def close(self) -> None:
        if not self.closed:
            self._source.close()
            self._close()
        super().close()
