"""One night over several instances, and several tasks on one of them.

Two connections of the type `batchsearch`, each with region, instance name and access key, say which
instances there are:

    airflow connections add image_search_a --conn-type batchsearch --conn-login ID --conn-password SECRET \
        --conn-extra '{"region": "ap-southeast-1", "instance": "catalogue-a"}'

Tasks of one instance share its rate: `host` for those of one machine, `redis` (and a Redis server, which
the connection's extra `redis_url` names) for those of several. However many run at once, no more calls
leave than were bought.
"""

from datetime import UTC, datetime, timedelta

from batchsearch.airflow import NIGHT, BatchSearchOperator

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task

OUTPUT = "{{ var.value.get('batchsearch_output', '/var/tmp/batchsearch') }}/instances/" + NIGHT

# CHANGE: the night's shards, each with the instance that takes it. Written out here and not handed on by
# XCom, so that a task that is cleared finds its folder again.
SHARDS = [
    {
        "conn_id": "image_search_a",
        "manifest": "../../sample_data/queries.csv",
        "output_dir": OUTPUT + "/a-1",
    },
    {
        "conn_id": "image_search_a",
        "manifest": "../../sample_data/queries.parquet",
        "output_dir": OUTPUT + "/a-2",
    },
    {
        "conn_id": "image_search_b",
        "manifest": "../../sample_data/queries.csv",
        "output_dir": OUTPUT + "/b-1",
    },
]

with DAG(
    dag_id="batchsearch_several_instances",
    schedule="0 22 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 10, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["batchsearch"],
):
    search = BatchSearchOperator.partial(
        task_id="search",
        config="../demo.yaml",
        overrides={"instance.shared": "host"},
    ).expand_kwargs(SHARDS)

    @task
    def add_up(summaries: list[dict]) -> dict:
        """What all shards together came to."""
        return {name: sum(each[name] for each in summaries) for name in ("rows", "ok", "failed", "calls")}

    add_up(search.output)
