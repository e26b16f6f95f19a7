"""A server on loopback, in a process of its own, that costs next to nothing: what answers is not measured."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def reply(body: bytes, kind: str = "application/json") -> bytes:
    """An answer with this body."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Responder(asyncio.Protocol):
    """Reads requests, with a Content-Length or without a body, and answers each; nothing more."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.waiting = bytearray()

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.waiting[:end])
            _, named, length = head.lower().partition(b"content-length:")
            whole = end + 4 + (int(length.partition(b"\r\n")[0]) if named else 0)
            if len(self.waiting) < whole:
                return
            del self.waiting[:whole]
            self.transport.write(self.answer(head))


async def respond(answer: Callable[[bytes], bytes]) -> None:
    """Print the port, and answer each request by its head, without end."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Responder(answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def responding(*command: object) -> Iterator[int]:
    """The port that a script prints which serves, while it does."""
    with subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


@contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """A web server over a folder; its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", *options]
    command += ["--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
