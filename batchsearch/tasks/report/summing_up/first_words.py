"""The verdict on an output: one sentence, and how things stand as the job itself says it (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.exit_codes import ExitCode
from batchsearch.tasks.dedup.dedup_page import night_ending_words
from batchsearch.tasks.report.words import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.tasks.report.report_facts import Tone
    from batchsearch.telemetry.summary import Summary

Status = tuple[str, "Tone"]

_TONES: Final[Mapping[int, Tone]] = {
    ExitCode.DONE: "good",
    ExitCode.TOO_MANY_FAILED: "bad",
    ExitCode.INCOMPLETE: "warn",
    ExitCode.ENDED: "bad",
    ExitCode.DAMAGED: "bad",
}
_GRAVITY: Final = tuple(int(code) for code in _TONES)
"""Exit codes of runs, the graver the later."""
_DONE: Final[Mapping[str, str]] = {
    "CheckImageExists": "images were looked up",
    "AddImage": "images were added",
    "UpdateImage": "images were updated",
    "DeleteImage": "images were deleted",
}
_DID: Final[Mapping[str, str]] = {
    "search": "rows were searched",
    "compare": "pairs have a score",
    "upkeep": "rows were done",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands.

    Attributes:
        kind: What kind of run it is.
        operation: What it calls; None where that is not known.
        ended: Rows that have their outcome in a part.
        ok: Of these, those that ended well.
        total: Rows of the manifest; None where nobody says.
        finished: Rows that have their outcome; None likewise.
        told: What the run told of itself when it ended; None while one works, or where it told nothing.
    """

    kind: str
    operation: str | None
    ended: int
    ok: int
    total: int | None
    finished: int | None
    told: Summary | None

    @property
    def failed(self) -> int:
        """Rows that ended with a code."""
        return self.ended - self.ok

    @property
    def is_unfinished(self) -> bool:
        """Whether rows of the manifest have no outcome yet."""
        return self.total is not None and (self.finished or 0) < self.total

    @property
    def share(self) -> float:
        """How much of the manifest has its outcome, 0 to 1."""
        return 1.0 if not self.total else min(1.0, (self.finished or 0) / self.total)


def status_of_run(run: Standing) -> Status:
    """How a run stands: by its own account where it gave one, else by what is there."""
    told = run.told
    if told is not None and told.exit_code != ExitCode.DONE:
        words = told.ending().partition(";")[0]
        return (f"{words}: {run.share:.0%}" if run.is_unfinished else words), _TONES.get(
            told.exit_code, "bad"
        )
    if run.is_unfinished:
        return f"not finished: {run.share:.0%}", "warn"
    done = "complete" if told is None else told.ending()
    return (f"{done}, {run.failed:,} failed", "warn") if run.failed else (done, "good")


def sentence_of_run(run: Standing, *, median: float | None = None) -> str:
    """What came of a run.

    Args:
        run: How it stands.
        median: The median of the scores of a comparison; None for none.
    """
    what = _DONE.get(run.operation or "", _DID[run.kind])
    said = [f"{run.ok:,} of {run.total if run.total is not None else run.ended:,} {what}"]
    if median is not None:
        said.append(f"their median is {written(median, 'exact_score')}")
    if run.failed:
        said.append(f"{run.failed:,} failed")
    truth = None if run.told is None else run.told.truth
    if truth is not None and truth.first_hits_expected:
        found = f"{truth.first_hits_found:,} of {truth.first_hits_expected:,}"
        said.append(f"{found} known copies came first")
    if run.is_unfinished:
        left = (run.total or 0) - (run.finished or 0)
        said.append(f"{left:,} have no outcome yet")
    return "; ".join(said) + "."


def status_of_night(record: Mapping[str, Any], runs: Sequence[tuple[str, Standing]]) -> Status:
    """How a night of dedup stands: as its record says, or as a run says that ended worse since.

    Args:
        record: What `dedup.json` says; empty where there is none.
        runs: Its search and its upkeep, by what they are called; each as it stands.
    """
    for title, run in runs:
        if run.is_unfinished and (run.told is None or not run.told.exit_code):
            return f"{title.lower()} not finished: {run.share:.0%}", "warn"
    said = record.get("exit_code")
    of_night = said if isinstance(said, int) and not isinstance(said, bool) else int(ExitCode.DONE)
    told = [(title, run) for title, run in runs if run.told is not None]
    worst = max(told, key=lambda each: _gravity(_code(each[1])), default=None)
    if worst is not None and _gravity(_code(worst[1])) > _gravity(of_night):
        words, tone = status_of_run(worst[1])
        return f"{worst[0].lower()} {words}", tone
    if record.get("complete") is False and of_night == ExitCode.DONE:
        return "not every row is searched yet", "warn"
    words = night_ending_words(of_night).partition(";")[0] if record or told else "complete"
    failed = sum(run.failed for _, run in runs)
    if of_night == ExitCode.DONE and failed:
        return f"{words}, {failed:,} failed", "warn"
    return words, _TONES.get(of_night, "bad")


def _code(run: Standing) -> int:
    return int(ExitCode.DONE) if run.told is None else run.told.exit_code


def _gravity(exit_code: int) -> int:
    return _GRAVITY.index(exit_code) if exit_code in _GRAVITY else len(_GRAVITY)


def sentence_of_night(
    record: Mapping[str, Any], *, written: bool, members: int, clusters: int, flagged: int, open_pairs: int
) -> str:
    """What came of a night.

    Args:
        record: What `dedup.json` says; empty where there is none.
        written: Whether there is a table of clusters.
        members: Products in clusters.
        clusters: Clusters.
        flagged: Clusters to be looked at.
        open_pairs: Pairs that are for people.
    """
    if not written:
        return "Which products are duplicates is not known yet: no night has come so far."
    duplicates = members - clusters
    products = record.get("products")
    of = f" of {products:,} products" if isinstance(products, int) else " products"
    if not duplicates:
        found = f"None{of} is a duplicate" if isinstance(products, int) else "No product is a duplicate"
    elif duplicates == 1:
        found = f"1{of} is a duplicate" if isinstance(products, int) else "1 product is a duplicate"
    else:
        found = f"{duplicates:,}{of} are duplicates"
    needed = [
        f"{count:,} {one if count == 1 else many}"
        for count, one, many in ((flagged, "cluster", "clusters"), (open_pairs, "pair", "pairs"))
        if count
    ]
    one = (flagged + open_pairs) == 1
    needs = f"{' and '.join(needed)} {'needs' if one else 'need'} you" if needed else "nothing needs you"
    return f"{found}; {needs}."
