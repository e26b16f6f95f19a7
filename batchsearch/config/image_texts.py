"""What a text in an image column is, and what of it anybody may see (pure).

A text is an address, the image itself (`data:` URL, base64) or a path. Addresses are signed in their query,
and so are relative ones that `images.base_url` completes, and those that lack their scheme or have it
misspelled: of all of them user part, query and fragment are never shown. A file's name may hold a question
mark; what follows it is shown unless it names a signature.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from batchsearch.path_spellings import BLANKS

TextKind: TypeAlias = Literal["path", "address", "base64"]
"""What a text is that has no scheme: a path, an address below `images.base_url`, or an image in base64."""

SIGNING: Final = (
    r"x-(?:amz|goog|oss|cos|obs|tos)-[^=&#]*|(?:oss|aws)?accesskeyid|googleaccessid|key-pair-id"
    r"|signature|sig|expires|policy|security-token|hdnea|hdnts|auth_key"
)
"""Parameters that sign an address, whatever the case: others every night."""

# Stray characters before an address, a space of any kind or a quote, do not hide what is in it.
_STRAY: Final = r"[^0-9A-Za-z./_~\\-]*"
_BEGIN: Final = r"(?:[A-Za-z][A-Za-z0-9+.-]*://|[/\\]{2}|(?i:https?|ftps?|s3|oss|gs)(?:[/\\]{2}|:[/\\]?))"
_BARE: Final = r"[0-9A-Za-z._~-][^/?#@:\s]*:[^/?#@\s]+@"

# All of these are read by Arrow, too: neither looks ahead nor back.
DATA_URL: Final = rf"^{_STRAY}(?i:data):"
"""A text that is an image, by its beginning."""
WITH_USER: Final = rf"^{_STRAY}(?:{_BEGIN}[^/?#]*@|{_BARE})"
"""An address with a user part, by its beginning."""
SIGNED: Final = rf"\?(?:[^?#]*&)?(?i:{SIGNING})="
"""A query that signs an address."""
NOT_SHOWN: Final = rf"{DATA_URL}|{WITH_USER}|^{_STRAY}{_BEGIN}[^?#]*[?#]|{SIGNED}"
"""What is anywhere in a text that is not shown as it is."""
NOT_SHOWN_BELOW: Final = rf"{NOT_SHOWN}|\?"
"""The same, of texts that are addresses below `images.base_url`."""

_CHANGED: Final[dict[TextKind, re.Pattern[str]]] = {
    "path": re.compile(NOT_SHOWN),
    "address": re.compile(NOT_SHOWN_BELOW),
    "base64": re.compile(NOT_SHOWN),
}
_DATA_URL: Final = re.compile(DATA_URL)
_ADDRESS: Final = re.compile(rf"{_STRAY}({_BEGIN})(?:[^/?#]*@)?([^?#]*)")
_SCHEMED: Final = re.compile(rf"{_STRAY}[A-Za-z][A-Za-z0-9+.-]*://")
_BARE_USER: Final = re.compile(rf"{_STRAY}{_BARE}([^?#]*)")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}(?=[;,])")
_NO_SCHEME: Final = re.compile(rf"[{re.escape(BLANKS)}]*//(?:[^/\\]+\.[^/\\]|localhost\b|\[)")


def lacks_scheme(path: str) -> bool:
    """Whether a text is an address that begins with its host, or may be a path with a slash too many."""
    return _NO_SCHEME.match(path) is not None


def shown(text: str, kind: TextKind = "path") -> str:
    """A text of an image column as anybody may see it.

    A `data:` URL becomes its media type and length, base64 its length, and an address loses user part, query
    and fragment; a path stays as it is, question marks included, unless what follows one signs it.

    Args:
        text: As the manifest has it.
        kind: What it is where it has no scheme.
    """
    if (data := _DATA_URL.match(text)) is not None:
        media = _MEDIA_TYPE.match(text, data.end())
        return f"data:{media[0] if media else ''} ({len(text):,} characters)"
    if kind == "base64" and text and _SCHEMED.match(text) is None:
        return f"base64 ({len(text):,} characters)"
    if _CHANGED[kind].search(text) is None:
        return text
    if (address := _ADDRESS.match(text)) is not None:
        return f"{address[1]}{address[2]}"
    if (user := _BARE_USER.match(text)) is not None:
        return user[1]
    return text.partition("?")[0]
