"""The words of a text and of an item, for searching by text without a network that understands either (pure).

The service compares a text with the pictures. Here it is compared with the item's own words: its texts, its
names and the name of its category. Words are compared without case, forms of compatibility and the `s` of an
English plural; of Chinese, Japanese and Korean, which have no spaces, each two neighbours are a word.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from batchsearch.service.facts import CATEGORIES, OTHER_CATEGORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.emulator.search.records import Item

_UNSPACED: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN: Final = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+")
_WITHOUT_SPACES: Final = re.compile(f"[{_UNSPACED}]")
_SHORTEST_PLURAL: Final = 4


def words_of(text: str) -> frozenset[str]:
    """The different words of a text."""
    return frozenset(_words(text))


def words_of_item(item: Item) -> frozenset[str]:
    """The different words of an item: CustomContent, StrAttr to StrAttr4, both names, its category's name."""
    texts = (
        item.custom_content,
        item.str_attr,
        item.str_attr2,
        item.str_attr3,
        item.str_attr4,
        item.product_id,
        item.pic_name,
        None if item.category_id in {None, OTHER_CATEGORY} else CATEGORIES.get(item.category_id or 0),
    )
    return words_of("\n".join(filter(None, texts)))


def _words(text: str) -> Iterator[str]:
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _WITHOUT_SPACES.match(run):
            if len(run) == 1:
                yield run
            yield from (run[at : at + 2] for at in range(len(run) - 1))
        elif run[-1] == "s" and len(run) >= _SHORTEST_PLURAL and run[-2] != "s":
            yield run[:-1]
        else:
            yield run
