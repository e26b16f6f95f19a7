"""Another table of texts with the same keys turns all words of the console's pages."""

import json
import re
from html.parser import HTMLParser

import pytest
from console_rig import SAMPLES, Visitor, asked_of

from batchsearch.console import wording
from batchsearch.console.answer_view import COLUMNS
from batchsearch.console.wording import Plural, Texts
from batchsearch.service.operations import OPERATIONS

IMAGE = "assorted-succulents-recompressed.jpg"
DATA = (SAMPLES / "queries" / IMAGE).read_bytes()
KEPT = {"language"}
VALUES = {"bdi", "code", "kbd", "pre", "option", "dt", "dd"}
"""Elements that hold names and figures, or texts with such."""
NAMES = {
    *("batchsearch", "https", "demo", "product", "JPEG", "PR", "RequestId", "Auctions"),
    *("granted", "direct", "Other"),
    *OPERATIONS,
    *(re.sub(r"\d", "", name) for name in COLUMNS),
}
"""What the service, the items, the instance's log and its categories are called."""
VOID = {"input", "img", "meta", "link", "br", "hr"}


def turned(text):
    if isinstance(text, Plural):
        return Plural(turned(text.one), turned(text.many))
    return f"⟦{text}⟧"


@pytest.fixture
def other_table(monkeypatch):
    """Every text in brackets, as another language would have every text other."""
    table = {key: text if key in KEPT else turned(text) for key, text in wording.texts().by_key.items()}
    other = Texts(table)
    monkeypatch.setattr(wording, "texts", lambda: other)
    monkeypatch.setattr("batchsearch.console.rendering.texts", lambda: other)


class Unturned(HTMLParser):
    """Collects the words that are in no brackets, but for those of names and values."""

    def __init__(self):
        super().__init__()
        self.words, self.open, self.depth, self.turned = [], [], 0, 0

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag not in VOID:
            self.open.append("out" if re.search(r"\b(out|id)\b", told.get("class") or "") else tag)
        for name in ("aria-label", "title", "placeholder"):
            if "⟦" not in (told.get(name) or ""):
                self.look(told.get(name) or "")

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        for part in re.findall(r"⟦|⟧|[^⟦⟧]+", data):
            if part in "⟦⟧":
                self.depth += 1 if part == "⟦" else -1
                self.turned += part == "⟦"
            elif not self.depth and not {"out", *VALUES} & set(self.open):
                self.look(part)

    def look(self, text):
        self.words += [word for word in re.findall(r"[^\W\d_]{2,}", text) if word not in NAMES]


def unturned(page):
    found = Unturned()
    found.feed(page)
    found.close()
    assert found.depth == 0
    assert found.turned > 30
    return found.words


def test_another_table_turns_every_page(other_table, console):
    """No word of a page is left that is not in the table: names of the service and of items alone."""
    visitor = Visitor(console)
    form, files = {"type": "SearchImageByPic", "do": "again", "num": "3"}, {"image": (IMAGE, DATA)}
    answered = visitor.follow(visitor.post("/search", form, files))
    address = answered[0]
    pages = {"an answer": answered[3]}
    pages["nothing"] = visitor.follow(visitor.post("/search", form | {"filter": "int_attr < 0"}, files))[3]
    pages["an image"] = visitor.follow(visitor.post("/search", form | {"do": "show"}, files))[3]
    pages["same"] = visitor.post("/search", form | {"do": "search"}, files)[2]
    pages["compared"] = visitor.follow(
        visitor.post("/compare", {"do": "compare"}, {**files, "image_2": (IMAGE, DATA)})
    )[3]
    pages["goes"] = visitor.post("/change/delete", {"product_id": "PR000", "do": "look"})[2]
    pages["no image"] = visitor.post("/search", {"type": "SearchImageByPic", "do": "search"})[2]
    kinds = [f"/search?type=SearchImageBy{kind}" for kind in ("Pic", "Name", "Filter")]
    changes = [f"/change/{what}" for what in ("add", "update", "delete")]
    found = ("/compare", "/items", "/history", "/runs", "/requests", "/nowhere", "/history/compare")
    for path in (*kinds, *changes, *found, "/items/one?product_id=PR000&pic_name=bamboo-watch.jpg"):
        pages[path] = visitor.get(path)[2]
    found = {name: unturned(page.decode()) for name, page in pages.items() if page}
    assert {name: words for name, words in found.items() if words} == {}
    assert visitor.get(address)[0] == 200
    assert len(asked_of(console)) >= 3
    refused = visitor.get("/search", Host="evil.example")[2].decode()
    assert refused == "⟦This server does not answer to that host name.⟧"


def test_scripts_are_given_the_same_table(other_table, console):
    """The module of the scripts' texts is made of the table."""
    status, headers, body = Visitor(console).get("/assets/texts.js")
    assert (status, headers.get_content_type()) == (200, "text/javascript")
    told = json.loads(body.decode().removeprefix("export default ").rstrip(";\n"))
    assert told == wording.script_texts()
    assert told["unit"] == {"one": "⟦call⟧", "many": "⟦calls⟧"}


def test_a_value_in_a_text_is_escaped(console):
    """What a text is filled with is shown as it is: neither markup nor control characters get through."""
    evil = "<b>&\u202e\x01"
    page = Visitor(console).post("/change/delete", {"product_id": evil, "do": "look"})[2].decode()
    assert "<b>" not in page
    assert "\u202e" not in page
