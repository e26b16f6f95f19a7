"""`python -m batchsearch` and the `batchsearch` command."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; whatever its streams are and whenever a signal comes."""
    from batchsearch.first_moments import watch

    watch()
    from batchsearch.interrupts import listen

    listen()
    from batchsearch.streams import make_safe

    make_safe()
    from batchsearch.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
