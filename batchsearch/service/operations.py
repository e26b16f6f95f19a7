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
        response: What `parse` makes of a successful answer.
        parameters: All but the instance name and the images, in the pages' order.
        images: The images, in the order in which `build_call` takes them.
        paged: Whether `start` and `num` choose a page of a longer answer.
        budget: Which of the instance's separate rates a call draws on.
        message_field: Where an answer carries its message.
        instance_place: Where the request carries `InstanceName`.
    """

    name: str
    response: ResponseKind
    parameters: tuple[Parameter, ...] = ()
    images: tuple[ImageParameter, ...] = ()
    paged: bool = False
    budget: Budget = "query"
    message_field: Literal["Msg", "Message"] = "Msg"
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


def _name(key: str, wire: str) -> Parameter:
    code = f"Invalid{wire}"
    return Parameter(key, wire, "text", required=True, max_length=MAX_ID, code=f"Local.{code}", prevents=code)


_PRODUCT_ID, _PIC_NAME = _name("product_id", "ProductId"), _name("pic_name", "PicName")
# The metadata calls PicName mandatory for updates, the newer SDK does not: only the service can say.
_ANY_PIC_NAME = replace(_PIC_NAME, required=False)


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


def _search(name: str, *parameters: Parameter, images: tuple[ImageParameter, ...] = ()) -> Operation:
    """An operation that answers with pages of hits, the most alike first."""
    return Operation(name, "search", parameters, images, paged=True)


def _upkeep(
    name: str, budget: Budget, *parameters: Parameter, images: tuple[ImageParameter, ...] = ()
) -> Operation:
    """An operation that changes what the instance holds."""
    return Operation(name, "mutation", parameters, images, budget=budget, message_field="Message")


def _of_instance(name: str, response: ResponseKind, *parameters: Parameter) -> Operation:
    """An operation on the instance itself: once a second, everything in the URL, no body."""
    return Operation(name, response, parameters, budget="other", instance_place="query")


_PAGES: Final = (_NUM, _START, _FILTER, _DISTINCT, _THRESHOLD)
_COMPARED: Final = (
    ImageParameter("primary_image", "PrimaryPicContent"),
    ImageParameter("secondary_image", "SecondaryPicContent"),
)

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            _search("SearchImageByPic", _CATEGORY, _CROP, _REGION, *_PAGES, images=(_IMAGE,)),
            _search("SearchImageByName", _PRODUCT_ID, _PIC_NAME, _CATEGORY, *_PAGES),
            Operation("CompareSimilarByImage", "compare", images=_COMPARED),
            _upkeep(
                "AddImage",
                "add",
                _PRODUCT_ID,
                _PIC_NAME,
                _CATEGORY,
                _CROP,
                _REGION,
                _CUSTOM_CONTENT,
                *(_int_attr(number) for number in ("", "2", "3", "4")),
                *(_str_attr(number) for number in ("", "2", "3", "4")),
                images=(_IMAGE,),
            ),
            _upkeep(
                "UpdateImage",
                "update",
                _PRODUCT_ID,
                _ANY_PIC_NAME,
                _CUSTOM_CONTENT,
                *(_int_attr(number) for number in ("", "2")),
                *(_int_attr(number, "query") for number in ("3", "4")),
                *(_str_attr(number) for number in ("", "2")),
                *(_str_attr(number, "query") for number in ("3", "4")),
            ),
            _upkeep(
                "DeleteImage",
                "delete",
                replace(_PRODUCT_ID, required=False),
                _ANY_PIC_NAME,
                Parameter("is_delete_by_filter", "IsDeleteByFilter", "boolean", default=False),
                _FILTER,
            ),
            Operation("CheckImageExists", "exists", (_PRODUCT_ID, _PIC_NAME)),
            _search("SearchImageByText", _TEXT, *_PAGES),
            # Without a filter the service may list everything; a job whose column is misspelt should not.
            Operation(
                "SearchImageByFilter", "listing", (replace(_FILTER, required=True), _NUM, _START), paged=True
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
