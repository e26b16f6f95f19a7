"""JSON by orjson and by Python's own module: the same values, whichever is there."""

import json
import math

import pytest

from batchsearch.service import compact_json

VALUES = {
    "a hit": {"product_id": "P1", "score": 0.95, "int_attr": -3, "page": 0, "request_id": None},
    "text of every kind": {"a": 'ö 漢 😀 " \\ \n \x01 \u2028 /'},
    "numbers at their ends": {"a": [2**63 - 1, -(2**63), 1e300, 5e-324, 0.1, -0.0]},
    "nothing": {},
    "lists of objects": {"all_categories": [{"id": 0, "name": "x"}], "multi_region": ["1,2,3,4"]},
    "half a surrogate pair": {"a": "x\ud800y"},
    "a number of more than 64 bits": {"a": 2**70},
}


@pytest.fixture(params=["as installed", "plain"])
def way(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(compact_json, "_fast", None)
    return compact_json


@pytest.mark.parametrize("what", VALUES)
def test_what_is_written_says_the_value(way, what):
    """Whichever library writes it, a line says the value; half a surrogate pair alone is replaced."""
    line = way.encoded(VALUES[what])
    read = json.loads(line)
    assert read == ({"a": "x?y"} if what == "half a surrogate pair" else VALUES[what])
    assert b"\n" not in line


@pytest.mark.parametrize(
    "text", [b'{"a": 1.5}', b'{"a": "\\ud800"}', b'{"a": NaN}', b'{"a":1,"a":2}', b"[1e5, true, null]"]
)
def test_what_python_reads_is_read(way, text):
    """Whichever library reads it, what Python's own module takes is taken, with the same values."""
    found, expected = way.decoded(text), json.loads(text)
    assert repr(found) == repr(expected) or math.isnan(found["a"])


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe{", b"{'a': 1}"])
def test_what_is_no_json_is_refused(way, text):
    """Whichever library reads it, what is no JSON is a ValueError."""
    with pytest.raises(ValueError):
        way.decoded(text)
