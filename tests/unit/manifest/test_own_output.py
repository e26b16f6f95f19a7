"""A job's own output is never its manifest."""

import pytest

from batchsearch.manifest.files import find_files
from batchsearch.manifest.own_output import takes_in


@pytest.mark.parametrize(
    ("path", "output", "inside"),
    [
        ("m", "m/out", True),
        ("m", "m/_out", False),
        ("m", "n/out", False),
        ("m", "m", True),
        ("m/**/*.parquet", "m/out", True),
        ("m/*.parquet", "m/out", False),
        ("m/*/*/*.parquet", "m/out", True),
        ("m/a.csv", "m/out", False),
    ],
)
def test_an_output_that_a_manifest_would_read_is_known(tmp_path, path, output, inside):
    """Folders and globs are looked at as they will be read on the next night."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.csv").write_text("id\n1\n")
    assert takes_in(str(tmp_path / path), str(tmp_path / output)) is inside


def test_results_are_no_rows(tmp_path):
    """What lies in the output folder is left out of the manifest's folder."""
    for name in ("a.parquet", "out/results/part.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_files(str(tmp_path), base=tmp_path, wanted="auto", without=str(tmp_path / "out"))
    assert found.paths == (tmp_path / "a.parquet",)
