"""Row keys and their repeats."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from batchsearch.manifest.keys import RepeatFinder, digests_of, key_texts


def test_a_single_key_is_the_values_text():
    """One key column gives its text: whole numbers decimal, dates ISO, true and false in lower case."""
    assert key_texts([pa.array(["a", None, 'q"'])]) == ["a", None, 'q"']
    assert key_texts([pa.array([7, None, -(2**60)])]) == ["7", None, str(-(2**60))]
    assert key_texts([pa.array([True, False, None])]) == ["true", "false", None]
    assert key_texts([pa.array([dt.date(2026, 11, 21)])]) == ["2026-11-21"]


def test_several_key_columns_are_a_compact_json_array():
    """Several columns give the JSON array that any reader takes apart again."""
    day = dt.date(2026, 1, 2)
    columns = [pa.array(['a"\\', "图"]), pa.array([1, 2]), pa.array([True, False]), pa.array([day, day])]
    texts = key_texts(columns)
    assert texts == ['["a\\"\\\\",1,true,"2026-01-02"]', '["图",2,false,"2026-01-02"]']
    assert [json.loads(text)[:2] for text in texts] == [['a"\\', 1], ["图", 2]]


@pytest.mark.parametrize("columns", [2, 3])
def test_a_null_in_any_key_column_leaves_no_key(columns):
    """Half a key names nothing."""
    whole = pa.array(["a", "b"])
    assert key_texts([whole] * (columns - 1) + [pa.array(["x", None])])[1] is None


def test_keys_that_look_alike_when_joined_are_different():
    """The boundary between columns is part of the key."""
    first = key_texts([pa.array(["a", "a,b"]), pa.array(["b,c", "c"])])
    assert len(set(first)) == 2


def repeats_of(keys, run_rows, at_once=3):
    with RepeatFinder(listed=20, run_rows=run_rows) as finder:
        for start in range(0, len(keys), at_once):
            part = keys[start : start + at_once]
            finder.add(
                digests_of(pa.array(part, pa.string())), np.arange(start, start + len(part), dtype=np.uint64)
            )
        return finder.repeats()


@pytest.mark.parametrize("run_rows", [4, 1000])
def test_repeats_are_found_in_and_across_runs(run_rows):
    """A repeat is found whether its first is still in memory or long on disk."""
    keys = [f"k{n}" for n in range(50)]
    keys[7] = "k6"
    keys[49] = "k0"
    assert repeats_of(keys, run_rows).total == 2
    assert repeats_of(keys, run_rows).pairs == ((7, 6), (49, 0))


def test_one_key_everywhere_stays_small():
    """A table with a single key lists the first repeats, counts all and keeps one entry a run."""
    found = repeats_of(["same"] * 1000, 10, at_once=10)
    assert found.total == 999
    assert len(found.pairs) == 20
    assert found.pairs[0] == (1, 0)


def test_no_keys_have_no_repeats():
    """An empty table is fine."""
    assert repeats_of([], 10).total == 0


def test_the_temporary_file_goes_with_the_finder(tmp_path, monkeypatch):
    """Nothing stays behind in the temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert repeats_of([f"k{n}" for n in range(100)], 10).total == 0
    assert list(tmp_path.iterdir()) == []
