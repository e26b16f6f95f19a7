"""How a run ended: from the ledger, the counters and the sealed output to one summary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.engine.codes import advice_on
from batchsearch.errors import ExitCode
from batchsearch.output.parts import HITS, RESULTS
from batchsearch.reporting.summary import Summary
from batchsearch.reporting.truth import compare_with_truth

if TYPE_CHECKING:
    from batchsearch.engine.opening import Opened
    from batchsearch.engine.stats import Stats
    from batchsearch.errors import RunEndedError


def summarise(
    opened: Opened, stats: Stats, seconds: float, ended: RunEndedError | None, unfinished: bool
) -> Summary:
    """The summary of a run that is over, read from what is sealed and counted.

    Args:
        opened: What the run worked with.
        stats: What it did.
        seconds: How long it took.
        ended: The error that no row can survive, when one ended it.
        unfinished: Rows are left without an outcome.
    """
    settings = opened.settings
    codes: Counter[str] = Counter()
    for (code, _), count in opened.ledger.outcomes().items():
        if code is not None:
            codes[code] += count
    done = opened.ledger.finished_count()
    failed = codes.total()
    exit_code = ExitCode.DONE
    if ended is not None:
        exit_code = ExitCode.ENDED
    elif unfinished:
        exit_code = ExitCode.INCOMPLETE
    elif failed > settings.failures_allowed(opened.total):
        exit_code = ExitCode.TOO_MANY_FAILED
    folder = Path(settings.output.dir)
    return Summary(
        exit_code=int(exit_code),
        run_id=opened.run_id,
        operation=settings.operation,
        instance=settings.instance.name,
        rows=opened.total,
        done=stats.done,
        resumed=stats.resumed,
        ok=done - failed,
        failed=failed,
        codes=dict(codes),
        calls=stats.calls,
        denied=stats.denied,
        retries=stats.retries,
        hits=stats.hits,
        seconds=round(seconds, 3),
        calls_per_second=round(stats.mean_rate(), 3),
        tier=settings.instance.qps,
        results=str(folder / RESULTS),
        hits_folder=str(folder / HITS),
        message=str(ended) if ended is not None else "",
        truth=compare_with_truth(
            folder / RESULTS, folder / HITS, first_hit=opened.truth[0], outcome=opened.truth[1]
        ),
        advice={code: advice_on(code) for code in codes},
    )
