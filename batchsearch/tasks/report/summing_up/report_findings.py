"""What a report found in an output, before anybody writes it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchsearch.tasks.report.html_page import Gallery, Part
    from batchsearch.tasks.report.report_facts import Section
    from batchsearch.tasks.report.summing_up.first_words import Status
    from batchsearch.tasks.report.summing_up.needs import Need


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that is found in an output, for its page and its facts.

    Attributes:
        sections: What is stated.
        parts: The same as parts of the page.
        galleries: What can be browsed.
        needs: Who is needed for what.
        status: How things stand.
        sentence: What came of it.
    """

    sections: tuple[Section, ...]
    parts: tuple[Part, ...]
    galleries: tuple[Gallery, ...]
    needs: tuple[Need, ...]
    status: Status
    sentence: str
