"""Which proxy an address is asked through."""

import pytest

from batchsearch.errors import ConfigError
from batchsearch.proxies import DIRECT, proxies_of

BOTH = {"http_proxy": "http://p.example:3128", "HTTPS_PROXY": "https://u:secret-word@q.example:3129"}


def proxies(**environ):
    return proxies_of("environment", environ, where="images.proxy")


def test_each_scheme_has_its_own_variable():
    """`http:` goes by HTTP_PROXY, `https:` by HTTPS_PROXY, in lower or upper case."""
    found = proxies(**BOTH)
    assert found.of("http", "a.example", 80) == "http://p.example:3128"
    assert found.of("https", "a.example", 443) == "https://u:secret-word@q.example:3129"
    assert "secret-word" not in repr(found)
    assert proxies().of("http", "a.example", 80) is None


def test_the_setting_wins_over_the_environment():
    """`none` uses no proxy, an address is used for everything; NO_PROXY holds for it as well."""
    assert proxies_of("none", BOTH, where="images.proxy") == DIRECT
    given = proxies_of("http://r.example:1", {**BOTH, "NO_PROXY": "b.example"}, where="images.proxy")
    assert given.of("https", "a.example", 443) == given.of("http", "a.example", 80) == "http://r.example:1"
    assert given.of("http", "b.example", 80) is None


@pytest.mark.parametrize("host", ["localhost", "x.localhost", "127.0.0.1", "127.8.8.8", "::1", "localhost."])
def test_this_machine_is_never_asked_through_a_proxy(host):
    """A proxy would look at itself."""
    assert proxies(**BOTH).of("http", host, 80) is None


@pytest.mark.parametrize(
    ("entry", "host", "direct"),
    [
        ("*", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example", "a.example", True),
        ("a.example", "ba.example", False),
        ("a.example:80", "a.example", True),
        ("a.example:81", "a.example", False),
        ("x, a.example", "a.example.", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "fd12::1", True),
        ("[fd12::1]:80", "fd12::1", True),
        (".", "a.example", False),
        ("", "a.example", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(entry, host, direct):
    """Entries of NO_PROXY are read as most tools read them."""
    assert (proxies(**BOTH, NO_PROXY=entry).of("http", host, 80) is None) is direct


@pytest.mark.parametrize("address", ["socks5://h:1", "http://", "http://h:x", "http://a b", "http://h:99999"])
def test_a_variable_that_names_no_proxy_is_refused_by_its_name(address):
    """The message has the variable and the way out, and not the address."""
    with pytest.raises(ConfigError, match=r"^HTTP_PROXY .*images\.proxy: none") as caught:
        proxies(HTTP_PROXY=address)
    assert "h:1" not in str(caught.value)


def test_a_proxy_may_be_written_without_its_scheme():
    """`host:port` is an HTTP proxy, as curl has it."""
    assert proxies(http_proxy="p.example:3128").of("http", "a.example", 80) == "http://p.example:3128"


def test_a_request_header_is_no_variable():
    """Where a web server starts a program, HTTP_PROXY may be a stranger's header."""
    found = proxies(HTTP_PROXY="http://evil.example", REQUEST_METHOD="GET")
    assert found.of("http", "a.example", 80) is None
