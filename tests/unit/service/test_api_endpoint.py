"""What is an endpoint, and what its Host header is."""

from __future__ import annotations

import pytest

from batchsearch.errors import ConfigError
from batchsearch.service.endpoint import parse_endpoint


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        ("imagesearch.cn-hangzhou.aliyuncs.com", "https://imagesearch.cn-hangzhou.aliyuncs.com", None),
        ("HTTPS://Host.Example:443", "https://host.example", "host.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:80", "http://localhost", "localhost"),
        ("localhost:8443", "https://localhost:8443", "localhost:8443"),
        ("http://[::1]:9000", "http://[::1]:9000", "[::1]:9000"),
    ],
)
def test_endpoints(text, url, authority):
    """Host, port and scheme are read; HTTPS unless HTTP is written; the scheme's own port is left out."""
    endpoint = parse_endpoint(text)
    assert str(endpoint) == url
    assert endpoint.authority == authority or authority is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://host",
        "http://host/path",
        "http://host/",
        "http://user@host",
        "http://user:pw@host",
        "host:0",
        "host:70000",
        "host:port",
        "host?x=1",
        "host#x",
        "ho st",
        "host\nX-Evil: 1",
        "-host",
        "[::g]",
        "a" * 300,
    ],
)
def test_what_is_no_endpoint(text):
    """Anything more, less or other than host and port is refused with the forms that are meant."""
    with pytest.raises(ConfigError, match="write `host`"):
        parse_endpoint(text)
