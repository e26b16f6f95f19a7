"""What the command line says of how a command shows what it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalOptions:
    """How a command shows what it does.

    Attributes:
        progress: Show progress on stderr.
        log_format: `console`, or `json` for events in place of the page.
        log_level: Events of this level and above.
        as_json: JSON was asked for: it stands in the page's place, on a terminal, too.
    """

    progress: bool = True
    log_format: str = "console"
    log_level: str = "info"
    as_json: bool = False

    @property
    def as_events(self) -> bool:
        """Whether events are JSON."""
        return self.log_format == "json"
