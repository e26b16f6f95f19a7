"""How a run ended: from the ledger, the counters and the sealed output to one summary."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch.engine.job.instance_worker import names_of, tier_of, workers_of
from batchsearch.errors import ExitCode
from batchsearch.service.codes.lookup import advice_on, meaning_of
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.telemetry.stats import counters_of
from batchsearch.telemetry.summary import Summary
from batchsearch.telemetry.truth import compare_with_truth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.engine.run.opened import Opened
    from batchsearch.errors import RunEndedError
    from batchsearch.telemetry.stats import Stats


_CODES_NAMED: Final = 3

_TOLD: Final = frozenset({ExitCode.ENDED, ExitCode.INCOMPLETE, ExitCode.DAMAGED})


@dataclass(frozen=True, slots=True)
class Ending:
    """How the pipeline came to its end.

    Attributes:
        unfinished: Rows are left without an outcome.
        ended: An answer that no row can survive ended it.
        damaged: Parts, ledger and manifest do not agree.
        why: What stopped it, for people; empty when nothing did.
        by: The answer that ended it: code, request id, and why access was denied.
    """

    unfinished: bool = False
    ended: bool = False
    damaged: bool = False
    why: str = ""
    by: Mapping[str, Any] | None = None

    @classmethod
    def after(cls, error: RunEndedError) -> Self:
        """The ending that an answer brought about which no row can survive."""
        by = {"code": error.code, "request_id": error.request_id, "access_denied_detail": error.denial}
        return cls(unfinished=True, ended=True, why=str(error), by=by)


def summarise(opened: Opened, stats: Stats, seconds: float, ending: Ending) -> Summary:
    """The summary of a run that is over, read from what is sealed and counted.

    Args:
        opened: What the run worked with.
        stats: What it did.
        seconds: How long it took.
        ending: How it came to its end.
    """
    settings = opened.settings
    codes = stats.all_codes
    failed = codes.total()
    exit_code = ExitCode.DONE
    if ending.damaged:
        exit_code = ExitCode.DAMAGED
    elif ending.ended:
        exit_code = ExitCode.ENDED
    elif ending.unfinished:
        exit_code = ExitCode.INCOMPLETE
    elif failed > settings.failures_allowed(opened.rows.total):
        exit_code = ExitCode.TOO_MANY_FAILED
    folder = Path(settings.output.dir)
    rate = stats.mean_rate()
    return Summary(
        exit_code=int(exit_code),
        run_id=opened.run_id,
        operation=settings.operation,
        instance=names_of(workers_of(settings)),
        rows=opened.rows.total,
        others=opened.rows.finished.others,
        done=stats.done,
        codes=dict(codes),
        **counters_of(stats, Summary) | {"ok": stats.done - failed, "failed": failed},
        seconds=round(seconds, 3),
        calls_per_second=rate and round(rate, 3),
        tier=tier_of(settings),
        results=str(folder / RESULTS),
        hits_folder=str(folder / HITS) if opened.operation.paged else "",
        left_out=opened.rows.manifest.left_out.as_dict(),
        message=ending.why if exit_code in _TOLD else "",
        truth=compare_with_truth(
            folder / RESULTS, folder / HITS, first_hit=opened.output.truth[0], outcome=opened.output.truth[1]
        ),
        ended_by=ending.by,
        advice={code: advice_on(code) for code in codes},
        again=retry_command(settings.output.dir, codes),
        meanings={code: meaning_of(code) for code in codes},
    )


def retry_command(folder: str, codes: Mapping[str, int]) -> str:
    """The command that asks again for the failed rows, as a shell takes it."""
    if not codes:
        return ""
    ordered = sorted(codes, key=lambda code: (-codes[code], code))
    which = f"--codes {shlex.quote(','.join(ordered))}" if len(ordered) <= _CODES_NAMED else "--failed"
    return f"batchsearch retry {shlex.quote(folder)} {which}"
