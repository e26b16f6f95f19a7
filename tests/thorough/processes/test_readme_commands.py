"""The README's commands, run as they stand there from top to bottom, and its examples over their outputs."""

import contextlib
import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.timeout(600)
NOT_RUN = {
    r"pip ": "installing is what .ci/run tries, on a fresh machine",
    r"pytest": "these tests",
    r"export ": "the access key is given by this test",
    r"batchsearch run search\.yaml": "it would call the purchased instance",
    r"batchsearch ping search\.yaml": "likewise",
    r"batchsearch (emulator|console) ": "it serves until it is stopped",
    r"batchsearch run configs/demo\.yaml": "test_demo.py runs it",
}
"""Lines that are not run here, and why."""

FASTER = {"BATCHSEARCH__INSTANCE__QPS": "1000", "BATCHSEARCH__INSTANCE__CUSTOM_QPS": "true"}
"""The instance grants more a second, so that the test is quick."""

NIGHTLY = {
    "operation": "SearchImageByName",
    "instance": {"endpoint": "emulator", "name": "demo", "qps": 10},
    "manifest": {"path": "tonight.csv", "key": ["product_id"], "columns": {"pic_name": "image"}},
    "emulator": {
        "catalogue": {
            "manifest": {
                "path": "catalogue.csv",
                "key": ["product_id"],
                "columns": {"product_id": "product_id", "pic_name": "image", "image": "image"},
            }
        }
    },
    "output": {"dir": "out/nightly"},
}


def lines():
    """Every command line of the README's shell blocks, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    joined = "".join(blocks).replace("\\\n", " ").replace(" && ", "\n")
    return [line.strip() for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, images):
    """What a reader has: a checkout, a table with copies in it, a nightly job; all commands have run."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("configs", "sample_data"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copytree(images, folder / "photographs")
    rows = [(f"A-{number}", f"Shirt {number}", f"photographs/p{number % 9:02}.jpg") for number in range(12)]
    for name, more in (
        ("catalogue.csv", []),
        ("tonight.csv", [("A-12", "Not indexed", "photographs/p20.jpg")]),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("product_id", "title", "image"), *rows, *more])
    (folder / "nightly.yaml").write_text(yaml.safe_dump(NIGHTLY), encoding="utf-8")
    said = {}
    key = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "nobodys", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "nothing"}
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in lines():
        if any(re.match(pattern, line) for pattern in NOT_RUN):
            continue
        said[line] = subprocess.run(
            line, shell=True, cwd=folder, env={**os.environ, **FASTER, **key, "PATH": search},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    return folder, said


def test_every_command_runs(checkout):
    """Each command of the README ends with 0 in the order in which it stands there."""
    _, said = checkout
    assert len(said) > 12
    failed = {line: ended.stderr[-600:] for line, ended in said.items() if ended.returncode != 0}
    assert failed == {}


def test_what_is_not_run_is_there():
    """No reason for leaving a line out outlives the line."""
    for pattern in NOT_RUN:
        assert [line for line in lines() if re.match(pattern, line)], pattern


def test_a_readers_own_table_has_its_duplicates_found(checkout):
    """The second section's commands find the copies in a table that they have not seen before."""
    _, said = checkout
    (told,) = [ended.stderr for line, ended in said.items() if line == "batchsearch dedup duplicates.yaml"]
    assert re.search(r"clusters\s+3 of 6 products", told), told[-600:]


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("compare", "colour variant"),
        ("python", "unrelated"),
        ("dedup pandas", "products can go"),
        ("dedup duckdb", "Electronics"),
    ],
)
def test_the_readmes_example_runs(checkout, name, printed, monkeypatch):
    """The example prints something about the shipped jobs."""
    found = re.search(rf"<!-- example: {name} -->\s*```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(checkout[0])
    for variable, value in FASTER.items():
        monkeypatch.setenv(variable, value)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(found.group(1), f"README {name}", "exec"), {})
    assert printed in said.getvalue()
