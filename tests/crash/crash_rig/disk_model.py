"""What a disk holds after the power went, given what a process had done to it until then.

The model promises no more than POSIX does:

* What a file holds is on disk once it was synced, as it was then. Writes after that may be there or not,
  each by itself and in any order, also in part: whole sectors of 512 bytes. So may a new size.
* A name (made, renamed, removed) is on disk once the folder that it is in was synced. Changes of one folder
  after that come back in their order up to some point, as every journalling file system has them; syncing a
  file does not make its name durable.
* A rename is done or not done, never half.

Memory maps are not followed: the one in use, SQLite's `-shm`, is rebuilt whenever it is missing, and is never
there after a power loss.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from . import disk_log

SECTOR = 512
NOT_FOLLOWED = "-shm"


@dataclass
class File:
    """A file: what is durable of it, and what was done since; (offset, data), or (size, None)."""

    durable: bytes = b""
    since: list = field(default_factory=list)

    def sync(self):
        self.durable = self.content(lambda change: change)
        self.since = []

    def content(self, keep):
        """Its content when of each change only `keep(change)` is done; None for nothing of it."""
        data = bytearray(self.durable)
        for change in self.since:
            kept = keep(change)
            if kept is None:
                continue
            offset, written = kept
            if written is None:
                del data[offset:]
                data.extend(bytes(offset - len(data)))
            else:
                data.extend(bytes(max(0, offset - len(data))))
                data[offset : offset + len(written)] = written
        return bytes(data)


class Disk:
    """The disk below one folder.

    Args:
        root: The folder. What is in it now is durable.
    """

    def __init__(self, root):
        self._root = PurePosixPath(root)
        self._files = {}
        self._names = {}
        self._changes = {}
        self.said = []
        for folder, folders, files in os.walk(root):
            for name in folders:
                self._names[PurePosixPath(folder, name)] = None
            for name in files:
                path = Path(folder, name)
                about = path.stat()
                self._files[about.st_dev, about.st_ino] = file = File(path.read_bytes())
                self._names[PurePosixPath(path)] = file

    def apply(self, record):
        """Something was done."""
        path = PurePosixPath(record.path) if record.path else None
        match record.kind:
            case disk_log.OPENED:
                self._files[record.inode] = File()
                self._change(path, ("name", path, self._files[record.inode]))
            case disk_log.WRITTEN:
                self._files[record.inode].since.append((record.offset, record.data))
            case disk_log.TRUNCATED:
                self._files[record.inode].since.append((record.offset, None))
            case disk_log.RENAMED:
                target = PurePosixPath(record.target)
                if path.parent != target.parent:
                    raise AssertionError(f"{path} is renamed into another folder, which the model cannot follow")
                self._change(path, ("rename", path, target))
            case disk_log.UNLINKED | disk_log.REMOVED_FOLDER:
                self._change(path, ("remove", path, None))
            case disk_log.MADE_FOLDER:
                self._change(path, ("name", path, None))
            case disk_log.SYNCED:
                if path is None:
                    self._files[record.inode].sync()
                else:
                    for change in self._changes.pop(path, []):
                        _rename(self._names, change)
            case disk_log.MARK:
                self.said.append(record.data)

    def _change(self, path, change):
        self._changes.setdefault(path.parent, []).append(change)

    def left(self, rng, *, files="some", names="some"):
        """What is on the disk after the power went now: content by path; None for a folder.

        Args:
            rng: Chance.
            files: Changes of files that were not synced: `none`, `some` or `all` are there.
            names: Changes of folders that were not synced: likewise.
        """
        kept_names = dict(self._names)
        for changes in self._changes.values():
            some = rng.randint(0, len(changes))
            kept = {"none": 0, "all": len(changes), "some": some}[names]
            for change in changes[:kept]:
                _rename(kept_names, change)

        def torn(change):
            offset, data = change
            luck = rng.random()
            if luck < 0.4:
                return change
            if luck < 0.7 or data is None:
                return None
            return offset, data[: rng.randint(0, len(data) // SECTOR) * SECTOR]

        keep = {"none": lambda _: None, "all": lambda change: change, "some": torn}[files]
        found = {}
        for path, file in kept_names.items():
            if all(parent in kept_names for parent in path.parents if self._root in parent.parents):
                found[path] = None if file is None else file.content(keep)
        return {path: data for path, data in found.items() if not path.name.endswith(NOT_FOLLOWED)}


def _rename(names, change):
    kind, path, value = change
    if kind == "name":
        names[path] = value
    elif kind == "remove":
        names.pop(path, None)
    elif path in names:
        names[value] = names.pop(path)


def restore(root, found, target):
    """Lay out what was left of `root` under `target`."""
    target.mkdir(parents=True)
    for path in sorted(found):
        place = target / path.relative_to(root)
        if found[path] is None:
            place.mkdir()
        else:
            place.write_bytes(found[path])


def as_it_is(root):
    """What a folder really holds, in the same shape."""
    found = {}
    for folder, folders, files in os.walk(root):
        found |= {PurePosixPath(folder, name): None for name in folders}
        found |= {PurePosixPath(folder, name): Path(folder, name).read_bytes() for name in files}
    return {path: data for path, data in found.items() if not path.name.endswith(NOT_FOLLOWED)}
