"""What each operation does: its budget, its parameters, its effect, its answer's fields.

Field names are the vendor's to the letter: searches, comparison and existence check say `Msg`, upkeep says
`Message`. Answers are plain mappings without `RequestId`, which the reply adds.

`DocsFound` and `DocsReturn` have opposite meanings on different pages. The newest page's are used:
`DocsReturn` counts the entries of this answer, `DocsFound` all that match in the instance.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.arguments import INT_ATTRS, STR_ATTRS, Arguments
from batchsearch.emulator.batch.meta_lines import ITEM_FIELDS
from batchsearch.emulator.batch_operations import dump_meta, dump_meta_list, increase_instance, increase_list
from batchsearch.emulator.http.error_table import RefusedError
from batchsearch.emulator.search.catalogue import CatalogueFullError
from batchsearch.emulator.search.records import Box, ImageInfo, Item, NewItem, Query, SearchResult
from batchsearch.service.facts import CATEGORIES, SEARCHED_BY_TEXT, SERVICE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.emulator.batch.task_threads import BatchTasks
    from batchsearch.emulator.flow import Budget
    from batchsearch.emulator.http.upload_place import UploadStore
    from batchsearch.emulator.instance_options import InstanceOptions
    from batchsearch.emulator.search.catalogue import Catalogue
    from batchsearch.emulator.search.image_reading import DecodedImage

YEAR_MS: Final = 365 * 24 * 3600 * 1000
_ALL_CATEGORIES: Final = [{"Id": number, "Name": name} for number, name in CATEGORIES.items()]
CAPACITY_UNIT: Final = 10_000
"""`Detail` reports the capacity in units of so many images."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an operation works with.

    Attributes:
        arguments: The call's parameters.
        instance: The instance's set-up.
        catalogue: Its items.
        uploads: Where images given as URLs are.
        created: When the instance was created, seconds since 1970.
        tasks: Its batch tasks.
        now: Seconds since 1970.
        address: Where the caller reaches the emulator, for addresses in answers; None where nothing listens.
    """

    arguments: Arguments
    instance: InstanceOptions
    catalogue: Catalogue
    uploads: UploadStore
    created: float
    tasks: BatchTasks
    now: float
    address: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: The vendor's name.
        budget: Which of the instance's budgets it draws on. Compare's and CheckImageExists' are documented
            nowhere; they count as queries here.
        handle: Does it; returns the answer's fields, raises `RefusedError`.
        parameters: What it reads besides `InstanceName`, by the vendor's names; anything else is ignored.
        absent: Code for an instance that does not exist.
        forbidden: Code for a key that may not use the instance.
        unavailable: Code for an instance that is out of service; None where it answers all the same.
    """

    name: str
    budget: Budget
    handle: Callable[[Context], dict[str, Any]]
    parameters: tuple[str, ...] = ()
    absent: str = "InvalidInstance"
    forbidden: str = "NoPermission"
    unavailable: str | None = "InstanceStatusError"


def _add_image(context: Context) -> dict[str, Any]:
    arguments, kind = context.arguments, context.instance.service_type
    product_id, pic_name = arguments.name_of("ProductId"), arguments.name_of("PicName")
    category_id = arguments.category(kind)
    attributes = arguments.attributes()
    crop = arguments.flag("Crop", default=True)
    image = arguments.image("PicContent", kind, context.uploads)
    region = _region(context, image)
    item = NewItem(product_id, pic_name, category_id, **attributes)  # type: ignore[arg-type]  # typed by name
    try:
        info = context.catalogue.add(item, image, crop=crop, region=region)
    except CatalogueFullError:
        raise RefusedError("InstanceOverQuota") from None
    return {
        "Success": True,
        "Code": 0,
        "Message": "success",
        "PicInfo": _pic_info(info, arguments.text("Region")),
    }


def _update_image(context: Context) -> dict[str, Any]:
    arguments = context.arguments
    product_id, pic_name = arguments.name_of("ProductId"), arguments.optional_name_of("PicName")
    changed = context.catalogue.update(product_id, pic_name, arguments.attributes())
    if not changed:
        raise RefusedError("PicNotExist")
    return {"Success": True, "Code": 0, "Message": "success"}


def _delete_image(context: Context) -> dict[str, Any]:
    arguments = context.arguments
    if arguments.flag("IsDeleteByFilter", default=False):
        expression = arguments.filter()
        if expression is None:
            raise RefusedError("InvalidFilterClause")
        deleted = context.catalogue.delete_matching(expression)
    else:
        product_id = arguments.text("ProductId")
        if product_id is None:
            raise RefusedError("NoSpecifiedProductId")
        pic_name = arguments.values.get("PicName")
        if pic_name == "":
            # An empty name must not delete the whole product.
            raise RefusedError("BadRequest")
        deleted = context.catalogue.delete(product_id, pic_name)
    return {"Success": True, "Code": 0, "Message": "success", "Data": {"PicNames": list(deleted)}}


def _check_image_exists(context: Context) -> dict[str, Any]:
    arguments = context.arguments
    item = context.catalogue.get(arguments.name_of("ProductId"), arguments.name_of("PicName"))
    answer: dict[str, Any] = {"Success": True, "Code": 0, "Msg": "success", "Exists": item is not None}
    if item is not None:
        answer["Auctions"] = item_fields(item)
    return answer


def _search_image_by_pic(context: Context) -> dict[str, Any]:
    arguments = context.arguments
    query = _query(context, arguments.category(context.instance.service_type))
    crop = arguments.flag("Crop", default=True)
    image = arguments.image("PicContent", context.instance.service_type, context.uploads)
    region = _region(context, image)
    started = time.perf_counter()
    result = context.catalogue.search_image(image, query, crop=crop, region=region)
    return _search_answer(result, time.perf_counter() - started, arguments.text("Region"))


def _search_image_by_name(context: Context) -> dict[str, Any]:
    arguments = context.arguments
    product_id, pic_name = arguments.name_of("ProductId"), arguments.name_of("PicName")
    query = _query(context, arguments.category(context.instance.service_type))
    started = time.perf_counter()
    result = context.catalogue.search_name(product_id, pic_name, query)
    if result is None:
        raise RefusedError("PicNotExist")
    return _search_answer(result, time.perf_counter() - started, None)


def _search_image_by_text(context: Context) -> dict[str, Any]:
    if context.instance.service_type != SEARCHED_BY_TEXT:
        raise RefusedError("UnsupportedInstanceType")
    text, query = context.arguments.searched_text(), _query(context, category_id=None)
    started = time.perf_counter()
    result = context.catalogue.search_text(text, query)
    return {
        "Auctions": [{**item_fields(hit.item), "Score": hit.score} for hit in result.hits],
        "Head": _head(result, time.perf_counter() - started),
        "PicInfo": {"AllCategories": _ALL_CATEGORIES},
        "Msg": "success",
        "Success": True,
        "Code": 0,
    }


def _search_image_by_filter(context: Context) -> dict[str, Any]:
    num, start = context.arguments.page()
    items = context.catalogue.matching(context.arguments.filter(), start=start, num=num)
    return {
        "Auctions": [item_fields(item) for item in items],
        "Msg": "success",
        "Success": True,
        "Code": 0,
    }


def _compare_similar_by_image(context: Context) -> dict[str, Any]:
    arguments, kind, uploads = context.arguments, context.instance.service_type, context.uploads
    # Text that is no image is an error of the one parameter, an image that breaks the rules is not.
    first = arguments.image("PrimaryPicContent", kind, uploads, unreadable="InvalidPrimaryPicContent")
    second = arguments.image("SecondaryPicContent", kind, uploads, unreadable="InvalidSecondaryPicContent")
    score = context.catalogue.compare(first, second)
    return {"Success": True, "Code": 0, "Msg": "success", "Score": score}


def _detail(context: Context) -> dict[str, Any]:
    instance = context.instance
    created = int(context.created * 1000)
    # A limit that was lifted has no number; the largest tier stands for it.
    qps = 10 if math.isinf(instance.qps) else math.ceil(instance.qps)
    numbers = SERVICE_TYPES[instance.service_type].numbers
    fields = {
        "Name": instance.name,
        "Region": instance.region,
        # Left out rather than made up where no page has the kind's number.
        **({"ServiceType": numbers[0]} if numbers else {}),
        "Capacity": math.ceil(instance.capacity / CAPACITY_UNIT),
        "TotalCount": context.catalogue.count(),
        "Qps": qps,
        "UtcCreate": str(created),
        "UtcExpireTime": str(created + YEAR_MS),
    }
    return {"Success": True, "Instance": fields}


def _of_instance(
    name: str,
    handle: Callable[[Context], dict[str, Any]],
    *parameters: str,
    unavailable: str | None = "Console.InstanceStatusError",
) -> Operation:
    """An operation on the instance as a whole, with the console's own codes."""
    absent, forbidden = "Console.InstanceNotFound", "Console.NoPermission"
    return Operation(name, "other", handle, parameters, absent, forbidden, unavailable)


_ID: Final = ("ProductId", "PicName")
_ATTRIBUTES: Final = ("CustomContent", *INT_ATTRS, *STR_ATTRS)
_PAGE: Final = ("CategoryId", "Num", "Start", "Filter", "DistinctProductId", "ScoreThreshold")
_TASK_PAGE: Final = ("PageNumber", "PageSize")
_SUBJECT: Final = ("PicContent", "Crop", "Region")

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        operation.name: operation
        for operation in (
            Operation("SearchImageByPic", "query", _search_image_by_pic, (*_SUBJECT, *_PAGE)),
            Operation("SearchImageByName", "query", _search_image_by_name, (*_ID, *_PAGE)),
            Operation(
                "CompareSimilarByImage",
                "query",
                _compare_similar_by_image,
                ("PrimaryPicContent", "SecondaryPicContent"),
            ),
            Operation("CheckImageExists", "query", _check_image_exists, _ID),
            Operation("AddImage", "add", _add_image, (*_ID, *_SUBJECT, "CategoryId", *_ATTRIBUTES)),
            Operation("UpdateImage", "update", _update_image, (*_ID, *_ATTRIBUTES)),
            Operation("DeleteImage", "delete", _delete_image, (*_ID, "IsDeleteByFilter", "Filter")),
            Operation("SearchImageByText", "query", _search_image_by_text, ("Text", *_PAGE[1:])),
            Operation("SearchImageByFilter", "query", _search_image_by_filter, ("Filter", "Num", "Start")),
            # It is how one finds out that the instance is out of service, so it answers then too.
            _of_instance("Detail", _detail, unavailable=None),
            _of_instance("IncreaseInstance", increase_instance, "BucketName", "Path", "CallbackAddress"),
            _of_instance("IncreaseList", increase_list, "Id", "BucketName", "Path", *_TASK_PAGE),
            _of_instance("DumpMeta", dump_meta),
            _of_instance("DumpMetaList", dump_meta_list, "Id", *_TASK_PAGE),
        )
    }
)
"""Every operation that an instance answers to."""


_ANSWERED: Final = {"CategoryId": "category_id", **ITEM_FIELDS}
_of_item: Final[Callable[[Item], tuple[Any, ...]]] = attrgetter(*_ANSWERED.values())


def item_fields(item: Item) -> dict[str, Any]:
    """An item as the vendor names its fields; what was never set is left out, as in the samples."""
    said = zip(_ANSWERED, _of_item(item), strict=True)
    return {name: value for name, value in said if value is not None}


def _query(context: Context, category_id: int | None) -> Query:
    arguments = context.arguments
    num, start = arguments.page()
    return Query(
        num=num,
        start=start,
        category_id=category_id,
        filter=arguments.filter(),
        distinct_product_id=arguments.flag("DistinctProductId", default=False),
        score_threshold=arguments.threshold(),
    )


def _region(context: Context, image: DecodedImage) -> Box | None:
    return context.arguments.region(image) if SERVICE_TYPES[context.instance.service_type].subject else None


def _search_answer(result: SearchResult, seconds: float, region: str | None) -> dict[str, Any]:
    auctions = [
        {**item_fields(hit.item), "Score": hit.score, "SortExprValues": hit.sort_expr_values}
        for hit in result.hits
    ]
    return {
        "Auctions": auctions,
        "Head": _head(result, seconds),
        "PicInfo": _pic_info(result.info, region),
        "Msg": "success",
        "Success": True,
        "Code": 0,
    }


def _head(result: SearchResult, seconds: float) -> dict[str, Any]:
    return {
        "DocsReturn": len(result.hits),
        "DocsFound": result.total,
        "SearchTime": max(1, round(seconds * 1000)),
    }


def _pic_info(info: ImageInfo, given: str | None) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "CategoryId": info.category_id,
        "AllCategories": _ALL_CATEGORIES,
        "MultiRegion": [{"Region": _region_text(box)} for box in info.multi_region],
    }
    if info.region is not None:
        # A region that was asked for is answered as it was written.
        answer["Region"] = given or _region_text(info.region)
    return answer


def _region_text(box: Box) -> str:
    return f"{box.x1},{box.x2},{box.y1},{box.y2}"
