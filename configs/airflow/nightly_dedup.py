"""Every night: which products of the catalogue are the same?

All nights share one folder: each pays only for what is new or has changed since the last one.
Runs as it stands, on an embedded instance and the sample data.
"""

from datetime import UTC, datetime, timedelta

from batchsearch.airflow import DedupOperator

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task

with DAG(
    dag_id="batchsearch_nightly_dedup",
    schedule="0 1 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=False,
    # One folder, one run at a time: a second one would find it in use and be tried again.
    max_active_runs=1,
    default_args={"retries": 10, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["batchsearch"],
):
    dedup = DedupOperator(
        task_id="dedup",
        config="../nightly-dedup.yaml",
        output_dir="{{ var.value.get('batchsearch_output', '/var/tmp/batchsearch') }}/dedup",
        # A catalogue that takes several nights is not done in the morning: that is no failure here.
        accept=(4,),
    )

    @task
    def tell(summary: dict) -> str:
        """Where the pairs and clusters are."""
        return summary["output_dir"]

    tell(dedup.output)
