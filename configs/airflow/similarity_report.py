"""Once a week: how alike are the images of each pair?

Runs as it stands, on an embedded instance and the sample data.
"""

from datetime import UTC, datetime, timedelta

from batchsearch.airflow import NIGHT, CompareOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

with DAG(
    dag_id="batchsearch_similarity_report",
    schedule="0 3 * * 1",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 10, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["batchsearch"],
):
    CompareOperator(
        task_id="compare",
        config="../similarity-report.yaml",
        output_dir="{{ var.value.get('batchsearch_output', '/var/tmp/batchsearch') }}/compare/" + NIGHT,
        # Rows that failed are in the results with their codes; the report is of use without them.
        accept=(3,),
    )
