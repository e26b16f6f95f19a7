"""What an index of an output says, and what it may not say."""

import json
from dataclasses import replace

import pytest

from batchsearch.storage.remote.output_index import (
    BadIndexError,
    Index,
    Moment,
    StoredFile,
    index_from,
    left_over,
    object_name,
)
from batchsearch.storage.remote.work_folder import Note, read_note, write_note

SHA = "0123456789abcdef" * 4
PART = StoredFile("results/part-000001.parquet", f"results/part-000001-{SHA[:16]}.parquet", SHA, 5)
LEDGER = StoredFile("ledger/ledger.sqlite3", f"_carried/ledger/1-{SHA[:16]}.sqlite3", SHA)
INDEX = Index(Moment(2, 7), "work", "run", LEDGER, (PART,))


def test_an_index_comes_back_as_it_was_written():
    """Nothing is lost on the way."""
    assert index_from(INDEX.as_json().encode()) == INDEX


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "results/../../x", "a//b", "a\\..\\b", "", ".", "results/x\0y"]
)
def test_an_index_cannot_lead_out_of_the_output(path):
    """A file is written below the work folder and nowhere else, whoever wrote the index."""
    for file in (replace(PART, path=path), replace(PART, object=path)):
        with pytest.raises(BadIndexError):
            index_from(replace(INDEX, files=(file,)).as_json().encode())


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b'{"format": 2}', b"\xff", b'{"format": 1}'])
def test_what_is_no_index_is_refused(text):
    """Another version's, a damaged one, or something else."""
    with pytest.raises(BadIndexError):
        index_from(text)


def test_a_checksum_is_needed():
    """A file without one could not be told from another."""
    values = json.loads(INDEX.as_json())
    values["files"][0]["sha256"] = "x"
    with pytest.raises(BadIndexError, match="SHA-256"):
        index_from(json.dumps(values).encode())


def test_two_contents_never_have_one_name():
    """Names in the store hold a piece of the SHA-256, before the ending."""
    assert object_name("results/p.parquet", SHA) == f"results/p-{SHA[:16]}.parquet"
    assert object_name("a.b/note", SHA) == f"a.b/note-{SHA[:16]}"
    assert object_name("p.parquet", SHA) != object_name("p.parquet", SHA[::-1])


def test_only_objects_of_our_own_naming_are_left_over():
    """What somebody else put beside an output stays."""
    other = f"results/part-000002-{SHA[:16]}.parquet"
    names = [PART.object, LEDGER.object, other, "notes.txt", "results/own.parquet", "summary.json"]
    assert left_over(names, INDEX) == [other]
    assert left_over(names, None) == sorted([PART.object, LEDGER.object, other])


def test_a_folder_knows_whether_it_is_ahead(tmp_path):
    """Ahead of its own last index, written or about to be, and of one that it brought down; of no other."""
    note = Note("work", "s3://b/o", carried=Moment(2, 6), sending=Moment(2, 7))
    assert note.is_ahead_of(INDEX)
    assert note.is_ahead_of(replace(INDEX, moment=Moment(2, 6)))
    assert not note.is_ahead_of(replace(INDEX, moment=Moment(2, 8)))
    assert not note.is_ahead_of(replace(INDEX, work="other"))
    assert note.is_ahead_of(replace(INDEX, work="other", moment=Moment(2, 6)))
    write_note(tmp_path, note)
    assert read_note(tmp_path, "s3://b/o") == note


def test_moments_are_ordered_by_generation_first():
    """A later run's first index comes after an earlier run's last."""
    assert Moment(1, 9) < Moment(2, 1) < Moment(2, 2)
