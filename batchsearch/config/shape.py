"""What a setting can hold, read off the model: the ground for paths, overrides and messages (pure).

A path of settings is a tuple of names, `("instance", "qps")`, written `instance.qps`. Settings are marked
with `IS_PATH` and `ONE_OR_MANY` inside `Annotated`; nothing outside the model lists settings by name.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import core_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import ValidatorFunctionWrapHandler

SettingPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class PathMark:
    """Marks a setting that is a path on disk; a relative one is taken from the job file's folder.

    Its name may be no text: on POSIX it is bytes, and Python gives the odd ones as lone surrogates, which the
    model would refuse in a text. What no file can be called is found before (`paths`).
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_kept_path, handler(source))


def _kept_path(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """The path as it is; checked without the bytes that are no text."""
    if isinstance(value, tuple | list) and any(isinstance(each, str) for each in value):
        check([_as_text(each) for each in value])
        return tuple(value)
    checked = check(_as_text(value))
    if not isinstance(value, str):
        return checked
    # A list that may be written as a single text is a list, in whichever order the two marks stand.
    return (value,) if isinstance(checked, tuple) else value


def _as_text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


IS_PATH: Final = PathMark()


class OneOrMany:
    """Marks a list that may be written as a single text: `key: sku` is `key: [sku]`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: (value,) if isinstance(value, str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


ONE_OR_MANY: Final = OneOrMany()


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand at one place of the settings.

    Attributes:
        section: The model whose fields stand here, if it is a section.
        values: The shape of each value where the user chooses the names (`parameters`, `codes`).
        field: The field itself; None for the whole and for the values of free names.
        choices: The texts that it may be, where it may be no others.
        text: Whether it holds text and nothing else, so that `0123` and `yes` stay what they are.
        optional: Whether `null` is a value of it.
        is_list: Whether it holds a list.
        item_choices: The texts that an item of a list may be, where it may be no others.
        is_path: Whether it is marked `IS_PATH`.
    """

    section: type[BaseModel] | None = None
    values: Shape | None = None
    field: FieldInfo | None = None
    choices: tuple[str, ...] = ()
    text: bool = False
    optional: bool = False
    is_list: bool = False
    item_choices: tuple[str, ...] = ()
    is_path: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The settings of a section, in the model's order; empty elsewhere."""
        return tuple(self.section.model_fields) if self.section is not None else ()

    def child(self, name: str | int) -> Shape | None:
        """The shape one step down, or None where there is none of that name."""
        if self.section is not None:
            field = self.section.model_fields.get(str(name))
            return None if field is None else _shape(field.annotation, field)
        if self.is_list and isinstance(name, int):
            return Shape(text=True, choices=self.item_choices)
        return self.values


def shape_of(model: type[BaseModel]) -> Shape:
    """The shape of a whole model."""
    return Shape(section=model)


def takes_switch(field: FieldInfo) -> bool:
    """Whether true and false are values of a field: it is a switch, or holds anything."""
    return any(kind in (bool, Any) for kind in _alternatives(field.annotation))


def dotted(path: Sequence[str | int]) -> str:
    """A path of settings as people write it."""
    return ".".join(str(name) for name in path)


def leaves(value: object, path: SettingPath = ()) -> Iterator[tuple[SettingPath, object]]:
    """Every value below the sections, with its path; lists and empty sections are values."""
    if isinstance(value, dict) and (value or not path):
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, value


_LISTS: Final = (tuple, list)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The plain types that an annotation allows, without None."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        found = [kind for option in get_args(annotation) for kind in _alternatives(option)]
        return tuple(found)
    return () if annotation is types.NoneType else (annotation,)


def _holds_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return all(isinstance(option, str) for option in get_args(kind))
    return kind is str


def _shape(annotation: Any, field: FieldInfo | None = None) -> Shape:
    kinds = _alternatives(annotation)
    section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    mapping = next((kind for kind in kinds if get_origin(kind) is dict), None)
    return Shape(
        section=section,
        values=None if mapping is None else _shape(get_args(mapping)[1]),
        field=field,
        choices=tuple(choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)),
        text=bool(kinds) and all(_holds_text(kind) for kind in kinds),
        optional=type(None) in get_args(annotation),
        is_list=any(get_origin(kind) in _LISTS for kind in kinds),
        item_choices=tuple(
            choice
            for kind in kinds
            if get_origin(kind) in _LISTS and get_origin(get_args(kind)[0]) is Literal
            for choice in get_args(get_args(kind)[0])
        ),
        is_path=field is not None and IS_PATH in field.metadata,
    )
