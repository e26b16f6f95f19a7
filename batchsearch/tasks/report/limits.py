"""How much a report holds: every bound in one place, each stated on the page when it was reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Bounds of one report.

    Attributes:
        rows: Most rows of a search in the gallery.
        pairs: Most pairs in a gallery of pairs.
        clusters: Most clusters in their gallery.
        thumbnails: Most thumbnails; 0 for a page without images.
        side: Longest side of a thumbnail, pixels.
        megabytes: Most megabytes of thumbnails, before base64 makes them a third larger.
        close_ups: Most thumbnails that are kept larger, for a close look.
        images: Folder that image paths start from, when it is no longer where the job says.
        fetch: Also fetch images whose references are addresses; else they stay on their hosts.
        dask: A Dask cluster that makes the thumbnails, as `workers.dask`; this process when None.
    """

    rows: int = 500
    pairs: int = 5_000
    clusters: int = 10_000
    thumbnails: int = 4_000
    side: int = 160
    megabytes: int = 32
    close_ups: int = 300
    images: Path | None = None
    fetch: bool = False
    dask: str | None = None
