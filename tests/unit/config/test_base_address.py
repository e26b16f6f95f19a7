"""Relative addresses below `images.base_url`: what they mean, and that nothing leads out of it."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from batchsearch.config.base_address import OutsideBaseError, under
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.fetching.urls import parse

BASE = "https://shop.example/media/catalog/product"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("w/s/a.jpg", f"{BASE}/w/s/a.jpg"),
        ("/w/s/a.jpg", f"{BASE}/w/s/a.jpg"),
        (" /w/s/a.jpg\n", f"{BASE}/w/s/a.jpg"),
        ("w\\s\\a.jpg", f"{BASE}/w/s/a.jpg"),
        ("./a.jpg", f"{BASE}/a.jpg"),
        ("//w/s/a.jpg", f"{BASE}/w/s/a.jpg"),
        ("a.jpg?width=300&x=../y", f"{BASE}/a.jpg?width=300&x=../y"),
        ("a b%20c.jpg", f"{BASE}/a b%20c.jpg"),
        ("50% off #1.jpg", f"{BASE}/50%25 off %231.jpg"),
        ("@other.example/a.jpg", f"{BASE}/@other.example/a.jpg"),
        ("a..b/..c.jpg", f"{BASE}/a..b/..c.jpg"),
    ],
)
@pytest.mark.parametrize("base", [BASE, f"{BASE}/"])
def test_a_path_is_below_the_base(base, path, address):
    """With and without a slash at either end, as shops write it."""
    assert under(base, path) == address


@pytest.mark.parametrize(
    "path",
    [
        "../a.jpg",
        "a/../../b.jpg",
        "/..",
        "..\\a.jpg",
        "%2e%2e/a.jpg",
        "a/.%2E/b.jpg",
        "%2e%2e%2fa.jpg",
        "%252e%252e/a.jpg",
        "a/..%5cb.jpg",
    ],
)
def test_no_path_leads_above_the_base(path):
    """Plainly, in percent, twice in percent, with backslashes: servers decode before they walk."""
    with pytest.raises(OutsideBaseError):
        under(BASE, path)


@given(st.text(max_size=60))
@example("//evil.example/a.jpg")
@example("https:evil.example")
@example("\\\\evil.example\\a")
@example("@evil.example")
@example(":8080/x")
def test_whatever_a_cell_holds_goes_to_the_bases_host(text):
    """Nothing that a manifest can hold reaches another host, port or folder."""
    try:
        found = parse(under("https://shop.example/media", text))
    except (OutsideBaseError, UnicodeEncodeError):
        return
    assert (found.scheme, found.host, found.port, found.user) == ("https", "shop.example", 443, None)
    path = urlsplit(f"https://x{found.target}").path
    assert path.startswith("/media/")
    assert ".." not in unquote(path).split("/")


@pytest.mark.parametrize(
    "base",
    [
        "shop.example/media",
        "ftp://shop.example/",
        "https://",
        "https://user:pw@shop.example/",
        "https://shop.example/?x=1",
        "https://shop.example/a/../b",
        "file:///srv",
    ],
)
def test_a_base_is_an_address_of_a_host_and_a_folder(base):
    """Anything else would mean other things with other paths."""
    with pytest.raises(ValidationError, match="must be an address such as"):
        ImageSettings(base_url=base)
