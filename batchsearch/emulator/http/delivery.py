"""How an answer leaves: whole, late, or harmed as a fault demands."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from batchsearch.emulator.faults import (
    ErrorAnswer,
    Harm,
    InBodyFailure,
    NotJson,
    Reset,
    Stall,
    Truncate,
    WrongTypes,
    with_wrong_types,
)
from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.http.replies import XML_TYPE, Reply, failure, json_bytes, xml_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


def harmed(reply: Reply, harm: Harm, *, action: str | None, host: str) -> Reply:
    """The answer after a harm that changes what it says; the answer itself for the others.

    Args:
        reply: What would have been answered; of a request that was not carried out, anything.
        harm: What is done to it.
        action: The operation.
        host: The Host header.
    """
    xml = reply.content_type == XML_TYPE
    match harm:
        case ErrorAnswer():
            return failure(
                RefusedError(harm.code),
                action=action,
                host=host,
                request_id=reply.request_id,
                xml=xml,
                retry_after=harm.retry_after,
                status=harm.status,
            )
        case NotJson():
            return Reply(harm.status, harm.body.encode(), harm.content_type, None, reply.request_id)
        case InBodyFailure():
            value: Mapping[str, object] = {
                "RequestId": reply.request_id,
                "Success": False,
                "Code": harm.number,
                "Msg": harm.message,
                "Message": harm.message,
            }
        case WrongTypes() if reply.code is None and reply.value is not None:
            value = with_wrong_types(reply.value, harm.fields)
        case _:
            return reply
    body = xml_bytes(reply.root, value) if xml else json_bytes(value)
    return Reply(200, body, reply.content_type, None, reply.request_id, value=value, root=reply.root)


def response_of(reply: Reply, date: str) -> web.Response:
    """The answer as HTTP, with this Date header."""
    headers = {**reply.headers, "Content-Type": reply.content_type, "Date": date}
    if reply.request_id:
        headers["x-acs-request-id"] = reply.request_id
    return web.Response(status=reply.status, body=reply.body, headers=headers)


async def deliver(
    request: web.BaseRequest, reply: Reply, harm: Harm | None, *, date: str, stopping: asyncio.Event
) -> web.StreamResponse:
    """Hand an answer over, or do to the connection what the fault demands.

    Args:
        request: The request.
        reply: The answer, already changed by `harmed`.
        harm: The fault, or None.
        date: The Date header.
        stopping: Set when the emulator ends; ends a stall early.
    """
    response = response_of(reply, date)
    match harm:
        case Reset():
            reset(request)
        case Stall():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), harm.seconds)
            reset(request)
        case Truncate():
            return await _truncated(request, reply, response, harm.share)
        case _:
            pass
    return response


def reset(request: web.BaseRequest) -> None:
    """End the connection with a TCP reset; what is answered afterwards goes nowhere."""
    transport = request.transport
    if transport is None:
        return
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    transport.abort()


async def _truncated(
    request: web.BaseRequest, reply: Reply, response: web.Response, share: float
) -> web.StreamResponse:
    cut = web.StreamResponse(status=response.status, headers=response.headers)
    cut.content_length = len(reply.body)
    cut.force_close()
    with suppress(ConnectionError):
        await cut.prepare(request)
        await cut.write(reply.body[: max(0, min(len(reply.body) - 1, int(len(reply.body) * share)))])
    if request.transport is not None:
        # An orderly end, but short of what was announced.
        request.transport.close()
    return cut
