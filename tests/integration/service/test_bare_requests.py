"""Requests as bytes over aiohttp's connections, read off the socket."""

import asyncio
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from web_rig import raw_server
from yarl import URL

from batchsearch.service.bare_requests import BareRequests, head_lines

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with the next of the bytes that a test gives it; None hangs up at once."""

    def __init__(self):
        self.answers = []
        self.heads = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.held = asyncio.Event()

    async def serve(self, reader, writer):
        self.connections += 1
        while head := await reader.readuntil(b"\r\n\r\n"):
            self.heads.append(head)
            self.asked.set()
            given = self.answers.pop(0) if self.answers else OK
            if given is None:
                return
            if given == "held":
                await self.held.wait()
                given = OK
            if isinstance(given, tuple):
                given, stray = given
                writer.write(given)
                await self.held.wait()
                given = stray
                self.asked.clear()
            writer.write(given)
            await writer.drain()
            if self.held.is_set():
                self.asked.set()


@asynccontextmanager
async def asking(decompress=False, limit=1, most=None):
    """A server, and what asks it over so many connections at a time."""
    server = Server()
    async with raw_server(server.serve) as host, aiohttp.TCPConnector(limit=limit) as connector:
        url = URL(f"http://{host}/a")
        requests = BareRequests(
            connector,
            timeout=aiohttp.ClientTimeout(sock_connect=5),
            decompress=decompress,
            header_bytes=8192,
            most=most,
        )

        async def ask(method="GET", *more):
            head = f"{method} /a HTTP/1.1\r\n".encode() + head_lines(url, {})
            answer = await requests.ask(url, (head, *more), again=method == "GET")
            try:
                return answer.status, await answer.content.read()
            finally:
                answer.release()

        server.url = url
        yield server, ask
        server.held.set()


async def test_a_connection_is_used_again_when_its_answer_was_read():
    """Two requests, one connection, each head as it was given."""
    async with asking() as (server, ask):
        assert [await ask(), await ask()] == [(200, b"ok")] * 2
        assert server.connections == 1
        assert server.heads == [f"GET /a HTTP/1.1\r\nhost: {server.url.authority}\r\n\r\n".encode()] * 2


async def test_a_kept_connection_that_is_closed_costs_no_answer_to_what_may_be_asked_again():
    """A GET is sent once more over a new connection; a POST never is, it may have been carried out."""
    async with asking() as (server, ask):
        server.answers = [OK, None, OK, None]
        assert await ask() == await ask() == (200, b"ok")
        assert len(server.heads) == 3
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await ask("POST")
        assert len(server.heads) == 4


async def test_an_answer_that_comes_too_late_is_nobody_elses():
    """A request that was given up takes its connection with it."""
    async with asking() as (server, ask):
        server.answers = ["held"]
        waiting = asyncio.create_task(ask())
        await server.asked.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        server.answers = [OK.replace(b"ok", b"me")]
        assert await ask() == (200, b"me")
        assert server.connections == 2


async def test_whoever_waits_for_a_host_gets_the_connection_that_is_free():
    """However many ask at once, there are never more connections than may be, and all are answered."""
    async with asking(limit=10, most=2) as (server, ask):
        assert await asyncio.gather(*(ask() for _ in range(100))) == [(200, b"ok")] * 100
        assert server.connections == 2
        assert len(server.heads) == 100


async def test_a_connection_that_ends_makes_room_for_another():
    """Who waits is not forgotten when a connection is closed, refused or given up."""
    async with asking(limit=10, most=1) as (server, ask):
        server.answers = ["held"]
        first, second, third = (asyncio.create_task(ask()) for _ in range(3))
        await server.asked.wait()
        second.cancel()
        first.cancel()
        assert await third == (200, b"ok")
        for task in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await task
        server.answers = [b"SSH-2.0-OpenSSH\r\n\r\n", None, None]
        found = await asyncio.gather(*(ask() for _ in range(4)), return_exceptions=True)
        assert [each for each in found if isinstance(each, tuple)] == [(200, b"ok")] * 3
        assert await ask() == (200, b"ok")


async def test_who_is_called_off_in_the_moment_of_its_turn_hands_it_on():
    """A connection is not lost with who has just been given it."""
    async with asking(limit=10, most=1) as (server, ask):
        server.answers = ["held"]

        async def ask_and_call_off():
            answered = await ask()
            second.cancel()
            return answered

        first, second, third = (asyncio.create_task(each()) for each in (ask_and_call_off, ask, ask))
        await server.asked.wait()
        server.held.set()
        assert await first == await third == (200, b"ok")
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (server.connections, len(server.heads)) == (1, 2)


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"rubbish"])
async def test_bytes_after_an_answer_are_no_answer_to_the_next_request(more):
    """A connection on which more came than was asked for is not used again."""
    async with asking() as (server, ask):
        server.answers = [OK + more]
        with suppress(aiohttp.ClientError):  # such an answer may be refused as a whole
            assert await ask() == (200, b"ok")
        assert await ask() == (200, b"ok")
        assert server.connections == 2


@pytest.mark.parametrize("most", [None, 1])
async def test_what_comes_while_nobody_asks_is_no_answer_to_the_next_request(most):
    """A proxy that says 408 on a connection that rests, or answers twice, shifts no answers."""
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold"
    async with asking(most=most) as (server, ask):
        server.answers = [(OK, late)]
        assert await ask() == (200, b"ok")
        server.asked.clear()
        server.held.set()
        await server.asked.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert [await ask() for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 2


async def test_after_an_answer_that_servers_give_unasked_another_connection_is_used():
    """The answer that was waited for may still come on that one."""
    async with asking() as (server, ask):
        server.answers = [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"]
        assert (await ask())[0] == 408
        assert await ask() == (200, b"ok")
        assert server.connections == 2


async def test_heads_that_announce_the_answer_are_passed_over():
    """The answer is what follows 100 and 103."""
    async with asking() as (server, ask):
        server.answers = [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK]
        assert await ask() == (200, b"ok")


async def test_what_is_no_http_is_said_to_be_none():
    """An answer that cannot be read is an error with a status of its own."""
    async with asking() as (server, ask):
        server.answers = [b"SSH-2.0-OpenSSH\r\n\r\n"]
        with pytest.raises(aiohttp.ClientResponseError):
            await ask()


@pytest.mark.parametrize("value", ["a\r\nx-more: 1", "a\nb", "a\rb", "a\0b"])
def test_no_header_ends_its_line(value):
    """What would make two headers of one is refused."""
    with pytest.raises(ValueError, match="end of a line"):
        head_lines(URL("http://host/"), {"x-one": value})


def test_the_host_is_told_once():
    """As the address has it, or as the headers say."""
    assert head_lines(URL("https://host/"), {}) == b"host: host\r\n\r\n"
    assert head_lines(URL("http://[::1]:81/"), {}) == b"host: [::1]:81\r\n\r\n"
    assert head_lines(URL("https://host/"), {"host": "other"}) == b"host: other\r\n\r\n"


async def test_a_request_without_a_body_is_done_with_writing(monkeypatch):
    """A piece of no bytes leaves nothing in the connection, which closes when its connector does."""
    kept = []
    made = aiohttp.TCPConnector._create_connection

    async def keep(self, *given):
        kept.append(await made(self, *given))
        return kept[-1]

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", keep)
    async with asyncio.timeout(30):
        async with asking() as (_, ask):
            assert await ask("GET", b"") == (200, b"ok")
        (protocol,) = kept
        assert protocol.transport is None
