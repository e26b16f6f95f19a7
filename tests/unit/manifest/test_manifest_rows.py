"""Batches of rows, made into Python objects only when asked for."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.manifest.keys import digests_of
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.storage.ledger.entries import digest_of


@pytest.fixture
def manifest(tmp_path):
    """Twenty-five rows with an image and a parameter that is null in each third row."""
    numbers = range(25)
    table = pa.table(
        {
            "sku": [f'"{number}"\n图' for number in numbers],
            "no": list(numbers),
            "image": [f"{number}.jpg" for number in numbers],
            "num": [None if number % 3 == 0 else number for number in numbers],
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    settings = ManifestSettings(path="m.parquet", key=("sku", "no"), columns={"num": "num"})
    wanted = Wanted(images=("image",), allowed=frozenset({"num"}))
    return Manifest.open(settings, base=tmp_path, wanted=wanted)


def test_digests_are_those_of_the_ledger(manifest):
    """A row is named alike wherever its digest is made, whatever its key is written with."""
    keys = [key for keys in manifest.keys() for key in keys]  # noqa: SIM118 - no dictionary
    wanted = [digest_of(key) for key in keys]
    assert [digest for batch in manifest.key_batches(7) for digest in batch.digests()] == wanted
    assert [digest for batch in manifest.batches(7) for digest in batch.digests()] == wanted
    assert digests_of(pa.array(["", "a", "图"])) == [digest_of(text) for text in ("", "a", "图")]


def test_rows_picked_are_the_rows_at_those_places(manifest):
    """Picking a few gives what all would have, in the order that was asked for."""
    for batch in manifest.batches(10):
        wanted = [len(batch) - 1, 0, 3]
        picked = batch.pick(wanted)
        assert picked == [batch.rows[place] for place in wanted]
        assert [row.index for row in picked] == wanted
        assert batch.pick(range(len(batch))) == list(batch.rows)
        assert batch.pick([]) == []


def test_a_batch_says_where_it_begins_and_what_a_parameter_is(manifest):
    """Numbers go on over batches; a parameter's column comes without making rows, null where it is null."""
    batches = list(manifest.batches(10))
    assert [(batch.start, len(batch)) for batch in batches] == [(0, 10), (10, 10), (20, 5)]
    assert batches[2].values("num") == [20, None, 22, 23, None]
    assert batches[2].values("filter") == [None] * 5
    assert batches[2].keys() == [row.key for row in batches[2].rows]
    assert "num" not in batches[2].rows[1].parameters


@pytest.mark.parametrize("wanted", [[], [0], [3, 4], [19], [20], [11, 25], [8, 31], range(32)])
def test_what_no_wanted_row_is_in_is_not_read(tmp_path, wanted):
    """Batches with wanted rows are those of a whole reading; damage where there are none does not matter."""
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, numbers in zip(paths, (range(20), range(20, 32)), strict=True):
        table = pa.table({"sku": [f"k{number}" for number in numbers], "image": ["x" * 999] * len(numbers)})
        pq.write_table(table, path, row_group_size=4, use_dictionary=False, compression="none")
    settings = ManifestSettings(path="*.parquet", key=("sku",))

    def read(among):
        manifest = Manifest.open(settings, base=tmp_path, wanted=Wanted(images=("image",)))
        return {
            batch.start: [(row.key, row.number, row.index) for row in batch.rows]
            for batch in manifest.batches(4, among)
        }

    whole = read(None)
    among = np.isin(np.arange(32), list(wanted))
    for path, before in zip(paths, (0, 20), strict=True):
        groups = pq.ParquetFile(path).metadata
        content = bytearray(path.read_bytes())
        for number in range(groups.num_row_groups):
            if not among[before + 4 * number :][:4].any():
                begin = groups.row_group(number).column(0).data_page_offset
                content[begin : begin + 60] = b"\xff" * 60
        path.write_bytes(content)
    assert read(among) == {
        start: rows for start, rows in whole.items() if among[start : start + len(rows)].any()
    }
