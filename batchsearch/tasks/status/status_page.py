"""How a run stands, as a page for people (pure)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batchsearch.pages.durations import clock_time, duration
from batchsearch.streams import printable
from batchsearch.telemetry.status_words import codes_of, end_of, pace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.tasks.status.run_status import RunStatus
    from batchsearch.telemetry.heartbeat import Beat


def status_page(runs: Sequence[RunStatus]) -> str:
    """One paragraph for each run."""
    return "\n".join("\n".join(_lines(run)) for run in runs)


def status_as_json(runs: Sequence[RunStatus]) -> str:
    """One line of JSON: `runs`, and `state` of the one that matters most."""
    order = ("running", "opening", "silent", "dead", "ended")
    state = min((run.state for run in runs), key=order.index)
    plain: dict[str, Any] = {"state": state, "runs": [run.as_dict() for run in runs]}
    return json.dumps(plain, ensure_ascii=False)


def _lines(run: RunStatus) -> list[str]:
    lines = [f"{printable(run.folder)}: {_headline(run)}"]
    beat = run.beat
    if beat is None:
        if run.outcomes is not None:
            lines.append(f"  rows       {run.outcomes:,} have their outcome")
        return lines
    owner = beat.owner
    working = f"{owner.operation} on {owner.instance}, run {owner.run_id}"
    lines.append(printable(f"  run        {working}, process {owner.pid} on {owner.host}"))
    lines += _counts(run, beat)
    if run.state in ("running", "silent"):
        lines.append(f"  pace       {pace_of(beat.reading, run.moment)}")
        lines.append(f"  waiting    {_waiting(beat)}")
    if beat.reading.failed:
        lines.append(f"  failed     {beat.reading.failed:,}: {codes_of(beat.reading.codes, most=8)}")
    if run.state == "running":
        lines.append(f"  end        {end_of(beat.reading, run.moment)}")
    if beat.why:
        lines.append(f"  why        {printable(beat.why)}")
    return lines


def _headline(run: RunStatus) -> str:
    sign = run.last_sign
    ago = "" if sign is None else duration((run.moment - sign).total_seconds())
    if run.state == "opening":
        who = f"process {run.holder.get('pid')} on {run.holder.get('host')}" if run.holder else "a run"
        return printable(f"opening: {who} checks manifest and ledger, no call yet")
    if run.state == "running":
        return _running(run)
    if run.state == "silent":
        return (
            f"silent: the process is there, but has not reported for {ago}; is it stopped, or its disk full?"
        )
    if run.state == "dead":
        when = "" if sign is None else f" since about {clock_time(sign, run.moment)}, {ago} ago"
        return f"dead{when}: its process is gone; run the same command again to resume"
    beat = run.beat
    if beat is None or sign is None:
        return "no run works here"
    return f"ended {clock_time(sign, run.moment)}, {ago} ago, with exit code {beat.exit_code}"


def _running(run: RunStatus) -> str:
    if run.beat is None:
        holder = run.holder or {}
        return printable(f"running: process {holder.get('pid')} on {holder.get('host')}")
    return f"running for {duration((run.moment - run.beat.owner.started_at).total_seconds())}"


def _counts(run: RunStatus, beat: Beat) -> list[str]:
    reading = beat.reading
    share = f" ({reading.done / reading.total:.1%})" if reading.total else ""
    rows = f"{reading.done:,} of {reading.total:,}{share}: {reading.ok:,} ok, {reading.failed:,} failed"
    if reading.resumed:
        rows += f"; {reading.resumed:,} by earlier runs"
    if run.outcomes is not None and run.outcomes > reading.done:
        rows += f"; the ledger has {run.outcomes:,} outcomes"
    calls = f"{reading.calls:,}, {reading.denied:,} denied, {reading.retries:,} repeated"
    if reading.spared:
        calls += f"; {reading.spared:,} rows needed none"
    return [f"  rows       {rows}", f"  calls      {calls}"]


def _waiting(beat: Beat) -> str:
    reading = beat.reading
    return (
        f"{reading.preparing:,} being prepared, {reading.ready:,} for a slot, "
        f"{reading.repeating:,} before a repeat, {reading.committing:,} for the ledger"
    )
