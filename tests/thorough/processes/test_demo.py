"""The demo, as the README shows it, and the README's own examples over what it wrote."""

import contextlib
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from run_rig import command

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's folder and summary; the instance grants more a second, so that the test is quick."""
    folder = tmp_path_factory.mktemp("demo")
    faster = {"output.dir": folder / "output" / "demo", "instance.qps": 100, "instance.custom_qps": "true"}
    changes = [f"--set={name}={value}" for name, value in faster.items()]
    ran = command("run", ROOT / "configs" / "demo.yaml", "--no-progress", *changes)
    assert ran.returncode == 0, ran.stderr
    return folder, json.loads(ran.stdout.splitlines()[-1]), ran.stderr


def test_the_demo_finds_nearly_all_changed_copies(demo):
    """At least 95 % of the copies are found as the first hit."""
    truth = demo[1]["truth"]
    assert truth["first_hits_expected"] >= 150
    assert truth["first_hits_found"] >= 0.95 * truth["first_hits_expected"]


def test_every_awkward_file_ends_as_foretold(demo):
    """Each row's outcome is the one that the manifest foretells, and every row has one."""
    _, summary, _ = demo
    queries = pd.read_csv(ROOT / "sample_data" / "queries.csv", dtype=str)
    results = pd.read_parquet(demo[0] / "output" / "demo" / "results")
    assert len(results) == len(queries) == summary["rows"]
    got = results.set_index("product_id")["error_code"].fillna("ok").to_dict()
    assert got == queries.set_index("product_id")["truth_outcome"].to_dict()


def test_the_demo_ends_with_a_summary_for_people(demo):
    """People are told what was found and where the results are."""
    assert re.search(r"found\s+\d+ of \d+ known copies as the first hit \(\d", demo[2])
    assert str(demo[0] / "output" / "demo" / "results") in demo[2]


def test_no_secret_is_written_anywhere(demo):
    """Neither output nor ledger nor log holds the instance's key pair or a signature."""
    written = demo[2].encode() + b"".join(
        path.read_bytes() for path in demo[0].rglob("*") if path.is_file() and path.suffix != ".sqlite3-shm"
    )
    assert b"row_key" in written
    for secret in (b"LTAI5t", b"ACS3-HMAC-SHA256", b"Signature="):
        assert secret not in written


@pytest.mark.parametrize("name", ["pandas", "duckdb"])
def test_the_readmes_example_runs(demo, name, monkeypatch):
    """The example prints something about the demo's results, as it stands in the README."""
    found = re.search(rf"<!-- example: {name} -->\s*```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(demo[0])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(found.group(1), f"README {name}", "exec"), {})
    assert "cropped" in printed.getvalue()
