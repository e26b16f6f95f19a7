"""Which calls a row needs."""

import pytest

from batchsearch.engine.rows.page_plan import Page, pages_of


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, [(None, None)]),
        (1, [(0, 1)]),
        (100, [(0, 100)]),
        (101, [(0, 100), (100, 1)]),
        (500, [(0, 100), (100, 100), (200, 100), (300, 100), (400, 100)]),
    ],
)
def test_pages_are_as_few_as_the_page_size_allows(wanted, expected):
    """Up to 100 hits come with one call, 500 with five; the last page says that it is the last."""
    pages = pages_of(wanted)
    assert [(page.start, page.num) for page in pages] == expected
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert all(isinstance(page, Page) for page in pages)
