"""What a benchmark is asked on its command line, and what it tells with `--json`."""

from __future__ import annotations

import argparse
import json


def command_line(about: str, **sizes: float) -> argparse.ArgumentParser:
    """Options of a benchmark of this docstring: a number of each of these names, and `--json`."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    for name, usual in sizes.items():
        parser.add_argument(f"--{name}", type=type(usual), default=usual)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    return parser


def tell(asked: argparse.Namespace, found: object) -> None:
    """Print what was found as the last line, where that was asked for."""
    if asked.json:
        print(json.dumps(found))
