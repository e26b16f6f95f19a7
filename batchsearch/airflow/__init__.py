"""`batchsearch` for Apache Airflow 2.11 and 3: a provider with a hook and operators.

::

    BatchSearchOperator      `batchsearch run`      rows of a manifest, searched or compared
    DedupOperator            `batchsearch dedup`    which products are the same
    CompareOperator          `batchsearch compare`  how alike pairs of images are
    BatchSearchCheckOperator `batchsearch verify`   whether an output is whole
    BatchSearchHook          connections of the types `batchsearch` and `alibaba_cloud`
    NIGHT                    template of the date that a DAG run is for

Work is done by a child process, so that a task's memory, signals and event loop stay its own. What is
answered is kept in the output folder: a task that is retried resumes.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Final

_found = importlib.util.find_spec("airflow")
if _found is None or _found.origin is None:  # without an origin it is some folder of that name
    raise ImportError(
        "batchsearch.airflow needs Apache Airflow: install batchsearch into Airflow's environment, or "
        "pip install 'batchsearch[airflow]'"
    )

if TYPE_CHECKING:
    from batchsearch.airflow.hook import BatchSearchHook
    from batchsearch.airflow.night import NIGHT
    from batchsearch.airflow.operators import BatchSearchOperator, CompareOperator, DedupOperator
    from batchsearch.airflow.verifying import BatchSearchCheckOperator

__all__ = [
    "NIGHT",
    "BatchSearchCheckOperator",
    "BatchSearchHook",
    "BatchSearchOperator",
    "CompareOperator",
    "DedupOperator",
]

_PLACES: Final = {
    "NIGHT": "night",
    "BatchSearchCheckOperator": "verifying",
    "BatchSearchHook": "hook",
    "BatchSearchOperator": "operators",
    "CompareOperator": "operators",
    "DedupOperator": "operators",
}


def __getattr__(name: str) -> object:
    """Import a name when it is asked for: Airflow reads the provider's description without its operators."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
