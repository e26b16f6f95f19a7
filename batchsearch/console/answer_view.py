"""An answer as a page shows it: every field that came, documented or not, by its name on the wire (pure)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from batchsearch.console.wording import say
from batchsearch.images.regions import read_region
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.codes.owners import OWNERS
from batchsearch.service.facts import CATEGORIES
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from batchsearch.console.asked import Asked

COLUMNS: Final = (
    "Score",
    "ProductId",
    "PicName",
    "CategoryId",
    "CustomContent",
    *(f"IntAttr{number}" for number in ("", "2", "3", "4")),
    *(f"StrAttr{number}" for number in ("", "2", "3", "4")),
    "SortExprValues",
)
"""Fields of `Auctions` in the order in which the table shows them, by their names on the wire."""
_SCORE: Final = "Score"
_KNOWN: Final = frozenset(
    {"RequestId", "Success", "Code", "Msg", "Message", "Head", "PicInfo", "Auctions", "Score", "PicNames"}
)
_SHORT: Final = 60


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region of the image that was sent.

    Attributes:
        text: `x1,x2,y1,y2`.
        left: Pixels.
        top: Pixels.
        width: Pixels.
        height: Pixels.
        number: Its place among the answer's; 0 for the main one.
    """

    text: str
    left: int
    top: int
    width: int
    height: int
    number: int


@dataclass(frozen=True, slots=True)
class HitView:
    """One entry of `Auctions`.

    Attributes:
        rank: From the instance's best one.
        score: 0 to 1; None where none came.
        product_id: Its product.
        pic_name: Its name.
        category: Number and, where it is known, name of its category.
        fields: All that came, by name on the wire.
    """

    rank: int
    score: float | None
    product_id: str | None
    pic_name: str | None
    category: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FailureView:
    """Why there is no answer.

    Attributes:
        code: The code.
        message: The other side's own words.
        meaning: What it means.
        advice: What to do.
        owner: Who can mend it, in words.
        field: The parameter at fault; empty where it is none, or not known which.
    """

    code: str
    message: str
    meaning: str
    advice: str
    owner: str
    field: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer.

    Attributes:
        verdict: `Code`, `Msg` or `Message`, `Success`, and HTTP status, as they came.
        head: Fields of `Head`.
        hits: Entries of `Auctions`.
        columns: Names on the wire that the table has, those first that the pages describe.
        score: Of a comparison.
        category: Number and name of the category that was searched.
        categories: `AllCategories`.
        regions: The main region, then the others.
        has_regions: Whether the answer has `MultiRegion` at all.
        unknown: Fields that no page describes.
        failure: Why there is none; None for success.
        raw: As it came, laid out where it is JSON.
    """

    verdict: Mapping[str, str]
    head: Mapping[str, str]
    hits: tuple[HitView, ...]
    columns: tuple[str, ...]
    score: float | None
    category: str
    categories: tuple[tuple[int, str], ...]
    regions: tuple[RegionView, ...]
    has_regions: bool
    unknown: Mapping[str, str]
    failure: FailureView | None
    raw: str

    @property
    def best(self) -> float | None:
        """The highest score."""
        return max((hit.score for hit in self.hits if hit.score is not None), default=None)

    @property
    def announcement(self) -> str:
        """What a reader is told when the answer is there."""
        if self.failure is not None:
            return say("answer.failed", code=self.failure.code)
        if self.score is not None:
            return say("answer.score", score=self.score)
        if not self.hits:
            return say("answer.nothing")
        count = say("answer.results", n=len(self.hits))
        return count if self.best is None else say("answer.results_best", results=count, best=self.best)


def view_of(asked: Asked) -> AnswerView:
    """An answer as a page shows it."""
    content = asked.content or {}
    head, info = _object(content.get("Head")), _object(content.get("PicInfo"))
    start = asked.values.get("start", 0)
    names = {
        each["Id"]: str(each["Name"])
        for each in _objects(info.get("AllCategories"))
        if {"Id", "Name"} <= each.keys()
    }
    hits = tuple(
        _hit(entry, rank, names) for rank, entry in enumerate(_objects(content.get("Auctions")), start + 1)
    )
    found = {name for hit in hits for name in hit.fields}
    columns = [name for name in COLUMNS if name in found]
    raw = asked.body if asked.content is None else json.dumps(content, ensure_ascii=False, indent=2)
    status = say("answer.no_status") if asked.status is None else str(asked.status)
    told: dict[str, str] = {
        name: _text(content[name]) for name in ("Success", "Code", "Msg", "Message") if name in content
    }
    score = content.get(_SCORE)
    return AnswerView(
        verdict={say("answer.http_status"): status, **told},
        head={name: _text(value) for name, value in head.items()},
        hits=hits,
        columns=(*columns, *sorted(found - set(columns))),
        score=float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None,
        category=_category(info.get("CategoryId"), names) if "CategoryId" in info else "",
        categories=tuple(names.items()),
        regions=_regions(info),
        has_regions="MultiRegion" in info,
        unknown={name: _text(value) for name, value in content.items() if name not in _KNOWN},
        failure=_failure(asked),
        raw=raw,
    )


def _hit(entry: Mapping[str, Any], rank: int, names: Mapping[int, str]) -> HitView:
    score = entry.get(_SCORE)
    return HitView(
        rank=rank,
        score=float(score) if isinstance(score, int | float) else None,
        product_id=_maybe(entry.get("ProductId")),
        pic_name=_maybe(entry.get("PicName")),
        category=_category(entry.get("CategoryId"), names),
        fields={name: _text(value) for name, value in entry.items() if value is not None},
    )


def _category(number: Any, names: Mapping[int, str]) -> str:
    if not isinstance(number, int):
        return ""
    name = names.get(number) or CATEGORIES.get(number)
    return f"{name} ({number})" if name else str(number)


def _regions(info: Mapping[str, Any]) -> tuple[RegionView, ...]:
    texts = [info.get("Region"), *(each.get("Region") for each in _objects(info.get("MultiRegion")))]
    found: dict[str, RegionView] = {}
    for text in texts:
        if not isinstance(text, str) or text in found:
            continue
        try:
            across, down = read_region(text, least=1)
        except ValueError:
            continue
        sides = (across[1] - across[0], down[1] - down[0])
        found[text] = RegionView(text, across[0], down[0], *sides, number=len(found))
    return tuple(found.values())


def _failure(asked: Asked) -> FailureView | None:
    if asked.code is None:
        return None
    entry = code_for(asked.code, asked.status)
    blamed = next(
        (
            parameter.key
            for parameter in OPERATIONS[asked.operation].parameters
            if asked.code in {parameter.code, parameter.prevents} and parameter.prevents != "BadRequest"
        ),
        "",
    )
    return FailureView(
        asked.code, asked.message or "", entry.meaning, entry.advice, OWNERS[entry.owner].mend, blamed
    )


def request_lines(asked: Asked) -> dict[str, str]:
    """The request by names on the wire: images as their length and hash, nothing secret, no signature."""
    operation = OPERATIONS[asked.operation]
    lines = {"Action": asked.operation, "Version": "2020-12-14", "InstanceName": asked.instance}
    for parameter in operation.parameters:
        if parameter.key in asked.values:
            lines[parameter.wire] = _text(asked.values[parameter.key])
    for role, image in zip(operation.images, asked.images, strict=False):
        lines[role.wire] = say(
            "answer.image_line", bytes=image.bytes, format=image.format, sha256=image.sent_sha256[:16]
        )
    return lines


def shortened(text: str) -> str:
    """A text that fits into a cell."""
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _maybe(value: Any) -> str | None:
    return None if value is None else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def best_known(others: Iterable[Asked], asked: Asked | None, view: AnswerView | None) -> float | None:
    """The best score of the same question under a lower threshold, where it was asked.

    Args:
        others: What this session has asked.
        asked: A question; None for none.
        view: Its answer.
    """
    if asked is None or view is None or view.hits or view.failure is not None:
        return None
    wanted, threshold = _but_threshold(asked).digest, _threshold(asked)
    found = [
        view_of(other).best
        for other in others
        if other.code is None and _threshold(other) < threshold and _but_threshold(other).digest == wanted
    ]
    return max((score for score in found if score is not None), default=None)


def _threshold(asked: Asked) -> float:
    return float(asked.values.get("score_threshold") or 0)


def _but_threshold(asked: Asked) -> Asked:
    values = {name: value for name, value in asked.values.items() if name != "score_threshold"}
    return replace(asked, values=values)
