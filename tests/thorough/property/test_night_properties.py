"""What a night finds out in columns is what it would find out row by row."""

import sqlite3
from collections import Counter
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import batchsearch.manifest.keys as manifest_keys
import batchsearch.storage.ledger.queries as ledger_queries
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.engine.renewal import ledger_join
from batchsearch.engine.renewal.ledger_join import LedgerJoin
from batchsearch.engine.renewal.mending import Mended
from batchsearch.engine.renewal.removed_rows import rows_left
from batchsearch.engine.renewal.renewal_rules import RenewalRules, Source, Touched
from batchsearch.engine.renewal.row_source import NOT_THERE, SEEN, SourceReader
from batchsearch.engine.renewal.row_table import RowTable
from batchsearch.engine.rows.bloom_filter import BloomFilter
from batchsearch.manifest.keys import BESIDE, RepeatFinder
from batchsearch.manifest.rows import Row, reference
from batchsearch.storage.digest_sort import halves
from batchsearch.storage.ledger.digest_spans import Spans
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.sealed.key_sums import Keys, keys_from, keys_of_ledger

QUICK = settings(max_examples=150, deadline=None)
NOW = 1_000.0
REASONS = ["changed", "mended", "elsewhere", "expired", "passing", "retry"]
ENDED = st.sampled_from(
    [(None, None), ("Transport.ImageTimeout", "transport"), ("Local.NotAnImage", "local"), ("Busy", "api")]
)
SOURCES = st.one_of(st.none(), st.sampled_from([b"a" * 16, b"b" * 16]))


class MemoryLedger(ledger_queries.LedgerQueries):
    """The questions over a ledger that has no file."""

    def __init__(self, rows=(), marks=(), answers=()):
        self._connection = sqlite3.connect(":memory:")
        schema = resources.files("batchsearch.storage.ledger").joinpath("schema.sql")
        self._connection.executescript(schema.read_text(encoding="utf-8"))
        self._connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, 1, NULL, ?, NULL)", rows)
        self._connection.executemany("INSERT INTO renewals VALUES (?, ?)", marks)
        self._connection.executemany("INSERT INTO answers VALUES (?, 1, 0.0)", answers)

    def _all(self, statement, values=()):
        return self._connection.execute(statement, values).fetchall()


@st.composite
def nights(draw):
    """Rows of a ledger with their marks, keys of a manifest with their sources, and rules."""
    names = [f"k{number}" for number in range(draw(st.integers(1, 40)))]
    rows = {}
    for name in draw(st.lists(st.sampled_from(names), unique=True)):
        code, origin = draw(ENDED)
        rows[digest_of(name)] = (code, origin, draw(st.sampled_from([NOW - 50, NOW + 50])), draw(SOURCES))
    marks = {}
    if rows:
        for digest in draw(st.lists(st.sampled_from(sorted(rows)), unique=True, max_size=5)):
            marks[digest] = draw(st.sampled_from(REASONS))
    keys = draw(st.lists(st.sampled_from(names), unique=True))
    looked = draw(st.booleans())
    sources = [
        Source(draw(st.sampled_from([b"a" * 16, b"b" * 16])), draw(st.booleans())) if looked else None
        for _ in keys
    ]
    touched = draw(
        st.sampled_from(
            [
                Touched(),
                Touched(every="elsewhere"),
                Touched(every="changed"),
                Touched(mended=Mended(("Local.*",), ("images.root",))),
                Touched(short=frozenset(map(digest_of, names[:3]))),
                Touched(look=True),
            ]
        )
    )
    rules = RenewalRules(
        new_round=draw(st.booleans()),
        expired_before=draw(st.sampled_from([None, NOW])),
        passing=draw(st.booleans()),
        actions={},
        only_asked_for=draw(st.booleans()),
        touched=touched,
    )
    return rows, marks, keys, sources, rules, draw(st.booleans())


@QUICK
@given(night=nights(), at_once=st.integers(1, 20), run=st.integers(1, 20))
def test_the_join_says_of_each_row_what_the_rules_say(night, at_once, run):
    """Whatever falls into one piece: codes, renewals, new sources and the table are those of the rules."""
    rows, marks, keys, sources, rules, every_image = night
    ledger = MemoryLedger([(digest, *about) for digest, about in rows.items()], marks.items())
    codes, reasons, unknown, expected = Counter(), {}, {}, []
    for key, source in zip(keys, sources, strict=True):
        digest = digest_of(key)
        state = ledger.states([digest]).get(digest)
        if state is None:
            expected.append("without")
            continue
        reason = rules.reason_for(digest, state, source)
        if reason is None and every_image and source is not None and not rules.only_asked_for:
            reason = "changed"
        expected.append(reason)
        if reason is not None:
            reasons[digest] = reason
            continue
        codes[state.code] += 1
        if source is not None and state.source is None and not source.missing:
            unknown[digest] = source.digest
    looked = bool(sources) and sources[0] is not None and not rules.only_asked_for
    if rules.only_asked_for:
        unknown = {}
    table = RowTable(len(keys))
    found_codes, found_reasons, found_unknown = Counter(), {}, {}
    with pytest.MonkeyPatch.context() as patch, RepeatFinder(run_rows=run, beside=looked) as finder:
        patch.setattr(ledger_join, "_ROWS_AT_ONCE", at_once)
        patch.setattr(manifest_keys, "_AT_ONCE", at_once)
        records = np.zeros(len(keys), BESIDE)
        if looked:
            words = halves(b"".join(source.digest for source in sources))
            records["source_high"], records["source_low"] = words[:, 0], words[:, 1]
            records["seen"] = [NOT_THERE if source.missing else SEEN for source in sources]
        places = np.arange(len(keys), dtype=np.uint64)
        finder.add([digest_of(key) for key in keys], places, records if looked else None)
        assert finder.repeats().total == 0
        join = LedgerJoin(ledger, rules, table, every_image=every_image)
        for found in join.batches(finder.in_order()):
            found_codes += found.codes
            found_reasons |= found.reasons
            found_unknown |= found.unknown
    assert (found_codes, found_reasons, found_unknown) == (codes, reasons, unknown)
    for reason in [None, *REASONS]:
        wanted = [said == ("without" if reason is None else reason) for said in expected]
        assert table.among([reason]).tolist() == wanted


@QUICK
@given(
    rows=st.lists(
        st.tuples(
            st.text(max_size=6),
            st.one_of(st.none(), st.text(max_size=6)),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.booleans(),
            st.one_of(st.none(), st.floats(allow_nan=False)),
            st.one_of(st.none(), st.sampled_from(["there.jpg", "a b.jpg", "https://h/x.jpg", "ü.jpg", ""])),
        ),
        min_size=1,
        max_size=8,
    ),
    parameters=st.booleans(),
    images=st.integers(0, 2),
    files=st.booleans(),
)
def test_sources_of_columns_are_those_of_rows(tmp_path_factory, rows, parameters, images, files):
    """What rows come from is the same sixteen bytes, whether it is made of rows or of columns."""
    folder = tmp_path_factory.getbasetemp() / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "there.jpg").write_bytes(b"1")
    reader = SourceReader(folder, ImageSettings(), files=files, parameters=parameters)
    names = ["product_id", "pic_name", "int_attr", "crop", "score"]
    kinds = [pa.string(), pa.string(), pa.int64(), pa.bool_(), pa.float64()]
    columns = {
        name: pa.array([row[place] for row in rows], kind)
        for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    texts = pa.array([row[5] for row in rows], pa.string())
    records = reader.beside([texts] * images, columns, len(rows))
    for place, row in enumerate(rows):
        given_here = {name: value for name, value in zip(names, row, strict=False) if value is not None}
        source = reader.of(Row("k", 0, 0, (reference(row[5]),) * images, given_here))
        assert halves(source.digest).tolist() == [
            [records["source_high"][place], records["source_low"][place]]
        ]
        assert records["seen"][place] == (NOT_THERE if source.missing else SEEN)


@QUICK
@given(requests=st.lists(st.binary(min_size=32, max_size=32), unique=True), at_once=st.integers(1, 5))
def test_requests_are_remembered_together_as_one_by_one(requests, at_once):
    """A filter filled from the ledger's pieces holds what one holds that was filled key by key."""
    ledger = MemoryLedger(answers=[(request,) for request in requests])
    together, apart = BloomFilter(), BloomFilter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_queries, "_PACKED_AT_ONCE", at_once)
        for packed in ledger.answered_requests():
            together.add_all(packed)
    for request in requests:
        apart.add(request)
    assert together._bits == apart._bits


@QUICK
@given(digests=st.lists(st.binary(min_size=16, max_size=16), unique=True), at_once=st.integers(1, 5))
def test_keys_add_up_as_numbers_do(digests, at_once):
    """The sum of a ledger's keys is that of the numbers that they are, and comes back from its text."""
    ledger = MemoryLedger([(digest, None, None, 0.0, None) for digest in digests])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_queries, "_PACKED_AT_ONCE", at_once)
        keys = keys_of_ledger(ledger)
    total = sum(int.from_bytes(digest, "little") for digest in digests) % (1 << 128)
    assert keys == Keys(len(digests), total) == keys_from(keys.as_text())


def test_a_source_of_another_length_moves_no_record():
    """A row whose source is not sixteen bytes leaves the records of the others where they are."""
    digests = sorted(digest_of(name) for name in "abc")
    rows = [
        (digest, None, None, 1.0, source)
        for digest, source in zip(digests, (b"x" * 16, b"short", None), strict=True)
    ]
    found = MemoryLedger(rows).records((b"", b"\xff" * 17), 0.0)
    assert found.rows == 3
    size = ledger_queries.RECORD_BYTES
    assert [found.sources[start : start + 16] for start in range(0, 3 * size, size)] == digests
    assert found.flagged == digests[2] + b"1"


@QUICK
@given(
    digests=st.lists(st.binary(min_size=16, max_size=16), unique=True),
    most=st.integers(1, 5),
    between=st.one_of(
        st.none(), st.tuples(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
    ),
)
def test_spans_hold_every_digest_once(digests, most, between):
    """Spans of digests follow one another without a gap, however unevenly the digests are spread."""
    after, upto = (b"", None) if between is None else (min(between), max(between) + b"\xff" * 8)
    spans = Spans(most)
    if upto is not None:
        for span in spans:
            spans.held(sum(span[0] < digest <= span[1] for digest in digests))
        spans = spans.between(after, upto)
    found = []
    for span in spans:
        inside = [digest for digest in digests if span[0] < digest <= span[1]]
        spans.held(len(inside))
        found += sorted(inside)
    assert found == sorted(
        digest for digest in digests if after < digest and (upto is None or digest <= upto)
    )


@QUICK
@given(
    known=st.lists(st.binary(min_size=16, max_size=16), unique=True),
    there=st.lists(st.binary(min_size=16, max_size=16), unique=True),
    both=st.lists(st.binary(min_size=16, max_size=16), unique=True),
    at_once=st.integers(1, 5),
    run=st.integers(1, 20),
)
def test_rows_that_left_are_those_of_the_ledger_that_no_key_names(known, there, both, at_once, run):
    """Both sides are read piece by piece: what is in one alone is found, whatever the pieces are."""
    known, there = {*known, *both}, [*dict.fromkeys([*there, *both])]
    ledger = MemoryLedger([(digest, None, None, 0.0, None) for digest in known])
    with pytest.MonkeyPatch.context() as patch, RepeatFinder(run_rows=run) as finder:
        patch.setattr(ledger_queries, "_PACKED_AT_ONCE", at_once)
        patch.setattr(manifest_keys, "_AT_ONCE", at_once)
        finder.add(there, np.arange(len(there), dtype=np.uint64))
        assert finder.repeats().total == 0
        left = b"".join(rows_left(ledger, finder))
    found = [left[start : start + 16] for start in range(0, len(left), 16)]
    assert sorted(found) == sorted(known.difference(there))
