"""Images over real HTTP on loopback."""

import asyncio
import gzip
import socket

import pytest
from aiohttp import web
from aiohttp.resolver import ThreadedResolver
from web_rig import web_server

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.fetching.fetch import MAX_FILE_BYTES, Fetcher, Unreachable
from batchsearch.images.prepare import Rejected
from batchsearch.manifest.rows import ImageReference

BODY = bytes(range(256)) * 40


class Host:
    """A small web server that remembers the requests it got."""

    def __init__(self):
        self.seen = []
        self.release = asyncio.Event()
        self.running = 0
        self.most = 0
        self.two_wait = asyncio.Event()

    async def answer(self, request):
        self.seen.append(request)
        name = request.match_info["name"]
        if name.isdecimal():
            return web.Response(status=int(name), headers={"Retry-After": "7"})
        return await getattr(self, name.replace("-", "_"))(request)

    async def image(self, _):
        return web.Response(body=BODY)

    async def packed(self, _):
        return web.Response(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"})

    async def packed_bomb(self, _):
        body = gzip.compress(bytes(MAX_FILE_BYTES + 10))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async def endless(self, request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(80):
            await response.write(bytes(1 << 20))
        return response

    async def announced(self, request):
        response = web.StreamResponse(headers={"Content-Length": str(MAX_FILE_BYTES + 1)})
        await response.prepare(request)
        await self.release.wait()
        return response

    async def slow(self, _):
        self.running += 1
        self.most = max(self.most, self.running)
        if self.running == 2:
            self.two_wait.set()
        await self.release.wait()
        self.running -= 1
        return web.Response(body=BODY)

    async def broken_off(self, request):
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        request.transport.close()
        return response

    async def go(self, request):
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def round(self, _):
        return web.Response(status=307, headers={"Location": "/round"})

    async def nowhere(self, _):
        return web.Response(status=302)


@pytest.fixture
async def host():
    """The server, its address and what it has seen."""
    host = Host()
    async with web_server(host.answer) as address:
        host.port = address.rpartition(":")[2]
        host.url = f"http://{address}"
        yield host
        host.release.set()


@pytest.fixture
async def fetcher(tmp_path):
    """A fetcher that may ask loopback by its number and by one name."""
    settings = ImageSettings(allow_hosts=("127.0.0.1", "localhost"), fetch_timeout=5)
    async with Fetcher(tmp_path, settings) as fetcher:
        yield fetcher


async def get(fetcher, url):
    return await fetcher.fetch(ImageReference(url=url))


async def test_a_image_comes_over_http(host, fetcher):
    """The body comes back as it was sent."""
    assert await get(fetcher, host.url + "/image") == BODY


async def test_files_and_inline_bytes_come_the_same_way(fetcher, tmp_path):
    """`fetch` takes every kind of reference."""
    (tmp_path / "x.jpg").write_bytes(BODY)
    assert await fetcher.fetch(ImageReference(path="x.jpg")) == BODY
    assert await fetcher.fetch(ImageReference(data=BODY)) is BODY


async def test_a_compressed_answer_is_unpacked_within_the_bound(host, fetcher):
    """The gzip encoding is undone, and a few kilobytes never become more than the bound."""
    assert await get(fetcher, host.url + "/packed") == BODY
    assert (await get(fetcher, host.url + "/packed_bomb")).code == "Local.ImageFileTooLarge"


@pytest.mark.parametrize("name", ["endless", "announced"])
async def test_a_body_over_the_bound_is_refused(host, fetcher, name):
    """Too many bytes are refused by their announcement, or when they come."""
    assert (await get(fetcher, f"{host.url}/{name}")).code == "Local.ImageFileTooLarge"


@pytest.mark.parametrize("status", [404, 410])
async def test_missing_is_an_outcome_for_good(host, fetcher, status):
    """A host that knows of no image settles the row."""
    result = await get(fetcher, f"{host.url}/{status}")
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageMissing"


@pytest.mark.parametrize(
    ("status", "transient"), [(401, False), (403, False), (400, False), (429, True), (500, True), (503, True)]
)
async def test_other_statuses_are_unreachable(host, fetcher, status, transient):
    """Refusals and failures of a host say nothing about the image; some pass by themselves."""
    result = await get(fetcher, f"{host.url}/{status}?secret=1")
    assert isinstance(result, Unreachable)
    assert (result.transient, result.retry_after) == (transient, 7.0)
    assert "secret" not in result.message


async def test_a_slow_host_is_given_up(host, tmp_path):
    """The time bound covers the whole image."""
    settings = ImageSettings(allow_hosts=("127.0.0.1",), fetch_timeout=0.05)
    async with Fetcher(tmp_path, settings) as fetcher:
        result = await get(fetcher, host.url + "/slow")
    assert (result.code, result.transient) == ("Transport.ImageTimeout", True)


async def test_a_broken_connection_is_unreachable(host, fetcher):
    """A body that ends early, and a port where nobody listens, may work next time."""
    result = await get(fetcher, host.url + "/broken_off")
    assert (result.code, result.transient) == ("Transport.ImageConnect", True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = await get(fetcher, f"http://127.0.0.1:{closed.getsockname()[1]}/x")
    assert (result.code, result.transient) == ("Transport.ImageConnect", True)


async def test_redirects_are_followed_up_to_five(host, fetcher):
    """A relative and an absolute redirect lead to the image; a ring of them ends."""
    assert await get(fetcher, host.url + "/go?to=/image") == BODY
    assert await get(fetcher, f"{host.url}/go?to={host.url}/image") == BODY
    assert (await get(fetcher, host.url + "/round")).code == "Transport.ImageRedirects"
    assert (await get(fetcher, host.url + "/nowhere")).code == "Transport.ImageHttpStatus"


async def test_no_credentials_follow_a_redirect(host, fetcher):
    """User and password go to the first address only, and a redirect brings none of its own."""
    address = host.url.replace("http://", "http://user:pass@")
    assert await get(fetcher, f"{address}/go?to={host.url.replace('http://', 'http://a:b@')}/image") == BODY
    first, second = host.seen
    assert "Authorization" in first.headers
    assert "Authorization" not in second.headers
    assert "Cookie" not in second.headers


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_internal_hosts_are_refused_in_every_spelling(host, tmp_path, name):
    """Nothing is asked of this machine unless the job allows the host."""
    async with Fetcher(tmp_path, ImageSettings()) as fetcher:
        result = await get(fetcher, f"http://{name}:{host.port}/image?secret=1")
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageAddressRefused"
    assert "secret" not in result.message
    assert host.seen == []


async def test_a_redirect_to_an_internal_host_is_refused(host, tmp_path):
    """An allowed host cannot lead on to one that is not."""
    async with Fetcher(tmp_path, ImageSettings(allow_hosts=("127.0.0.1",))) as fetcher:
        for target in (
            f"http://localhost:{host.port}/image",
            f"http://127.0.0.2:{host.port}/image",
            "file:///etc/passwd",
        ):
            result = await get(fetcher, f"{host.url}/go?to={target}")
            assert isinstance(result, Rejected)
    assert [request.match_info["name"] for request in host.seen] == ["go"] * 3


async def test_a_name_that_resolves_to_an_internal_address_is_refused(host, tmp_path, monkeypatch):
    """What counts is the address that a name leads to, not the name."""

    async def loopback(self, name, port=0, family=socket.AF_INET):
        found = {"hostname": name, "host": "127.0.0.1", "port": port}
        return [found | {"family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", loopback)
    url = f"http://images.example:{host.port}/image"
    async with Fetcher(tmp_path, ImageSettings()) as fetcher:
        assert (await get(fetcher, url)).code == "Local.ImageAddressRefused"
    async with Fetcher(tmp_path, ImageSettings(allow_hosts=("Images.example",))) as fetcher:
        assert await get(fetcher, url) == BODY


async def test_an_address_that_cannot_be_read_is_refused(fetcher):
    """Broken addresses are the row's outcome, not an error."""
    for url in ("http://", "http://[::1", "http://host:99999/x", "https:///x"):
        result = await get(fetcher, url)
        assert isinstance(result, Rejected), url
        assert result.code == "Local.ImageReferenceInvalid"


async def test_one_host_gets_no_more_requests_than_allowed(host, tmp_path):
    """Downloads from one host wait for each other beyond the setting."""
    settings = ImageSettings(allow_hosts=("127.0.0.1",), fetch_per_host=2)
    async with Fetcher(tmp_path, settings) as fetcher:
        tasks = [asyncio.create_task(get(fetcher, host.url + "/slow")) for _ in range(6)]
        await host.two_wait.wait()
        host.release.set()
        assert await asyncio.gather(*tasks) == [BODY] * 6
    assert host.most <= 2
