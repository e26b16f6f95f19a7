"""A generation of parts: built beside the current one, then exchanged with it in one step a folder.

A reader that lists `results/` (or `hits/`) finds the parts of one generation, all of them and no others: the
kernel exchanges the two folders, so there is no moment with both or neither. A name never has two contents:
who has listed a folder just before finds the file that he opens, or an error. Files that both generations
have are hard links and take no room twice.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from batchsearch import crash_points
from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.path_spellings import in_shell
from batchsearch.publish import sync_path
from batchsearch.storage.parts.part_files import HITS, RESULTS, is_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_NEXT: Final = ".next"
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
"""From <linux/fs.h>; `renameat2` is in glibc since 2.28 (https://man7.org/linux/man-pages/man2/rename.2.html)."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP})
_NO_EXCHANGE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV})


class NextGeneration:
    """The parts that are to take the place of all current ones.

    Args:
        folder: The output folder.

    Raises:
        OutputError: From every method: the disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, table: str) -> Path:
        """Where a table's parts are built: beside the folder that readers see."""
        return self._folder / (table + _NEXT)

    def begin(self) -> None:
        """Make room; what an earlier attempt has left is removed."""
        self.clean()
        with _told(self._folder):
            for table in (RESULTS, HITS):
                self.place(table).mkdir()

    def keep(self, name: str, *, under: str = "") -> None:
        """Take a part over as it is.

        Args:
            name: Its name.
            under: Folder under the output folder that holds its `results/` and `hits/`.
        """
        with _told(self._folder):
            for table in (RESULTS, HITS):
                _link(self._folder / under / table / name, self.place(table) / name)

    def keep_hits(self, name: str, new_name: str) -> None:
        """Take a part's hits over as they are, for a part with the same rows and other columns of results."""
        with _told(self._folder):
            _link(self._folder / HITS / name, self.place(HITS) / new_name)

    def drop(self, name: str) -> None:
        """Leave out a part that was built."""
        with _told(self._folder):
            for table in (RESULTS, HITS):
                (self.place(table) / name).unlink()

    def sync(self) -> None:
        """Make the names durable; contents are already. Access rights are those of the folders replaced."""
        with _told(self._folder):
            for table in (RESULTS, HITS):
                self.place(table).chmod(stat.S_IMODE((self._folder / table).stat().st_mode))
                sync_path(self.place(table))
            sync_path(self._folder)

    def exchange(self, names: Sequence[str]) -> bool:
        """Let readers see these parts; does nothing for a folder that has them already.

        Hits go first: until the results follow, joins find the new hits of rows that are still old.

        Returns:
            Whether each folder was exchanged in one step; False where the file system cannot, and there was
            a moment without the folder.
        """
        in_one_step = True
        with _told(self._folder):
            for table in (HITS, RESULTS):
                crash_points.reached(f"compact_exchange_{table}")
                seen, coming = self._folder / table, self.place(table)
                if not _holds(seen, names):
                    if not _holds(coming, names):
                        raise OutputDamagedError(
                            f"{coming}: does not hold the parts that are to replace those in {seen}; "
                            f"nothing was changed; put them back, or see "
                            f"`batchsearch recover {in_shell(self._folder)}`"
                        )
                    in_one_step &= _exchange(coming, seen)
                    sync_path(self._folder)
        return in_one_step

    def clean(self, also: Iterable[Path] = ()) -> None:
        """Remove what readers do not see any more, and these files."""
        crash_points.reached("compact_clean")
        with _told(self._folder):
            for table in (RESULTS, HITS):
                for old in (self.place(table), self._folder / (table + _NEXT + ".old")):
                    if old.exists():
                        self._save_others(old, self._folder / table)
                        shutil.rmtree(old)
            for path in also:
                path.unlink(missing_ok=True)

    @staticmethod
    def _save_others(old: Path, seen: Path) -> None:
        """Move what is not ours into the folder that readers see."""
        for path in old.iterdir():
            if not is_part(path.name) and not (seen / path.name).exists():
                path.rename(seen / path.name)


def can_exchange(folder: Path) -> bool:
    """Whether two folders in there can be exchanged in one step.

    Raises:
        OutputError: The disk refuses.
    """
    one, other = folder / f".exchange-{os.getpid()}-a", folder / f".exchange-{os.getpid()}-b"
    with _told(folder):
        try:
            one.mkdir()
            other.mkdir()
            return _rename_exchange(one, other)
        finally:
            for made in (one, other):
                with suppress(FileNotFoundError):
                    made.rmdir()


def _holds(folder: Path, names: Sequence[str]) -> bool:
    if not folder.exists():
        return False
    return {path.name for path in folder.iterdir() if path.suffix == ".parquet"} == set(names)


def _exchange(coming: Path, seen: Path) -> bool:
    if seen.exists() and _rename_exchange(coming, seen):
        return True
    # A file system that cannot: for a moment there is no folder, and a kill here is mended by the next run.
    old = coming.with_name(coming.name + ".old")
    if seen.exists():
        seen.rename(old)
    coming.rename(seen)
    return False


def _rename_exchange(one: Path, other: Path) -> bool:
    """Exchange two folders; False when kernel or file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    failed = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
        sync_path(target)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tells what a disk refuses as an OutputError that names the folder."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: {error.strerror or error}; what was answered is kept, "
            "running again goes on"
        ) from error
