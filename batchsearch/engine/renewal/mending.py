"""Which failures a setting of the job can have caused: corrected, their rows are asked for again (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CAUSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Local.ImageAddressRefused": ("images.allow_hosts", "images.stores"),
        "Local.ImageMissing": (
            "images.root",
            "images.base_url",
            "images.headers",
            "images.proxy",
            "images.stores",
            "images.scheme",
        ),
        "Local.ImageOutsideRoot": ("images.root", "images.allow_links"),
        "Local.ImageReferenceInvalid": ("images.root", "images.base_url", "images.scheme", "images.stores"),
        "Local.NotAnImage": ("images.headers", "images.proxy", "images.root"),
        "Local.ImageTooManyPixels": ("images.max_megapixels",),
        "Local.ImageTooSmall": ("images.too_small",),
        "Local.ImageAspect": ("images.too_small",),
        "Local.ImageBlank": ("images.blank",),
        "Local.ImageBroken": ("images.verify",),
        "Local.ImageTruncated": ("images.verify",),
        "Local.ImageDecoderFailed": ("images.decode_timeout", "images.isolate"),
        "Local.ImageOutOfMemory": ("images.threads", "images.max_megapixels"),
        "Local.UnknownInstance": ("instances",),
        "Local.InvalidProductId": ("instance.longest_id",),
        "Local.InvalidPicName": ("instance.longest_id",),
        "Transport.ImageConnect": ("images.proxy", "images.stores", "images.scheme"),
        "Transport.ImageTimeout": ("images.fetch_timeout", "images.fetch_per_host", "images.proxy"),
        "Transport.ImageTls": ("images.scheme", "images.proxy"),
        "Transport.ImageHttpStatus": ("images.headers", "images.proxy", "images.stores"),
        "Transport.ImageRedirects": ("images.headers", "images.proxy"),
        "Transport.ImageRead": ("images.root", "images.stores"),
    }
)
"""The settings that each code can come from."""

_ACTIONS: Final = "codes"
"""The setting with the actions by code: each of them is the cause of its own code."""

_LOOSER: Final[Mapping[str, frozenset[tuple[str, str]]]] = MappingProxyType(
    {
        "images.too_small": frozenset({("reject", "pad"), ("reject", "enlarge")}),
        "images.blank": frozenset(
            {
                ("reject", "lost"),
                ("reject", "contrast"),
                ("reject", "send"),
                ("lost", "send"),
            }
        ),
        "images.verify": frozenset({("decode", "none")}),
    }
)
_COST: Final = "images.max_megapixels"
"""Says what an image may cost here: of one that was answered it says nothing."""


@dataclass(frozen=True, slots=True)
class Mended:
    """Codes whose cause may be gone.

    Attributes:
        codes: Their names; `*` stands for anything.
        settings: The settings that are others than they were.
    """

    codes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def may_pass(self, code: str) -> bool:
        """Whether a row that failed with this code is to be asked for again."""
        return any(fnmatchcase(code, pattern) for pattern in self.codes)


def mended(before: Mapping[str, Any], now: Mapping[str, Any]) -> Mended:
    """What a job's settings have mended since its last run.

    Args:
        before: All settings of the last run, section by section; empty where nobody knows them.
        now: Likewise, tonight's.
    """
    if not before:
        return Mended()
    names = dict.fromkeys(name for causes in CAUSES.values() for name in causes)
    others = tuple(name for name in names if _differs(name, before, now))
    codes = [code for code, causes in CAUSES.items() if not set(causes).isdisjoint(others)]
    earlier, later = before.get(_ACTIONS) or {}, now.get(_ACTIONS) or {}
    actions = [code for code in {**earlier, **later} if earlier.get(code) != later.get(code)]
    told = [*others, *(f"{_ACTIONS}.{code}" for code in actions)]
    return Mended(tuple(dict.fromkeys([*codes, *actions])), tuple(told))


def only_mends(name: str, before: object, now: object) -> bool:
    """Whether a setting that decides what is refused was changed so that rows with an answer keep it."""
    if name == _COST:
        return True
    return (before, now) in _LOOSER.get(name, ())


def causes_as_markdown() -> str:
    """The table for the documentation: which rows a corrected setting asks for again."""
    lines = ["| rows that failed with | are asked for again when this changes |", "|---|---|"]
    lines += [f"| `{code}` | {', '.join(f'`{name}`' for name in names)} |" for code, names in CAUSES.items()]
    return "\n".join([*lines, "| any code | its entry in `codes` |"])


def _differs(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether both jobs have the setting, with another value: what a version did not know mends nothing."""
    earlier, later = _value(name, before), _value(name, now)
    return earlier is not _UNKNOWN and later is not _UNKNOWN and earlier != later


_UNKNOWN: Final = object()


def _value(name: str, settings: Mapping[str, Any]) -> Any:
    value: Any = settings
    for step in name.split("."):
        if not isinstance(value, dict) or step not in value:
            return _UNKNOWN
        value = value[step]
    return value
