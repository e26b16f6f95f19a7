"""Compressed bodies, whole, damaged, cut short and mislabelled."""

import gzip
import zlib

import pytest

from batchsearch.images.fetching.unpacking import (
    ENOUGH,
    BrokenBodyError,
    UnknownEncodingError,
    unpacker_for,
)

PLAIN = bytes(range(256)) * 40
JPEG = b"\xff\xd8\xff\xe0" + PLAIN


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def unpack(body, encoding, *, most=1 << 20, step=7):
    unpacker = unpacker_for(encoding, body[:ENOUGH])
    if unpacker is None:
        return body
    found = bytearray()
    for start in range(0, len(body), step):
        found += unpacker.feed(body[start : start + step], most - len(found))
    unpacker.end()
    return bytes(found)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("X-GZIP", gzip.compress(PLAIN)),
        ("gzip", gzip.compress(PLAIN[:100]) + gzip.compress(PLAIN[100:])),
        ("gzip", gzip.compress(PLAIN) + b"\0\0trailing"),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", raw_deflate(PLAIN)),
        ("identity", PLAIN),
        ("", PLAIN),
        ("aws-chunked", PLAIN),
    ],
)
def test_what_hosts_do_is_undone(encoding, body, step):
    """Gzip of several members, both kinds of deflate and what is nothing at all come out whole."""
    assert unpack(body, encoding, step=step) == PLAIN


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "what"])
def test_a_body_that_is_an_image_already_is_left_alone(encoding):
    """Some hosts only say that they have compressed."""
    assert unpack(JPEG, encoding) == JPEG


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(PLAIN)), ("deflate", zlib.compress(PLAIN)), ("deflate", raw_deflate(PLAIN))],
)
def test_a_body_cut_short_is_broken(encoding, body):
    """Whatever is missing at the end is noticed."""
    for cut in (1, len(body) // 2, len(body) - 1):
        with pytest.raises(BrokenBodyError):
            unpack(body[:cut], encoding)


def test_a_body_that_is_something_else_is_broken():
    """Text that is said to be gzip is no image, and no gzip either."""
    with pytest.raises(BrokenBodyError):
        unpack(b"<html>sorry</html>", "gzip")


@pytest.mark.parametrize("encoding", ["zstd", "compress", "gzip, gzip"])
def test_what_cannot_be_undone_is_said(encoding):
    """An unknown encoding is its own error."""
    with pytest.raises(UnknownEncodingError):
        unpack(b"\x28\xb5\x2f\xfd...", encoding)


@pytest.mark.parametrize("members", [1, 50])
def test_a_bomb_gives_no_more_than_is_asked_for(members):
    """A few kilobytes never become more than the bound, in one member or in many."""
    body = gzip.compress(bytes(10_000_000)) * members
    unpacker = unpacker_for("gzip", body[:ENOUGH])
    assert len(unpacker.feed(body, 1_000_000)) == 1_000_000


def test_brotli_is_undone_within_the_bound():
    """With the extra, Brotli comes out whole, broken Brotli is noticed, and a bomb is bounded."""
    brotli = pytest.importorskip("brotli")
    body = brotli.compress(PLAIN)
    assert unpack(body, "br") == PLAIN
    assert unpack(body, "br", step=1 << 20) == PLAIN
    with pytest.raises(BrokenBodyError):
        unpack(body[:-3], "br")
    with pytest.raises(BrokenBodyError):
        unpack(b"\xff" * 50, "br")
    bomb = brotli.compress(bytes(10_000_000))
    assert len(unpacker_for("br", bomb[:ENOUGH]).feed(bomb, 1_000_000)) <= 1_000_000
