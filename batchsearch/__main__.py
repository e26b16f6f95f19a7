"""`python -m batchsearch` and the `batchsearch` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from batchsearch.cli import cli

    cli(prog_name="batchsearch")


if __name__ == "__main__":
    main()
