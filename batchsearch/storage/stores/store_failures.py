"""What an error of an object store means, whichever package raised it (pure).

Each store's package has exceptions of its own, often wrapped in others. They are told apart by the codes and
HTTP statuses that they carry, and by the names of their classes. Their texts are never shown: one may quote a
request.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failure(Enum):
    """Why a store did not do what it was asked."""

    NO_BUCKET = "the store has no such bucket"
    ABSENT = "the store has no such object"
    EMPTY_RANGE = "the object ends before the range asked for"
    DENIED = "the store refuses these credentials"
    CHANGED = "the object is not what was expected"
    INVALID = "the store takes this for no address"
    PASSING = "the request failed"


_BY_NAME: Final = (
    (Failure.NO_BUCKET, frozenset({"NoSuchBucket"})),
    (Failure.CHANGED, frozenset({"PreconditionFailed", "412", "FileExistsError", "FileAlreadyExists"})),
    (Failure.EMPTY_RANGE, frozenset({"InvalidRange", "416"})),
    (Failure.ABSENT, frozenset({"NoSuchKey", "404", "FileNotFoundError"})),
    (
        Failure.DENIED,
        frozenset(
            {
                "401",
                "403",
                "AccessDenied",
                "ExpiredToken",
                "InvalidAccessKeyId",
                "InvalidToken",
                "NoCredentialsError",
                "PermissionError",
                "SignatureDoesNotMatch",
            }
        ),
    ),
    (Failure.INVALID, frozenset({"ParamValidationError"})),
)
"""What stores call their errors, most telling first. Names of exceptions stand in for codes."""


def names_of(error: BaseException | None) -> Iterator[str]:
    """What an error and its causes are called: the store's codes, HTTP statuses, names of exceptions."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            yield str(response.get("Error", {}).get("Code"))
            yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
        # aiohttp warns of its own old name for `status`.
        status = getattr(error, "status", None)
        yield str(getattr(error, "code", "") if status is None else status)
        yield type(error).__name__
        if isinstance(error, OSError):
            if error.errno == errno.EEXIST:
                yield "FileExistsError"
            # gcsfs says it in words only.
            if str(error).startswith("Forbidden"):
                yield "403"
        error = error.__cause__ or error.__context__


def failure_of(error: BaseException) -> Failure:
    """What an error means; what is not known is taken to pass."""
    names = set(names_of(error))
    otherwise = Failure.INVALID if isinstance(error, ValueError) else Failure.PASSING
    return next((failure for failure, known in _BY_NAME if not known.isdisjoint(names)), otherwise)
