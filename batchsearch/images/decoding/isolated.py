"""The child's side of `isolate`: takes images from a socket, repairs them, answers, until it closes.

Started as `python -m batchsearch.images.decoding.isolated SOCKET MEMORY`. It bounds its own address space
and, for each image, its processor time, so that it ends even if its parent was killed.
"""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from batchsearch.images.decoding.encode import reencode
from batchsearch.images.decoding.isolate import receive_frame, send_frame
from batchsearch.images.fetching.fetch import MAX_FILE_BYTES
from batchsearch.images.inspect import inspect
from batchsearch.images.rules import Rules
from batchsearch.images.verdict import Reject
from batchsearch.own_errors import INTERNAL_ERROR, told

if TYPE_CHECKING:
    from batchsearch.images.decoding.encode import Encoded


def serve(connection: socket.socket, memory: int) -> None:
    """Repairs images until the other side closes the connection."""
    # macOS refuses to bound the address space: an image then has as much as in a thread.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            order, data = receive_frame(connection, MAX_FILE_BYTES)
        except EOFError:
            return
        _bound_time(order["seconds"])
        result = _repair(order, data)
        if isinstance(result, Reject):
            send_frame(connection, {"code": result.code, "message": result.message})
        else:
            answer = {"geometry": astuple(result.geometry), "transforms": result.transforms}
            send_frame(connection, answer, result.data)


def _bound_time(seconds: float) -> None:
    """Allows so much processor time from now, on all cores; then the system ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + 2 * seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _repair(order: dict[str, Any], data: bytes) -> Encoded | Reject:
    values = order["rules"]
    rules = Rules(
        **{
            **values,
            "formats": frozenset(values["formats"]),
            "passed_formats": frozenset(values["passed_formats"]),
            "background": tuple(values["background"]),
        }
    )
    try:
        return reencode(data, inspect(data, frame=rules.frame), tuple(order["reasons"]), rules)
    except MemoryError:
        return Reject("Local.ImageOutOfMemory", "there is not enough memory for this image")
    except Exception as error:  # noqa: BLE001 - told apart from a crash of the decoder
        return Reject(INTERNAL_ERROR, told(error))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
