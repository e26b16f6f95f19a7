"""Searching by text: the words of texts and items, and how much of a text an item has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch.emulator.search.item_index import WordIndex
from batchsearch.emulator.search.own_words import words_of, words_of_item
from batchsearch.emulator.search.records import Item


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red  SHOES, size-42!", {"red", "shoe", "size", "42"}),
        ("glass dresses", {"glass", "dresse"}),
        ("\uff32\uff25\uff24 é", {"red", "é"}),
        ("红色连衣裙 42码", {"红色", "色连", "连衣", "衣裙", "42", "码"}),
        ("鞋", {"鞋"}),
        ("gas is", {"gas", "is"}),
        ("… !", set()),
        ("snake_case.jpg", {"snake", "case", "jpg"}),
    ],
)
def test_words_are_told_apart_and_made_alike(text, words):
    """Case, forms of compatibility and an English plural make no difference; unspaced scripts go in pairs."""
    assert words_of(text) == words


def test_an_items_words_are_its_texts_names_and_category():
    """Every text that an item has is searched, and the name of a category that says something."""
    item = Item("sku-1", "front.jpg", 4, "leather", str_attr="a", str_attr2="b", str_attr3="c", str_attr4="d")
    assert words_of_item(item) == {"sku", "1", "front", "jpg", "shoe", "leather", "a", "b", "c", "d"}
    assert words_of_item(Item("p", "n", 88888888)) == {"p", "n"}


def scores(index, text):
    ids, found = index.scores(text)
    return dict(zip(ids.tolist(), found.tolist(), strict=True))


def test_the_score_is_the_share_of_the_words_rare_ones_weighing_more():
    """All words make 1, none is not found, between them `ln(1 + (items + 1) / (having + 1))` weighs."""
    index = WordIndex()
    for number, text in enumerate(("red shoe", "red dress", "red"), 1):
        index.put(number, Item("", "", None, text))
    index.put(4, Item("", "", None, "blue"))
    red, dress = math.log1p(5 / 4), math.log1p(5 / 2)
    share = red / (red + dress)
    assert scores(index, "RED Dress") == pytest.approx({1: share, 2: 1.0, 3: share})
    assert scores(index, "green") == {}
    assert scores(index, "?") == {}


def test_words_follow_what_becomes_of_an_item():
    """New words replace the old ones, words that come back are there once, and what is gone is not found."""
    index = WordIndex()
    for number in (1, 2, 3):
        index.put(number, Item("", "", None, "red shoe"))
    index.put(2, Item("", "", None, "blue shoe"))
    assert set(scores(index, "red")) == {1, 3}
    index.put(2, Item("", "", None, "red shoe"))
    assert scores(index, "red shoe") == {1: 1.0, 2: 1.0, 3: 1.0}
    index.remove([1, 3, 9])
    assert scores(index, "red") == {2: 1.0}
    index.remove([2])
    assert scores(index, "red") == {}
    assert scores(index, "shoe") == {}


CHANGES = st.lists(
    st.tuples(st.integers(1, 4), st.one_of(st.none(), st.sets(st.sampled_from("abc")))), max_size=20
)


@given(changes=CHANGES, asked=st.sets(st.sampled_from("abcd"), min_size=1))
def test_scores_are_those_of_whoever_looks_at_every_item(changes, asked):
    """After any additions, changes and deletions the answer is that of a search without an index."""
    index, held = WordIndex(), {}
    for identity, words in changes:
        if words is None:
            held.pop(identity, None)
            index.remove([identity])
        else:
            held[identity] = words
            index.put(identity, Item("", "", None, " ".join(words)))
        if identity % 2:
            index.scores("a b")
    weights = {
        word: math.log1p((len(held) + 1) / (sum(word in words for words in held.values()) + 1))
        for word in asked
    }
    expected = {
        identity: sum(weights[word] for word in asked & words) / sum(weights.values())
        for identity, words in held.items()
        if asked & words
    }
    assert scores(index, " ".join(asked)) == pytest.approx(expected)
