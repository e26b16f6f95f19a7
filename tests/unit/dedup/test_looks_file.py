"""The looks of images are kept from night to night, and found by the rows that they are of."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlite_rig import executed

from batchsearch.tasks.dedup.candidates import precheck
from batchsearch.tasks.dedup.candidates.alike import find_alike
from batchsearch.tasks.dedup.verifying.fingerprints import COLOURS, THUMB, Fingerprint
from batchsearch.tasks.dedup.verifying.looks_file import FORMER_FILE, LOOKS_FILE, LooksFile, SeenImage

ALL = ("token", "sha256", "pixels", "outline", "thumb", "colours", "flat", "changed_at")


def seen(key, file, *, token=b"t" * 16, outline=2**64 - 1, pixels=b""):
    """An image that was seen: its file's content stands for all of it."""
    look = Fingerprint(file * 32, pixels, outline, file * THUMB, file * COLOURS, 0.25)
    return SeenImage(key, token, look)


def rows(looks, *keys, columns=ALL):
    found = {keys[row[0]]: row[1:] for row in looks.rows(pa.array(keys, pa.string()), *columns)}
    return {key: values[0] if len(columns) == 1 else values for key, values in found.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "precheck" / LOOKS_FILE


def test_looks_come_back_as_they_were_kept_and_by_any_keys(path):
    """A row that was never seen is left out; numbers of 64 bits lose none; an unusable image is forgotten."""
    with LooksFile(path) as looks:
        looks.keep([seen(f"k{number}", b"f", outline=number << 62) for number in range(4)])
    with LooksFile(path) as looks:
        expected = (b"t" * 16, b"f" * 32, b"", 3 << 62, b"f" * THUMB, b"f" * COLOURS, 0.25, 0)
        assert rows(looks, "none", "k3") == {"k3": expected}
        keys = ["none", *(f"k{number % 4}" if number == 2_001 else f"n{number}" for number in range(2_500))]
        assert rows(looks, *keys, columns=("outline",)) == {"k1": 1 << 62}
        looks.keep([], ["k1", "none"])
        assert rows(looks, "k0", "k1", "k2", columns=("sha256",)) == dict.fromkeys(["k0", "k2"], b"f" * 32)


def test_the_moment_of_a_change_stays_until_the_next_one(path):
    """A look that is made again of the same file keeps its moment; the first one of a row is no change."""
    with LooksFile(path) as looks:
        looks.keep([seen("a", b"1"), seen("b", b"1")])
        looks.keep([seen("a", b"1", token=None)])
        assert list(looks.changed()) == []
        assert rows(looks, "a", columns=("token",)) == {"a": bytes(16)}
        looks.keep([seen("a", b"2")])
        [(key, moment)] = looks.changed()
        assert (key, moment > 10**15) == ("a", True)
        looks.keep([seen("a", b"2", token=b"u" * 16)])
        assert list(looks.changed()) == [("a", moment)]


def test_looks_of_an_earlier_version_are_taken_over(path):
    """No image is looked at again because the file that holds looks is another one."""
    former = path.with_name(FORMER_FILE)
    former.parent.mkdir()
    columns = {name: [value] * 2 for name, value in zip(ALL, _values(), strict=True)}
    columns["outline"] = pa.array([2**64 - 5, 7], pa.uint64())
    columns["changed_at"] = [0, 1_700_000_000_000_000]
    pq.write_table(pa.table({"row_key": ["a", "b"], **columns}), former)
    for _ in range(2):
        with LooksFile(path) as looks:
            found = rows(looks, "a", "b")
            assert found["a"] == (*_values()[:3], 2**64 - 5, *_values()[4:7], 0)
            assert found["b"][3] == 7
            assert list(looks.changed()) == [("b", 1_700_000_000_000_000)]
        assert not former.exists()


def _values():
    return (b"t" * 16, b"f" * 32, b"p" * 32, 0, b"h" * THUMB, b"c" * COLOURS, 0.5, 0)


@pytest.mark.parametrize("content", [b"no database at all" * 100, "later"])
def test_a_file_that_is_none_is_made_anew(path, content):
    """What cannot be read costs looks, never a night; so does what a later version has written."""
    path.parent.mkdir()
    if content == "later":
        executed(path, "PRAGMA user_version = 99")
    else:
        path.write_bytes(content)
        path.with_name(FORMER_FILE).write_bytes(b"no table")
    with LooksFile(path) as looks:
        looks.keep([seen("a", b"1")])
        assert rows(looks, "a", columns=("sha256",)) == {"a": b"1" * 32}


def test_pairs_alike_are_those_of_all_looks_in_memory(path, monkeypatch):
    """Whatever is read at a time, the images found alike are those that the whole table says."""
    monkeypatch.setattr(precheck, "_ROWS_AT_ONCE", 7)
    random = np.random.default_rng(3)
    files = random.integers(0, 30, 60)
    pixels = [b"" if number % 5 == 0 else bytes([number % 7]) * 32 for number in range(60)]
    outlines = random.integers(0, 4, 60).tolist()
    shades = [bytes([number]) for number in files.tolist()]
    keys = [f"k{number}" for number in range(60)]
    with LooksFile(path) as looks:
        known = [number for number in range(60) if number % 11]
        looks.keep(
            [
                seen(keys[number], shades[number], outline=outlines[number], pixels=pixels[number])
                for number in known
            ]
        )
        found = precheck._found_alike(looks, pa.array(keys))
    at = np.array(known)
    different = {content: place for place, content in enumerate(sorted({*pixels} - {b""}))}
    whole = find_alike(
        files[at].astype(np.int64),
        np.array([different.get(pixels[number], -1) for number in known]),
        np.array(outlines, np.uint64)[at],
        np.repeat(files[at].astype(np.uint8)[:, None], THUMB, axis=1),
    )
    assert len(whole.first)
    assert [found.first.tolist(), found.second.tolist()] == [
        at[whole.first].tolist(),
        at[whole.second].tolist(),
    ]
    assert (found.kind == whole.kind).all()
    assert found.crowded.tolist() == at[whole.crowded].tolist()
