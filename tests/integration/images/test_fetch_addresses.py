"""What is really sent to hosts of images: request targets, headers, cookies, proxies; read off the socket."""

import gzip
from contextlib import asynccontextmanager

import pytest
from aiohttp.resolver import ThreadedResolver
from web_rig import raw_server

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.errors import ConfigError
from batchsearch.images.fetching.fetch import Fetcher, Rejected, Unreachable
from batchsearch.manifest.rows import ImageReference
from batchsearch.redaction import redacted

BODY = b"\xff\xd8\xff" + bytes(range(256)) * 40
SPELLINGS = [
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
    "/lower/%c3%a9|{x}.jpg",
]


class Host:
    """A server that writes down each request and answers with the bytes that a test gives it."""

    def __init__(self):
        self.seen = []
        self.answers = {}

    async def serve(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            parts = (line.partition(":") for line in head[1:])
            headers = {name.lower(): value.strip() for name, _, value in parts if name}
            self.seen.append((method, target, headers))
            given = self.answers.get(target.partition("?")[0], answer())
            writer.write(given(headers) if callable(given) else given)
            await writer.drain()

    @property
    def targets(self):
        return [target for _, target, _ in self.seen]


def answer(status="200 OK", *headers, body=BODY):
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def moved(to, *headers):
    return answer("302 Found", f"Location: {to}", *headers, body=b"")


@asynccontextmanager
async def running():
    host = Host()
    async with raw_server(host.serve) as address:
        host.port = address.rpartition(":")[2]
        host.url = f"http://{address}"
        yield host


@pytest.fixture
async def host():
    async with running() as host:
        yield host


@pytest.fixture
async def other():
    async with running() as other:
        yield other


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def get(tmp_path, *urls, **settings):
    """What comes of addresses, one after the other."""
    settings = {"allow_hosts": ("127.0.0.1",), "fetch_timeout": 20, **settings}
    async with Fetcher(tmp_path, ImageSettings(**settings)) as fetcher:
        found = [await fetcher.fetch(ImageReference(url=url)) for url in urls]
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize("target", SPELLINGS)
async def test_an_address_is_requested_byte_for_byte(host, tmp_path, target):
    """The request line has what the manifest has, and after a redirect what the host said."""
    assert await get(tmp_path, host.url + target) == BODY
    host.answers["/go"] = moved(target)
    host.answers["/away"] = moved(host.url + target)
    assert await get(tmp_path, host.url + "/go", host.url + "/away") == [BODY] * 2
    assert host.targets == [target, "/go", target, "/away", target]


async def test_a_redirect_of_raw_bytes_is_followed(host, tmp_path):
    """A `Location` in UTF-8 or Latin-1 goes on in percent."""
    host.answers["/utf8"] = moved("/caf\xc3\xa9.jpg")
    host.answers["/latin"] = moved("/caf\xe9.jpg")
    assert await get(tmp_path, host.url + "/utf8", host.url + "/latin") == [BODY] * 2
    assert host.targets == ["/utf8", "/caf%C3%A9.jpg", "/latin", "/caf%E9.jpg"]


async def test_headers_go_to_their_host_alone(host, other, tmp_path, monkeypatch):
    """A host gets its headers, secrets included; where a redirect leads gets none of them."""
    monkeypatch.setenv("CDN_TOKEN", "a-very-secret-token")
    headers = {
        f"127.0.0.1:{host.port}": {
            "Authorization": "Bearer ${CDN_TOKEN}",
            "Referer": "https://shop.example/",
        },
        "*": {"User-Agent": "shop/1"},
    }
    host.answers["/go"] = moved(other.url + "/x")
    assert await get(tmp_path, host.url + "/go", headers=headers) == BODY
    (_, _, first), (_, _, second) = host.seen[0], other.seen[0]
    assert first["authorization"] == "Bearer a-very-secret-token"
    assert first["referer"] == "https://shop.example/"
    assert first["user-agent"] == second["user-agent"] == "shop/1"
    assert not {"authorization", "referer"} & set(second)
    assert "very-secret" not in redacted("the host said: a-very-secret-token")


async def test_a_secret_leaves_for_the_port_that_is_named(host, tmp_path, monkeypatch):
    """Without a port a secret is for the scheme's own port; what is no secret goes to any."""
    monkeypatch.setenv("CDN_TOKEN", "a-very-secret-token")
    headers = {"127.0.0.1": {"X-Api-Key": "${CDN_TOKEN}", "Referer": "https://shop.example/"}}
    assert await get(tmp_path, host.url + "/x", headers=headers) == BODY
    assert "x-api-key" not in host.seen[0][2]
    assert host.seen[0][2]["referer"] == "https://shop.example/"


@pytest.mark.parametrize("value", ["", "two\nlines", "\u20ac"])
def test_a_variable_that_cannot_be_sent_is_refused_at_the_start(tmp_path, monkeypatch, value):
    """A missing or unusable variable ends the job with the setting's name, and is not shown."""
    monkeypatch.setenv("CDN_TOKEN", value)
    with pytest.raises(ConfigError, match=r"images\.headers: cdn\.example: Authorization"):
        Fetcher(tmp_path, ImageSettings(headers={"cdn.example": {"Authorization": "Bearer ${CDN_TOKEN}"}}))


async def test_cookies_are_kept_along_one_chain(host, other, tmp_path):
    """What a host sets on the way it gets back on the way: nobody else, and not for the next image."""
    wall = lambda headers: (  # noqa: E731
        answer() if "seen=1" in headers.get("cookie", "") else moved("/wall", "Set-Cookie: seen=1; Path=/")
    )
    host.answers["/wall"] = wall
    host.answers["/away"] = moved(other.url + "/x", "Set-Cookie: private=1")
    url = host.url.replace("127.0.0.1", "localhost")
    for address in (host.url, url):
        assert await get(tmp_path, address + "/wall", allow_hosts=("127.0.0.1", "localhost")) == BODY
    assert [headers.get("cookie") for _, _, headers in host.seen] == [None, "seen=1"] * 2
    away = await get(tmp_path, url + "/away", host.url + "/plain", allow_hosts=("127.0.0.1", "localhost"))
    assert away == [BODY] * 2
    assert "cookie" not in other.seen[0][2]
    assert "cookie" not in host.seen[-1][2]


@pytest.mark.parametrize(
    "status", ["200 OK", "201 Created", "203 Non-Authoritative Information", "202 Accepted"]
)
async def test_a_good_status_with_a_body_is_the_image(host, tmp_path, status):
    """Proxies that transform answer 203."""
    host.answers["/x"] = answer(status)
    assert await get(tmp_path, host.url + "/x") == BODY


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "304 Not Modified"])
async def test_a_status_without_the_whole_body_is_not(host, tmp_path, status):
    """Nothing, and a part that nobody asked for, are no image."""
    host.answers["/x"] = answer(status, body=b"" if status != "206 Partial Content" else BODY[:100])
    found = await get(tmp_path, host.url + "/x")
    assert isinstance(found, Unreachable)
    assert found.code == "Transport.ImageHttpStatus"


async def test_an_accepted_request_is_asked_again(host, tmp_path):
    """202 without an image means that it is being made."""
    host.answers["/x"] = answer("202 Accepted", body=b'{"state": "resizing"}')
    found = await get(tmp_path, host.url + "/x")
    assert (found.code, found.transient) == ("Transport.ImageHttpStatus", True)


async def test_a_date_to_come_back_at_is_followed(host, tmp_path):
    """`Retry-After` may be a date, counted from the host's own clock."""
    dates = "Date: Sun, 01 Mar 2026 12:00:00 GMT", "Retry-After: Sun, 01 Mar 2026 12:00:21 GMT"
    host.answers["/x"] = answer("429 Too Many Requests", *dates, body=b"")
    assert (await get(tmp_path, host.url + "/x")).retry_after == 21.0


async def test_long_and_many_headers_are_read(host, tmp_path):
    """Up to 64 KB of a header, and hundreds of them, are no reason to lose an image."""
    host.answers["/long"] = answer("200 OK", "Content-Security-Policy: " + "img-src *; " * 5_000)
    host.answers["/many"] = answer("200 OK", *(f"X-H{number}: {'v' * 60}" for number in range(100)))
    assert await get(tmp_path, host.url + "/long", host.url + "/many") == [BODY] * 2


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (gzip.compress(BODY), "gzip", None),
        (gzip.compress(BODY[:500]) + gzip.compress(BODY[500:]), "gzip", None),
        (BODY, "gzip", None),
        (gzip.compress(BODY)[:-9], "gzip", "Transport.ImageEncoding"),
        (b"(\xb5/\xfd....", "zstd", "Transport.ImageEncoding"),
    ],
)
async def test_compression_is_undone_or_named(host, tmp_path, body, encoding, code):
    """A body cut short may come whole next time; an encoding that is not read will not change."""
    host.answers["/x"] = answer("200 OK", f"Content-Encoding: {encoding}", body=body)
    found = await get(tmp_path, host.url + "/x")
    if code is None:
        assert found == BODY
    else:
        assert (found.code, found.transient) == (code, encoding == "gzip")
    assert host.seen[0][2]["accept-encoding"] == "identity"


async def test_an_address_without_its_scheme_gets_the_jobs(host, tmp_path):
    """`//host/x.jpg` is refused by name, or asked with `images.scheme`."""
    reference = ImageReference(path=f"//127.0.0.1:{host.port}/x.jpg")
    settings = ImageSettings(allow_hosts=("127.0.0.1",))
    async with Fetcher(tmp_path, settings) as fetcher:
        found = await fetcher.fetch(reference)
    assert isinstance(found, Rejected)
    assert found.code == "Local.ImageReferenceInvalid"
    assert "without its scheme" in found.message
    async with Fetcher(tmp_path, settings.model_copy(update={"scheme": "http"})) as fetcher:
        assert not fetcher.is_local(reference)
        assert await fetcher.fetch(reference) == BODY
    async with Fetcher(tmp_path, ImageSettings(scheme="http")) as fetcher:
        assert (await fetcher.fetch(reference)).code == "Local.ImageAddressRefused"


async def test_paths_are_asked_for_below_the_base(host, tmp_path):
    """With `images.base_url` a path is an address; what has a scheme stays, what leads out is refused."""
    (tmp_path / "a.jpg").write_bytes(b"a file")
    settings = ImageSettings(base_url=f"{host.url}/media", allow_hosts=("127.0.0.1",))
    async with Fetcher(tmp_path, settings) as fetcher:
        for path in ("a.jpg", "/w/s/b c.jpg?v=2", "//w/c.jpg"):
            assert await fetcher.fetch(ImageReference(path=path)) == BODY
        assert await fetcher.fetch(ImageReference(url=f"{host.url}/x.jpg")) == BODY
        for path, why in (
            ("../a.jpg", "leads out of images.base_url"),
            ("//evil.example/a.jpg", "names a host"),
        ):
            found = await fetcher.fetch(ImageReference(path=path))
            assert isinstance(found, Rejected)
            assert found.code == "Local.ImageReferenceInvalid"
            assert why in found.message
    assert host.targets == ["/media/a.jpg", "/media/w/s/b%20c.jpg?v=2", "/media/w/c.jpg", "/x.jpg"]


@pytest.mark.parametrize("given", [answer("200 OK", "Connection: close") + b"junk", answer() + b"\r\njunk"])
async def test_what_follows_the_announced_end_is_ignored(host, tmp_path, given):
    """Such an answer is read as browsers do, with the same headers and from the same hosts only."""
    host.answers["/odd"] = given
    headers = {"127.0.0.1": {"Referer": "https://shop.example/"}}
    settings = {"allow_hosts": ("127.0.0.1", "localhost"), "headers": headers}
    url = host.url.replace("127.0.0.1", "localhost")
    found = await get(tmp_path, host.url + "/odd?a=%27", url + "/odd", **settings)
    assert found == [BODY] * 2
    assert set(host.targets) == {"/odd?a=%27", "/odd"}
    told = [headers.get("referer") for _, target, headers in host.seen if target != "/odd"]
    assert told == ["https://shop.example/"] * 2


async def test_what_is_no_http_at_all_is_unreachable(host, tmp_path):
    """A host that answers something else is no image's fault."""
    host.answers["/x"] = b"SSH-2.0-OpenSSH_9.6\r\n\r\n"
    found = await get(tmp_path, host.url + "/x", fetch_timeout=5)
    assert isinstance(found, Unreachable)
    assert found.transient


# -- proxies -------------------------------------------------------------------------------------------


async def test_the_environments_proxy_is_asked(host, tmp_path, monkeypatch):
    """A name that only the proxy knows is asked of it, with the whole address as it is written."""
    monkeypatch.setenv("HTTP_PROXY", host.url.replace("//", "//me:proxy-pass@"))
    target = "http://images.example/a%27b.jpg?x=%2F"
    assert await get(tmp_path, target, allow_hosts=()) == BODY
    (method, asked, headers) = host.seen[0]
    assert (method, asked) == ("GET", target)
    assert headers["host"] == "images.example"
    assert headers["proxy-authorization"] == "Basic bWU6cHJveHktcGFzcw=="
    assert "authorization" not in headers


async def test_https_goes_through_a_tunnel_and_tells_the_proxy_nothing(host, tmp_path, monkeypatch):
    """The proxy of an `https:` address hears its host alone; what it refuses is told by its status."""
    monkeypatch.setenv("CDN_TOKEN", "a-very-secret-token")
    host.answers["images.example:443"] = answer("407 Proxy Authentication Required", body=b"")
    headers = {"images.example": {"Authorization": "${CDN_TOKEN}"}}
    found = await get(tmp_path, "https://images.example/x?secret=1", proxy=host.url, headers=headers)
    assert (found.code, found.transient) == ("Transport.ImageHttpStatus", False)
    assert "proxy answered HTTP 407" in found.message
    (method, asked, told) = host.seen[0]
    assert (method, asked) == ("CONNECT", "images.example:443")
    assert "authorization" not in told


@pytest.mark.parametrize(
    "name",
    [
        "169.254.169.254",
        "10.0.0.1",
        "2130706433",
        "[fd00::1]",
        "intranet",
        "metadata.google.internal",
        "printer.local",
        "router.home.arpa",
    ],
)
async def test_a_proxy_is_no_way_around_the_allowed_hosts(host, tmp_path, monkeypatch, name):
    """What is refused directly is refused through a proxy, and so are names that no public host has."""
    monkeypatch.setenv("HTTP_PROXY", host.url)
    found = await get(tmp_path, f"http://{name}/x", allow_hosts=())
    assert found.code == "Local.ImageAddressRefused"
    assert host.seen == []
    host.answers["http://public.example/go"] = moved(f"http://{name}/x")
    found = await get(tmp_path, "http://public.example/go", allow_hosts=())
    assert found.code == "Local.ImageAddressRefused"
    assert host.targets == ["http://public.example/go"]


async def test_a_name_that_leads_inside_is_not_asked_of_a_proxy(host, tmp_path, monkeypatch):
    """If this machine knows the name, every address that it leads to has to be public."""

    async def inside(self, name, port=0, family=0):
        hosts = ["93.184.216.34", "10.0.0.7"] if name == "rebind.example" else ["93.184.216.34"]
        return [
            {"hostname": name, "host": each, "port": port, "family": 2, "proto": 0, "flags": 0}
            for each in hosts
        ]

    monkeypatch.setattr(ThreadedResolver, "resolve", inside)
    monkeypatch.setenv("HTTP_PROXY", host.url)
    refused, taken = await get(tmp_path, "http://rebind.example/x", "http://public.example/x", allow_hosts=())
    assert refused.code == "Local.ImageAddressRefused"
    assert taken == BODY
    assert await get(tmp_path, "http://rebind.example/x", allow_hosts=("rebind.example",)) == BODY
    assert host.targets == ["http://public.example/x", "http://rebind.example/x"]


async def test_the_proxys_own_host_is_no_allowed_host(host, tmp_path, monkeypatch):
    """Reaching a proxy on this machine opens nothing else on it, least of all the proxy itself."""
    monkeypatch.setenv("HTTP_PROXY", f"http://localhost:{host.port}")
    for name in ("localhost", "127.0.0.1"):
        found = await get(tmp_path, f"http://{name}:{host.port}/x", allow_hosts=())
        assert found.code == "Local.ImageAddressRefused"
    assert host.seen == []


async def test_hosts_of_no_proxy_and_this_machine_are_asked_directly(host, other, tmp_path, monkeypatch):
    """A proxy sees nothing of what NO_PROXY names, nor of this machine's own addresses."""
    monkeypatch.setenv("HTTP_PROXY", other.url)
    assert await get(tmp_path, host.url + "/x") == BODY
    monkeypatch.setenv("NO_PROXY", "inner.example")
    found = await get(tmp_path, "http://inner.example/x", allow_hosts=())
    assert found.code == "Transport.ImageConnect"
    assert other.seen == []
    assert host.targets == ["/x"]


async def test_a_proxy_that_is_not_there_is_told_from_the_host(tmp_path, monkeypatch):
    """The message names the proxy as what cannot be reached, without its address."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:proxy-pass@127.0.0.1:9")
    found = await get(tmp_path, "http://images.example/x", allow_hosts=())
    assert (found.code, found.transient) == ("Transport.ImageConnect", True)
    assert "no connection to the proxy" in found.message
    assert "proxy-pass" not in found.message


async def test_a_variable_that_is_no_proxy_ends_the_job_by_name(tmp_path, monkeypatch):
    """A proxy of another kind is refused instead of being left out."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://h:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        await get(tmp_path, "https://images.example/x")
    found = await get(tmp_path, "https://10.0.0.1/x", proxy="none")
    assert found.code == "Local.ImageAddressRefused"
