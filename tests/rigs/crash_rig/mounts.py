"""Small real file systems, mounted for one test: full ones, read-only ones, ones whose power goes.

They need the right to mount (root, with CAP_SYS_ADMIN): without it the tests are skipped, with the reason.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
from contextlib import contextmanager

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): EXT4_IOC_SHUTDOWN, and other file systems' own
_WITHOUT_LOG = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal that waits is written


def why_not(*programs):
    """Why file systems cannot be mounted here; None when they can."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not found"
    if os.geteuid() != 0:
        return "mounting needs root"
    libc = ctypes.CDLL(None, use_errno=True)
    # An impossible mount: refused as not permitted where none is, as senseless elsewhere.
    libc.mount(b"none", b"/", b"no such file system", 0, None)
    if ctypes.get_errno() in {errno.EPERM, errno.EACCES}:
        return "mounting is not permitted here"
    if (
        "losetup" in programs
        and subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode
    ):
        return "there is no loop device"
    return None


def _run(*command):
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@contextmanager
def memory(folder, megabytes):
    """A file system of so many megabytes in memory."""
    folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", folder)
    try:
        yield folder
    finally:
        _run("umount", folder)


def remount(folder, how):
    """Mount it again as `ro` or `rw`."""
    _run("mount", "-o", f"remount,{how}", folder)


class Ext4:
    """A journalling file system in a file, mounted while the `with` block lasts.

    Args:
        folder: Where it is mounted.
        megabytes: Its size; 8 at least.
    """

    def __init__(self, folder, megabytes=16):
        self.folder = folder
        self._image = folder.with_name(folder.name + ".img")
        self._megabytes = megabytes

    def __enter__(self):
        self.folder.mkdir(parents=True)
        with self._image.open("wb") as file:
            file.truncate(self._megabytes << 20)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image)
        _run("mount", "-o", "loop", self._image, self.folder)
        return self

    def __exit__(self, *_):
        _run("umount", self.folder)
        self._image.unlink()

    def power_goes(self):
        """From now on nothing reaches the disk, and every write of whoever still runs fails."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_LOG))
        finally:
            os.close(descriptor)

    def power_comes(self):
        """Mount it again: what had reached the disk is there, its journal replayed."""
        _run("umount", self.folder)
        _run("mount", "-o", "loop", self._image, self.folder)


def fill(folder, leave):
    """Put a file into a file system that leaves so many bytes free; its path."""
    ballast = folder / "ballast"
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    with ballast.open("wb") as file:
        left = max(0, free - leave)
        while left > 0:
            try:
                left -= file.write(bytes(min(left, 65536)))
                file.flush()
            except OSError:
                break
    return ballast
