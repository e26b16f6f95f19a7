"""Who may talk to the console."""

from http import HTTPStatus

import pytest

from batchsearch.console.gate import HEADERS, Entrance, Gate

GATE = Gate(8765, "cookie-value", "csrf-value")
IN = {GATE.cookie_name: "cookie-value"}
OWN = {"Host": "127.0.0.1:8765", "Origin": "http://127.0.0.1:8765"}
FORM = "application/x-www-form-urlencoded"


def refused(method="GET", path="/search", headers=OWN, cookies=IN, kind=FORM):
    found = GATE.refusal(method, path, headers, cookies, kind)
    return found and found.status


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_own_names_are_answered(host):
    """The three names of this machine are answered, and a form from a page of the same name."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert refused(headers=headers) is None
    assert refused("POST", headers=headers) is None


@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "127.0.0.1:8766", "evil.example:8765", "localhost.:8765", "127.0.0.1:8765.", "0:8765"],
)
def test_other_names_are_misdirected(host):
    """A name that was made to lead here, another port, or none: 421 before anything else."""
    assert refused(headers={"Host": host}) == HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize("path", ["/search", "/assets/console.js", "/preview/x", "/meter", "/thumbnail"])
def test_everything_needs_the_cookie(path):
    """Without the cookie nothing is served, files and images included; only the entrance is heard."""
    assert refused(path=path, cookies={}) == HTTPStatus.FORBIDDEN
    assert refused(path=path, cookies={GATE.cookie_name: "cookie-valuE"}) == HTTPStatus.FORBIDDEN
    assert refused(path="/", cookies={}) is None
    assert refused("POST", path="/", cookies={}) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8765"},
        {**OWN, "Origin": "http://evil.example"},
        {**OWN, "Origin": "null"},
        {**OWN, "Origin": "http://localhost:8765"},
        {**OWN, "Origin": "https://127.0.0.1:8765"},
        {**OWN, "Sec-Fetch-Site": "cross-site"},
        {**OWN, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_are_refused(headers):
    """A form has to come from a page of the very same origin, and the browser may not say otherwise."""
    assert refused("POST", headers=headers) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "get"])
def test_other_methods_are_refused(method):
    """No method but GET, HEAD and POST is answered, OPTIONS neither: no origin shares."""
    assert refused(method) == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", ""])
def test_bodies_that_any_page_can_send_are_refused(kind):
    """A body of a type that needs no permission of this server is not read."""
    assert refused("POST", kind=kind) == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_the_token_of_the_address_lets_in_once():
    """The printed address opens once; whoever comes with it again may have a new one printed, nobody else."""
    entrance = Entrance("a" * 43)
    assert not entrance.opens("b" * 43)
    assert not entrance.was_used("b" * 43)
    assert entrance.opens("a" * 43)
    assert not entrance.opens("a" * 43)
    assert entrance.was_used("a" * 43)
    entrance.renew("c" * 43)
    assert not entrance.opens("a" * 43)
    assert entrance.opens("c" * 43)


def test_pages_may_load_nothing_from_elsewhere():
    """The policy names this server alone, allows nothing inline, and no frame around the page."""
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert HEADERS["Referrer-Policy"] == "same-origin"
