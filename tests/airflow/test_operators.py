"""Operators by themselves: what reaches the child, what is refused, what Airflow is told."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from one_task import DAG, made

from batchsearch.airflow import (
    NIGHT,
    BatchSearchCheckOperator,
    BatchSearchOperator,
    CompareOperator,
    DedupOperator,
)
from batchsearch.airflow.lineage import tables_of
from batchsearch.airflow.sdk import AirflowException, AirflowFailException, BaseOperator
from batchsearch.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "command"),
    [(BatchSearchOperator, "run"), (DedupOperator, "dedup"), (CompareOperator, "compare")],
)
def test_settings_become_arguments(kind, command, python, context, tmp_path):
    """Each operator is its command; paths start from the DAG's file, values are as `--set` takes them."""
    task = made(
        kind,
        config="jobs/job.yaml",
        manifest=f"{tmp_path}/rows.csv",
        output_dir="s3://bucket/out",
        overrides={"instance.qps": 5, "manifest.key": ["a", "b"], "parameters.filter": "int_attr > 1"},
        until="06:00",
        max_calls=10,
        dask="tcp://scheduler:8786",
        python=python.path,
    )
    assert task.execute(context) == {"status": "done", "rows": 3, "output_dir": "s3://bucket/out"}
    folder = Path(__file__).parent
    assert python.told()["arguments"] == [
        *("-m", "batchsearch.child", command, f"{folder}/jobs/job.yaml"),
        *("--set", f"manifest.path={tmp_path}/rows.csv"),
        *("--set", "output.dir=s3://bucket/out"),
        *("--set", "instance.qps=5"),
        *("--set", 'manifest.key=["a", "b"]'),
        *("--set", "parameters.filter=int_attr > 1"),
        *("--until", "06:00", "--max-calls", "10", "--dask", "tcp://scheduler:8786"),
        *("--log-format", "json", "--log-level", "info"),
    ]


def test_what_changes_by_night_is_a_template(context):
    """Configuration, settings, manifest, output, connection and environment are filled in for the run."""
    task = made(
        BatchSearchOperator,
        config="{{ ds }}.yaml",
        manifest="/in/{{ ds }}.parquet",
        output_dir="/out/" + NIGHT,
        overrides={"parameters.filter": "{{ ds_nodash }}"},
        conn_id="c_{{ ds_nodash }}",
        dask="tcp://scheduler-{{ ds_nodash }}:8786",
        env={"DAY": "{{ ds }}"},
    )
    night = datetime(2026, 11, 20, tzinfo=UTC)
    run = SimpleNamespace(logical_date=night, run_after=None)
    task.render_template_fields({"ds": "2026-11-20", "ds_nodash": "20261120", "dag_run": run})
    assert (task.config, task.manifest) == ("2026-11-20.yaml", "/in/2026-11-20.parquet")
    assert task.output_dir == "/out/2026-11-20"
    assert (task.overrides, task.conn_id) == ({"parameters.filter": "20261120"}, "c_20261120")
    assert task.env == {"DAY": "2026-11-20"}
    assert task.dask == "tcp://scheduler-20261120:8786"


def test_a_run_without_a_logical_date_has_a_night_too():
    """A run of Airflow 3 that was started by hand is named by when it was due."""
    task = made(BatchSearchOperator, config="c", output_dir=NIGHT)
    due = SimpleNamespace(logical_date=None, run_after=datetime(2026, 11, 21, 3, tzinfo=UTC))
    task.render_template_fields({"dag_run": due})
    assert task.output_dir == "2026-11-21"


def test_an_output_never_comes_from_xcom():
    """Neither an upstream task's output nor a template that pulls one says where results go."""
    with pytest.raises(ConfigError, match="XCom"):
        made(BatchSearchOperator, config="c", output_dir="{{ ti.xcom_pull('before') }}")
    with DAG(dag_id="handed_on", schedule=None):
        before = BatchSearchOperator(task_id="before", config="c")
        with pytest.raises(ConfigError, match="XCom"):
            BatchSearchOperator(task_id="after", config="c", output_dir=before.output)
        with pytest.raises(ConfigError, match="XCom"):
            BatchSearchCheckOperator(task_id="check", output_dir=before.output)


def test_default_arguments_reach_every_setting():
    """A DAG's `default_args` give settings to all its tasks."""
    with DAG(dag_id="defaults", schedule=None, default_args={"conn_id": "c", "python": "/p", "retries": 7}):
        task = BatchSearchOperator(task_id="it", config="c")
    assert (task.conn_id, task.python, task.retries) == ("c", "/p", 7)


@pytest.mark.parametrize(
    ("ending", "accept", "raises"),
    [
        ((3, '{"exit_code": 3, "codes": {"Local.ImageMissing": 2}}'), (), AirflowFailException),
        ((3, '{"exit_code": 3}'), (3,), None),
        ((4, '{"exit_code": 4}'), (), AirflowException),
        ((4, '{"exit_code": 4}'), (4,), None),
        ((5, '{"exit_code": 5, "status": "ended by an error"}'), (3, 4), AirflowFailException),
        ((74, '{"exit_code": 74, "status": "failed", "message": "disk full"}'), (), AirflowException),
        ((70, '{"exit_code": 70, "status": "failed", "message": "a defect"}'), (), AirflowException),
        ((64, '{"exit_code": 64, "status": "failed"}'), (), AirflowFailException),
        ((65, '{"exit_code": 65, "status": "failed"}'), (), AirflowFailException),
        ((75, '{"exit_code": 75, "status": "failed"}'), (), AirflowException),
        ((1, "Traceback"), (), AirflowException),
    ],
)
def test_the_exception_says_whether_to_try_again(python, context, ending, accept, raises):
    """Exit code and last line decide; the summary is pushed beside the exception."""
    ends, says = ending
    env = {"ENDS": str(ends), "SAYS": says}
    task = made(BatchSearchOperator, config="c", python=python.path, accept=accept, env=env)
    if raises is None:
        assert task.execute(context)["exit_code"] == ends
        return
    with pytest.raises(AirflowException, match=f"exit code {ends}") as raised:
        task.execute(context)
    assert raised.type is raises
    assert context["ti"].pushed["summary"].get("exit_code") == (None if ends == 1 else ends)


def test_only_what_leaves_the_output_in_order_can_be_accepted():
    """A bad job file never counts as success."""
    with pytest.raises(ConfigError, match="not 64"):
        made(BatchSearchOperator, config="c", accept=(64,))


def test_an_interpreter_that_is_not_there_ends_the_task(context):
    """Another try would not find it either."""
    task = made(BatchSearchOperator, config="c", python="/no/such/python")
    with pytest.raises(AirflowFailException, match="/no/such/python"):
        task.execute(context)


def test_what_an_asset_is_told(python, context):
    """DAGs that wait for the asset learn where tonight's tables are."""
    try:
        from airflow.sdk import Asset
    except ImportError:  # Airflow 2
        from airflow.datasets import Dataset as Asset
    asset = Asset("batchsearch://catalogue/hits")
    event = SimpleNamespace(extra={})

    class Events:
        def __getitem__(self, outlet):
            return {asset.uri: event}[outlet.uri]

    context["outlet_events"] = Events()
    task = made(
        BatchSearchOperator, config="c", python=python.path, output_dir="/out/tonight", outlets=[asset]
    )
    task.execute(context)
    assert event.extra == {"status": "done", "rows": 3, "output_dir": "/out/tonight"}


def test_lineage_names_what_was_read_and_written(python, context):
    """OpenLineage is told the manifest and the tables, each by its place and with its rows."""
    pytest.importorskip("airflow.providers.openlineage")
    says = '{"done": 7, "hits": 30, "results": "/out/results", "hits_folder": "s3://bucket/out/hits"}'
    task = made(
        BatchSearchOperator, config="c", python=python.path, manifest="/in/rows.parquet", env={"SAYS": says}
    )
    task.execute(context)
    lineage = task.get_openlineage_facets_on_complete(None)
    assert [(one.namespace, one.name) for one in lineage.inputs] == [("file", "/in/rows.parquet")]
    assert [(one.namespace, one.name) for one in lineage.outputs] == [
        ("file", "/out/results"),
        ("s3://bucket", "out/hits"),
    ]
    assert [one.outputFacets["outputStatistics"].rowCount for one in lineage.outputs] == [7, 30]


def test_lineage_of_dedup_names_its_own_tables():
    """Pairs and clusters lie in the folder that its summary names."""
    summary = {
        "folder": "/out",
        "products": 9,
        "pairs": 4,
        "members": 5,
        "search": {"results": "/out/search"},
    }
    assert tables_of(summary) == {"/out/pairs": 4, "/out/clusters": 5}


def test_the_operators_are_operators_of_this_airflow():
    """Whichever Airflow it is, a task is one of its own."""
    assert issubclass(BatchSearchOperator, BaseOperator)
    assert set(BatchSearchOperator.template_fields) >= {"config", "overrides", "manifest", "output_dir"}
