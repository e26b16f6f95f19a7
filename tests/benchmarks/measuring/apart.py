"""Measured in a process of its own: what it costs to import, and what was before, is not counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"}


def found_apart(script: str | Path, *options: object) -> Any:
    """What a script says in its last line, JSON; ends the program where it fails."""
    command = [sys.executable, str(script), *map(str, options)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | KEYS)
    if ran.returncode:
        sys.exit(f"{Path(script).name} ended with {ran.returncode}:\n{ran.stdout}")
    return json.loads(ran.stdout.splitlines()[-1])


def found_by(benchmark: str, *options: object) -> Any:
    """What a benchmark says with `--json`."""
    return found_apart(Path(__file__).resolve().parents[1] / benchmark, *options, "--json")


def called_apart(work: Callable[..., Any], *given: object, **named: object) -> Any:
    """What a function returns there: a process's peak counts that of the one that started it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        return alone.submit(work, *given, **named).result()


def peak_mb() -> float:
    """The most memory that this process has had, MB (`ru_maxrss` begins with what its parent had)."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024


def with_comment(jpeg: bytes, number: int) -> bytes:
    """The same image in a file of other bytes: a comment after its first marker."""
    text = b"%09d" % number
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]
