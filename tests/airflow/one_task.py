"""A task by itself."""

from datetime import UTC, datetime

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG


def made(kind, **arguments):
    """An operator in a DAG of this file."""
    with DAG(dag_id="by_itself", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        dag.fileloc = __file__
        return kind(task_id="it", **arguments)
