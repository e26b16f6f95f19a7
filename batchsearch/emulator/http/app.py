"""The HTTP side of the emulator: reads requests within limits, has them answered, hands the answers over.

Everything that may take long runs in threads; the decisions that depend on order (nonces, flow control,
faults) are made here, on the event loop, in the order in which requests were read whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from batchsearch.emulator.batch.signed_address import FILES
from batchsearch.emulator.faults import Decision, Harm
from batchsearch.emulator.http.delivery import deliver, harmed, response_of
from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.http.instance_page import instance_page
from batchsearch.emulator.http.protocol import Inbound, read_inbound, wants_xml
from batchsearch.emulator.http.replies import Reply, failure, new_request_id, shown_host, success
from batchsearch.emulator.http.request_log import Entry, RequestLog, Verdict
from batchsearch.emulator.http.upload_place import UploadRefusedError, post_answer, post_error
from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from batchsearch.emulator.http.gateway import Admitted, Examined, Gateway
    from batchsearch.emulator.instance_options import EmulatorOptions

# Smaller bodies are examined on the event loop: handing them over would cost more than it saves.
_INLINE_BYTES: Final = 256 * 1024
_SHOWN: Final = 256
POST_OBJECT: Final = "PostObject"
GET_OBJECT: Final = "GetObject"
CONSOLE: Final = "/console"
UNHARMED: Final = Decision()

_log = structlog.get_logger("batchsearch.emulator")


@dataclass(slots=True)
class _Trace:
    """What becomes known of one request on its way; turned into a log entry at its end."""

    number: int
    arrived: float
    wall: float
    request_id: str
    judged: float | None = None
    inbound: Inbound | None = None
    body: bytes = b""
    action: str | None = None
    key_id: str | None = None
    nonce: str | None = None
    verdict: Verdict = "refused"
    decision: Decision = UNHARMED
    reply: Reply | None = None

    def entry(self, ended: float) -> Entry:
        """The log's entry."""
        parameters = self.inbound.parameters() if self.inbound is not None else {}
        cut = self.decision.harm is not None and self.decision.name in {"reset", "stall"}
        reply = None if cut else self.reply
        return Entry(
            number=self.number,
            arrived=self.arrived,
            wall=self.wall,
            judged=self.judged,
            seconds=ended - self.arrived,
            action=_shown(self.action),
            instance=_shown(parameters.get("InstanceName")),
            access_key_id=_shown(self.key_id),
            nonce=_shown(self.nonce),
            verdict=self.verdict,
            status=None if reply is None else reply.status,
            code=None if reply is None else reply.code,
            request_id=self.request_id,
            body_sha256=hashlib.sha256(self.body).hexdigest(),
            body_bytes=len(self.body),
            product_id=_shown(parameters.get("ProductId")),
            pic_name=_shown(parameters.get("PicName")),
            fault=self.decision.name,
        )


def _shown(text: str | None) -> str | None:
    if text is None:
        return None
    # What a client sends need not be text that can be written out.
    return text[:_SHOWN].encode("utf-8", errors="replace").decode("utf-8")


async def _continue(request: web.BaseRequest) -> None:
    """Tell a client that waits for it, as curl does with more than a megabyte, to send its body."""
    transport = request.transport
    if transport is not None and not transport.is_closing():
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def is_own_host(request: web.BaseRequest, listens_on: str) -> bool:
    """Whether a request names this emulator as its host: by address, as `localhost`, or as it listens.

    Args:
        request: The request.
        listens_on: The address or name that the emulator was told to listen on.
    """
    try:
        named = (urlsplit(f"//{request.headers.get('Host', '')}").hostname or "").rstrip(".")
    except ValueError:
        return False
    place = None if request.transport is None else request.transport.get_extra_info("sockname")
    own = {"localhost", listens_on.lower(), *(() if place is None else (str(place[0]).lower(),))}
    return named in own


class Front:
    """Answers HTTP requests for a gateway."""

    def __init__(
        self, gateway: Gateway, options: EmulatorOptions, log: RequestLog, executor: Executor
    ) -> None:
        """Bring the parts together.

        Args:
            gateway: Decides.
            options: Limits.
            log: Gets an entry for each request but those for the console page.
            executor: Threads for what may take long.
        """
        self._gateway, self._options, self._log, self._executor = gateway, options, log, executor
        self.stopping = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, of any path and method."""
        # To a page of another site, whose name was made to lead here, the console is not there at all.
        if request.method == "GET" and request.path == CONSOLE and is_own_host(request, self._options.host):
            if self._gateway.console is not None:
                # Without its token: who was not let in there is told where to look for it.
                return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": self._gateway.console})
            page = await self._in_thread(instance_page, self._gateway, self._log)
            return web.Response(text=page, content_type="text/html")
        trace = self._new_trace()
        try:
            if request.headers.get("Expect", "").lower() == "100-continue":
                await _continue(request)
            trace.reply = await self._reply(request, trace)
            return await deliver(
                request,
                trace.reply,
                trace.decision.harm,
                date=formatdate(self._gateway.now(), usegmt=True),
                stopping=self.stopping,
            )
        finally:
            self._log.add(trace.entry(time.monotonic()))

    def malformed(self, status: int) -> web.Response:
        """The answer to what is no HTTP request, or to one that failed before it was read, logged like any.

        Args:
            status: 400 for what the sender did wrong; another one stands for an error here.
        """
        trace = self._new_trace()
        trace.reply = self._refusal(
            RefusedError("BadRequest" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "UnknownException"),
            trace,
            "",
        )
        self._log.add(trace.entry(time.monotonic()))
        return response_of(trace.reply, formatdate(self._gateway.now(), usegmt=True))

    def _new_trace(self) -> _Trace:
        return _Trace(self._log.next_number(), time.monotonic(), self._gateway.now(), new_request_id())

    async def _reply(self, request: web.BaseRequest, trace: _Trace) -> Reply:
        host = request.headers.get("Host", "")
        try:
            trace.body = await self._read(request)
            if request.method == "GET" and request.path.startswith(FILES):
                return await self._get_object(request, trace)
            if request.content_type == "multipart/form-data":
                return await self._post_object(request, trace)
            return await self._answer(request, trace)
        except RefusedError as error:
            return self._refusal(error, trace, host)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the client gets an answer
            # Neither a library's message nor the traceback's values: they could hold an image.
            why = {"reason": str(error)} if isinstance(error, OutputError) else {}
            _log.error(
                "emulator_request_failed", error=type(error).__name__, action=_shown(trace.action), **why
            )
            return self._refusal(RefusedError("UnknownException"), trace, host)

    def _refusal(
        self, error: RefusedError, trace: _Trace, host: str, *, retry_after: float | None = None
    ) -> Reply:
        xml = trace.inbound is not None and wants_xml(trace.inbound)
        return failure(
            error,
            action=trace.action,
            host=host,
            request_id=trace.request_id,
            xml=xml,
            retry_after=retry_after,
        )

    async def _read(self, request: web.BaseRequest) -> bytes:
        """The whole body, within the limits of size and time."""
        limit = self._options.max_body
        if (request.content_length or 0) > limit:
            raise RefusedError("RequestBodyTooLarge")
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._options.transfer_seconds):
                async for chunk in request.content.iter_any():
                    size += len(chunk)
                    if size > limit:
                        raise RefusedError("RequestBodyTooLarge")
                    chunks.append(chunk)
        except TimeoutError:
            raise RefusedError("TimeoutForTransferImage") from None
        except (web.RequestPayloadError, ConnectionError):
            raise RefusedError("BadRequest") from None
        return b"".join(chunks)

    async def _answer(self, request: web.BaseRequest, trace: _Trace) -> Reply:
        # The moment that counts is when the request was there, not when a thread had time for it.
        read_at = time.monotonic()
        if len(trace.body) <= _INLINE_BYTES:
            examined = self._examine(request, trace)
        else:
            examined = await self._in_thread(self._examine, request, trace)
        call = examined.call
        trace.key_id, trace.nonce = examined.signed.key.access_key_id, examined.signed.nonce
        admitted = self._gateway.admit(examined, at=read_at)
        trace.judged = read_at
        host = request.headers.get("Host", "")
        if not admitted.verdict.granted:
            trace.verdict = "denied"
            announced = admitted.verdict.retry_after if self._options.announce_retry else None
            return self._refusal(RefusedError("DeniedRequest"), trace, host, retry_after=announced)
        trace.verdict = "granted" if admitted.operation is not None else "upload"
        instance = None if admitted.instance is None else admitted.instance.options.name
        trace.decision = self._gateway.faults.decide(call.action, instance)
        address = f"{request.scheme}://{shown_host(host)}"
        reply = await self._carried_out(admitted, trace, host, address)
        if trace.decision.harm is not None:
            reply = harmed(reply, trace.decision.harm, action=call.action, host=host)
        return reply

    def _examine(self, request: web.BaseRequest, trace: _Trace) -> Examined:
        headers = [
            (name.decode("utf-8", "replace"), value.decode("utf-8", "surrogateescape"))
            for name, value in request.raw_headers
        ]
        trace.inbound = read_inbound(request.method, request.raw_path, headers, trace.body)
        trace.action = trace.inbound.headers.get("x-acs-action") or trace.inbound.parameters().get("Action")
        return self._gateway.examine(trace.inbound)

    async def _carried_out(self, admitted: Admitted, trace: _Trace, host: str, address: str) -> Reply:
        """The operation's answer, late by as much as the faults say."""
        harm = trace.decision.harm
        action, xml = admitted.call.action, admitted.call.xml
        if harm is not None and not harm.handled:
            reply = success({}, action=action, request_id=trace.request_id, xml=xml)
        else:
            try:
                value = await self._in_thread(self._gateway.carry_out, admitted, address)
                reply = success(value, action=action, request_id=trace.request_id, xml=xml)
            except RefusedError as error:
                trace.action = action
                reply = self._refusal(error, trace, host)
        await self._hold(trace.decision)
        return reply

    async def _post_object(self, request: web.BaseRequest, trace: _Trace) -> Reply:
        """The object store's own small protocol: a multipart form in, XML out."""
        trace.verdict, trace.action = "upload", POST_OBJECT
        trace.decision = self._gateway.faults.decide(POST_OBJECT, None)
        harm: Harm | None = trace.decision.harm
        kind, request_id = "application/xml", trace.request_id
        if harm is not None and not harm.handled:
            reply = Reply(201, b"", kind, None, request_id)
        else:
            try:
                content_type = request.headers.get("Content-Type", "")
                now = self._gateway.now()
                key = await self._in_thread(self._put, content_type, trace.body, now)
                etag = hashlib.md5(trace.body, usedforsecurity=False).hexdigest().upper()
                fields = {"Bucket": "emulator", "Location": f"/{key}", "Key": key, "ETag": etag}
                reply = Reply(201, post_answer(fields), kind, None, request_id)
            except UploadRefusedError as error:
                body = post_error(error, request_id=request_id)
                reply = Reply(error.status, body, kind, error.code, request_id)
        await self._hold(trace.decision)
        if harm is not None:
            reply = harmed(reply, harm, action=None, host="")
        return reply

    async def _get_object(self, request: web.BaseRequest, trace: _Trace) -> Reply:
        """A file behind a signed address, as an object store hands it out."""
        trace.verdict, trace.action = "file", GET_OBJECT
        trace.decision = self._gateway.faults.decide(GET_OBJECT, None)
        try:
            content = await self._in_thread(self._gateway.file, request.rel_url.raw_path, dict(request.query))
            reply = Reply(200, content, "application/octet-stream", None, trace.request_id)
        except UploadRefusedError as error:
            body = post_error(error, request_id=trace.request_id)
            reply = Reply(error.status, body, "application/xml", error.code, trace.request_id)
        await self._hold(trace.decision)
        harm = trace.decision.harm
        return reply if harm is None else harmed(reply, harm, action=None, host="")

    def _put(self, content_type: str, body: bytes, now: float) -> str:
        return self._gateway.uploads.put(content_type, body, now=now)

    async def _hold(self, decision: Decision) -> None:
        if decision.delay > 0:
            try:
                await asyncio.wait_for(self.stopping.wait(), decision.delay)
            except TimeoutError:
                return

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
