"""A cluster that speaks TLS only, as `dask scheduler` and `dask worker` start it."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from run_rig import command

pytest.importorskip("distributed")


@contextmanager
def process(*command, env):
    """A process that is ended in any case."""
    with subprocess.Popen(
        [str(part) for part in command], env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(scope="module")
def secured(certificate):
    """The environment of every part of a cluster with TLS, as docs/dask.md names its variables."""
    file, key = map(str, certificate)
    given = {"CA_FILE": file}
    for part in ("SCHEDULER", "WORKER", "CLIENT"):
        given |= {f"{part}__CERT": file, f"{part}__KEY": key}
    names = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in given.items()}
    return os.environ | names | {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}


@pytest.fixture(scope="module")
def cluster(secured):
    """The address of a scheduler with one worker."""
    dask = shutil.which("dask", path=str(Path(sys.executable).parent))
    scheduler = (dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--protocol", "tls")
    with process(*scheduler, "--no-dashboard", env=secured) as started:
        address = next(
            found[0] for line in started.stderr if (found := re.search(r"tls://127\.0\.0\.1:\d+", line))
        )
        worker = (dask, "worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard")
        with process(*worker, env=secured):
            yield address


def check(job, address, environment):
    return command("check", job, "--dask", address, "--json", "--no-progress", env=environment)


def test_images_are_made_ready_over_tls(cluster, secured, make_job):
    """Certificates come from Dask's own variables: the address is all that batchsearch is told."""
    job = make_job([{"id": number, "image": f"p{number:02}.jpg"} for number in range(8)])
    ran = check(job, cluster, secured)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["rows"] == 8
    assert "cluster_joined" in ran.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "needs a certificate; name its files by DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        (
            {
                f"DASK_DISTRIBUTED__COMM__TLS__{name}": "/no/such/file"
                for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY")
            },
            "cannot be read",
        ),
    ],
)
def test_a_certificate_that_is_missing_is_told_at_once(cluster, make_job, more, message):
    """Nobody waits for an answer that cannot come: it is a mistake of the settings, with what to set."""
    ran = check(make_job([{"id": 1, "image": "p01.jpg"}]), cluster, os.environ | more)
    assert ran.returncode == 64
    assert message in " ".join(ran.stderr.split())
    assert "Traceback" not in ran.stderr
