"""The resolved configuration as a person reads it: every value, and where it came from (pure)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.document import plain_scalar
from batchsearch.config.explain import trimmed
from batchsearch.config.shape import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.shape import SettingPath

_WIDEST: Final = 60
"""Values wider than this do not push the sources of all others aside."""

# Plain text that begins or goes on like this would be read as something else.
_QUOTED_STARTS: Final = tuple("-?:,[]{}#&*!|>'\"%@` ")
# Text here, but a number, a time or a switch to readers of older YAML.
_READ_ELSEWHERE: Final = re.compile(r"[-+.0-9][-+.:_0-9a-fA-FoxTZ ]*|(?i:y|n|yes|no|on|off)|[<=]{1,2}")


def render_resolved(job: LoadedJob) -> str:
    """The settings as YAML, with each value's source as a comment beside it.

    URLs lose their user part and query; credentials are never settings. What is printed is a job file
    that means the same.
    """
    lines = list(_lines(job.settings.model_dump(), (), job))
    width = max((len(text) for text, source in lines if source and len(text) <= _WIDEST), default=0)
    return "\n".join(f"{text:<{width}}  # {source}" if source else text for text, source in lines) + "\n"


def _lines(section: dict[str, Any], path: SettingPath, job: LoadedJob) -> Iterator[tuple[str, str]]:
    indent = "  " * len(path)
    for name, value in section.items():
        place = (*path, name)
        if isinstance(value, dict) and value:
            yield f"{indent}{_text(name)}:", ""
            yield from _lines(value, place, job)
        else:
            yield f"{indent}{_text(name)}: {_value(value)}", str(job.sources[dotted(place)])


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(name)}: {_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return _text(trimmed(value)) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    """Text as YAML: bare where that reads back as the same text, else in double quotes."""
    is_bare = (
        isinstance(plain_scalar(text), str)
        and not _READ_ELSEWHERE.fullmatch(text)
        and text == text.strip()
        and not text.startswith(_QUOTED_STARTS)
        and not any(mark in text for mark in (": ", " #", ",", "[", "]", "{", "}"))
        and not text.endswith(":")
        and text.isprintable()
    )
    return text if is_bare else json.dumps(text)
