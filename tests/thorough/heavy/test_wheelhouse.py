"""The Dockerfile's steps, taken without Docker: wheels are collected, pinned and installed with no index.

Needs what pip needs to collect the wheels; the installation itself needs nothing.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = ROOT / "configs" / "production"
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "http_proxy": "http://127.0.0.1:9"}
"""Where pip must not go: with --no-index it does not."""


def ran(command, **given):
    ended = subprocess.run(command, capture_output=True, text=True, check=False, **given)
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory):
    """What wheelhouse.sh collects, with this Python."""
    folder = tmp_path_factory.mktemp("context") / "wheelhouse"
    script = ["sh", str(FILES / "wheelhouse.sh"), "credentials,metrics,s3", str(folder)]
    ran(script, cwd=ROOT, env={**os.environ, "PYTHON": sys.executable})
    return folder


@pytest.fixture
def build(tmp_path, wheelhouse):
    """Takes the RUN steps of the Dockerfile's first stage in a folder; gives where the programs are."""

    def here(text):
        text = text.replace("/opt/batchsearch", f"{tmp_path}/opt").replace("/wheelhouse", str(wheelhouse))
        return re.sub(r"^python ", f"{sys.executable} ", text)

    def take():
        first, _ = (FILES / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ${BASE}\n")
        steps = re.findall(r"^RUN (.*)$", first, re.MULTILINE)
        assert len(steps) == 3
        for step in steps:
            ran(["sh", "-euc", here(step)], cwd=tmp_path, env={**os.environ, **NOWHERE})
        return tmp_path / "opt" / "bin"

    return take


def test_every_wheel_is_pinned(wheelhouse):
    """requirements.txt names each wheel of the folder once, by version and content."""
    pinned = (wheelhouse / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert len(pinned) == len(list(wheelhouse.glob("*.whl"))) > 20
    assert all(re.fullmatch(r"[\w.\[\],-]+==[\w.+!]+ --hash=sha256:[0-9a-f]{64}", line) for line in pinned)
    assert [line for line in pinned if line.startswith("batchsearch[credentials,metrics,s3]==")]


@pytest.mark.timeout(600)
def test_the_image_is_built_without_a_network(build, tmp_path):
    """The steps install from the folder alone, and what they install checks both production jobs."""
    bin_folder = build()
    config = FILES / "nightly.yaml"
    checked = ran([bin_folder / "batchsearch", "config", "check", config], cwd=tmp_path)
    assert "my-instance" in checked.stdout
    modules = "import prometheus_client, s3fs, alibabacloud_credentials, batchsearch.telemetry.metrics"
    ran([bin_folder / "python", "-I", "-c", modules])
    listed = json.loads(ran([bin_folder / "pip", "list", "--format", "json"]).stdout)
    assert "batchsearch" in {each["name"] for each in listed}


@pytest.mark.timeout(600)
def test_a_wheel_that_was_exchanged_is_refused(build, wheelhouse):
    """A package whose content is not the pinned one ends the build."""
    pins = wheelhouse / "requirements.txt"
    kept = pins.read_text(encoding="utf-8")
    pins.write_text(re.sub(r"(click==\S+ --hash=sha256:)\w{8}", r"\g<1>00000000", kept), encoding="utf-8")
    try:
        with pytest.raises(AssertionError, match="HASH"):
            build()
    finally:
        pins.write_text(kept, encoding="utf-8")
