"""Who is needed for what: failures with their owner, clusters to be looked at, surprises, warnings (pure).

Each need leads to what it is about: `show` is a state of the page, as `app.js` keeps it in the address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from batchsearch.exit_codes import ExitCode
from batchsearch.service.codes.owners import OWNERS
from batchsearch.tasks.report.report_facts import FactColumn, FactTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from batchsearch.tasks.report.report_facts import Tone
    from batchsearch.telemetry.summary import Summary

_GRAVITY: Final[Mapping[str, int]] = {"bad": 0, "warn": 1, "plain": 2, "good": 3}
MOST_CODES: Final = 12
"""Codes that are needs one by one; all of them are among the outcomes."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that somebody should do.

    Attributes:
        what: What there is, a few words.
        detail: What it means; empty for nothing.
        advice: What to do; empty for nothing.
        owner: Who can; empty where it is whoever reads.
        count: How many it is about; None where that means nothing.
        command: What to type; empty for nothing.
        show: State of the page that shows it; empty for none.
        tone: How grave it is.
        is_ending: A run ended badly: it comes before others of its gravity, which may follow from it.
    """

    what: str
    detail: str = ""
    advice: str = ""
    owner: str = ""
    count: int | None = None
    command: str = ""
    show: str = ""
    tone: Tone = "warn"
    is_ending: bool = False


def state(view: str, **filters: object) -> str:
    """A state of the page: a gallery, and what is to be seen of it."""
    return urlencode({"view": view, **{name: str(value) for name, value in filters.items()}})


def needs_of_ending(told: Summary | None, title: str) -> list[Need]:
    """What a run needs that did not end well.

    Args:
        told: What it told of itself.
        title: What it is called here, such as `Search`.
    """
    if told is None or told.exit_code == ExitCode.DONE:
        return []
    words = told.ending() if title == "Run" else f"{title}: {told.ending()}"
    what, _, advice = words.partition("; ")
    tone: Tone = "warn" if told.exit_code == ExitCode.INCOMPLETE else "bad"
    if told.exit_code == ExitCode.TOO_MANY_FAILED:
        advice = "mend what the codes below say, then ask again for the failed rows"
    return [Need(what, told.message, advice, command=told.again, tone=tone, is_ending=True)]


def needs_of_failures(failed: FactTable | None, view: str, *, part: str = "", again: str = "") -> list[Need]:
    """A need for each code.

    Args:
        failed: Rows by outcome, as `run_facts.outcome_table` makes it.
        view: The gallery that has the failed rows; empty for none.
        part: Which part of the job they are of, where the gallery tells several apart.
        again: The command that asks again for them.
    """
    if failed is None:
        return []
    names = [column.name for column in failed.columns]
    rows = [dict(zip(names, row, strict=True)) for row in failed.rows]
    bad = [row for row in rows if row["outcome"] != "ok"]
    filters = {"part": part} if part else {}
    found = [
        Need(
            f"{row['outcome']}{f' ({part})' if part else ''}",
            row["meaning"] or "",
            row["advice"] or "",
            # An owner that another version wrote stays what it is.
            next((words.who for name, words in OWNERS.items() if name == row["owner"]), row["owner"] or ""),
            row["rows"],
            show=state(view, code=f"={row['outcome']}", **filters) if view else "",
            tone="bad",
        )
        for row in bad[:MOST_CODES]
    ]
    rest = sum(row["rows"] for row in bad[MOST_CODES:])
    if rest:
        left = f"{len(bad) - MOST_CODES:,} more codes"
        found.append(Need(left, "They are among the outcomes.", count=rest, tone="bad"))
    if again:
        what = "When the causes are mended, ask again for the failed rows"
        found.append(Need(what, command=again, tone="plain"))
    return found


def needs_of_truth(told: Summary | None, view: str) -> list[Need]:
    """A need for each surprise that is known by name, and one for the others."""
    if told is None or told.truth is None:
        return []
    truth = told.truth
    found = [
        Need(
            f"Surprise: row {key}",
            f"expected {wanted}, got {got}",
            "look at the row, or at what the manifest foretells of it",
            show=state(view, find=key),
        )
        for key, wanted, got in truth.surprises
    ]
    wrong = truth.first_hits_expected - truth.first_hits_found
    wrong += truth.outcomes_expected - truth.outcomes_matched
    left = wrong - len(truth.surprises)
    if left > 0:
        found.append(
            Need("Rows that came out otherwise than foretold", "beside those named here", count=left)
        )
    return found


def needs_of_review(kinds: Iterable[tuple[str, int]], open_pairs: int) -> list[Need]:
    """A need for each reason to look at clusters, and one for pairs that nobody has decided.

    Args:
        kinds: Reasons by kind, with how many clusters have them.
        open_pairs: Pairs that resemble and are for people.
    """
    found = [
        Need(
            "Clusters to be looked at",
            kind,
            "look at each, and mark its pairs same or different",
            count=count,
            show=state("clusters", why=kind),
        )
        for kind, count in kinds
    ]
    if open_pairs:
        found.append(
            Need(
                "Pairs for people",
                "recoloured, or alike without certainty; they are not accepted until somebody says so",
                "mark each same or different",
                count=open_pairs,
                show=state("products", accepted="open"),
            )
        )
    return found


def needs_of_lines(lines: Sequence[tuple[str, str]]) -> list[Need]:
    """Cautions that a job prints with its summary."""
    return [Need("Mind", text) for _, text in lines]


def needs_of_warnings(warnings: Iterable[str]) -> list[Need]:
    """What could not be checked."""
    return [Need("Not checked", warning) for warning in warnings]


def by_gravity(needs: Iterable[Need]) -> tuple[Need, ...]:
    """The gravest first; those of one gravity as they came."""
    return tuple(sorted(needs, key=lambda need: (_GRAVITY[need.tone], not need.is_ending)))


def needs_table(needs: Sequence[Need]) -> FactTable:
    """The needs as a table."""
    columns = (
        FactColumn("what", "What needs somebody", "code"),
        FactColumn("count", "How many", "count"),
        FactColumn("detail", "What it means", "code"),
        FactColumn("owner", "Who can mend it", "text"),
        FactColumn("advice", "What to do", "text"),
        FactColumn("command", "Command", "code"),
    )
    rows = tuple(
        (need.what, need.count, need.detail, need.owner, need.advice, need.command) for need in needs
    )
    return FactTable("needs", "Needs you", columns, rows)
