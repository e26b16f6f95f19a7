"""Whether a run holds an output folder, asked without taking its lock.

Trying the lock would keep out a run that begins at that moment, so the kernel's own list is read: Linux
shows every `flock` in /proc/locks, by device and inode (proc_locks(5)).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LOCKS: Final = Path("/proc/locks")
_FIELDS: Final = 8


def is_held(lock: Path) -> bool:
    """Whether some process of this machine holds the lock file; False as well where that cannot be known."""
    try:
        about = lock.stat()
        listed = _LOCKS.read_text("ascii").splitlines()
    except OSError:
        return False
    # `1: FLOCK  ADVISORY  WRITE 708 08:01:13891 0 EOF`
    wanted = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    fields = (line.split() for line in listed)
    return any(len(found) >= _FIELDS and found[1] == "FLOCK" and found[5] == wanted for found in fields)
