"""The command line in a pod: exit code, and the last line of stdout as the task's result.

CHANGE: the image (`pip install batchsearch` on any Python image), the claim for a volume that keeps the
outputs, the name of the secret. A pod that is tried again resumes, as the volume outlives it.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from kubernetes.client import models as k8s

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

NIGHT = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"

# The shell hands SIGTERM on, waits for the run's orderly end, and leaves its last line for XCom.
SCRIPT = """
run= signalled=
trap 'signalled=yes; [ -z "$run" ] || kill -TERM $run' TERM
batchsearch run "$CONFIG" --set "output.dir=$OUTPUT" --log-format json >/tmp/stdout.$$ &
run=$!
# A signal that came before the process had a number is handed on now.
[ -z "$signalled" ] || kill -TERM $run
wait $run; code=$?
# A signal ends the wait, not the run; 127: it has been waited for.
while [ -n "$signalled" ]; do
  signalled=
  wait $run; again=$?
  [ $again -eq 127 ] || code=$again
done
mkdir -p "$XCOM" && tail -n 1 /tmp/stdout.$$ >"$XCOM/return.json"
exit $code
"""

with DAG(
    dag_id="batchsearch_in_kubernetes",
    schedule="0 22 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 10, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["batchsearch"],
):
    KubernetesPodOperator(
        task_id="search",
        name="batchsearch",
        image="batchsearch:latest",
        cmds=["sh", "-c", SCRIPT],
        env_vars={
            "CONFIG": "/etc/batchsearch/nightly.yaml",
            "OUTPUT": "/data/search/" + NIGHT,
            "XCOM": "/airflow/xcom",
        },
        # ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, from a secret of the cluster.
        secrets=[Secret("env", None, "image-search-access-key")],
        volumes=[
            k8s.V1Volume(
                name="data",
                persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource(claim_name="batchsearch"),
            )
        ],
        volume_mounts=[k8s.V1VolumeMount(name="data", mount_path="/data")],
        container_resources=k8s.V1ResourceRequirements(requests={"cpu": "500m", "memory": "512Mi"}),
        # What is in flight is finished and kept before the pod goes.
        termination_grace_period=90,
        do_xcom_push=True,
    )
