"""How much a report holds: every bound in one place, each stated on the page when it was reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_ROWS: Final = 500
DEFAULT_PAIRS: Final = 5_000
DEFAULT_CLUSTERS: Final = 10_000
DEFAULT_THUMBNAILS: Final = 4_000
DEFAULT_SIDE: Final = 160
DEFAULT_MEGABYTES: Final = 32
DEFAULT_CLOSE_UPS: Final = 300


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

    rows: int = DEFAULT_ROWS
    pairs: int = DEFAULT_PAIRS
    clusters: int = DEFAULT_CLUSTERS
    thumbnails: int = DEFAULT_THUMBNAILS
    side: int = DEFAULT_SIDE
    megabytes: int = DEFAULT_MEGABYTES
    close_ups: int = DEFAULT_CLOSE_UPS
    images: Path | None = None
    fetch: bool = False
    dask: str | None = None
