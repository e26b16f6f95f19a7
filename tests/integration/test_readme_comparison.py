"""The README's examples about comparisons, duplicates and Python, as they stand there."""

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest

import batchsearch

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with what a checkout has, where both jobs have run; the instance grants more a second."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("configs", "sample_data"):
        shutil.copytree(ROOT / name, folder / name)
    faster = {"instance.qps": 1000, "instance.custom_qps": True}
    configs = folder / "configs"
    batchsearch.run_compare(configs / "similarity-report.yaml", overrides=faster).raise_if_failed()
    batchsearch.run_dedup(configs / "nightly-dedup.yaml", overrides=faster).raise_if_failed()
    return folder


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("compare", "colour variant"),
        ("python", "48 of 48"),
        ("dedup pandas", "products can go"),
        ("dedup duckdb", "Electronics"),
    ],
)
def test_the_readmes_example_runs(checkout, name, printed, monkeypatch):
    """The example prints something about the shipped jobs."""
    found = re.search(rf"<!-- example: {name} -->\s*```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(checkout)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(found.group(1), f"README {name}", "exec"), {})
    assert printed in said.getvalue()
