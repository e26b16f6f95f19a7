"""What a job told of itself when it ended, as the report repeats it: the same lines as on the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batchsearch.engine.run.closing import retry_command
from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.tasks.report.report_facts import FactColumn, FactTable
from batchsearch.telemetry.summary import summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.telemetry.summary import Summary


def summary_told(record: Mapping[str, Any], named: str) -> Summary | None:
    """The summary in a record, with what a record leaves out; None where it is none.

    Args:
        record: What `summary.json` says.
        named: The output folder, as its owner calls it.
    """
    told = summary_of(record)
    if told is None:
        return None
    return replace(
        told,
        advice={code: advice_on(code) for code in told.codes},
        meanings={code: meaning_of(code) for code in told.codes},
        again=retry_command(named, told.codes),
    )


def lines_of(told: Summary) -> list[tuple[str, str]]:
    """Every line of a run's page on the terminal, but failures by code and surprises: they are needs."""
    lines = told.counts()
    if told.again:
        lines.append(("ask again", told.again))
    if told.truth is not None:
        lines += told.truth.lines()
    return [*lines, *told.places()]


def told_table(lines: Sequence[tuple[str, str]]) -> FactTable:
    """Lines of a page on the terminal as a table."""
    columns = (FactColumn("label", "What", "text"), FactColumn("said", "As the job told it", "code"))
    return FactTable("told", "As the job told it when it ended", columns, tuple(lines))
