"""Which rows of a manifest go to which instance."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.manifest.instance_rows import InstanceRows
from batchsearch.manifest.source import Manifest, Wanted

LANES = (
    InstanceRows("shop", "1", frozenset({"2", "3"})),
    InstanceRows("shop", "2", None),
    InstanceRows("shop", "3", None),
)


@pytest.mark.parametrize(
    "shops",
    [
        pytest.param(["1", "2", None, "", "4", "3", "2"], id="text"),
        pytest.param(pa.array([1, 2, None, 9, 3, 2, 2], pa.int64()), id="numbers"),
        pytest.param(pa.array(["2", "2", "1", None, "3", "1", "2"]).dictionary_encode(), id="dictionary"),
        pytest.param(pa.nulls(7), id="nulls"),
    ],
)
def test_every_row_goes_to_one_instance(tmp_path, shops):
    """Whatever names the instance: the rows of all instances are the manifest, none of them twice."""
    ids = [f"r{n}" for n in range(7)]
    pq.write_table(pa.table({"id": ids, "shop": shops, "more": ids}), tmp_path / "m.parquet")
    settings = ManifestSettings(path=str(tmp_path / "m.parquet"), key=("id",), columns={"instance": "shop"})

    def rows(lane):
        wanted = Wanted(allowed=frozenset({"instance"}), of_instance=lane)
        manifest = Manifest.open(settings, base=tmp_path, wanted=wanted)
        assert manifest.check() == sum(map(len, manifest.batches()))
        assert not manifest.left_out.as_dict()
        return [
            (row.key, row.parameters.get("instance")) for batch in manifest.batches() for row in batch.rows
        ]

    found = [rows(lane) for lane in LANES]
    assert sorted(key for lane in found for key, _ in lane) == ids
    assert {str(named) for lane in found[1:] for _, named in lane} <= {"2", "3"}
    for lane, there in zip(LANES, found, strict=True):
        assert all(lane.takes(named) for _, named in there)


def test_a_file_without_the_column_is_the_first_ones(tmp_path):
    """Rows that name no instance go to the first, also where a file cannot name any."""
    (tmp_path / "m").mkdir()
    pq.write_table(pa.table({"id": ["a"], "shop": ["2"]}), tmp_path / "m" / "1.parquet")
    pq.write_table(pa.table({"id": ["b"]}), tmp_path / "m" / "2.parquet")
    settings = ManifestSettings(path=str(tmp_path / "m"), key=("id",), columns={"instance": "shop"})
    found = {}
    for lane in LANES:
        wanted = Wanted(allowed=frozenset({"instance"}), of_instance=lane)
        manifest = Manifest.open(settings, base=tmp_path, wanted=wanted)
        found[lane.name] = [row.key for batch in manifest.batches() for row in batch.rows]
    assert found == {"1": ["b"], "2": ["a"], "3": []}
