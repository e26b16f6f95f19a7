"""The guard before every deletion: a broken export must not empty an instance (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.config.sections.section import allowed_of
from batchsearch.errors import ManifestError

if TYPE_CHECKING:
    from pathlib import Path


def check_deletions(
    manifest: Path | str,
    *,
    present: int,
    missing: int,
    rows: int,
    max_deleted: str | float,
    anyway: bool,
) -> None:
    """Refuse to delete more images than a night may.

    Args:
        manifest: Named in the message.
        present: Images that the manifest has and some night has searched.
        missing: Images that it had once, and that are still to be deleted.
        rows: Rows of the manifest.
        max_deleted: A share of both together, or a number.
        anyway: Somebody has asked for it, this once.

    Raises:
        ManifestError: More are missing than may be deleted, or nothing is left.
    """
    if missing == 0:
        return
    where = str(manifest)
    if rows == 0:
        raise ManifestError.at(
            where,
            f"has no rows, and `dedup.sync: delete` would delete all {missing:,} images; an empty "
            "manifest never deletes. Nothing was changed. Look at the export; to empty an instance, "
            "run a DeleteImage job",
        )
    if anyway or missing <= allowed_of(max_deleted, present + missing):
        return
    share = 100 * missing / (present + missing)
    raise ManifestError.at(
        where,
        f"{missing:,} of {present + missing:,} images ({share:.1f} %) have left the manifest, and "
        f"`dedup.max_deleted` allows {max_deleted}. Nothing was changed. If the export is whole, run "
        "once with --delete-all-missing, or raise `dedup.max_deleted`",
    )


def check_shrink(
    manifest: Path | str, *, before: int | None, now: int, max_shrink: str | float | None
) -> None:
    """Refuse a manifest that has lost more rows than it may between two runs.

    Args:
        manifest: Named in the message.
        before: Rows at the last run; None where there was none.
        now: Rows that it has.
        max_shrink: A share of the rows before, or a number; None takes any manifest.

    Raises:
        ManifestError: It has lost more.
    """
    if max_shrink is None or not before or before - now <= allowed_of(max_shrink, before):
        return
    raise ManifestError.at(
        manifest,
        f"has {now:,} rows and had {before:,} at the last run; `manifest.max_shrink` allows it to "
        f"lose {max_shrink}. Nothing was called. If the export is whole, run once with "
        "`--set manifest.max_shrink=null`",
    )
