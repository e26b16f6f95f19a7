"""What the operations answer, as typed records under the vendor's names in snake_case.

A field is None where the answer has it not, null, or of a type that says nothing.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from batchsearch.quick_record import quick_record


@quick_record
class Head:
    """The search in figures.

    Attributes:
        docs_found: As sent. The vendor's pages contradict each other on its meaning: no logic may use it.
        docs_return: As sent, the same.
        search_time: Duration of the search, milliseconds.
    """

    docs_found: int | None
    docs_return: int | None
    search_time: int | None


@quick_record
class Category:
    """One category that the instance knows."""

    id: int | None
    name: str | None


@quick_record
class PicInfo:
    """What the service found in the image.

    Attributes:
        category_id: Category given or predicted.
        region: The subject, `x1,x2,y1,y2` in the sent image's pixels.
        multi_region: All subjects, in the same form.
        all_categories: Categories that the instance knows.
    """

    category_id: int | None
    region: str | None
    multi_region: tuple[str, ...]
    all_categories: tuple[Category, ...]


@quick_record
class Hit:
    """One entry of `Auctions`: an image of the instance.

    Attributes:
        product_id: Its product.
        pic_name: Its name.
        category_id: Its category.
        custom_content: Text kept with it.
        score: Similarity, 0 to 1.
        sort_expr_values: The older score, `<float>;<int>`; the vendor says to use `score`.
        int_attr: Whole-number attributes, this one and the three after it.
        int_attr2: The same.
        int_attr3: The same.
        int_attr4: The same.
        str_attr: Text attributes, this one and the three after it.
        str_attr2: The same.
        str_attr3: The same.
        str_attr4: The same.
    """

    product_id: str | None
    pic_name: str | None
    category_id: int | None
    custom_content: str | None
    score: float | None
    sort_expr_values: str | None
    int_attr: int | None
    int_attr2: int | None
    int_attr3: int | None
    int_attr4: int | None
    str_attr: str | None
    str_attr2: str | None
    str_attr3: str | None
    str_attr4: str | None


@quick_record
class AccessDeniedDetail:
    """Why access was denied, as RAM says it (CompareSimilarByImage 2026-01)."""

    auth_action: str | None
    auth_principal_display_name: str | None
    auth_principal_owner_id: str | None
    auth_principal_type: str | None
    encoded_diagnostic_message: str | None
    no_permission_type: str | None
    policy_type: str | None

    def __str__(self) -> str:
        """One sentence for people: what is not granted, to whom, and how it is refused."""
        who = self.auth_principal_display_name or self.auth_principal_owner_id or "this account"
        how = self.no_permission_type or self.policy_type
        return f"{self.auth_action or 'the action'} is not granted to {who}" + (f" ({how})" if how else "")


@quick_record
class Verdict:
    """What every answer says about itself.

    Attributes:
        success: `Success`.
        code: `Code`; 0 is success, and no page says what other numbers mean.
        message: `Msg` or `Message`.
        request_id: The service's id of the answer, for its support.
    """

    success: bool | None
    code: int | None
    message: str | None
    request_id: str | None


@quick_record
class SearchResponse(Verdict):
    """Answer to a search; `hits` in the service's order."""

    head: Head | None
    pic_info: PicInfo | None
    hits: tuple[Hit, ...]


@quick_record
class CompareResponse(Verdict):
    """Answer to a comparison; `score` is the similarity, 0 to 1."""

    score: float | None
    access_denied_detail: AccessDeniedDetail | None


@quick_record
class MutationResponse(Verdict):
    """Answer to adding (with `pic_info`), updating, or deleting (with the names of what was deleted)."""

    pic_info: PicInfo | None
    pic_names: tuple[str, ...]


@quick_record
class ExistsResponse(Verdict):
    """Whether the instance holds an image, and what it keeps with it."""

    exists: bool | None
    item: Hit | None


@quick_record
class InstanceFacts:
    """An instance as the service describes it.

    Attributes:
        name: Instance name.
        region: Region.
        service_type: Number of the kind of instance (`service.SERVICE_TYPES`).
        capacity: Images that it can hold, in units of 10,000.
        total_count: Images that it holds.
        qps: Queries per second that were bought.
        utc_create: When it was made, milliseconds since 1970 as text.
        utc_expire_time: When it ends, the same.
    """

    name: str | None
    region: str | None
    service_type: int | None
    capacity: int | None
    total_count: int | None
    qps: int | None
    utc_create: str | None
    utc_expire_time: str | None


@quick_record
class DetailResponse(Verdict):
    """Answer to `Detail`, which has neither code nor message."""

    instance: InstanceFacts | None


@quick_record
class TaskResponse(Verdict):
    """Answer to what begins a batch task: its id and its status."""

    task_id: str | None
    status: str | None


@quick_record
class TaskFacts:
    """A batch task as the service lists it.

    Attributes:
        task_id: Its id.
        status: `PROCESSING`, `SUCCESS` or `FAIL`.
        code: Why it failed.
        message: The same in words.
        bucket_name: Bucket of an import.
        path: Folder of its `increment.meta`.
        callback_address: Who is told of its end.
        file_url: A signed address: what failed of an import, or what was exported. Never shown or kept.
        utc_create: When it began, milliseconds since 1970 as the service says.
        utc_modified: When it last changed, the same.
    """

    task_id: str | None
    status: str | None
    code: str | None
    message: str | None
    bucket_name: str | None
    path: str | None
    callback_address: str | None
    file_url: str | None = field(repr=False)
    utc_create: int | None
    utc_modified: int | None


@quick_record
class TaskListResponse(Verdict):
    """Answer to `IncreaseList` and `DumpMetaList`: a page of tasks, in the service's order."""

    page_number: int | None
    page_size: int | None
    total_count: int | None
    tasks: tuple[TaskFacts, ...]


@quick_record
class BatchOutcome(Verdict):
    """What came of one image of a batch task, which no call of its own answers.

    Attributes:
        task_id: The task; None while it is not begun.
        loaded_name: The image's name in the bucket and on the instance.
    """

    task_id: str | None
    loaded_name: str | None


Response: TypeAlias = (
    SearchResponse
    | CompareResponse
    | MutationResponse
    | ExistsResponse
    | DetailResponse
    | TaskResponse
    | TaskListResponse
    | BatchOutcome
)
"""What a successful answer holds, by `Operation.response`."""
