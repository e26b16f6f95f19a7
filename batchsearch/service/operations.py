"""What each operation takes and answers: one table from which checks, the form body and parsing derive.

Sources: the API pages of 2020-12-14 and, where they are silent (`ScoreThreshold` of the searches, the
upkeep operations), the official SDK 4.4.0. The place of a parameter, URL query or form body, is the one
that SDK uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.service.facts import (
    DEFAULT_NUM,
    INT32_MAX,
    INT32_MIN,
    MAX_CUSTOM_CONTENT,
    MAX_FILTER,
    MAX_ID,
    MAX_NUM,
    MAX_START,
    MAX_STR_ATTR,
    MAX_TASKS_A_PAGE,
    MAX_TEXT,
    MIN_NUM,
    STR_ATTR_FORBIDDEN,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["integer", "boolean", "text", "threshold", "region", "filter", "category"]
Place = Literal["form", "query"]
Budget = Literal["query", "add", "delete", "update", "other"]
"""Separate rates of an instance. Whether Compare and CheckImageExists draw on the query budget is on no page:
here they do."""
ResponseKind = Literal["search", "listing", "compare", "mutation", "exists", "detail", "task", "tasks"]
"""`listing` is what `SearchImageByFilter` answers: hits alone, without scores, head or subject. `task` is
what begins a batch task, `tasks` what lists them."""
ASKING: Final[frozenset[ResponseKind]] = frozenset({"search", "listing", "compare"})
"""Answers that hold for every equal request: the operation only asks, and about images."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation.

    Attributes:
        key: Its name in job files and columns.
        wire: Its name in the request.
        kind: How values are read and checked.
        required: Whether a call without it is refused (rules that span parameters are in `parameters`).
        place: Where the request carries it.
        default: What the service assumes when it is left out.
        minimum: Smallest integer.
        maximum: Largest integer.
        max_length: Most characters.
        forbidden: Characters that the service refuses.
        code: The local code of a value that breaks a rule.
        prevents: The vendor's code that such a value would have been answered with.
    """

    key: str
    wire: str
    kind: Kind
    required: bool = False
    place: Place = "form"
    default: int | bool | str | None = None
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    forbidden: str = ""
    code: str = "Local.InvalidParameter"
    prevents: str | None = "BadRequest"


@dataclass(frozen=True, slots=True)
class ImageParameter:
    """One image that an operation takes.

    Attributes:
        role: What job files and manifests call it.
        wire: Its name in the form body.
    """

    role: str
    wire: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: The vendor's name, the `x-acs-action` header.
        parameters: All but the instance name and the images, in the pages' order.
        images: The images, in the order in which `build_call` takes them.
        paged: Whether `start` and `num` choose a page of a longer answer.
        budget: Which of the instance's separate rates a call draws on.
        response: What `parse` makes of a successful answer.
        message_field: Where an answer carries its message.
        instance_place: Where the request carries `InstanceName`.
    """

    name: str
    parameters: tuple[Parameter, ...]
    images: tuple[ImageParameter, ...]
    paged: bool
    budget: Budget
    response: ResponseKind
    message_field: Literal["Msg", "Message"]
    instance_place: Place = "form"

    def parameter(self, key: str) -> Parameter | None:
        """The parameter of that snake_case name, or None."""
        return next((parameter for parameter in self.parameters if parameter.key == key), None)

    @property
    def keys(self) -> frozenset[str]:
        """The snake_case names of its parameters: what a manifest may map columns to."""
        return frozenset(parameter.key for parameter in self.parameters)

    @property
    def required(self) -> tuple[str, ...]:
        """The names without which every call is refused."""
        return tuple(parameter.key for parameter in self.parameters if parameter.required)


_IMAGE = ImageParameter("image", "PicContent")

_CATEGORY = Parameter(
    "category_id", "CategoryId", "category", code="Local.InvalidCategory", prevents="InvalidCategory"
)
_CROP = Parameter("crop", "Crop", "boolean", default=True)
_REGION = Parameter("region", "Region", "region", code="Local.InvalidRegion", prevents="InvalidRegion")
_NUM = Parameter(
    "num",
    "Num",
    "integer",
    default=DEFAULT_NUM,
    minimum=MIN_NUM,
    maximum=MAX_NUM,
    code="Local.InvalidNum",
    prevents="InvalidNumParameter",
)
_START = Parameter(
    "start",
    "Start",
    "integer",
    default=0,
    minimum=0,
    maximum=MAX_START,
    code="Local.InvalidStart",
    prevents="InvalidStartParameter",
)
_FILTER = Parameter(
    "filter",
    "Filter",
    "filter",
    max_length=MAX_FILTER,
    code="Local.InvalidFilter",
    prevents="InvalidFilterClause",
)
_DISTINCT = Parameter("distinct_product_id", "DistinctProductId", "boolean", default=False)
_THRESHOLD = Parameter(
    "score_threshold",
    "ScoreThreshold",
    "threshold",
    place="query",
    default="0.00",
    code="Local.InvalidScoreThreshold",
)
_CUSTOM_CONTENT = Parameter(
    "custom_content",
    "CustomContent",
    "text",
    max_length=MAX_CUSTOM_CONTENT,
    code="Local.InvalidCustomContent",
    prevents="InvalidCustomContent",
)


_TEXT = Parameter(
    "text",
    "Text",
    "text",
    required=True,
    max_length=MAX_TEXT,
    code="Local.InvalidText",
    prevents="InvalidTextLength",
)
_BUCKET = Parameter("bucket_name", "BucketName", "text", place="query")
_PATH = Parameter("path", "Path", "text", place="query")
_TASK_ID = Parameter("id", "Id", "text", place="query")
_PAGE_NUMBER = Parameter(
    "page_number", "PageNumber", "integer", place="query", default=1, minimum=1, maximum=INT32_MAX
)
_PAGE_SIZE = Parameter(
    "page_size", "PageSize", "integer", place="query", default=10, minimum=1, maximum=MAX_TASKS_A_PAGE
)


def _product_id(*, required: bool = True) -> Parameter:
    return Parameter(
        "product_id",
        "ProductId",
        "text",
        required=required,
        max_length=MAX_ID,
        code="Local.InvalidProductId",
        prevents="InvalidProductId",
    )


def _pic_name(*, required: bool = True) -> Parameter:
    return Parameter(
        "pic_name",
        "PicName",
        "text",
        required=required,
        max_length=MAX_ID,
        code="Local.InvalidPicName",
        prevents="InvalidPicName",
    )


def _int_attr(number: str = "", place: Place = "form") -> Parameter:
    return Parameter(
        f"int_attr{number}",
        f"IntAttr{number}",
        "integer",
        place=place,
        minimum=INT32_MIN,
        maximum=INT32_MAX,
        code="Local.InvalidIntAttr",
        prevents=f"InvalidIntAttr{number}",
    )


def _str_attr(number: str = "", place: Place = "form") -> Parameter:
    return Parameter(
        f"str_attr{number}",
        f"StrAttr{number}",
        "text",
        place=place,
        max_length=MAX_STR_ATTR,
        forbidden=STR_ATTR_FORBIDDEN,
        code="Local.InvalidStrAttr",
        prevents=f"InvalidStrAttr{number}",
    )


def _of_instance(name: str, response: ResponseKind, *parameters: Parameter) -> Operation:
    """An operation on the instance itself: once a second, everything in the URL, no body."""
    return Operation(
        name,
        parameters,
        (),
        paged=False,
        budget="other",
        response=response,
        message_field="Msg",
        instance_place="query",
    )


OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            Operation(
                "SearchImageByPic",
                (_CATEGORY, _CROP, _REGION, _NUM, _START, _FILTER, _DISTINCT, _THRESHOLD),
                (_IMAGE,),
                paged=True,
                budget="query",
                response="search",
                message_field="Msg",
            ),
            Operation(
                "SearchImageByName",
                (_product_id(), _pic_name(), _CATEGORY, _NUM, _START, _FILTER, _DISTINCT, _THRESHOLD),
                (),
                paged=True,
                budget="query",
                response="search",
                message_field="Msg",
            ),
            Operation(
                "CompareSimilarByImage",
                (),
                (
                    ImageParameter("primary_image", "PrimaryPicContent"),
                    ImageParameter("secondary_image", "SecondaryPicContent"),
                ),
                paged=False,
                budget="query",
                response="compare",
                message_field="Msg",
            ),
            Operation(
                "AddImage",
                (
                    _product_id(),
                    _pic_name(),
                    _CATEGORY,
                    _CROP,
                    _REGION,
                    _CUSTOM_CONTENT,
                    *(_int_attr(number) for number in ("", "2", "3", "4")),
                    *(_str_attr(number) for number in ("", "2", "3", "4")),
                ),
                (_IMAGE,),
                paged=False,
                budget="add",
                response="mutation",
                message_field="Message",
            ),
            Operation(
                "UpdateImage",
                (
                    _product_id(),
                    # The metadata calls PicName mandatory, the newer SDK does not: only the service can say.
                    _pic_name(required=False),
                    _CUSTOM_CONTENT,
                    _int_attr(),
                    _int_attr("2"),
                    _int_attr("3", "query"),
                    _int_attr("4", "query"),
                    _str_attr(),
                    _str_attr("2"),
                    _str_attr("3", "query"),
                    _str_attr("4", "query"),
                ),
                (),
                paged=False,
                budget="update",
                response="mutation",
                message_field="Message",
            ),
            Operation(
                "DeleteImage",
                (
                    _product_id(required=False),
                    _pic_name(required=False),
                    Parameter("is_delete_by_filter", "IsDeleteByFilter", "boolean", default=False),
                    _FILTER,
                ),
                (),
                paged=False,
                budget="delete",
                response="mutation",
                message_field="Message",
            ),
            Operation(
                "CheckImageExists",
                (_product_id(), _pic_name()),
                (),
                paged=False,
                budget="query",
                response="exists",
                message_field="Msg",
            ),
            Operation(
                "SearchImageByText",
                (_TEXT, _NUM, _START, _FILTER, _DISTINCT, _THRESHOLD),
                (),
                paged=True,
                budget="query",
                response="search",
                message_field="Msg",
            ),
            Operation(
                "SearchImageByFilter",
                # Without one the service may list everything; a job whose column is misspelt should not.
                (replace(_FILTER, required=True), _NUM, _START),
                (),
                paged=True,
                budget="query",
                response="listing",
                message_field="Msg",
            ),
            _of_instance("Detail", "detail"),
            _of_instance(
                "IncreaseInstance",
                "task",
                replace(_BUCKET, required=True),
                replace(_PATH, required=True),
                Parameter("callback_address", "CallbackAddress", "text", place="query"),
            ),
            _of_instance("IncreaseList", "tasks", _TASK_ID, _BUCKET, _PATH, _PAGE_NUMBER, _PAGE_SIZE),
            _of_instance("DumpMeta", "task"),
            _of_instance("DumpMetaList", "tasks", _TASK_ID, _PAGE_NUMBER, _PAGE_SIZE),
        )
    }
)
"""The operations by the vendor's names."""
