"""The command line in a BashOperator: its exit code and the last line of its output say all.

Where Airflow's own environment is not to hold batchsearch, the command may be that of any other.
The operators of `batchsearch.airflow` do more: they end the task at once where another try is of no use,
and stop in good order.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.operators.bash import BashOperator

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import AirflowFailException

NIGHT = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"

COMMAND = """
batchsearch run "$CONFIG" --set "output.dir=$OUTPUT" --log-format json
code=$?
# 3: too many rows failed; 5: no permission, no such instance; 6: the output is damaged; 64, 65: job file or
# manifest. Another try would end the same way, so this one is the last: the next task judges. Any other code:
# try again, it resumes.
case $code in 3 | 5 | 6 | 64 | 65) exit 0 ;; *) exit $code ;; esac
"""

with DAG(
    dag_id="batchsearch_by_command_line",
    schedule="0 22 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 10, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["batchsearch"],
):
    search = BashOperator(
        task_id="search",
        bash_command=COMMAND,
        env={
            "CONFIG": str(Path(__file__).resolve().parent.parent / "demo.yaml"),
            "OUTPUT": "{{ var.value.get('batchsearch_output', '/var/tmp/batchsearch') }}/bash/" + NIGHT,
        },
        # Credentials come this way: from the worker's environment, never in the command.
        append_env=True,
    )

    @task(retries=0)
    def judge(last_line: str) -> dict:
        """The summary, if the run is one to go on with."""
        summary = json.loads(last_line)
        if summary["exit_code"] != 0:
            raise AirflowFailException(f"exit code {summary['exit_code']}: {summary.get('message')}")
        return summary

    judge(search.output)
