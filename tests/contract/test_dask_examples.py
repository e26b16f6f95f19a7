"""What configs/dask/ gives agrees with the program and with itself: addresses, codes, options, secrets."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from run_rig import program

from batchsearch.child.ending import Ended, meaning_of
from batchsearch.config.load import load_text
from batchsearch.errors import ExitCode

pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
FILES = ROOT / "configs" / "dask"
SHOWN = list(yaml.safe_load_all((FILES / "kubernetes.yaml").read_text(encoding="utf-8")))
ADDRESS = "tcp://batchsearch-scheduler:8786"


def shown(kind, name):
    return next(each for each in SHOWN if each["kind"] == kind and each["metadata"]["name"] == name)


def pods():
    """The pods that the manifest starts, by component."""
    templates = [each["spec"]["template"] for each in SHOWN if each["kind"] in {"Deployment", "Job"}]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in templates}


def container(component):
    (only,) = pods()[component]["spec"]["containers"]
    return only


def options_of(command):
    """Every option that `dask scheduler` or `dask worker` has."""
    from distributed.cli import dask_scheduler, dask_worker

    module = {"scheduler": dask_scheduler, "worker": dask_worker}[command]
    return {option for each in module.main.params for option in (*each.opts, *each.secondary_opts)}


def test_all_parts_find_each_other():
    """The job, the workers and the Service name one address, and the Service leads to the scheduler's pod."""
    service = shown("Service", "batchsearch-scheduler")
    (port,) = service["spec"]["ports"]
    assert f"tcp://{service['metadata']['name']}:{port['port']}" == ADDRESS
    assert service["spec"]["selector"] == pods()["scheduler"]["metadata"]["labels"]
    (named,) = container("scheduler")["ports"]
    assert (named["name"], str(named["containerPort"])) == (
        port["targetPort"],
        container("scheduler")["command"][container("scheduler")["command"].index("--port") + 1],
    )
    assert ADDRESS in container("worker")["command"]
    text = shown("ConfigMap", "batchsearch-cluster-job")["data"]["nightly.yaml"]
    job = load_text(text, Path("/etc/batchsearch/nightly.yaml"), environ={}).settings
    assert job.workers.dask == ADDRESS
    assert container("client")["args"][:2] == ["run", "/etc/batchsearch/nightly.yaml"]
    assert len({container(component)["image"] for component in pods()}) == 1


def test_options_are_those_that_dask_has():
    """An option of `dask worker` that is misspelt, or gone, would leave a cluster without workers."""
    for component in ("scheduler", "worker"):
        program, command, *rest = container(component)["command"]
        assert (program, command) == ("dask", component)
        given = {each for each in rest if each.startswith("--")}
        assert given
        assert given <= options_of(component)
    assert "--nothing" not in options_of("worker")


def test_a_worker_stays_below_what_its_pod_may_have():
    """Dask's own limit stops taking work before Kubernetes kills the pod; one thread for the core."""
    from dask.utils import parse_bytes

    worker = container("worker")
    given = dict(zip(worker["command"], worker["command"][1:], strict=False))
    assert parse_bytes(given["--memory-limit"]) < parse_bytes(worker["resources"]["limits"]["memory"] + "B")
    assert given["--nworkers"] == given["--nthreads"] == worker["resources"]["requests"]["cpu"] == "1"


def test_only_these_pods_reach_the_cluster():
    """Who reaches a scheduler runs code there: the policy covers every pod, and lets in only such pods."""
    policy = shown("NetworkPolicy", "batchsearch-cluster")["spec"]
    covered = policy["podSelector"]["matchLabels"].items()
    for pod in pods().values():
        assert covered <= pod["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"from": [{"podSelector": policy["podSelector"]}]}]


def test_keys_come_from_secrets_and_the_scheduler_has_none():
    """No key stands in the manifest; workers read the store's and, for lanes, the account's."""
    secrets = {
        component: {each["secretRef"]["name"] for each in container(component).get("envFrom", ())}
        for component in pods()
    }
    both = {"batchsearch-account", "batchsearch-store"}
    assert secrets == {"scheduler": set(), "worker": both, "client": both}
    values = {each["name"] for component in pods() for each in container(component)["env"]}
    assert values == {"HOME", "TMPDIR"}


def test_the_job_follows_the_exit_codes():
    """What another try would meet again ends the Job; a lost scheduler and a stop are tried again."""
    spec = shown("Job", "batchsearch-night")["spec"]
    disrupted, ended = spec["podFailurePolicy"]["rules"]
    assert (disrupted["action"], disrupted["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget"}])
    final = {int(code) for code in ExitCode if meaning_of(Ended(int(code))) == "final"}
    assert set(ended["onExitCodes"]["values"]) == final
    assert ended["onExitCodes"]["containerName"] == container("client")["name"]


STAND_IN = """
import json
from distributed import LocalCluster

class SLURMCluster(LocalCluster):
    def __init__(self, **given):
        with open({told!r}, "w") as file:
            json.dump(given, file)
        super().__init__(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50)

    def adapt(self, **given):
        assert given["minimum_jobs"] <= given["maximum_jobs"]
"""


def test_the_slurm_example_runs(signed_in, make_job, tmp_path):
    """The script runs a job on the cluster that it starts, and ends as the command would."""
    told = tmp_path / "told.json"
    (tmp_path / "dask_jobqueue.py").write_text(STAND_IN.format(told=str(told)), encoding="utf-8")
    job = make_job(
        [{"id": number, "image": f"p{number:02}.jpg"} for number in range(6)],
        instance__endpoint=signed_in.endpoint,
    )
    ran = program(FILES / "slurm.py", job, env={"PYTHONPATH": str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    assert "6" in ran.stdout
    assert pd.read_parquet(tmp_path / "out" / "results")["outcome"].tolist() == ["ok"] * 6
    given = json.loads(told.read_text(encoding="utf-8"))
    assert given["cores"] == given["processes"]
    assert {each for each in given["worker_extra_args"] if each.startswith("--")} <= options_of("worker")
