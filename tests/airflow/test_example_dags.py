"""The example DAGs, run as they stand."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from one_task import made
from processes import wait_for
from run_dag import EXAMPLES, bag_of, load_dag

from batchsearch.airflow import BatchSearchCheckOperator
from batchsearch.airflow.sdk import AirflowFailException

NIGHT = "2026-11-20"
NIGHT_TEMPLATE = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"


def test_every_example_is_a_dag_without_errors():
    """A scheduler reads the folder, finds one DAG in each file, and has nothing to complain of."""
    bag = bag_of(EXAMPLES)
    assert not bag.import_errors
    assert {Path(dag.fileloc).stem for dag in bag.dags.values()} == {
        path.stem for path in EXAMPLES.glob("*.py")
    }


def test_a_night_of_search(run, place):
    """The output is where the date says, is whole, and what comes next is told where it is."""
    ended = run("nightly_search", NIGHT)
    assert ended["state"] == "success", ended
    summary = ended["tasks"]["search"]["xcom"]["return_value"]
    assert (summary["status"], summary["rows"], summary["ok"]) == ("done", 229, 220)
    assert summary["output_dir"] == str(place / "search" / NIGHT)
    assert len(json.dumps(summary)) < 4000
    assert ended["tasks"]["hand_on"]["xcom"]["return_value"] == summary["hits_folder"]
    assert pd.read_parquet(summary["results"])["row_key"].is_unique

    again = run("nightly_search", NIGHT)
    assert again["state"] == "success", again
    repeated = again["tasks"]["search"]["xcom"]["return_value"]
    assert (repeated["calls"], repeated["resumed"]) == (0, 229)


def test_a_broken_output_is_not_handed_on(run, place, context):
    """The check says what is wrong, and that another look would find the same."""
    ended = run("nightly_search", NIGHT)
    assert ended["state"] == "success", ended
    folder = place / "search" / NIGHT
    check = made(BatchSearchCheckOperator, output_dir=str(folder))
    assert check.execute(context)["status"] == "whole"
    hits = next((folder / "hits").glob("*.parquet"))
    hits.write_bytes(hits.read_bytes()[:-100])
    with pytest.raises(AirflowFailException, match="verify ended with exit code 3"):
        check.execute(context)
    assert context["ti"].pushed["summary"]["exit_code"] == 3


def test_nights_of_dedup_share_a_folder(run, place):
    """The second night pays nothing, as nothing is new."""
    first = run("nightly_dedup", NIGHT)
    assert first["state"] == "success", first
    assert (place / "dedup" / "dedup.json").exists()
    assert first["tasks"]["tell"]["xcom"]["return_value"] == str(place / "dedup")
    second = run("nightly_dedup", "2026-11-21")
    assert second["state"] == "success", second
    before, after = (each["tasks"]["dedup"]["xcom"]["return_value"] for each in (first, second))
    assert (before["search"]["calls"], after["search"]["calls"]) == (before["products"], 0)
    assert after["clusters"] == before["clusters"] > 0


def test_pairs_are_compared(run, place):
    """The summary of `compare` is the task's result."""
    ended = run("similarity_report", NIGHT)
    assert ended["state"] == "success", ended
    summary = ended["tasks"]["compare"]["xcom"]["return_value"]
    assert summary["output_dir"] == str(place / "compare" / NIGHT)
    assert len(pd.read_parquet(place / "compare" / NIGHT / "results")) == 48


def test_the_command_line_alone(run, place):
    """A BashOperator hands on the last line, which is the summary."""
    ended = run("by_command_line", NIGHT)
    assert ended["state"] == "success", ended
    assert ended["tasks"]["judge"]["xcom"]["return_value"]["rows"] == 229
    assert (place / "bash" / NIGHT / "results").is_dir()


def test_the_command_line_alone_says_what_is_final(run, place, monkeypatch):
    """Too many failed rows: the BashOperator ends without a retry, and the next task judges."""
    monkeypatch.setenv("BATCHSEARCH__MAX_FAILED", "0")
    ended = run("by_command_line", NIGHT, 2)
    assert ended["tasks"]["search"]["tries"] == 1
    assert ended["tasks"]["judge"] == {"state": "failed", "tries": 1, "xcom": {}}


def test_several_instances_and_tasks_that_share_one(instances, start, place, monkeypatch):
    """Two nights at once on the same two instances: their calls together stay within each one's rate."""
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__QPS", "40")
    for conn_id in ("image_search_a", "image_search_b"):
        instances(conn_id, qps=40)
    nights = [start("several_instances", date, 0) for date in ("2026-11-18", "2026-11-19")]
    for night in nights:
        ended = night.ended()
        assert ended is not None, night.log()
        assert ended["state"] == "success", night.log()
        shards = [ended["tasks"][f"search-{number}"]["xcom"]["return_value"] for number in range(3)]
        assert [Path(shard["output_dir"]).name for shard in shards] == ["a-1", "a-2", "b-1"]
        total = ended["tasks"]["add_up"]["xcom"]["return_value"]
        assert (total["rows"], total["ok"]) == (3 * 229, 3 * 220)
        # Apart, two processes of forty a second each would have near every second call refused.
        assert sum(shard["denied"] for shard in shards) < 0.02 * total["calls"]


@pytest.fixture
def pod_script(tmp_path, place):
    """The script of the pod, started by a shell as in the pod; its folders here."""
    pytest.importorskip("airflow.providers.cncf.kubernetes")
    (task,) = load_dag("in_kubernetes").tasks

    def start(**environment):
        return subprocess.Popen(
            task.cmds,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "CONFIG": str(EXAMPLES.parent / "demo.yaml"),
                "OUTPUT": str(tmp_path / "pod"),
                "XCOM": str(tmp_path / "xcom"),
                **environment,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_the_pods_script_hands_on_exit_code_and_last_line(pod_script, tmp_path):
    """What Airflow's sidecar reads is the summary; what the pod ends with is the run's exit code."""
    with pod_script(BATCHSEARCH__MAX_FAILED="0") as pod:
        _, err = pod.communicate(timeout=300)
    assert pod.returncode == 3, err
    assert json.loads((tmp_path / "xcom" / "return.json").read_text())["exit_code"] == 3


def test_a_pod_that_is_evicted_stops_in_good_order(pod_script, tmp_path):
    """SIGTERM reaches the run through the shell, which waits for its end."""
    with pod_script(BATCHSEARCH__INSTANCE__QPS="10") as pod:
        for line in pod.stderr:
            if "instance_ready" in line:
                break
        wait_for(lambda: list((tmp_path / "pod" / "ledger").glob("*.sqlite3")))
        pod.send_signal(signal.SIGTERM)
        pod.communicate(timeout=300)
    assert pod.returncode == 4
    assert json.loads((tmp_path / "xcom" / "return.json").read_text())["exit_code"] == 4


def test_a_pod_whose_run_is_killed_ends(pod_script, tmp_path):
    """Out of memory, for one: the code is the signal's, and nothing waits for ever."""
    fake = tmp_path / "batchsearch"
    fake.write_text("#!/bin/sh\nkill -KILL $$\n", encoding="utf-8")
    fake.chmod(0o755)
    with pod_script(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}") as pod:
        pod.communicate(timeout=60)
    assert pod.returncode == 128 + signal.SIGKILL


def test_the_pods_environment_names_the_night(place):
    """The output folder follows from the DAG run's date here too, and no secret is in the description."""
    pytest.importorskip("airflow.providers.cncf.kubernetes")
    (task,) = load_dag("in_kubernetes").tasks
    environment = task.env_vars
    assert environment["OUTPUT"].endswith(NIGHT_TEMPLATE)
    assert not any("SECRET" in name for name in environment)
    assert [secret.secret for secret in task.secrets] == ["image-search-access-key"]
