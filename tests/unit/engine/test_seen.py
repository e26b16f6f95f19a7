"""What may have been answered: never forgotten, seldom mistaken."""

import hashlib

from batchsearch.engine.rows.bloom_filter import BloomFilter


def key(number):
    return hashlib.sha256(str(number).encode()).digest()


def test_what_was_added_is_always_found():
    """No answered request is ever sent again because it was forgotten."""
    seen = BloomFilter()
    for number in range(5_000):
        seen.add(key(number))
    assert all(seen.may_hold(key(number)) for number in range(5_000))


def test_what_was_not_added_is_seldom_found():
    """With a hundred thousand requests, hardly one in ten thousand others is looked up in vain."""
    seen = BloomFilter()
    for number in range(100_000):
        seen.add(key(number))
    assert sum(seen.may_hold(key(f"other {number}")) for number in range(10_000)) <= 5
