"""Which night a DAG run is for, and why an output folder is never handed on by XCom."""

from __future__ import annotations

from typing import Final

from batchsearch.errors import ConfigError

NIGHT: Final = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"
"""The date of the DAG run, as `2026-11-22`: its logical date, or when it was due for a run that has none
(Airflow 3, started by hand). The same for every try of every task, whenever it really runs."""


def check_output_dir(output_dir: object) -> None:
    """Refuse an output folder that a retry might not find again.

    Raises:
        ConfigError: It comes from XCom: those are cleared when a task is, and the next try would begin anew
            elsewhere; or it is no text.
    """
    if output_dir is None or (isinstance(output_dir, str) and "xcom" not in output_dir.lower()):
        return
    if isinstance(output_dir, str) or hasattr(output_dir, "operator"):
        raise ConfigError(
            "output_dir must not come from XCom: a task that is cleared would not find its earlier work. "
            "Derive it from the DAG run's date, such as output_dir='/data/out/' + NIGHT"
        )
    raise ConfigError(f"output_dir is a path as text, not {type(output_dir).__name__}")
