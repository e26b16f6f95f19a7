"""Calls that the process makes to its own instance, handed over without HTTP, signature and base64.

What is answered is what a request would be answered with: the same operations read the same parameters. Rates
and faults belong to the way over HTTP.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import structlog

from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.http.protocol import COMMON_PARAMETERS, parse_pairs
from batchsearch.emulator.http.replies import failure, new_request_id
from batchsearch.emulator.http.request_log import Entry
from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.emulator.http.gateway import Gateway
    from batchsearch.emulator.http.request_log import RequestLog

_log = structlog.get_logger("batchsearch.emulator")


@dataclass(frozen=True, slots=True)
class Handed:
    """An answer before it became text.

    Attributes:
        status: HTTP status that it would have.
        content: Its JSON object.
    """

    status: int
    content: Mapping[str, Any]


class Direct:
    """Answers calls in the calling thread; any number of threads may call.

    Args:
        gateway: Decides.
        log: Gets an entry for each call.
    """

    def __init__(self, gateway: Gateway, log: RequestLog) -> None:
        self._gateway = gateway
        self._log = log

    def answer(
        self,
        action: str,
        query: Sequence[tuple[str, str]],
        form: bytes,
        images: Mapping[str, bytes],
    ) -> Handed:
        """What the instance answers, whatever is asked.

        Args:
            action: The operation.
            query: Parameters of the URL, not encoded.
            form: Parameters of the body, encoded.
            images: Files, by the parameters that would hold them.

        Raises:
            OutputError: The instance's items cannot be written: its disk is this process's own.
        """
        arrived, wall, request_id = time.monotonic(), self._gateway.now(), new_request_id()
        number = self._log.next_number()
        code: str | None = None
        parameters: Mapping[str, str] = MappingProxyType({})
        try:
            named = {**dict(query), **dict(parse_pairs(form.decode("utf-8", errors="replace")))}
            parameters = {name: text for name, text in named.items() if name not in COMMON_PARAMETERS}
            value = self._gateway.hand_over(action, parameters, images)
            handed = Handed(200, {**value, "RequestId": request_id})
        except RefusedError as error:
            handed, code = _refused(error, action, request_id), error.code
        except OutputError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the caller gets an answer
            # Neither the message nor the traceback's values: they could hold an image.
            _log.error("emulator_request_failed", error=type(error).__name__, action=action)
            unknown = RefusedError("UnknownException")
            handed, code = _refused(unknown, action, request_id), unknown.code
        self._log.add(
            Entry(
                number=number,
                arrived=arrived,
                wall=wall,
                judged=None,
                seconds=time.monotonic() - arrived,
                action=action,
                instance=parameters.get("InstanceName"),
                access_key_id=None,
                nonce=None,
                verdict="direct",
                status=handed.status,
                code=code,
                request_id=request_id,
                body_sha256=hashlib.sha256(form).hexdigest(),
                body_bytes=len(form),
                product_id=parameters.get("ProductId"),
                pic_name=parameters.get("PicName"),
                fault=None,
            )
        )
        return handed


def _refused(error: RefusedError, action: str, request_id: str) -> Handed:
    reply = failure(error, action=action, host="", request_id=request_id, xml=False)
    return Handed(reply.status, reply.value or {})
