"""The emulator's record of requests."""

from __future__ import annotations

import json
import threading

import pytest

from batchsearch.emulator.http.request_log import Entry, RequestLog, most_within, read_log


def entry(number: int = 1, **changes) -> Entry:
    values = {
        "number": number, "arrived": float(number), "wall": 0.0, "judged": None, "seconds": 0.1,
        "action": "Detail", "instance": "demo", "access_key_id": "id", "nonce": "n", "verdict": "granted",
        "status": 200, "code": None, "request_id": "R", "body_sha256": "0", "body_bytes": 0,
        "product_id": None, "pic_name": None, "fault": None,
    }  # fmt: skip
    return Entry(**{**values, **changes})


def test_entries_are_found_by_action_and_verdict():
    """The record can be asked for one operation's or one verdict's requests."""
    log = RequestLog()
    for item in (entry(1), entry(2, verdict="denied"), entry(3, action="AddImage")):
        log.add(item)
    assert [item.number for item in log.entries()] == [1, 2, 3]
    assert [item.number for item in log.entries("Detail")] == [1, 2]
    assert [item.number for item in log.entries(verdict="granted")] == [1, 3]
    log.clear()
    assert log.entries() == ()


def test_memory_holds_the_last_entries_only():
    """The record is bounded; the oldest entries go first."""
    log = RequestLog(size=3)
    for number in range(10):
        log.add(entry(number))
    assert [item.number for item in log.entries()] == [7, 8, 9]


def test_the_file_holds_every_entry_and_is_readable_at_any_time(tmp_path):
    """Another process reads whole lines while the log is open; a torn last line is left out."""
    path = tmp_path / "new" / "requests.jsonl"
    log = RequestLog(size=1, path=path)
    entries = (entry(1), entry(2, product_id="ключ\n\ud800", code="PicNotExist"))
    for item in entries:
        log.add(item)
    assert read_log(path) == entries
    with path.open("a") as file:
        file.write(json.dumps({"number": 3})[:5])
    assert read_log(path) == entries
    log.close()


def test_waiting_ends_with_the_entry_waited_for():
    """`wait_for` returns as soon as enough fitting entries are there, and gives up in time."""
    log = RequestLog()
    log.add(entry(1, action="AddImage"))
    adder = threading.Thread(target=log.add, args=(entry(2),))
    adder.start()
    assert [item.number for item in log.wait_for(1, action="Detail", timeout=10)] == [2]
    adder.join()
    with pytest.raises(TimeoutError, match="fewer than 2"):
        log.wait_for(2, action="Detail", timeout=0.01)


def test_most_within_finds_the_fullest_second():
    """The fullest half-open window counts, wherever it starts."""
    assert most_within([]) == 0
    assert most_within([0.0, 0.5, 0.999, 1.0, 1.4]) == 4
    assert most_within([0.0, 1.0, 2.0]) == 1
    assert most_within([0.0, 1.0, 2.0], seconds=2.5) == 3
