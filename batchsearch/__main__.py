"""`python -m batchsearch` and the `batchsearch` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from batchsearch.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
