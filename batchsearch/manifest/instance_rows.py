"""Which rows go to which of a job's instances (pure)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstanceRows:
    """Which rows go to an instance.

    Attributes:
        column: The manifest's column that names the instance of each row.
        name: This one's name.
        elsewhere: Names of the job's other instances, when this is the one for rows that name none, or one
            that the job does not have; None for any other.
    """

    column: str
    name: str
    elsewhere: frozenset[str] | None

    def takes(self, named: object) -> bool:
        """Whether a row is one of them, by the instance that it names; None where it names none."""
        said = "" if named is None else str(named)
        return said == self.name if self.elsewhere is None else said not in self.elsewhere
