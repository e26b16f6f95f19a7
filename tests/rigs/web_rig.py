"""Servers on loopback, in a test's own event loop: of HTTP, and of connections that say what they like."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def web_server(handler, path="/{name}"):
    """A web server that asks a handler for every answer; its host and port."""
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(serve):
    """A server that leaves each connection to a coroutine, until its client goes; its host and port."""

    async def quietly(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(quietly, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
