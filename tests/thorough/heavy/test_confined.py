"""A run confined as a pod or a hardened unit confines it: read-only but for its own places, no root."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOBODY = ("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs")
NO_RIGHTS = ("--bounding-set=-all", "--inh-caps=-all")
JOB = """
operation: SearchImageByPic
instance: {endpoint: emulator, name: demo, qps: 10}
manifest: {path: /mnt/sample_data/dedup.csv, key: [product_id, pic_name]}
results_per_row: 5
output: {dir: /mnt/work/nightly}
"""
CONFINED = """
set -eu
mount -t tmpfs -o mode=0755 tmpfs /mnt
cp -r sample_data /mnt/
printf '%s' "$JOB" >/mnt/job.yaml
mkdir -m 1777 /mnt/work /mnt/tmp
awk '{print $2}' /proc/mounts | grep -vE '^/(proc|dev|sys|mnt)(/|$)' | while read -r place; do
  mount -o remount,bind,ro "$place" 2>/dev/null || true
done
! touch "$PWD/written" 2>/dev/null || { echo 'the system can be written to'; exit 99; }
exec "$@"
"""


@pytest.fixture
def confined():
    """Runs a command in mounts of its own, where only /mnt/work and /mnt/tmp can be written to."""
    if os.getuid() != 0 or shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("needs root, setpriv and unshare")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mounts of its own here")
    python = [*NOBODY, sys.executable, "-c", "import batchsearch"]
    if subprocess.run(python, capture_output=True, check=False, cwd="/").returncode != 0:
        pytest.skip("this Python cannot be run by another user")

    def run(*command):
        given = {
            "HOME": "/mnt/work",
            "TMPDIR": "/mnt/tmp",
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "JOB": JOB,
        }
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", CONFINED, "sh", *NOBODY, *NO_RIGHTS, *command],
            cwd=ROOT, env=given, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.mark.timeout(300)
def test_it_writes_nowhere_but_in_its_own_places(confined):
    """With a read-only system, as a number without a name, and with no capability, a run ends well."""
    ran = confined(sys.executable, "-m", "batchsearch", "run", "/mnt/job.yaml", "--no-progress")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert summary["done"] == summary["rows"] == 225
