"""What a setting means, for people: read off the model, so that nothing is said twice (pure).

A setting is asked for by its path (`instance.qps`), by its name alone (`qps`) or by a section (`dedup`).
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from batchsearch.config.document import plain_scalar
from batchsearch.config.model import JobSettings
from batchsearch.config.overrides import variable_of
from batchsearch.config.shape import Shape, dotted, shape_of, takes_switch
from batchsearch.errors import ConfigError
from batchsearch.nearest import did_you_mean
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

_PARAMETERS: Final = "parameters"
_LIKE: Final = {"instances": "instance"}
"""Lists of sections, each with the settings of another section."""
_MOST_RELATED: Final = 8
_QUOTED: Final = re.compile(r"`([a-z_][a-z0-9_.]*)(?:: [^`]*)?`")
_WIDEST: Final = 100
_INDENT: Final = "  "
_BOUNDS: Final = {
    Ge: ("ge", "at least"),
    Gt: ("gt", "more than"),
    Le: ("le", "at most"),
    Lt: ("lt", "less than"),
}
_KINDS: Final = {
    "integer": "a whole number",
    "boolean": "`true` or `false`",
    "category": "a category id",
    "region": "a region, `x1,x2,y1,y2` in the image's pixels",
    "filter": 'a filter, such as `int_attr < 100 AND str_attr = "a"`',
    "threshold": "a score, 0 to 1",
}
"""What the kinds of the operations' parameters take, in words."""
_LABELS: Final = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, or one section.

    Attributes:
        path: Its names from the top.
        shape: What may stand there.
        means: What it is for.
        kind: What values it takes, in words.
        default: What holds when it is absent, as a job file has it; None where it must be given.
        below: For a section the names of its settings.
        related: Paths of settings that have to do with it.
    """

    path: tuple[str, ...]
    shape: Shape
    means: str
    kind: str
    default: str | None
    below: tuple[str, ...] = ()
    related: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As people write it."""
        return dotted(self.path)

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "setting": self.name,
            "means": self.means,
            "takes": self.kind,
            "required": self.default is None,
            "default": self.default,
            "settings": list(self.below),
            "environment": None if self.below else _variable(self),
            "related": list(self.related),
        }


def every_setting() -> dict[str, Setting]:
    """All settings and sections by their paths, in the order of the model."""
    return {setting.name: setting for setting in _below(shape_of(JobSettings), ())}


def meaning_of(asked: str) -> tuple[Setting, ...]:
    """The settings that a name may mean: one for a path, all of that name otherwise.

    Raises:
        ConfigError: There is none; the message names the nearest.
    """
    known = every_setting()
    name = asked.strip().strip("`:").replace("[", ".").replace("]", "")
    first, _, rest = name.partition(".")
    if rest and first in _LIKE:
        name = f"{_LIKE[first]}.{rest.partition('.')[2] if rest[:1].isdigit() else rest}"
    if name in known:
        return (_with_related(known[name], known),)
    free = _below_a_free_name(name, known)
    if free is not None:
        return (free,)
    parameter = _parameter(name)
    found = [each for each in known.values() if each.path[-1] == name]
    found += [parameter] if parameter is not None and "." not in name else []
    if found:
        return tuple(_with_related(each, known) for each in found)
    raise ConfigError(f"there is no setting {asked[:80]!r}{_hint(name, known)}")


def sections() -> tuple[Setting, ...]:
    """The sections and settings at the top of a job file."""
    return tuple(setting for setting in every_setting().values() if len(setting.path) == 1)


def as_text(settings: Sequence[Setting], width: int) -> str:
    """Explanations as a page; of several settings a short list.

    Args:
        settings: From `meaning_of` or `sections`.
        width: Columns of the terminal.
    """
    width = min(width, _WIDEST)
    if len(settings) == 1:
        return _page(settings[0], width)
    return _list([(each.name, each.default, each.means) for each in settings], width)


def _below(shape: Shape, path: tuple[str, ...]) -> Iterator[Setting]:
    for name in shape.names:
        child = shape.child(name)
        if child is None or child.field is None:
            continue
        here = (*path, name)
        yield Setting(
            here,
            child,
            child.field.description or "",
            _kind(child, child.field),
            _default(child.field),
            tuple(dotted((*here, below)) for below in child.names),
        )
        if child.names:
            yield from _below(child, here)


def _with_related(setting: Setting, known: Mapping[str, Setting]) -> Setting:
    """The setting with those that its meaning names, and those whose meaning names it."""
    beside = dotted(setting.path[:-1])

    def meant(text: str, where: str) -> Iterator[str]:
        for name in _QUOTED.findall(text):
            for candidate in (f"{where}.{name}" if where else name, name):
                if candidate in known:
                    yield candidate
                    break

    found = list(meant(setting.means, beside))
    found += [
        other.name for other in known.values() if setting.name in meant(other.means, dotted(other.path[:-1]))
    ]
    skip = {setting.name, *setting.below}
    related = [name for name in dict.fromkeys(found) if name not in skip]
    return _replaced(setting, tuple(related[:_MOST_RELATED]))


def _replaced(setting: Setting, related: tuple[str, ...]) -> Setting:
    return Setting(
        setting.path, setting.shape, setting.means, setting.kind, setting.default, setting.below, related
    )


def _below_a_free_name(name: str, known: Mapping[str, Setting]) -> Setting | None:
    """A setting below one whose names are the user's own, such as `codes.PictureError`."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = known.get(dotted(parts[:length]))
        if above is None:
            continue
        if above.shape.values is None:
            return None
        rest = dotted(parts[length:])
        if above.path == (_PARAMETERS,):
            return _parameter(rest)
        means = f"{above.means} Here for `{rest}`."
        return Setting(
            (*above.path, rest), above.shape.values, means, _kind(above.shape.values, None), "nothing"
        )
    return None


def _parameter(key: str) -> Setting | None:
    """A parameter of the operations, by its snake_case name."""
    taking = {
        operation.name: parameter
        for operation in OPERATIONS.values()
        if (parameter := operation.parameter(key)) is not None
    }
    if not taking:
        return None
    one = next(iter(taking.values()))
    bounds = [
        text
        for text, bound in (
            (f"at least {one.minimum}", one.minimum),
            (f"at most {one.maximum}", one.maximum),
            (f"at most {one.max_length:,} characters" if one.max_length else "", one.max_length),
        )
        if bound is not None
    ]
    names = ", ".join(taking)
    means = (
        f"`{one.wire}` of {names}, for every row; a column of the manifest that `manifest.columns` maps to "
        f"`{key}` wins over it."
    )
    default = "the service's own" if one.default is None else _written(one.default)
    return Setting(
        (_PARAMETERS, key),
        Shape(),
        means,
        ", ".join([_KINDS.get(one.kind, one.kind), *bounds]),
        default,
        (),
        ("manifest.columns",),
    )


def _hint(name: str, known: Mapping[str, Setting]) -> str:
    """The nearest setting: by its whole path, or below the section that was meant, or by its name alone."""
    section, _, last = name.rpartition(".")
    if section in known and known[section].below:
        near = did_you_mean(last, [each.rpartition(".")[2] for each in known[section].below])
        return near.replace("did you mean `", f"did you mean `{section}.")
    near = did_you_mean(name, known)
    if near.startswith("; did you mean"):
        return near
    by_last = {each.path[-1]: each.name for each in reversed(list(known.values()))}
    near = did_you_mean(last, by_last)
    if near.startswith("; did you mean"):
        found = near.split("`")[1]
        return f"; did you mean `{by_last[found]}`?"
    return "; `batchsearch config explain` lists the sections"


def _kind(shape: Shape, field: FieldInfo | None) -> str:
    """What values a setting takes, in words."""
    bounds = _bounds(field)
    if shape.names:
        what = "a section"
    elif shape.values is not None:
        inside = _kind(shape.values, None)
        what = f"`name: value` lines; values are {inside}"
    elif shape.choices:
        what = "one of " + ", ".join(f"`{choice}`" for choice in shape.choices)
    elif shape.is_list:
        choices = ", ".join(f"`{choice}`" for choice in shape.item_choices)
        what = "a list" + (f" of {choices}" if choices else "")
    elif field is not None and field.annotation is bool:
        what = "`true` or `false`"
    else:
        what = _plain_kind(shape, field)
    return ", ".join([what, *bounds])


def _plain_kind(shape: Shape, field: FieldInfo | None) -> str:
    if shape.is_path:
        return "a path; a relative one starts from the job file's folder"
    if shape.text:
        return "text"
    if field is None:
        return "any value"
    annotation = str(field.annotation)
    named = {"int": "a whole number", "float": "a number", "str": "text"}
    if takes_switch(field) and "Any" not in annotation:
        named["bool"] = "`true` or `false`"
    found = [words for kind, words in named.items() if re.search(rf"\b{kind}\b", annotation)]
    return " or ".join(found) or "any value"


def _bounds(field: FieldInfo | None) -> list[str]:
    found = []
    for mark in field.metadata if field is not None else ():
        if isinstance(mark, Ge | Gt | Le | Lt):
            name, words = _BOUNDS[type(mark)]
            bound = getattr(mark, name)
            found.append(f"{words} {bound:,}" if isinstance(bound, int) else f"{words} {bound:g}")
        elif isinstance(mark, MinLen) and mark.min_length > 0:
            found.append("not empty")
        elif isinstance(mark, MaxLen):
            found.append(f"at most {mark.max_length:,} characters")
    return found


def _default(field: FieldInfo) -> str | None:
    """What holds when a setting is absent; None where it must be given."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return None
    if isinstance(value, BaseModel):
        return "its settings' own defaults"
    return _written(value)


def _written(value: Any) -> str:
    """A value as a job file has it."""
    if value is None:
        return "nothing (`null`)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, dict):
        return "nothing" if not value else f"`{value}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    text = str(value)
    is_text = isinstance(value, str) and plain_scalar(text) == text and text.strip() == text and text
    return f"`{text}`" if is_text or not isinstance(value, str) else f'`"{text}"`'.replace("\t", "\\t")


def _page(setting: Setting, width: int) -> str:
    lines = [setting.name, *_wrapped(setting.means, width, _INDENT), ""]
    facts = [
        ("takes", setting.kind),
        ("default", "none: it must be given" if setting.default is None else setting.default),
    ]
    if not setting.below:
        example = f"--set {setting.name}=…  or  {_variable(setting)}=…"
        facts += [("outside", example)]
    if setting.related:
        facts.append(("see also", ", ".join(setting.related)))
    for label, text in facts:
        first, *rest = _wrapped(text, width, " " * (len(_INDENT) + _LABELS))
        lines += [f"{_INDENT}{label:<{_LABELS}}{first.strip()}", *rest]
    lines.append(f"{_INDENT}{'in a job':<{_LABELS}}{_stands(setting, 0)}")
    lines += [
        f"{' ' * (len(_INDENT) + _LABELS)}{_stands(setting, depth)}" for depth in range(1, len(setting.path))
    ]
    if setting.below:
        known = every_setting()
        rows = [(known[name].path[-1], known[name].default, known[name].means) for name in setting.below]
        lines += ["", _list(rows, width)]
    return "\n".join(lines)


def _stands(setting: Setting, depth: int) -> str:
    last = depth == len(setting.path) - 1
    value = "" if setting.below or not last else " …"
    return f"{_INDENT * depth}{setting.path[depth]}:{value}"


def _variable(setting: Setting) -> str:
    """The environment's name of a setting; names that are the user's own stay as they are written."""
    if setting.shape.field is not None:
        return variable_of(setting.path)
    *above, own = setting.path
    return f"{variable_of(tuple(above))}__{own.upper() if own.islower() else own}"


def _list(rows: Sequence[tuple[str, str | None, str]], width: int) -> str:
    """Names with their defaults and meanings, one below the other."""
    lines = []
    for name, default, means in rows:
        told = "must be given" if default is None else f"default {default}"
        lines += [f"{name}  ({told})", *_wrapped(means, width, _INDENT * 2)]
    return "\n".join(lines)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    made = textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return made or [indent]
