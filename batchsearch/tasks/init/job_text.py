"""The text of a job file: settings, and above each what it is for, in the words of the settings themselves.

Only names and values stand here. Every explanation is the description of the setting, so that a job file
that is written can never say something else than `config schema` does; a setting that is gone is an error
at once.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from batchsearch.config.document import plain_scalar
from batchsearch.config.model import JobSettings
from batchsearch.config.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.config.shape import Shape

_WIDTH: Final = 100
_NEVER_WRAPPED: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One setting of a job file.

    Attributes:
        name: Its dotted name, such as `instance.qps`.
        value: What it is set to.
        note: What else is to be said of it, such as where a guess comes from.
        active: Set, or written as a comment to be made one.
        explained: With its description above it.
    """

    name: str
    value: Any
    note: str = ""
    active: bool = True
    explained: bool = True


def job_text(title: Sequence[str], lines: Sequence[Line]) -> str:
    """The whole file.

    A section of which nothing is set is a comment as a whole: without the `# ` before it, it is one.

    Args:
        title: What stands at the top, line by line.
        lines: Its settings; those of one section follow each other.

    Raises:
        KeyError: There is no such setting.
    """
    text = [f"# {line}".rstrip() for line in title]
    for path, inside in _sections([(tuple(line.name.split(".")), line) for line in lines], 1):
        text += ["", *_block(path, inside)]
    return "\n".join(text) + "\n"


_Placed: TypeAlias = "tuple[tuple[str, ...], Line]"


def _sections(lines: Sequence[_Placed], depth: int) -> Iterator[tuple[tuple[str, ...], list[_Placed]]]:
    """Lines that are in one section at this depth, together."""
    for path, inside in groupby(lines, key=lambda placed: placed[0][:depth]):
        yield path, list(inside)


def _block(path: tuple[str, ...], lines: Sequence[_Placed]) -> list[str]:
    """A setting, or a section with all in it."""
    indent = "  " * (len(path) - 1)
    (first, line), *_ = lines
    if first == path:
        return _setting(path, line, indent)
    text = [*_comment(_description(path), indent), f"{indent}{path[-1]}:"]
    is_active = any(each.active for _, each in lines)
    for below, inside in _sections(lines, len(path) + 1):
        # Within a section that is a comment itself, nothing is one once more.
        kept = inside if is_active else [(place, replace(each, active=True)) for place, each in inside]
        text += _block(below, kept)
    return text if is_active else [f"# {each}" for each in text]


def _setting(path: tuple[str, ...], line: Line, indent: str) -> list[str]:
    text = _comment(_description(path), indent) if line.explained else []
    text += _comment(line.note, indent)
    return [*text, f"{indent}{'' if line.active else '# '}{_written(path[-1])}: {_written(line.value)}"]


def _written(value: Any) -> str:
    """A value on one line, read back as the same by `config.document`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(name)}: {_written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, str) and not value.isprintable():
        # Line ends that not everybody takes for one, such as U+0085, are spelt out.
        return _dumped(value, '"', spelt_out=True)
    text = _dumped(value, None)
    # What other readers of YAML take for text may be a number here: `1e3`.
    is_other = isinstance(value, str) and text == value and not isinstance(plain_scalar(text), str)
    return _dumped(value, '"') if is_other or "\n" in text else text


def _dumped(value: Any, style: str | None, *, spelt_out: bool = False) -> str:
    # In flow style, so that no text holds what ends an entry of a list.
    text: str = yaml.safe_dump(
        [value],
        default_flow_style=True,
        default_style=style,
        allow_unicode=not spelt_out,
        width=_NEVER_WRAPPED,
    )
    return text.rstrip("\n").removeprefix("[").removesuffix("]")


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {each}" for each in textwrap.wrap(text, _WIDTH - len(indent), break_on_hyphens=False)]


def _description(path: tuple[str, ...]) -> str:
    """What a setting or section is for; empty for a name of the user's own, such as a column's."""
    here: Shape | None = shape_of(JobSettings)
    for step, name in enumerate(path):
        if here is not None and here.values is not None:
            return ""
        here = None if here is None else here.child(name)
        if here is None:
            raise KeyError(".".join(path[: step + 1]))
    return "" if here is None or here.field is None else here.field.description or ""
