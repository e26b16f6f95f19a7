"""The form of an operation, made from its declaration: a control for each parameter, what was posted (pure).

No parameter is listed here: what `service.operations` declares has a control by its kind, so that a parameter
that is added there is on the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.console.wording import Words, parameters, say
from batchsearch.service.facts import CATEGORIES, SERVICE_TYPES
from batchsearch.service.filter import FilterError, parse_filter
from batchsearch.service.parameters import ParameterProblem, check_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.service.operations import Kind, Operation, Parameter

CONTROLS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "integer": "number",
        "boolean": "switch",
        "text": "text",
        "threshold": "threshold",
        "region": "region",
        "filter": "filter",
        "category": "category",
    }
)
"""The control of each kind of parameter; a macro of the templates has its name."""

REGION_FIELDS: Final = ("x1", "x2", "y1", "y2")
METHOD: Final = "method"
"""How the subject is found: `auto`, or `custom` for the region that is drawn."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field.

    Attributes:
        text: What, and what to do.
        name: The error that the service would have answered with; this side's where there is none.
        column: Where in the field, from 1; None where it is the whole of it.
    """

    text: str
    name: str
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter on the page.

    Attributes:
        parameter: Its declaration.
        control: How it is entered.
        words: What it is called.
        value: What is in it.
        problem: What is wrong with that.
        fixed: Why it cannot be changed; empty when it can.
    """

    parameter: Parameter
    control: str
    words: Words
    value: str
    problem: Problem | None = None
    fixed: str = ""

    @property
    def name(self) -> str:
        """Its name in the form."""
        return self.parameter.key

    @property
    def numbers(self) -> tuple[str, ...]:
        """The four numbers of a region, each empty when there is none."""
        parts = tuple(part.strip() for part in self.value.split(","))
        return parts if len(parts) == len(REGION_FIELDS) else ("",) * len(REGION_FIELDS)


def fields_of(
    operation: Operation,
    values: Mapping[str, str],
    problems: Mapping[str, Problem],
    *,
    service_type: str,
) -> tuple[Field, ...]:
    """The form of an operation.

    Args:
        operation: The operation.
        values: What is in its fields, by snake_case name.
        problems: What is wrong with them, likewise.
        service_type: Of the instance.
    """
    words = parameters()
    return tuple(
        Field(
            parameter,
            CONTROLS[parameter.kind],
            words[parameter.key],
            _shown(parameter, values),
            problems.get(parameter.key),
            _fixed(parameter, service_type),
        )
        for parameter in operation.parameters
    )


def _shown(parameter: Parameter, values: Mapping[str, str]) -> str:
    if parameter.key in values:
        return values[parameter.key]
    if parameter.kind == "boolean":
        return "true" if parameter.default else "false"
    return ""


def _fixed(parameter: Parameter, service_type: str) -> str:
    kind = SERVICE_TYPES[service_type]
    if parameter.kind == "category" and kind.category is not None:
        return say("form.one_category", kind=kind.name, category=kind.category)
    if parameter.key in {"crop", "region"} and not kind.subject:
        return say("form.whole_image", kind=kind.name)
    return ""


def read_posted(operation: Operation, posted: Mapping[str, str]) -> dict[str, str]:
    """The fields of an operation as they were entered; empty ones are left out.

    Args:
        operation: The operation.
        posted: The form, the last value of each name.
    """
    values = {}
    for parameter in operation.parameters:
        if parameter.kind == "region":
            region = _region(posted)
            if region:
                values[parameter.key] = region
            continue
        text = posted.get(parameter.key, "")
        if parameter.kind != "text":
            text = text.strip()
        if text:
            values[parameter.key] = text
    return values


def _region(posted: Mapping[str, str]) -> str:
    if posted.get("region"):
        return posted["region"]
    if posted.get(METHOD) != "custom":
        return ""
    parts = [posted.get(name, "").strip() for name in REGION_FIELDS]
    return ",".join(parts) if any(parts) else ""


def checked(
    operation: Operation, values: Mapping[str, str], *, service_type: str, longest_id: int
) -> tuple[dict[str, Any], dict[str, Problem]]:
    """The values in the form in which they are sent, and what is wrong, by field."""
    # Without identification the service ignores a region; sent along it would only mislead whoever reads it.
    asked = {
        name: value for name, value in values.items() if name != "region" or values.get("crop") != "false"
    }
    good, found = check_parameters(operation.name, asked, service_type=service_type, longest_id=longest_id)
    problems: dict[str, Problem] = {}
    for each in found:
        problems.setdefault(each.parameter, _problem(each, values))
    return good, problems


def _problem(found: ParameterProblem, values: Mapping[str, str]) -> Problem:
    text, column = found.message, None
    if found.parameter == "filter" and "filter" in values:
        try:
            parse_filter(values["filter"])
        except FilterError as error:
            text, column = error.message, error.position + 1
    return Problem(text.split("\n", 1)[0], found.prevents or found.code, column)


def categories_of(service_type: str, known: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """The categories that can be chosen: those of the last answer, else those on the vendor's pages.

    Args:
        service_type: Of the instance.
        known: From the last answer's `AllCategories`.
    """
    only = SERVICE_TYPES[service_type].category
    if only is not None:
        return ((only, CATEGORIES.get(only, "Other")),)
    return tuple(known) or tuple(CATEGORIES.items())
