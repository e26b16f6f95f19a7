"""Every night: search for a catalogue's images, make sure that the output is whole, hand it on.

Runs as it stands, on an embedded instance and the sample data. For an instance of your own, change what
is marked CHANGE.

A task that is tried again goes on where it was: each night has its folder, named by the date of the DAG
run, and what was answered is kept there. So let it retry often; only the first try pays.
"""

from datetime import UTC, datetime, timedelta

from batchsearch.airflow import NIGHT, BatchSearchCheckOperator, BatchSearchOperator

try:
    from airflow.sdk import DAG, Asset, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import task

# CHANGE: a place that every worker sees, or set the Variable.
OUTPUT = "{{ var.value.get('batchsearch_output', '/var/tmp/batchsearch') }}/search/" + NIGHT

with DAG(
    dag_id="batchsearch_nightly_search",
    schedule="0 22 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 10, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["batchsearch"],
):
    search = BatchSearchOperator(
        task_id="search",
        # CHANGE: your job file; paths start from this file's folder.
        config="../demo.yaml",
        # CHANGE: the night's rows, such as "/data/new/{{ ds }}.parquet".
        manifest="../../sample_data/queries.csv",
        output_dir=OUTPUT,
        # CHANGE: a connection of the type `batchsearch` or `alibaba_cloud`. The embedded instance needs none.
        conn_id=None,
        # Any setting of the job file. Templates are filled in here as well.
        overrides={"results_per_row": 5},
        outlets=[Asset("batchsearch://catalogue/hits")],
        execution_timeout=timedelta(hours=8),
    )

    whole = BatchSearchCheckOperator(task_id="whole", output_dir=OUTPUT, retries=1)

    @task
    def hand_on(summary: dict) -> str:
        """Whatever comes next: the summary says where tonight's tables are."""
        print(f"{summary['ok']} of {summary['rows']} images searched with {summary['calls']} calls")  # noqa: T201 - a task's log
        return summary["hits_folder"]

    whole >> hand_on(search.output)
    search >> whole
