"""What holds for every manifest."""

import csv
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchsearch.config.image_texts import shown
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.keys import RepeatFinder, digests_of, key_texts
from batchsearch.manifest.passthrough import shown_cells
from batchsearch.manifest.source import Manifest, Wanted

# What UTF-8 can say; a NUL ends no CSV field for Arrow but does for some writers.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
ROWS = st.lists(st.tuples(TEXT, st.none() | TEXT), min_size=1, max_size=8, unique_by=lambda row: row[0])
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def passthrough_of(path):
    manifest = Manifest.open(ManifestSettings(path=str(path), key="k"), base=path.parent, wanted=Wanted())
    count = manifest.check()
    batches = list(manifest.batches(rows=3))
    assert count == sum(len(batch.rows) for batch in batches)
    table = pa.Table.from_batches([batch.carried for batch in batches], manifest.schema_carried)
    return [row.key for batch in batches for row in batch.rows], table.to_pylist()


@QUICK
@given(rows=ROWS, encoding=st.sampled_from(["utf-8", "utf-8-sig"]))
def test_any_text_survives_csv(tmp_path, rows, encoding):
    """Whatever a CSV writer quotes is read back as it was, null apart from empty."""
    path = tmp_path / "m.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["k", "v"])
        writer.writerows((key, "" if value is None else value) for key, value in rows)
    keys, carried = passthrough_of(path)
    assert keys == [key for key, _ in rows]
    assert carried == [{"k": key, "v": value or ""} for key, value in rows]


@QUICK
@given(rows=ROWS)
def test_any_text_survives_parquet(tmp_path, rows):
    """Parquet text is read back as it was."""
    path = tmp_path / "m.parquet"
    keys = [key for key, _ in rows]
    table = pa.table(
        {"k": pa.array(keys, pa.large_string()), "v": pa.array([v for _, v in rows], pa.string())}
    )
    pq.write_table(table, path, row_group_size=2)
    found, carried = passthrough_of(path)
    assert found == keys
    assert carried == [{"k": key, "v": value} for key, value in rows]


@QUICK
@given(keys=st.lists(st.integers(0, 30), max_size=80), run=st.integers(1, 40), step=st.integers(1, 20))
def test_repeats_are_those_of_a_dictionary(keys, run, step):
    """However keys fall into runs, exactly the rows with an earlier equal key are counted and paired."""
    texts = [str(key) for key in keys]
    with RepeatFinder(listed=1000, run_rows=run) as finder:
        for start in range(0, len(texts), step):
            part = texts[start : start + step]
            finder.add(
                digests_of(pa.array(part, pa.string())), np.arange(start, start + len(part), dtype=np.uint64)
            )
        found = finder.repeats()
    repeated = [row for row, key in enumerate(keys) if key in keys[:row]]
    assert found.total == len(repeated)
    assert sorted(row for row, _ in found.pairs) == repeated
    assert all(first < row and keys[first] == keys[row] for row, first in found.pairs)


@QUICK
@given(rows=st.lists(st.tuples(TEXT, st.integers(-5, 5), TEXT), min_size=2, max_size=6, unique=True))
def test_different_rows_have_different_keys(rows):
    """No two different combinations of key values give one key."""
    columns = [pa.array(list(column)) for column in zip(*rows, strict=True)]
    assert len(set(key_texts(columns))) == len(rows)


NEAR_ADDRESSES = st.lists(
    st.sampled_from(
        [
            *("https://", "https:/", "HTTP//", "//", "\\\\", "data:", "DATA:image/png,", "user:pw@", "host/"),
            *("?s=1", "?a&sig=1", "?", "&Expires=2", "#", "/", "\n", "@"),
        ]
    )
    | st.characters(exclude_categories=["Cs"]),
    max_size=8,
).map("".join)


@QUICK
@given(
    texts=st.lists(st.none() | NEAR_ADDRESSES, max_size=5),
    kind=st.sampled_from(["path", "address", "base64"]),
)
def test_a_column_of_images_is_shown_as_its_cells_are(texts, kind):
    """Looking at a whole column finds the same cells as looking at each."""
    column = shown_cells(pa.array(texts, pa.string()), kind)
    assert column.to_pylist() == [text if text is None else shown(text, kind) for text in texts]


@QUICK
@given(before=st.sampled_from(["", " ", "//", "https:/", "https//", "\\\\"]), end=NEAR_ADDRESSES)
def test_no_signature_of_what_may_be_an_address_is_shown(before, end):
    """Whatever is wrong with an address: what follows its path is hidden; below a base, of any text."""
    assert "secret" not in shown(f"{before}host/a.jpg?Signature=secret{end}")
    assert "secret" not in shown(f"{end}?secret", "address") or end.lower().lstrip().startswith("data:")


@QUICK
@given(before=st.sampled_from(["", " ", "\u2003", "\ufeff", '"']), user=NEAR_ADDRESSES, end=NEAR_ADDRESSES)
def test_nothing_of_a_user_or_query_is_shown(before, user, end):
    """Whatever a user part and a query are made of, the address keeps nothing of them."""
    user = re.sub("[/?#]", "", user)
    assert shown(f"{before}https://{user}@host/a.jpg?{end}") == "https://host/a.jpg"
    assert shown(f"{before}data:{end}").partition("(")[0] in ("data: ", "data:image/png ")


@QUICK
@given(data=st.binary(max_size=200), name=st.sampled_from(["m.csv", "m.parquet"]))
def test_any_bytes_are_rows_or_a_manifest_error(tmp_path, data, name):
    """Whatever stands in a file, it is read or refused, never anything else."""
    path = tmp_path / name
    path.write_bytes(b"k,v\n" + data if name == "m.csv" else data)
    try:
        keys, _ = passthrough_of(path)
    except ManifestError:
        return
    assert len(set(keys)) == len(keys)


@QUICK
@given(rows=ROWS, closed=st.booleans(), last=TEXT)
def test_an_unclosed_quote_at_the_end_is_always_seen(tmp_path, rows, closed, last):
    """A file whose last text never ends is refused, one whose text ends is not, whatever the text."""
    path = tmp_path / "m.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["k", "v"])
        writer.writerows((f"{n}", value or "") for n, (_, value) in enumerate(rows))
        file.write('last,"' + last.replace('"', '""') + ('"' if closed else ""))
    if closed:
        assert passthrough_of(path)[1][-1] == {"k": "last", "v": last}
    else:
        with pytest.raises(ManifestError, match="never closed"):
            passthrough_of(path)


@pytest.mark.parametrize("cut", range(0, 700, 37))
def test_a_truncated_parquet_file_is_refused(tmp_path, cut):
    """A file that was not written to its end is never taken for a shorter one."""
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"k": [str(n) for n in range(100)]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(ManifestError):
        passthrough_of(path)
