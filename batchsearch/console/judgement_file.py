"""Judgements written at once to the file that the next night follows: lines at its end, the newest holds.

Nothing in the file is ever rewritten, so that what another page or a person writes meanwhile is kept.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from typing import TYPE_CHECKING, Final

from batchsearch.console.wording import say
from batchsearch.errors import OutputError
from batchsearch.publish import sync_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

JUDGED_BY: Final = "judged_by"
"""Column of new files beside those that a night reads: who has judged."""
VERDICTS: Final = ("same", "different", "none")
"""`none` takes a judgement back."""
_LONGEST: Final = 1_000


class BadJudgementError(ValueError):
    """What was said of a pair cannot be written down."""


def write_judgements(
    path: Path, judged: Sequence[tuple[str, str, str, str]], now: datetime, who: str = ""
) -> int:
    """Write judgements at the end of the file, and to the disk; the number of those written.

    Args:
        path: The file; made with its heading when it is not there.
        judged: Both products, `same`, `different` or `none`, and a note.
        now: When they were made, UTC.
        who: Who has judged; left out where a file has no column for it.

    Raises:
        BadJudgementError: One of them names no two products, or says something else.
        OutputError: The file cannot be written.
    """
    for one, other, verdict, note in judged:
        if not one or not other or one == other:
            raise BadJudgementError(say("judgement.two_products"))
        if verdict not in VERDICTS:
            raise BadJudgementError(say("judgement.verdict", verdicts=", ".join(VERDICTS)))
        if max(map(len, (one, other, note))) > _LONGEST:
            raise BadJudgementError(say("judgement.too_long", most=_LONGEST))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            # The lock is for the heading and the line end before: whole lines would not need it.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            names = _names(file.readline().decode("utf-8-sig", "replace"))
            file.write(_text(names, judged, now, who, ends=_ends_a_line(file)).encode())
            file.flush()
            sync_path(path)
    except OSError as error:
        told = say("judgement.not_written", path=path, error=error.strerror or error)
        raise OutputError(told) from error
    return len(judged)


def _names(heading: str) -> list[str]:
    if not heading.strip():
        return []
    return [name.strip() for name in next(csv.reader([heading]))]


def _ends_a_line(file: io.BufferedRandom) -> bool:
    size = file.seek(0, os.SEEK_END)
    if not size:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _text(
    names: list[str], judged: Sequence[tuple[str, str, str, str]], now: datetime, who: str, *, ends: bool
) -> str:
    from batchsearch.tasks.dedup.clusters.judgements import COLUMNS

    text = io.StringIO()
    if not ends:
        text.write("\n")
    writer = csv.writer(text, lineterminator="\n")
    if not names:
        names = [*COLUMNS, JUDGED_BY]
        writer.writerow(names)
    for one, other, verdict, note in judged:
        first, second = sorted((one, other))
        cells = dict(zip(COLUMNS, (first, second, verdict, now.isoformat(), note), strict=True))
        cells[JUDGED_BY] = who
        writer.writerow([cells.get(name, "") for name in names])
    return text.getvalue()


def judged_so_far(paths: Sequence[Path]) -> list[dict[str, str]]:
    """The judgements that hold, each as its line by column.

    Raises:
        ConfigError: A file is not one of judgements.
    """
    from batchsearch.tasks.dedup.clusters.judgements import read_judgements

    text = read_judgements(paths).as_csv()
    return list(csv.DictReader(io.StringIO(text)))
