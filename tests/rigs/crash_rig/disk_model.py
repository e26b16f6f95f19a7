"""What a disk holds after the power went, given what a process had done to it until then.

The model promises no more than POSIX does:

* What a file holds is on disk once it was synced, as it was then. Writes after that may be there or not,
  each by itself and in any order, also in part: whole sectors of 512 bytes. So may a new size.
* A name (made, renamed, removed) is on disk once the folder that it is in was synced. Changes of one folder
  after that come back in their order up to some point, as every journalling file system has them; syncing a
  file does not make its name durable.
* A rename within a folder is done or not done, never half; between two, each folder has or lacks its part of
  it by itself.

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


@dataclass
class Folder:
    """A folder: which names are durable in it, which there are now, and how these became of those."""

    durable: dict = field(default_factory=dict)
    now: dict = field(default_factory=dict)
    since: list = field(default_factory=list)

    def change(self, changed):
        """Names get other nodes (None: no node), all of them together or none."""
        self.since.append(changed)
        _done(self.now, changed)

    def sync(self):
        self.durable, self.since = dict(self.now), []

    def names(self, kept):
        """The names when only so many changes are done."""
        names = dict(self.durable)
        for changed in self.since[:kept]:
            _done(names, changed)
        return names


def _done(names, changed):
    for name, node in changed.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """The disk below one folder.

    Args:
        root: The folder. What is in it now is durable.
    """

    def __init__(self, root):
        self._root_path = PurePosixPath(root)
        self._files = {}
        self._root = self._as_found(Path(root))
        self.said = []

    def _as_found(self, path):
        folder = Folder()
        for entry in path.iterdir():
            if entry.is_dir():
                node = self._as_found(entry)
            else:
                about = entry.stat()
                node = self._files.setdefault((about.st_dev, about.st_ino), File(entry.read_bytes()))
            folder.now[entry.name] = node
        folder.sync()
        return folder

    def _folder(self, path):
        node = self._root
        for name in path.relative_to(self._root_path).parts:
            node = node.now[name]
        return node

    def apply(self, record):
        """Something was done."""
        if record.kind == disk_log.MARK:
            self.said.append(record.data)
        elif record.kind in (disk_log.WRITTEN, disk_log.TRUNCATED):
            written = record.data if record.kind == disk_log.WRITTEN else None
            self._files[record.inode].since.append((record.offset, written))
        elif record.kind == disk_log.SYNCED:
            node = self._folder(PurePosixPath(record.path)) if record.path else self._files[record.inode]
            node.sync()
        else:
            self._name(record)

    def _name(self, record):
        path = PurePosixPath(record.path)
        folder, name = self._folder(path.parent), path.name
        target = PurePosixPath(record.target) if record.target else path
        same = target.parent == path.parent
        match record.kind:
            case disk_log.OPENED:
                self._files[record.inode] = File()
                folder.change({name: self._files[record.inode]})
            case disk_log.MADE_FOLDER:
                folder.change({name: Folder()})
            case disk_log.UNLINKED | disk_log.REMOVED_FOLDER:
                folder.change({name: None})
            case disk_log.LINKED:
                self._folder(target.parent).change({target.name: folder.now[name]})
            case disk_log.RENAMED if same:
                folder.change({name: None, target.name: folder.now[name]})
            case disk_log.RENAMED:
                # The worst that a disk may do: each folder keeps or loses its part of it by itself.
                self._folder(target.parent).change({target.name: folder.now[name]})
                folder.change({name: None})
            case disk_log.EXCHANGED if same:
                folder.change({name: folder.now[target.name], target.name: folder.now[name]})
            case _:
                raise AssertionError(f"{path} goes into another folder, which the model cannot follow")

    def left(self, rng, *, files="some", names="some"):
        """What is on the disk after the power went now: content by path; None for a folder.

        Args:
            rng: Chance.
            files: Changes of files that were not synced: `none`, `some` or `all` are there.
            names: Changes of folders that were not synced: likewise.
        """

        def torn(change):
            offset, data = change
            luck = rng.random()
            if luck < 0.4:
                return change
            if luck < 0.7 or data is None:
                return None
            return offset, data[: rng.randint(0, len(data) // SECTOR) * SECTOR]

        keep = {"none": lambda _: None, "all": lambda change: change, "some": torn}[files]
        found, contents = {}, {}

        def look(folder, path):
            some = rng.randint(0, len(folder.since))
            kept = {"none": 0, "all": len(folder.since), "some": some}[names]
            for name, node in sorted(folder.names(kept).items()):
                if isinstance(node, Folder):
                    found[path / name] = None
                    look(node, path / name)
                elif not name.endswith(NOT_FOLLOWED):
                    # A file of two names has one content.
                    if id(node) not in contents:
                        contents[id(node)] = node.content(keep)
                    found[path / name] = contents[id(node)]

        look(self._root, self._root_path)
        return found


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
