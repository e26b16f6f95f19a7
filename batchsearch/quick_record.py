"""Values that are made by the thousand: frozen for who checks types, quick to make for who runs.

A frozen dataclass takes nine times as long to fill as one that is not, since each field goes through
`object.__setattr__`: for what every call makes a dozen of, that is felt. So the interpreter is told nothing,
and mypy refuses whoever sets a field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

_Class = TypeVar("_Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def quick_record(made: type[_Class]) -> type[_Class]:
    """A dataclass with slots that is equal and hashed by its fields; nobody sets one after it is made."""
    return dataclass(slots=True, unsafe_hash=True)(made)
