"""The README's examples about comparisons and Python, as they stand there."""

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
    """A folder with what a checkout has, where the comparison has run; the instance grants more a second."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("configs", "sample_data"):
        shutil.copytree(ROOT / name, folder / name)
    batchsearch.run_compare(
        folder / "configs" / "similarity-report.yaml",
        overrides={"instance.qps": 100, "instance.custom_qps": True},
    ).raise_if_failed()
    return folder


@pytest.mark.parametrize(("name", "printed"), [("compare", "colour variant"), ("python", "48 of 48")])
def test_the_readmes_example_runs(checkout, name, printed, monkeypatch):
    """The example prints something about the shipped comparison."""
    found = re.search(rf"<!-- example: {name} -->\s*```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(checkout)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(found.group(1), f"README {name}", "exec"), {})
    assert printed in said.getvalue()
