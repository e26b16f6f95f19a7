"""Answers: how they are shown, and how they are kept."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from batchsearch.console import history as history_module
from batchsearch.console.answer_view import request_lines, view_of
from batchsearch.console.asked import Asked, AskedImage
from batchsearch.console.history import History
from batchsearch.console.screens.history_screen import moves

IMAGE = AskedImage("a" * 64, "chair.jpg", 300, 200, 12_345, "JPEG", (), "b" * 64)
BODY = {
    "RequestId": "R-1",
    "Success": True,
    "Code": 0,
    "Msg": "success",
    "Head": {"DocsReturn": 2, "DocsFound": 9, "SearchTime": 12, "New": 1},
    "PicInfo": {
        "CategoryId": 3,
        "Region": "10,100,20,120",
        "MultiRegion": [{"Region": "10,100,20,120"}, {"Region": "1,5,1,5"}, {"Region": "rubbish"}],
        "AllCategories": [{"Id": 3, "Name": "Bag"}, {"Id": 4, "Name": "Shoes"}],
    },
    "Auctions": [
        {
            "ProductId": "p1",
            "PicName": "a",
            "Score": 0.9,
            "CategoryId": 3,
            "SortExprValues": "1;0",
            "Later": {"x": 1},
        },
        {"ProductId": "p2", "PicName": "b", "Score": 0.5, "IntAttr": 0, "StrAttr": ""},
    ],
    "Surprise": [1, 2],
}


def asked(name="20261127T010203-0123456789ab", **changes):
    made = Asked(
        id=name,
        at=datetime(2026, 11, 27, 1, 2, 3, tzinfo=UTC),
        instance="demo",
        operation="SearchImageByPic",
        values={"num": 2, "start": 10},
        entered={"num": "2", "start": "10"},
        images=(IMAGE,),
        calls=1,
        latency=0.1,
        waited=0.2,
        status=200,
        request_id="R-1",
        body=json.dumps(BODY),
    )
    return replace(made, **changes)


def test_every_field_is_shown():
    """Documented fields and those that no page knows are all there, by their names on the wire."""
    view = view_of(asked())
    assert view.head == {"DocsReturn": "2", "DocsFound": "9", "SearchTime": "12", "New": "1"}
    assert view.unknown == {"Surprise": "[1, 2]"}
    assert [(hit.rank, hit.product_id, hit.score) for hit in view.hits] == [(11, "p1", 0.9), (12, "p2", 0.5)]
    assert view.columns == (
        "Score", "ProductId", "PicName", "CategoryId", "IntAttr", "StrAttr", "SortExprValues", "Later",
    )  # fmt: skip
    assert view.hits[0].fields["Later"] == '{"x": 1}'
    assert view.hits[1].fields["IntAttr"] == "0"
    assert view.hits[0].category == "Bag (3)"
    assert view.categories == ((3, "Bag"), (4, "Shoes"))
    assert view.announcement == "2 results, best 0.90"


def test_regions_are_each_once_and_the_main_one_first():
    """Regions are in pixels with both ends inside; what is no region is left out."""
    view = view_of(asked())
    told = [(each.text, each.left, each.top, each.width, each.height, each.number) for each in view.regions]
    assert told == [("10,100,20,120", 10, 20, 91, 101, 0), ("1,5,1,5", 1, 1, 5, 5, 1)]
    assert view.has_regions


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", '{"Auctions": 5, "PicInfo": [], "Head": null}', "{", "[" * 9999]
)
def test_no_answer_is_too_odd_to_be_shown(body):
    """Whatever came is shown as it came."""
    view = view_of(asked(body=body))
    assert view.hits == ()
    assert view.raw or not body


def test_a_failure_says_whose_it_is_and_which_field():
    """A code is explained from the table, with who can mend it and the field at fault."""
    view = view_of(asked(code="InvalidFilterClause", message="bad", status=400, body="{}"))
    assert view.failure.field == "filter"
    assert view.failure.advice
    assert view.failure.owner == "Change what was entered."
    assert view.announcement == "No answer: InvalidFilterClause"


def test_the_request_is_shown_without_its_image():
    """The request by names on the wire: the image as length and hash, no signature, no key."""
    lines = request_lines(asked())
    assert lines["Num"] == "2"
    assert lines["PicContent"] == f"base64 of 12,345 bytes, JPEG, SHA-256 {'b' * 16}…"
    assert not {name for name in lines if "ignature" in name or "ccess" in name}


def test_an_answer_is_read_back_as_it_was():
    """What the history writes is what it reads, but for secrets."""
    one = asked(title="chairs", pinned=True)
    assert Asked.from_json(one.to_json()) == one
    signed = asked(body='{"u": "https://b.example/x.jpg?Signature=abcdefgh"}')
    assert "abcdefgh" not in signed.to_json()
    for text in ("", "[]", "{}", '{"images": 1}', '{"at": "x", "images": []}', "null"):
        with pytest.raises(ValueError):
            Asked.from_json(text)


def test_the_history_is_private_and_survives(tmp_path):
    """Answers are in a folder of the user's own, come back with their thumbnails, and can be deleted."""
    folder = tmp_path / "own" / "history"
    first = History(folder)
    assert not folder.exists()
    first.add(asked(), b"jpeg")
    first.write(asked(), b"jpeg")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    (folder / "20261127T010203-000000000000.json").write_text("rubbish")
    (folder / "notes.json").write_text("{}")
    again = History(folder)
    assert [each.id for each in again] == [asked().id]
    assert again.thumbnail(asked().id) == b"jpeg"
    assert again.same(asked().digest) is None, "only answers of this session are offered again"
    again.write(again.change(asked().id, title="  a\nname  ", pinned=True))
    assert (again.get(asked().id).title, History(folder).get(asked().id).pinned) == ("a name", True)
    again.remove(asked().id)
    again.remove("../../etc/passwd")
    assert list(History(folder)) == []
    assert sorted(path.name for path in folder.iterdir()) == [
        "20261127T010203-000000000000.json",
        "notes.json",
    ]


def test_the_history_makes_room(tmp_path, monkeypatch):
    """The oldest make room, those that are pinned last; a full disk loses no answer."""
    monkeypatch.setattr(history_module, "MOST_ENTRIES", 3)
    kept = History(tmp_path / "history")
    for number in range(5):
        kept.add(asked(f"20261127T01020{number}-0123456789ab", pinned=number == 0), None)
    assert [each.id[14] for each in kept] == ["4", "3", "0"]
    (tmp_path / "file").write_text("")
    blocked = History(tmp_path / "file" / "below")
    blocked.add(asked(), b"jpeg")
    blocked.write(asked(), b"jpeg")
    assert "file" in blocked.trouble
    assert [each.id for each in blocked] == [asked().id]


def test_equal_questions_are_offered_again():
    """Within a session the same question is known by what is sent, not by what the file is called."""
    kept = History(None)
    kept.add(asked(), None)
    renamed = replace(IMAGE, name="other.jpg")
    assert kept.same(asked(images=(renamed,)).digest).id == asked().id
    assert kept.same(asked(values={"num": 3}).digest) is None
    kept.add(asked("20261127T010204-0123456789ab", values={"num": 9}, code="X"), None)
    assert kept.same(asked(values={"num": 9}).digest) is None, "a failure answers nothing"


def test_two_answers_are_compared_by_item():
    """Of two answers each item is told once: where it went, what is new, what is gone."""
    later = json.loads(asked().body)
    later["Auctions"] = [later["Auctions"][1], {"ProductId": "p3", "PicName": "c", "Score": 0.4}]
    found = moves(asked(), asked(body=json.dumps(later)))
    assert [(what, (after or before).product_id) for what, before, after in found] == [
        ("up 1", "p2"),
        ("new", "p3"),
        ("gone", "p1"),
    ]
