"""Decoding in processes of their own, so that a decoder which crashes or hangs costs one image only.

Most decoding is done in threads, which cost least. What few others decode all day (TIFF, JPEG 2000, AVIF,
HEIF …) goes to a child process with bounds on time and memory. Children live on between images. A
child is not trusted: its answers are read as plain data, and its image is checked like any file.

One frame each way for an image: two lengths (4 bytes each, big-endian), JSON, then a file's bytes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch.images.decoding.encode import Encoded, reencode
from batchsearch.images.inspect import inspect
from batchsearch.images.regions import Geometry
from batchsearch.images.verdict import Reject
from batchsearch.own_errors import INTERNAL_ERROR

if TYPE_CHECKING:
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.headers.structure_facts import Inspection
    from batchsearch.images.rules import Rules

FAMILIAR_FORMATS: Final = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM"})
"""Formats whose decoders every browser (or this package itself) feeds with hostile files all day."""
HEAD: Final = struct.Struct(">II")
LONGEST_JSON: Final = 64 * 1024
START_SECONDS: Final = 20.0
"""Time that a child may take beyond the image's own, to start and to import its decoders."""
MEMORY_BASE: Final = 1 << 30
MEMORY_A_PIXEL: Final = 16
"""Address space of a child: for the interpreter and its libraries, and for each pixel that may be decoded."""
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
"""Variables that a child gets: none that holds a credential."""


class DecoderError(Exception):
    """A child ended, hung, or answered with something else than an answer.

    Attributes:
        own: This program failed there, not the decoder at the image.
    """

    def __init__(self, message: str, *, own: bool = False) -> None:
        super().__init__(message)
        self.own = own


class Decoders:
    """Repairs images, in the calling thread or in a child process; a context manager, safe to share.

    `repair` is what `prepare` takes as its `repair` argument.

    Args:
        settings: The job's image settings: `isolate` and `decode_timeout`.
    """

    def __init__(self, settings: ImageSettings) -> None:
        self._isolate = settings.isolate
        self._timeout = settings.decode_timeout
        self._idle: list[_Child] = []
        self._gate = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all children that are not at work; the others end with their image."""
        with self._gate:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def repair(
        self, data: bytes, seen: Inspection, reasons: tuple[str, ...], rules: Rules
    ) -> Encoded | Reject:
        """Decodes an image and writes it anew, as `encode.reencode` does."""
        inside = self._isolate == "never" or (self._isolate == "rare" and seen.format in FAMILIAR_FORMATS)
        if inside:
            return reencode(data, seen, reasons, rules)
        with self._gate:
            rested = self._idle.pop() if self._idle else None
        child = rested or _Child(rules)
        try:
            result = child.repair(data, reasons, rules, self._timeout)
        except DecoderError as error:
            child.end()
            code = INTERNAL_ERROR if error.own else "Local.ImageDecoderFailed"
            return Reject(code, f"{seen.format}: {error}")
        except BaseException:
            child.end()
            raise
        with self._gate:
            kept = not self._closed
            if kept:
                self._idle.append(child)
        if not kept:
            child.end()
        return result


class _Child:
    """One child process and the socket to it."""

    def __init__(self, rules: Rules) -> None:
        self._socket, theirs = socket.socketpair()
        self._fresh = True
        package = Path(__file__).resolve().parents[3]
        environment = {
            "PYTHONPATH": os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "OPENBLAS_NUM_THREADS": "1",
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        }
        memory = MEMORY_BASE + MEMORY_A_PIXEL * rules.max_pixels
        with theirs, ExitStack() as undo:
            undo.callback(self._socket.close)
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this package's own module
                [
                    sys.executable,
                    "-m",
                    "batchsearch.images.decoding.isolated",
                    str(theirs.fileno()),
                    str(memory),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd="/",
            )
            undo.pop_all()

    def repair(self, data: bytes, reasons: tuple[str, ...], rules: Rules, timeout: float) -> Encoded | Reject:
        """Has one image repaired.

        Raises:
            DecoderError: The child did not answer, or not properly.
        """
        order = {"rules": _plain(rules), "reasons": list(reasons), "seconds": timeout}
        deadline = time.monotonic() + timeout + (START_SECONDS if self._fresh else 0)
        self._fresh = False
        try:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            send_frame(self._socket, order, data)
            answer, image = receive_frame(self._socket, rules.max_bytes, deadline)
            return _read_answer(answer, image, rules)
        except TimeoutError:
            raise DecoderError(f"its decoder was stopped after {timeout:g} s") from None
        except (OSError, EOFError):
            raise self._fate() from None
        except (ValueError, KeyError, TypeError):
            raise DecoderError("its decoder gave no proper answer") from None

    def _fate(self) -> DecoderError:
        """How the child ended. Decoders end it by a signal; with a status it ends by an error of Python's."""
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return DecoderError("its decoder broke off")
        if status == -signal.SIGXCPU:
            return DecoderError("its decoder took more time than allowed")
        if status < 0:
            return DecoderError(f"its decoder crashed ({signal.Signals(-status).name})")
        return DecoderError(f"the process for its decoder ended with {status}; please report it", own=True)

    def end(self) -> None:
        """Stops the child, whatever it is doing."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _plain(rules: Rules) -> dict[str, Any]:
    """The rules as JSON can hold them."""
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(rules).items()
    }


def _read_answer(answer: dict[str, Any], image: bytes, rules: Rules) -> Encoded | Reject:
    """A child's answer, checked like anything that comes from outside.

    Raises:
        KeyError: Something is missing in it.
        TypeError: Something in it is of the wrong type.
        ValueError: The image is not what it says or does not keep the rules.
    """
    if "code" in answer:
        return Reject(str(answer["code"]), str(answer["message"])[:300])
    geometry = _read_geometry(answer["geometry"])
    seen = inspect(image)
    size = (geometry.sent_width, geometry.sent_height)
    if seen.format != "JPEG" or seen.flaw or seen.notes or (seen.width, seen.height) != size:
        raise ValueError("not the image that was announced")
    if not rules.min_side <= min(size) <= max(size) <= rules.max_side:
        raise ValueError("an image outside the rules")
    return Encoded(image, geometry, tuple(str(word)[:80] for word in answer["transforms"]))


def _read_geometry(values: list[Any]) -> Geometry:
    """A geometry from its fields in order.

    Raises:
        TypeError: They are no list, or not numbers.
        ValueError: There are more or fewer, or they describe no image.
    """
    width, height, orientation, sent_width, sent_height, box = values
    if box is not None:
        left, top, content_width, content_height = map(int, box)
        box = (left, top, content_width, content_height)
    return Geometry(int(width), int(height), int(orientation), int(sent_width), int(sent_height), box)


def send_frame(connection: socket.socket, answer: dict[str, Any], data: bytes = b"") -> None:
    """Sends JSON and bytes as one frame.

    Raises:
        OSError: The other side is gone, or too slow (TimeoutError).
    """
    text = json.dumps(answer).encode()
    connection.sendall(HEAD.pack(len(text), len(data)) + text)
    connection.sendall(data)


def receive_frame(
    connection: socket.socket, limit: int, deadline: float | None = None
) -> tuple[dict[str, Any], bytes]:
    """Receives one frame.

    Args:
        connection: Where from.
        limit: Most bytes after the JSON.
        deadline: When to give up, on the monotonic clock.

    Raises:
        EOFError: The other side is gone.
        OSError: The same, or it is too slow (TimeoutError).
        ValueError: The frame is none, or over the limit.
    """
    text_length, data_length = HEAD.unpack(_receive(connection, HEAD.size, deadline))
    if text_length > LONGEST_JSON or data_length > limit:
        raise ValueError("a frame over the limit")
    answer = json.loads(_receive(connection, text_length, deadline))
    if not isinstance(answer, dict):
        raise TypeError("no JSON object")
    return answer, _receive(connection, data_length, deadline)


def _receive(connection: socket.socket, length: int, deadline: float | None) -> bytes:
    """Exactly so many bytes."""
    buffer = bytearray(length)
    view, got = memoryview(buffer), 0
    while got < length:
        if deadline is not None:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
        count = connection.recv_into(view[got:])
        if not count:
            raise EOFError
        got += count
    return bytes(buffer)
