"""Spends the call slots of an Alibaba Cloud Image Search instance well.

From a program or a notebook::

    import batchsearch

    plan = batchsearch.plan("nightly.yaml")
    result = batchsearch.run("nightly.yaml", overrides={"instance.qps": 5})
    results = result.to_pandas()

`run`, `run_compare`, `run_dedup`, `run_load`, `plan`, `check` and `usage` work anywhere, also where an event
loop is running; each has a form with an `a` before its name to be awaited. Errors are those of
`batchsearch.errors`. Everything else in this package is its own business and may change.
"""

from __future__ import annotations

import importlib
import sys

from batchsearch._version import __version__

# Importing `typing` would take half of the time that a command has before it can heed a signal.
TYPE_CHECKING = False

if sys.platform == "win32":
    raise ImportError(
        "batchsearch needs Linux or macOS: Windows has neither the file locks nor the signals that it is "
        "built on; install it in WSL (`wsl --install`) or run it in a Linux container"
    )

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.errors import (
        BatchsearchError,
        ConfigError,
        ExitCode,
        MachineError,
        ManifestError,
        MissingExtraError,
        OutputDamagedError,
        OutputError,
        OutputInUseError,
        Problem,
        RunEndedError,
        StoppedEarlyError,
        StoppedError,
    )
    from batchsearch.pages.next_steps import NextStep
    from batchsearch.python_api.clusters import DaskLike
    from batchsearch.python_api.jobs import JobLike, Overrides, load
    from batchsearch.python_api.looking import acheck, aplan, ausage, check, open_output, plan, usage
    from batchsearch.python_api.manifests import ArrowStream, ManifestLike
    from batchsearch.python_api.output import (
        CompareResult,
        DedupResult,
        LoadResult,
        Output,
        RunFailedError,
        RunResult,
    )
    from batchsearch.python_api.runs import (
        arun,
        arun_compare,
        arun_dedup,
        arun_load,
        run,
        run_compare,
        run_dedup,
        run_load,
    )
    from batchsearch.python_api.stopping import Stop
    from batchsearch.storage.parts.usage_table import UsageLine
    from batchsearch.tasks.check.check_page import CheckPage, CheckTally
    from batchsearch.tasks.compare.comparison import Comparison
    from batchsearch.tasks.compare.matrix import Matrix
    from batchsearch.tasks.compare.pairs_table import MadeOf
    from batchsearch.tasks.compare.statistics import Bar, Extreme, GroupScores
    from batchsearch.tasks.dedup.dedup_page import DedupSummary
    from batchsearch.tasks.load.journal_records import EndedTask
    from batchsearch.tasks.load.load_page import LoadSummary
    from batchsearch.tasks.plan.batch_way import BatchWay
    from batchsearch.tasks.plan.estimate import Needed, Pace, Plan, Price, Refused
    from batchsearch.tasks.plan.seen_images import SeenImages
    from batchsearch.telemetry.reading import Reading
    from batchsearch.telemetry.summary import Summary, Truth

if TYPE_CHECKING:
    from typing import Any, Final


__all__ = [
    "ArrowStream",
    "Bar",
    "BatchWay",
    "BatchsearchError",
    "CheckPage",
    "CheckTally",
    "CompareResult",
    "Comparison",
    "ConfigError",
    "DaskLike",
    "DedupResult",
    "DedupSummary",
    "EndedTask",
    "ExitCode",
    "Extreme",
    "GroupScores",
    "JobLike",
    "JobSettings",
    "LoadResult",
    "LoadSummary",
    "MachineError",
    "MadeOf",
    "ManifestError",
    "ManifestLike",
    "Matrix",
    "MissingExtraError",
    "Needed",
    "NextStep",
    "Output",
    "OutputDamagedError",
    "OutputError",
    "OutputInUseError",
    "Overrides",
    "Pace",
    "Plan",
    "Price",
    "Problem",
    "Reading",
    "Refused",
    "RunEndedError",
    "RunFailedError",
    "RunResult",
    "SeenImages",
    "Stop",
    "StoppedEarlyError",
    "StoppedError",
    "Summary",
    "Truth",
    "UsageLine",
    "__version__",
    "acheck",
    "aplan",
    "arun",
    "arun_compare",
    "arun_dedup",
    "arun_load",
    "ausage",
    "check",
    "load",
    "open_output",
    "plan",
    "run",
    "run_compare",
    "run_dedup",
    "run_load",
    "usage",
]

_HOMES: Final = {
    "tasks.compare.comparison": ("Comparison",),
    "tasks.compare.matrix": ("Matrix",),
    "tasks.compare.pairs_table": ("MadeOf",),
    "tasks.compare.statistics": ("Bar", "Extreme", "GroupScores"),
    "config.model": ("JobSettings",),
    "tasks.dedup.dedup_page": ("DedupSummary",),
    "tasks.plan.batch_way": ("BatchWay",),
    "tasks.plan.estimate": ("Needed", "Pace", "Plan", "Price", "Refused"),
    "tasks.plan.seen_images": ("SeenImages",),
    "tasks.load.journal_records": ("EndedTask",),
    "tasks.load.load_page": ("LoadSummary",),
    "storage.parts.usage_table": ("UsageLine",),
    "python_api.clusters": ("DaskLike",),
    "python_api.jobs": ("JobLike", "Overrides", "load"),
    "python_api.looking": ("acheck", "aplan", "ausage", "check", "open_output", "plan", "usage"),
    "python_api.manifests": ("ArrowStream", "ManifestLike"),
    "python_api.output": (
        "CompareResult",
        "DedupResult",
        "LoadResult",
        "Output",
        "RunFailedError",
        "RunResult",
    ),
    "python_api.runs": (
        "arun",
        "arun_compare",
        "arun_dedup",
        "arun_load",
        "run",
        "run_compare",
        "run_dedup",
        "run_load",
    ),
    "python_api.stopping": ("Stop",),
    "tasks.check.check_page": ("CheckPage", "CheckTally"),
    "pages.next_steps": ("NextStep",),
    "telemetry.reading": ("Reading",),
    "telemetry.summary": ("Summary", "Truth"),
}
"""Where names are that are no errors: imported when first asked for, so that `import batchsearch` costs
nothing."""

_HOME_OF: Final = dict.fromkeys(__all__, "errors") | {
    name: home for home, names in _HOMES.items() for name in names
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
