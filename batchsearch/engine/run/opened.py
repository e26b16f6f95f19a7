"""What a job works with, once everything is checked: its output, its rows, and what the run is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.parts.exchange import Generations
    from batchsearch.engine.parts.sealer import Writers
    from batchsearch.engine.renewal.change_detection import Finished
    from batchsearch.engine.run.manifest_reading import ManifestReading
    from batchsearch.manifest.source import Manifest
    from batchsearch.service.operations import Operation
    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.remote.mirror import Mirror


@dataclass(frozen=True, slots=True)
class OpenedOutput:
    """An output that is this run's alone.

    Attributes:
        ledger: What is known of its rows.
        writers: Write what becomes of them.
        generations: Exchanges the parts that readers see.
        passthrough: The manifest's columns in it, over all nights.
        truth: Results columns that say what should come out: of the first hit, of the outcome.
        mirror: Carries it to an object store, and knows whether it is this run's still.
    """

    ledger: Ledger
    writers: Writers
    generations: Generations
    passthrough: pa.Schema
    truth: tuple[str | None, str | None]
    mirror: Mirror | None = None


@dataclass(frozen=True, slots=True)
class OpenedRows:
    """The rows of a manifest, and what is to be done for them.

    Attributes:
        manifest: Gives them.
        total: How many there are.
        finished: What earlier runs have made of them, and what stands of it.
        reading: Knows what becomes of each.
        only_renewed: Rows without an outcome are left alone.
    """

    manifest: Manifest
    total: int
    finished: Finished
    reading: ManifestReading
    only_renewed: bool = False

    @property
    def left(self) -> int:
        """Rows that this run is to work on."""
        return self.finished.renewed.total() if self.only_renewed else self.total - self.finished.rows


@dataclass(frozen=True, slots=True)
class Opened:
    """What a job works with.

    Attributes:
        settings: The job.
        operation: Operation called.
        run_id: This run's name.
        round_began: When the round of runs began that this one belongs to, seconds since 1970.
        output: Where its outcomes go.
        rows: What it is to do.
    """

    settings: JobSettings
    operation: Operation
    run_id: str
    round_began: float
    output: OpenedOutput
    rows: OpenedRows
