"""A real Airflow with a database of its own, outputs in a temporary folder, an instance outside the tasks."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import child_of, wait_for
from run_dag import run_dag

SCRIPT = Path(__file__).parent / "run_dag.py"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the example DAGs write, by the Variable that they read; their calls leave at 100 a second."""
    place = tmp_path / "outputs"
    monkeypatch.setenv("AIRFLOW_VAR_BATCHSEARCH_OUTPUT", str(place))
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__QPS", "100")
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__CUSTOM_QPS", "true")
    return place


@pytest.fixture
def run(place):
    """Runs an example DAG in this process; see `run_dag`."""
    return run_dag


class TaskProcess:
    """`dag.test()` in a process of its own, which can be killed."""

    def __init__(self, log, *arguments):
        self._log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, *map(str, arguments)], stdout=file, stderr=file, cwd=log.parent
            )

    def child(self):
        """The id of its `batchsearch` process, once that runs."""
        return wait_for(lambda: child_of(self.process.pid))

    def ended(self):
        """What it said at its end; None if it came to none."""
        self.process.wait(timeout=600)
        last = self.log().splitlines()[-1]
        return json.loads(last) if last.startswith("{") else None

    def log(self):
        return self._log.read_text(errors="replace")


@pytest.fixture
def start(place, tmp_path):
    """Starts an example DAG in a process of its own."""
    started = []

    def start(*arguments):
        started.append(TaskProcess(tmp_path / f"dag-{len(started)}.log", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def instances(tmp_path, monkeypatch):
    """Starts instances outside the tasks, each with a key pair of its own and a connection that names it."""
    started = []

    def start(conn_id, conn_type="batchsearch", *, qps=100):
        key, secret = f"key-of-{conn_id}", f"secret-of-{conn_id}"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "batchsearch", "emulator", "--port", "0", "--log-format", "json"),
                *("--qps", str(qps), "--data", tmp_path / conn_id, "--access-key-id", key),
            ],
            stderr=subprocess.PIPE,
            env={**os.environ, "BATCHSEARCH_EMULATOR_ACCESS_KEY_SECRET": secret},
        )
        started.append(process)
        endpoint = json.loads(process.stderr.readline())["endpoint"]
        connection = {"conn_type": conn_type}
        if conn_type == "batchsearch":
            extra = {"endpoint": endpoint, "instance": "demo"}
            connection |= {"login": key, "password": secret, "extra": json.dumps(extra)}
        else:
            extra = {"access_key_id": key, "access_key_secret": secret}
            connection |= {"extra": json.dumps(extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return endpoint

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.communicate(timeout=30)


class Instance:
    """What a task may say to its instance."""

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


@pytest.fixture
def context():
    """A context as far as the operators look at it."""
    return {"ti": Instance(), "outlet_events": {}}


@pytest.fixture
def python(tmp_path):
    """An interpreter that tells what it was started with, and ends as it is told."""
    told = tmp_path / "told.json"
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "from pathlib import Path\n"
        f"told = Path({str(told)!r})\n"
        "told.write_text(json.dumps({'arguments': sys.argv[1:], 'environment': dict(os.environ)}))\n"
        "print(json.dumps({'event': 'run_started', 'level': 'info', 'rows': 3}), file=sys.stderr)\n"
        "print('something before')\n"
        'print(os.environ.get(\'SAYS\', \'{"status": "done", "rows": 3}\'))\n'
        "sys.exit(int(os.environ.get('ENDS', '0')))\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return SimpleNamespace(path=str(script), told=lambda: json.loads(told.read_text()))
