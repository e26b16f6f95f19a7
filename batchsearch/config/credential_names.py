"""Credentials have no place in a job file: what looks like one is refused, and its value never shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.document import Document
    from batchsearch.config.shape import SettingPath

ADVICE: Final = (
    "Give them in the environment (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and, for "
    "temporary ones, ALIBABA_CLOUD_SECURITY_TOKEN) or in a profile (~/.aliyun/config.json or "
    "~/.alibabacloud/credentials.ini)"
)

_PARTS: Final = ("secret", "passw", "token", "accesskey", "credential", "privatekey", "apikey")
_WHOLE: Final = frozenset({"ak", "sk", "auth", "authorization", "signature"})
_ACCESS_KEY_ID: Final = re.compile(r"LTAI[0-9A-Za-z]{8,60}|STS\.[0-9A-Za-z]{10,60}")

_SECRET_HEADERS: Final = frozenset({"cookie", "xauth", "xsignature", "xkey"})
_VARIABLE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")

# Here the names are the user's own columns, and the values can be nothing but types.
_COLUMN_NAMES: Final = ("csv", "types")

# Here the names are hosts, and below them headers, whose secrets are variables of the environment.
_HEADERS: Final = ("images", "headers")
_HEADER_ADVICE: Final = (
    "Name a variable of the environment instead: `${NAME}`, or a scheme before it, such as `Bearer ${NAME}`"
)


def names_a_credential(name: str) -> bool:
    """Whether a setting's name says that its value is to be kept secret."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return plain in _WHOLE or any(part in plain for part in _PARTS)


def names_a_secret_header(name: str) -> bool:
    """Whether a request header's name says that its value is to be kept secret."""
    return names_a_credential(name) or re.sub(r"[^a-z0-9]", "", name.lower()) in _SECRET_HEADERS


def take_out_credentials(document: Document) -> list[Problem]:
    """Removes what looks like a credential from a document and says where each stood."""
    found = list(_find(document.root, ()))
    problems = []
    for path in found:
        here: Any = document.root
        for name in path[:-1]:
            here = here[name]
        here[path[-1]] = None
        if isinstance(here, dict):
            del here[path[-1]]
        where = document.source(path).where(path)
        advice = _HEADER_ADVICE if path[:2] == _HEADERS else ADVICE
        problems.append(Problem(where, f"credentials do not belong in a job file. {advice}"))
    return problems


def _find(value: Any, path: SettingPath) -> Iterator[SettingPath]:
    if isinstance(value, dict):
        for name, below in value.items():
            if path[:2] == _HEADERS:
                yield from _find_in_header(below, (*path, name))
            elif path[-2:] != _COLUMN_NAMES and names_a_credential(name):
                yield (*path, name)
            else:
                yield from _find(below, (*path, name))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _find(below, (*path, index))
    elif isinstance(value, str) and _ACCESS_KEY_ID.fullmatch(value):
        yield path


def _find_in_header(value: Any, path: SettingPath) -> Iterator[SettingPath]:
    """Secrets among the headers of a host that are written out."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _find_in_header(below, (*path, name))
    elif isinstance(value, str):
        kept = _VARIABLE.search(value) is not None
        secret = names_a_secret_header(str(path[-1])) and len(path) > len(_HEADERS) + 1
        if (secret and not kept) or _ACCESS_KEY_ID.fullmatch(value):
            yield path
