"""Addresses of the web are asked for as they are written."""

import pytest

from batchsearch.images.fetching.urls import UnreadableAddressError, parse

EXACT = [
    "/signed/enc%27oded%28x%29.jpg?sig=a%2Fb%3D%3D&e=1",
    "/thumb/http%3A%2F%2Fcdn.example%2Fa.jpg",
    "/q.jpg?t=application%2Fgzip&p=%7Eu",
    "/plus/a+b%2Bc.jpg?x=1+2%2B3",
    "/slash/a%2Fb.jpg",
    "/dots/a/%2e%2e/b.jpg",
    "/semi/a;v=1.jpg?a=1;b=2",
    "/star/%2A%21.jpg?%24=%40",
    "/empty?x=&y",
    "/question?",
    "/raw/(a)'b'[c]{d}|e^f~.jpg?q=[1]|'2'",
    "/lower/%c3%a9%zz%.jpg",
    "/a//b/../c/./d",
    "//double",
]


@pytest.mark.parametrize("target", EXACT)
def test_path_and_query_stay_as_they_are(target):
    """Nothing is decoded, encoded again or put in order."""
    address = parse(f"https://host.example{target}#fragment")
    assert address.target == target
    assert address.url.raw_path_qs == target
    assert str(address.url) == f"https://host.example{target}"
    assert parse("http://other.example/x").follow(f"https://host.example{target}").target == target


@pytest.mark.parametrize("target", [target for target in EXACT if not target.startswith("//")])
def test_a_redirect_on_the_same_host_keeps_its_target(target):
    """A `Location` that begins with a slash is taken as it is."""
    assert parse("http://h.example/x?y").follow(target).target == target


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("http://h/my pic.jpg", "/my%20pic.jpg"),
        ("http://h/caf\u00e9.jpg?n=\u00e4 b", "/caf%C3%A9.jpg?n=%C3%A4%20b"),
        ("http://h/caf\udce9.jpg", "/caf%E9.jpg"),
        ("  http://h/a\n.jpg\u00a0", "/a.jpg"),
        ("http://h\\images\\a.jpg?b=\\", "/images/a.jpg?b=\\"),
        ("http://h?x=1", "/?x=1"),
        ("HTTP://H", "/"),
    ],
)
def test_what_cannot_be_sent_is_encoded_and_nothing_else(written, target):
    """Blanks and other alphabets go in percent, backslashes of a path as slashes, as in a browser."""
    assert parse(written).target == target


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("ok.jpg?x=1#f", "https://h.example:8443/a/b/ok.jpg?x=1"),
        ("../c/./d", "https://h.example:8443/a/c/d"),
        ("../../../..", "https://h.example:8443/"),
        ("", "https://h.example:8443/a/b/c?q"),
        ("#top", "https://h.example:8443/a/b/c?q"),
        ("?z", "https://h.example:8443/a/b/c?z"),
        ("//other.example/x", "https://other.example/x"),
        ("\\\\other.example/x", "https://other.example/x"),
        ("http://u:p@other.example:81/x", "http://other.example:81/x"),
    ],
)
def test_redirects_are_followed_as_browsers_do(location, found):
    """Relative places start at the address; user and fragment stay behind."""
    followed = parse("https://me:pw@h.example:8443/a/b/c?q").follow(location)
    assert str(followed.url) == found
    assert followed.user is None


def test_a_user_is_told_apart_from_the_host():
    """The last `@` before the path ends user and password, percent signs in them stand for signs."""
    address = parse("http://me%40shop:p%3Aw@h.example/x@y")
    assert (address.host, address.target) == ("h.example", "/x@y")
    assert address.basic == "Basic bWVAc2hvcDpwOnc="
    assert "p%3Aw" not in repr(address)


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("http://B\u00fccher.example/x", "xn--bcher-kva.example", 80),
        ("https://[::1]:8443/x", "::1", 8443),
        ("http://\uff11\uff12\uff17.0.0.1/x", "127.0.0.1", 80),
        ("https://a_b.example.", "a_b.example.", 443),
        ("http://good.example\\@evil.example/x", "good.example", 80),
        ("http://good.example@evil.example/x", "evil.example", 80),
    ],
)
def test_hosts_are_what_a_connection_is_made_to(written, host, port):
    """Names come in ASCII and lower case, so that what is checked is what is asked."""
    address = parse(written)
    assert (address.host, address.port) == (host, port)
    assert address.url.raw_host == host


@pytest.mark.parametrize(
    "written",
    [
        "http://",
        "https:///x",
        "http://[::1",
        "http://[zz::1]/x",
        "http://h:99999/x",
        "http://h:0/x",
        "http://h:8o/x",
        "http://a..b/x",
        f"http://{'a' * 64}.example/x",
        "http://a%2fb/x",
        "http://a b/x",
        "http://a\x00b/x",
        "ftp://h/x",
        "http:/h/x",
        "http://h/\ud800",
        "",
    ],
)
def test_what_is_no_address_is_said_to_be_none(written):
    """A broken host, port or scheme is an error of one kind."""
    with pytest.raises(UnreadableAddressError):
        parse(written)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://h/x", "data:,x", "http:x", "javascript:1"])
def test_a_redirect_leads_to_the_web_only(location):
    """Another scheme is nowhere to go."""
    with pytest.raises(UnreadableAddressError):
        parse("http://h/x").follow(location)
