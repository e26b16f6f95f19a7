"""Addresses of files that an instance gives out: signed, and good for two hours (pure)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

from batchsearch.emulator.http.upload_place import UploadRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES: Final = "/files/"
ADDRESS_SECONDS: Final = 2 * 3600
"""DumpMetaList 2023-09: `MetaUrl` is good for two hours; here from the answer that holds it."""

_PATH: Final = re.compile(rf"{FILES}([A-Za-z0-9_-]+)/([0-9]{{1,18}})/([a-z.]+)")


def address_of(base: str, instance: str, task: int, name: str, *, secret: bytes, now: float) -> str:
    """An address that leads to a file from now on.

    Args:
        base: Scheme, host and port at which the instance is reached.
        instance: Its name.
        task: The task that left the file.
        name: The file's name.
        secret: Signs.
        now: Seconds since 1970.
    """
    path = f"{FILES}{instance}/{task}/{name}"
    expires = int(now) + ADDRESS_SECONDS
    return f"{base}{path}?Expires={expires}&Signature={_signature(path, str(expires), secret)}"


def read_path(path: str) -> tuple[str, int, str]:
    """Instance, task and file that an address names.

    Raises:
        UploadRefusedError: None.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise no_such_file()
    return match[1], int(match[2]), match[3]


def no_such_file() -> UploadRefusedError:
    """The answer to an address that leads nowhere."""
    return UploadRefusedError("NoSuchKey", "The specified key does not exist.", 404)


def check(path: str, query: Mapping[str, str], *, secret: bytes, now: float) -> None:
    """Whether an address may be followed.

    Raises:
        UploadRefusedError: Its signature is wrong, or its time is over.
    """
    expires, given = query.get("Expires", ""), query.get("Signature", "")
    if not hmac.compare_digest(
        _signature(path, expires, secret).encode(), given.encode("utf-8", errors="replace")
    ):
        raise UploadRefusedError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            403,
        )
    if now >= int(expires):
        raise UploadRefusedError("AccessDenied", "Request has expired.", 403)


def _signature(path: str, expires: str, secret: bytes) -> str:
    signed = f"GET\n{path}\n{expires}".encode("utf-8", errors="replace")
    return base64.urlsafe_b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode().rstrip("=")
