"""`python -m batchsearch.child …`: the command line, tied to the process that started it.

It stops in good order, as after SIGTERM, when its stdin ends. Whoever holds the other end stops it by
closing it, and a parent that is killed closes it too: no run goes on that nobody waits for.
"""

from __future__ import annotations

import os
import signal
import threading

from batchsearch.__main__ import main as command_line
from batchsearch.first_moments import watch


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
    watch()
    threading.Thread(target=stop_when_stdin_ends, name="parent", daemon=True).start()
    command_line()


if __name__ == "__main__":
    main()
