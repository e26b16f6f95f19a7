"""Which headers go to which host."""

import pytest

from batchsearch.images.fetching.request_headers import HostHeaders
from batchsearch.images.fetching.urls import parse

TOKEN = {"TOKEN": "a-very-secret-token"}


def told(host, url, **headers):
    """What is told to an address by the headers of one host."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return HostHeaders({host: given}, TOKEN).of(parse(url))


@pytest.mark.parametrize(
    ("host", "url", "takes"),
    [
        ("h.example", "https://h.example/x", True),
        ("H.Example", "https://h.example./x", True),
        ("h.example", "http://h.example:81/x", True),
        ("h.example:81", "http://h.example:81/x", True),
        ("h.example:81", "http://h.example/x", False),
        ("https://h.example", "http://h.example/x", False),
        ("h.example", "https://a.h.example/x", False),
        ("h.example", "https://h.example.evil/x", False),
        ("*.h.example", "https://a.b.h.example/x", True),
        ("*.h.example", "https://h.example/x", False),
        ("*.h.example", "https://evilh.example/x", False),
        ("[::1]", "http://[::1]/x", True),
        ("*", "http://anything/x", True),
    ],
)
def test_a_header_goes_to_the_hosts_that_its_entry_names(host, url, takes):
    """An entry names a host, all below it, a port, a scheme, or everybody."""
    assert told(host, url, Referer="r") == ({"referer": "r"} if takes else {})


@pytest.mark.parametrize(
    ("host", "url", "trusted"),
    [
        ("h.example", "https://h.example/x", True),
        ("*.h.example", "https://a.h.example/x", True),
        ("h.example", "http://h.example/x", False),
        ("h.example", "https://h.example:8443/x", False),
        ("h.example:8443", "https://h.example:8443/x", True),
        ("h.example:80", "http://h.example/x", False),
        ("http://h.example", "http://h.example/x", True),
        ("http://h.example", "http://h.example:81/x", False),
        ("http://h.example", "https://h.example/x", False),
        ("localhost:81", "http://localhost:81/x", True),
        ("localhost", "http://localhost:81/x", False),
    ],
)
@pytest.mark.parametrize("name", ["Authorization", "X_Any"])
def test_a_secret_leaves_encrypted_and_to_the_port_that_is_meant(host, url, trusted, name):
    """Whatever holds a variable is secret, whoever asks for less has to say so."""
    found = told(host, url, **{name: "${TOKEN}"})
    assert found == ({name.lower().replace("_", "-"): TOKEN["TOKEN"]} if trusted else {})


def test_the_closest_entry_wins_header_by_header():
    """What all hosts get, those below a name get, and one host gets, in that order."""
    headers = HostHeaders(
        {
            "a.h.example": {"user-agent": "one"},
            "*": {"User-Agent": "all", "Accept-Language": "de"},
            "*.h.example": {"User-Agent": "below", "Referer": "r"},
        },
        {},
    )
    assert headers.of(parse("https://a.h.example/x")) == {
        "user-agent": "one",
        "accept-language": "de",
        "referer": "r",
    }
    assert headers.of(parse("https://b.h.example/x"))["user-agent"] == "below"
    assert headers.of(parse("https://other/x"))["user-agent"] == "all"


def test_nothing_secret_is_in_what_is_shown():
    """Neither the headers nor an address with a user show their secrets."""
    headers = HostHeaders({"h": {"Authorization": "Bearer ${TOKEN}"}}, TOKEN)
    assert "very-secret" not in repr(vars(headers))
    assert "pass" not in repr(parse("https://user:pass@h/x?token=pass"))
