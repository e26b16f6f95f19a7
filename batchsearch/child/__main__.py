"""`python -m batchsearch.child …`: the command line, tied to the process that started it.

It stops in good order, as after SIGTERM, when its stdin ends. Whoever holds the other end stops it by
closing it, and a parent that is killed closes it too: no run goes on that nobody waits for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TextIO, cast


class UnheardStderr:
    """Writes to a stderr that may have lost its reader: what nobody hears must not end the run.

    Args:
        stream: Where it writes while there is a reader.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or let it be; how many characters were taken."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            return len(text)

    def flush(self) -> None:
        """Flush, or let it be."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            return

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def stop_when_stdin_ends() -> None:
    """Send this process SIGTERM, once, as soon as its stdin is at its end."""
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass  # no stdin at all: nobody holds the other end
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the command line until it is done or its parent is gone."""
    threading.Thread(target=stop_when_stdin_ends, name="parent", daemon=True).start()
    sys.stderr = cast(TextIO, UnheardStderr(sys.stderr))
    from batchsearch.__main__ import main as command_line

    command_line()


if __name__ == "__main__":
    main()
