"""The standard streams of a command, made safe: what cannot be written never decides how the command ends.

A log on a full disk, a terminal that was closed, a reader that has gone, an encoding that lacks a
character: none of them is an error of the work. What stdout was asked for and cannot be written is
remembered, so that the command can say so and exit with its own code for it.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import sys
from typing import Final, TextIO, cast

from batchsearch.exit_codes import ExitCode

_ESCAPES = "batchsearch.escapes"
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROLS_IN_LINES: Final = {code: said for code, said in _CONTROLS.items() if chr(code) not in "\n\t"}
_OBEYED: Final = re.compile(r"(\x1b\[[0-9;?]*[A-HJKSTfhlmsu])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""What terminals obey: colours and moves, which libraries write here, and all that nobody here writes."""


def printable(text: str) -> str:
    """Text from outside with its control characters spelt out: none of them reaches a terminal."""
    return text.translate(_CONTROLS)


def printable_lines(text: str) -> str:
    """The same, of a text of several lines: line breaks and tabs stay."""
    return text.translate(_CONTROLS_IN_LINES)


class SafeStream:
    """A text stream whose `write` and `flush` never raise for what the other end is.

    Attributes:
        problem: Why the latest text could not be written; None while all could.

    Args:
        stream: Where it writes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_seen = stream.isatty()
        self.problem: OSError | ValueError | None = None

    def write(self, text: str | bytes) -> int:
        """Write, or remember why not; how much was taken. Bytes, as a shell's completions come, are UTF-8.

        A terminal gets no control character but colours and moves of the cursor, as a last line of defence:
        others are spelt as JSON does.
        """
        if text == b"":
            # Whoever tries this looks for a stream of bytes, to encode by a rule of its own.
            raise TypeError("write() takes text")
        try:
            plain = text.decode() if isinstance(text, bytes) else text
            self._stream.write(_OBEYED.sub(_spelt, plain) if self._is_seen else plain)
        except (OSError, ValueError) as problem:
            self.problem = problem
        return len(text)

    def flush(self) -> None:
        """Flush, or remember why not."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as problem:
            self.problem = problem

    @property
    def reader_has_gone(self) -> bool:
        """Whether nobody reads any more: nothing that is written from now on can matter."""
        return isinstance(self.problem, OSError) and self.problem.errno in {errno.EPIPE, errno.EIO}

    def __getattr__(self, name: str) -> object:
        # Whoever asks for the bytes below would write past this class.
        if name in {"buffer", "detach", "writelines"}:
            raise AttributeError(name)
        return getattr(self._stream, name)


def make_safe() -> None:
    """Make stdin, stdout and stderr of this process safe; to be called once, before any work.

    A descriptor that the process was started without is opened on the null device: otherwise the next file
    that is opened would get its number, and whatever writes to stderr would write into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(_ESCAPES, _escaped)
    stdout, stderr = sys.stdout or _opened(1), sys.stderr or _opened(2)
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors=_ESCAPES)
    sys.stdout, sys.stderr = cast("TextIO", SafeStream(stdout)), cast("TextIO", SafeStream(stderr))


def reader_has_gone() -> bool:
    """Whether nobody reads this process's stdout any more: a command that goes on printing may end."""
    return isinstance(sys.stdout, SafeStream) and sys.stdout.reader_has_gone


def let_stdout_be() -> str | None:
    """Forget that stdout could not be written; why it could not, None if it could or if its reader left."""
    stream = sys.stdout
    if not isinstance(stream, SafeStream):
        return None
    stream.flush()
    problem = stream.problem
    if problem is None:
        return None
    # What is still buffered must not be tried again when the interpreter ends.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    was_read = not stream.reader_has_gone
    stream.problem = None
    return (getattr(problem, "strerror", None) or str(problem)) if was_read else None


def settled(code: int) -> int:
    """What a command exits with whose stdout is its product: a product that is lost is a failure.

    Args:
        code: What it would exit with.
    """
    problem = let_stdout_be()
    if problem is None:
        return code
    tell_unwritten("the output", problem)
    return int(ExitCode.OUTPUT_FAILED) if code == ExitCode.DONE else code


def tell_unwritten(what: str, problem: str) -> None:
    """Say on stderr what could not be written to stdout."""
    sys.stderr.write(f"batchsearch: {what} cannot be written to stdout: {problem}\n")
    sys.stderr.flush()


def _spelt(found: re.Match[str]) -> str:
    return found[1] or f"\\u{ord(found[0]):04x}"


def _opened(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", closefd=False)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that an encoding lacks, as JSON writes them: a backslash, `u` and four digits."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[place : place + 2].hex() for place in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end
