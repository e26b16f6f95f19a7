"""Run one example DAG for one date as `dag.test()` does, and say how it ended; a script and a module."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent.parent / "configs" / "airflow"


def bag_of(path):
    """What a scheduler reads from a DAG file or a folder of them."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 2
        from airflow.models import DagBag
    return DagBag(str(path))


def load_dag(name):
    """The DAG of an example file."""
    bag = bag_of(EXAMPLES / f"{name}.py")
    assert not bag.import_errors, bag.import_errors
    (dag,) = bag.dags.values()
    return dag


def run_dag(name, date, retries=0):
    """Run it; its state and, by task, state, tries, and what was pushed to XCom.

    Retries wait for nothing, and there are as many as told.
    """
    dag = load_dag(name)
    for task in dag.tasks:
        settings = task.partial_kwargs if hasattr(task, "partial_kwargs") else vars(task)
        settings["retry_delay"] = timedelta(0)
        settings["retries"] = min(retries, settings.get("retries", 0))
    when = datetime.fromisoformat(date).replace(tzinfo=UTC)
    try:
        run = dag.test(logical_date=when)
    except TypeError:  # Airflow 2
        import airflow.providers.fab.auth_manager.models  # noqa: F401 - its tables are referred to

        run = dag.test(execution_date=when)
    tasks = {}
    for instance in run.get_task_instances():
        tasks[_name(instance)] = {"state": str(instance.state), "tries": instance.try_number, "xcom": {}}
    for pushed in _xcoms(run):
        tasks[_name(pushed)]["xcom"][pushed.key] = pushed.value
    return {"state": str(run.state), "tasks": tasks}


def _name(thing):
    return thing.task_id if thing.map_index < 0 else f"{thing.task_id}-{thing.map_index}"


def _xcoms(run):
    from airflow.utils.session import create_session

    try:
        from airflow.models.xcom import XComModel
    except ImportError:  # Airflow 2
        from airflow.models.xcom import XCom

        with create_session() as session:
            return session.query(XCom).filter_by(dag_id=run.dag_id, run_id=run.run_id).all()
    with create_session() as session:
        found = session.query(XComModel).filter_by(dag_id=run.dag_id, run_id=run.run_id).all()
        for pushed in found:
            value = XComModel.deserialize_value(pushed)
            session.expunge(pushed)
            pushed.value = value
        return found


if __name__ == "__main__":
    ended = run_dag(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.stdout.write(json.dumps(ended, default=str) + "\n")
    sys.exit(ended["state"] != "success")
