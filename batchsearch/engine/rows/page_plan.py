"""Which calls a row needs: decided before any is made."""

from __future__ import annotations

from dataclasses import dataclass

from batchsearch.service.facts import MAX_NUM


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a row's results.

    Attributes:
        number: From 0.
        start: First entry asked for; None leaves the operation's own parameter as it is.
        num: Entries asked for; None likewise.
        last: No page comes after it.
    """

    number: int
    start: int | None
    num: int | None
    last: bool


def pages_of(results_per_row: int | None) -> tuple[Page, ...]:
    """The pages that bring so many results: as few calls as the service's page size allows.

    Args:
        results_per_row: Hits wanted for each row, 1 to 500; None: one call with its parameters as given.
    """
    if results_per_row is None:
        return (Page(0, None, None, last=True),)
    starts = range(0, results_per_row, MAX_NUM)
    return tuple(
        Page(number, start, min(MAX_NUM, results_per_row - start), last=start + MAX_NUM >= results_per_row)
        for number, start in enumerate(starts)
    )
