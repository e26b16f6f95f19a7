"""What the model found wrong, in the words of the people who write job files (pure)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.overrides import variable_of
from batchsearch.config.shape import dotted
from batchsearch.errors import Problem
from batchsearch.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.config.document import Document, Source
    from batchsearch.config.shape import SettingPath, Shape

_LONGEST_SHOWN: Final = 40
_TYPE_MESSAGES: Final[Mapping[str, str]] = {
    "string": "must be text",
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a number",
    "bool": "must be `true` or `false`",
    "tuple": "must be a list, such as `[a, b]`",
    "list": "must be a list, such as `[a, b]`",
    "dict": "must be a section with `name: value` lines below it",
    "model": "must be a section with `name: value` lines below it",
}
_BOUND_MESSAGES: Final[Mapping[str, str]] = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "has more than {max_length} characters",
    "too_short": "needs at least {min_length}",
    "too_long": "takes at most {max_length}",
}
_LOOKS: Final[Mapping[str, str]] = {r"^#[0-9a-fA-F]{6}$": "`#rrggbb`"}
"""Patterns of settings as a person writes what they mean."""
_NO_SECTION: Final = frozenset({"model_type", "dict_type", "model_attributes_type"})
_USER_PART: Final = re.compile(r"(?<=://)[^/@\s]*@")


def shown(value: object) -> str:
    """A value for a message: short, on one line, without a URL's user and query."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = trimmed(value) if isinstance(value, str) else str(value)
    if len(text) > _LONGEST_SHOWN:
        text = text[: _LONGEST_SHOWN - 1] + "…"
    return repr(text) if isinstance(value, str) else text


def trimmed(text: str) -> str:
    """Text without what a URL in it may keep secret: the user part and the query."""
    if "://" not in text:
        return text
    return _USER_PART.sub("", text.partition("?")[0])


def explain(errors: Sequence[Mapping[str, Any]], document: Document, shape: Shape) -> list[Problem]:
    """One problem for each setting that the model refused.

    Args:
        errors: As `ValidationError.errors()` gives them.
        document: Says where each setting stands.
        shape: The shape of the whole.
    """
    found: dict[SettingPath, list[str]] = {}
    for error in errors:
        path, at, parent = _locate(error["loc"], shape)
        message = _message(error, path, at, parent)
        if at is not None and at.section is not None and error["type"] in _NO_SECTION:
            message += _replaced(document.source(path), path, at)
        kept = found.setdefault(path, [])
        if message not in kept:
            kept.append(message)
    return [Problem(document.source(path).where(path), " or ".join(said)) for path, said in found.items()]


def _locate(loc: Sequence[str | int], shape: Shape) -> tuple[SettingPath, Shape | None, Shape]:
    """The setting's path, its shape and its section's: what the model adds for alternatives is dropped."""
    path: SettingPath = ()
    parent, here = shape, shape
    for name in loc:
        below = here.child(name)
        if below is None:
            return ((*path, name), None, here) if here.section is not None else (path, here, parent)
        path, parent, here = (*path, name), here, below
    return path, here, parent


def _message(error: Mapping[str, Any], path: SettingPath, at: Shape | None, parent: Shape) -> str:
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "missing":
        meaning = at.field.description if at is not None and at.field is not None else None
        message = f"is missing. {meaning}" if meaning else "is missing"
    elif kind == "extra_forbidden":
        message = "there is no such setting" + did_you_mean(str(path[-1]), parent.names)
    elif kind == "literal_error" and at is not None:
        message = _choices(error["input"], at.choices)
    elif kind == "value_error":
        message = str(context["error"])
    elif kind in _BOUND_MESSAGES:
        given = "" if kind in ("string_too_short", "too_short") else f", not {shown(error['input'])}"
        message = (
            _BOUND_MESSAGES[kind].format(**{name: _number(bound) for name, bound in context.items()}) + given
        )
    elif kind == "string_pattern_mismatch":
        message = f"must look like {_example(context['pattern'], at)}, not {shown(error['input'])}"
    elif (said := _TYPE_MESSAGES.get(kind.partition("_")[0])) is not None:
        is_number = kind == "string_type" and isinstance(error["input"], int | float)
        quote = "; put it in quotes if it is meant as text" if is_number else ""
        message = f"{said}, not {shown(error['input'])}{quote}"
    else:
        message = f"is not usable: {error['msg'][:120]}"
    return message


def _replaced(source: Source, path: SettingPath, at: Shape) -> str:
    """The end of a message about an override that gives one value for a whole section."""
    if source.kind not in ("environment", "override") or not at.names:
        return ""
    below = (*path, at.names[0])
    name = dotted(below) if source.kind == "override" else variable_of(below)
    setting = f"--set {name}=…" if source.kind == "override" else f"{name}=…"
    return f"; it replaces all of the section, whose settings are given one by one: `{setting}`"


def _example(pattern: str, at: Shape | None) -> str:
    """What a text of a pattern looks like: in words of its own, or as the setting's default does."""
    if pattern in _LOOKS or at is None or at.field is None:
        return _LOOKS.get(pattern, f"the pattern `{pattern}`")
    return f"`{at.field.default}`" if isinstance(at.field.default, str) else f"the pattern `{pattern}`"


def _number(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _choices(given: object, choices: Sequence[str]) -> str:
    listed = ", ".join(f"`{choice}`" for choice in choices)
    near = nearest(given, choices) if isinstance(given, str) else None
    hint = "" if near is None else f"; did you mean `{near}`?"
    return f"must be one of {listed}, not {shown(given)}{hint}"
