"""What `batchsearch recover` says: a page for people, one line of JSON for schedulers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from batchsearch.streams import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.tasks.recover.recovery import Recovered

_MOST_LISTED: Final = 10
_FROM: Final = {
    "all": "the ledger that was there could be read to its end",
    "part": "the ledger that was there could be read in part",
    "nothing": "no ledger was there that could be read",
}


def as_text(done: Sequence[Recovered]) -> str:
    """For people."""
    return "\n\n".join(_page(each) for each in done)


def as_json(done: Sequence[Recovered]) -> str:
    """One line for schedulers."""
    folders = [asdict(each) | {"folder": str(each.folder)} for each in done]
    return json.dumps({"status": "recovered", "exit_code": 0, "folders": folders}, ensure_ascii=False)


def _page(done: Recovered) -> str:
    lines = [
        f"{done.folder}: the ledger was made anew; {_FROM[done.from_ledger]}",
        f"  parts     {done.parts:,} with {done.rows:,} rows and {done.hits:,} hits",
        f"  answers   {done.answers:,} requests need no call",
    ]
    if done.history:
        lines.append(f"  history   {done.history:,} outcomes that later ones have replaced")
    if done.waiting:
        lines.append(f"  waiting   {done.waiting:,} outcomes from the ledger; the next run writes them")
    if done.moved or done.rewritten:
        lines.append(f"  in order  {done.moved:,} parts were moved, {done.rewritten:,} written anew")
    if done.lost:
        lines.append(f"  lost      {done.lost:,} outcomes; the next run asks for them again")
    lines += _listed("damaged", done.damaged)
    lines += _listed("set aside", done.set_aside)
    return "\n".join([*lines, "  next      run the job again: it goes on from here"])


def _listed(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = len(names) - _MOST_LISTED
    listed = [f"    {printable(name)}" for name in names[:_MOST_LISTED]]
    return [f"  {title}", *listed, *([f"    and {more:,} more"] if more > 0 else [])]
