"""A parameter that the service would refuse costs no call: every limit is checked here first.

Values come from YAML, CSV text and Arrow columns, so `10`, `"10"` and `10.0` are the same integer, and
null, NaN and (but for free text) empty text mean that nothing was given.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from batchsearch.service.facts import (
    DEFAULT_NUM,
    MAX_ID,
    MAX_RESULTS,
    SEARCHED_BY_TEXT,
    SERVICE_TYPES,
)
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameter_values import READERS, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.service.operations import Operation, Parameter


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """Why a call was not made.

    Attributes:
        parameter: The snake_case name, as given.
        code: A local code (`batchsearch.service.codes`).
        prevents: The vendor's code that the call would have been answered with, where it is known.
        message: What is wrong and what to do, one sentence; a bad filter's goes on with the place.
    """

    parameter: str
    code: str
    prevents: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}"


def check_parameters(
    operation: str, values: Mapping[str, Any], *, service_type: str, longest_id: int = MAX_ID
) -> tuple[dict[str, Any], tuple[ParameterProblem, ...]]:
    """The values in the form in which they are sent, and everything wrong with them.

    Args:
        operation: A name in `OPERATIONS`.
        values: By snake_case name; None and NaN count as absent.
        service_type: The kind of instance; kinds with one category get that one whatever is given, as the
            service itself would take it, so that equal requests are equal.
        longest_id: Most characters of a product id or an image name.

    Returns:
        The good values in the operation's order (int, bool or str), and the problems; a call may be made
        only if there are none.
    """
    known = OPERATIONS[operation]
    only_category = SERVICE_TYPES[service_type].category
    if not SERVICE_TYPES[service_type].subject:
        # The service ignores them, whatever they say: nothing is refused, and equal requests are equal.
        values = {name: value for name, value in values.items() if name not in _OF_THE_SUBJECT}
    keys, parameters = _taken(operation, longest_id)
    problems = [_unknown(known, name) for name in values if name not in keys]
    checked: dict[str, Any] = {}
    refused: set[str] = set()
    for parameter in parameters:
        value = values.get(parameter.key)
        if _is_absent(parameter, value):
            continue
        if parameter.kind == "category" and only_category is not None:
            checked[parameter.key] = only_category
            continue
        try:
            checked[parameter.key] = READERS[parameter.kind](parameter, value)
        except RefusedError as refusal:
            refused.add(parameter.key)
            problems.append(
                ParameterProblem(
                    parameter.key,
                    refusal.code or parameter.code,
                    refusal.prevents or parameter.prevents,
                    str(refusal),
                )
            )
    problems += [
        _missing(parameter)
        for parameter in known.parameters
        if parameter.required and parameter.key not in checked and parameter.key not in refused
    ]
    problems += _across(known, checked, refused)
    if operation == "SearchImageByText" and service_type != SEARCHED_BY_TEXT:
        problems.insert(0, _not_by_text(service_type))
    return checked, tuple(problems)


def _not_by_text(service_type: str) -> ParameterProblem:
    return ParameterProblem(
        "text",
        "Local.UnsupportedInstance",
        "UnsupportedInstanceType",
        f"instances of the kind `{service_type}` cannot be searched by text; only product multimodal ones "
        f"can (`instance.service_type: {SEARCHED_BY_TEXT}`)",
    )


_OF_THE_SUBJECT: Final = frozenset({"crop", "region"})
_IDS: Final = frozenset({"product_id", "pic_name"})


def without_defaults(operation: str, values: Mapping[str, Any], *, service_type: str) -> dict[str, Any]:
    """What is asked for, in the one form that all ways of writing it have in common.

    A value that the service assumes by itself says nothing: left out, and written out, it is one request.

    Args:
        operation: A name in `OPERATIONS`.
        values: What `check_parameters` returned.
        service_type: The kind of instance; where there is one category only, naming it says nothing.
    """
    assumed = _assumed(operation, service_type)
    # By type as well: 1 is no other way of writing true.
    return {
        name: value
        for name, value in values.items()
        if name not in assumed or type(value) is not type(assumed[name]) or value != assumed[name]
    }


@cache
def _taken(operation: str, longest_id: int) -> tuple[frozenset[str], tuple[Parameter, ...]]:
    """What an operation may be given, by name, and how each is read."""
    known = OPERATIONS[operation]
    limited = (
        replace(parameter, max_length=longest_id) if parameter.key in _IDS else parameter
        for parameter in known.parameters
    )
    return known.keys, tuple(limited)


@cache
def _assumed(operation: str, service_type: str) -> Mapping[str, Any]:
    """What the service takes for said where nothing is."""
    assumed: dict[str, Any] = {
        each.key: each.default for each in OPERATIONS[operation].parameters if each.default is not None
    }
    only_category = SERVICE_TYPES[service_type].category
    if only_category is not None:
        assumed["category_id"] = only_category
    return assumed


def _unknown(operation: Operation, name: str) -> ParameterProblem:
    if name.lower().replace("_", "") in {image.wire.lower() for image in operation.images}:
        roles = " and ".join(f"`{image.role}`" for image in operation.images)
        hint = f"images come from the manifest, through the columns mapped to {roles}"
    elif name.lower().replace("_", "") == "instancename":
        hint = "the instance is named in `instance.name`"
    else:
        spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        near = difflib.get_close_matches(spelled, sorted(operation.keys), n=1, cutoff=0.6)
        listed = ", ".join(f"`{key}`" for key in sorted(operation.keys)) or "none"
        hint = f"did you mean `{near[0]}`?" if near else f"its parameters: {listed}"
    message = f"{operation.name} has no parameter `{name[:64]}`; {hint}"
    return ParameterProblem(name, "Local.UnknownParameter", None, message)


def _missing(parameter: Parameter, why: str = "is needed") -> ParameterProblem:
    message = f"`{parameter.key}` {why}; give it in `parameters` or map a manifest column to it"
    return ParameterProblem(parameter.key, "Local.MissingParameter", f"Missing{parameter.wire}", message)


def _is_absent(parameter: Parameter, value: object) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, Decimal) and value.is_nan():
        return True
    return parameter.kind != "text" and isinstance(value, str) and not value.strip()


def _across(operation: Operation, checked: Mapping[str, Any], refused: set[str]) -> list[ParameterProblem]:
    """The rules that span parameters, for those that are good by themselves."""
    problems = []
    if operation.paged and not {"num", "start"} & refused:
        start, num = checked.get("start", 0), checked.get("num", DEFAULT_NUM)
        if start + num > MAX_RESULTS:
            problems.append(
                ParameterProblem(
                    "start" if "start" in checked else "num",
                    "Local.TooManyResults",
                    "OverflowMaxResultNum",
                    f"start {start} and num {num} pass the {MAX_RESULTS}th result",
                )
            )
    if operation.name == "DeleteImage":
        problems += _across_delete(operation, checked, refused)
    if operation.name == "UpdateImage" and not refused and not checked.keys() - _IDS:
        changes = ", ".join(f"`{key}`" for key in sorted(operation.keys - _IDS))
        problems.append(
            ParameterProblem(
                "custom_content",
                "Local.NothingToChange",
                None,
                f"no attribute has a value, so the call would change nothing; give one of {changes}",
            )
        )
    return problems


def _across_delete(
    operation: Operation, checked: Mapping[str, Any], refused: set[str]
) -> list[ParameterProblem]:
    def wants(key: str, why: str) -> list[ParameterProblem]:
        parameter = operation.parameter(key)
        if parameter is None or key in checked or key in refused:
            return []
        return [_missing(parameter, why)]

    if checked.get("is_delete_by_filter"):
        return wants("filter", "is needed when `is_delete_by_filter` is true")
    problems = wants("product_id", "is needed unless `is_delete_by_filter` is true")
    if "filter" in checked and "is_delete_by_filter" not in refused:
        # The service would ignore the filter and delete every image of the product.
        problems.append(
            ParameterProblem(
                "filter",
                "Local.ContradictoryParameters",
                None,
                "`filter` has no effect unless `is_delete_by_filter` is true; set it, or remove the filter",
            )
        )
    return problems
