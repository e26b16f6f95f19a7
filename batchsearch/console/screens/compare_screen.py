"""Two images side by side: what is free to know of them, and how alike the service finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from batchsearch.console.answer_view import request_lines, view_of
from batchsearch.console.copied_texts import all_texts
from batchsearch.console.posted_form import posted
from batchsearch.console.rendering import SESSION, page, see
from batchsearch.console.screens.search_screen import IMAGE, NOW, asked_page, item_image, shelved
from batchsearch.console.wording import say
from batchsearch.images.outcome import Prepared, Rejected
from batchsearch.service.codes.lookup import advice_on
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from aiohttp import web

    from batchsearch.console.asked import Asked
    from batchsearch.console.image_shelf import ShelvedImage

COMPARE: Final = OPERATIONS["CompareSimilarByImage"]
SIDES: Final = ("", "_2")
_SCREEN: Final = "compare"


async def show(request: web.Request) -> web.Response:
    """`GET /compare`: two places for images, filled from the address; free."""
    session = request.app[SESSION]
    instance = session.instance(session.current)
    images: list[ShelvedImage | None] = []
    trouble = ""
    for side in SIDES:
        kept = request.query.get(f"{IMAGE}{side}", "")
        image = await session.shelf.get(kept, session.rules(instance, COMPARE)) if kept else None
        if image is None and request.query.get(f"item{side}"):
            names = request.query[f"item{side}"], request.query.get(f"item_pic{side}", "")
            image, why = await item_image(session, instance, COMPARE, *names)
            trouble = trouble or why
        images.append(image)
    asked = session.history.get(request.query.get("answer", ""))
    return _page(request, images, asked=asked, trouble=trouble)


async def compare(request: web.Request) -> web.Response:
    """`POST /compare`: shows the images, or asks how alike they are (1 call)."""
    session = request.app[SESSION]
    form = await posted(request)
    instance = session.instance(session.current)
    images: list[ShelvedImage | None] = []
    trouble = ""
    for side in SIDES:
        image, why = await shelved(session, instance, COMPARE, form, side)
        images.append(image)
        trouble = trouble or why
    if form.get("do") == "swap":
        images.reverse()
    there = [image for image in images if image is not None]
    if form.get("do") not in {"compare", NOW}:
        told = {f"{IMAGE}{side}": image.sha256 for side, image in zip(SIDES, images, strict=True) if image}
        return _page(request, images, trouble=trouble, status=422) if trouble else see("/compare", **told)
    refused = next((image for image in there if isinstance(image.verdict, Rejected)), None)
    if len(there) < len(SIDES):
        trouble = trouble or say("compare.choose")
    elif refused is not None and isinstance(refused.verdict, Rejected):
        code = refused.verdict.code
        told_of = {"name": refused.name, "message": refused.verdict.message, "advice": advice_on(code)}
        trouble = say("compare.rejected", code=code, **told_of)
    if trouble:
        return _page(request, images, trouble=trouble, status=422)
    if session.look().is_running and form.get("do") != NOW:
        return _page(request, images, is_behind=True)
    return await asked_page(
        request,
        COMPARE,
        {},
        {},
        there,
        lambda text, status: _page(request, images, trouble=text, status=status),
    )


def facts_of_two(images: list[ShelvedImage | None]) -> list[tuple[str, str, str]]:
    """What is known of two images without any call: a heading, and what is said of each."""
    first, second = images
    if first is None or second is None:
        return []

    def told(image: ShelvedImage) -> dict[str, str]:
        source = image.verdict.source
        sides = say("compare.unknown") if source is None else f"{source.width} x {source.height}"
        return {
            say("compare.size"): sides,
            say("compare.format"): say("compare.unknown") if source is None else source.format,
            say("compare.bytes"): f"{len(image.data):,}",
            say("compare.hash"): image.sha256[:16] + "…",
        }

    one, other = told(first), told(second)
    return [(name, one[name], other[name]) for name in one]


def sameness(images: list[ShelvedImage | None]) -> str:
    """Whether two images are the same file, or the same image once they are made ready."""
    first, second = images
    if first is None or second is None:
        return ""
    if first.sha256 == second.sha256:
        return say("compare.same_file")
    one, other = first.preview, second.preview
    if one is not None and other is not None and one.sent.sha256 == other.sent.sha256:
        return say("compare.same_pixels")
    return say("compare.different")


def _page(
    request: web.Request,
    images: list[ShelvedImage | None],
    *,
    asked: Asked | None = None,
    trouble: str = "",
    is_behind: bool = False,
    status: int = 200,
) -> web.Response:
    session = request.app[SESSION]
    texts: dict[str, Any] = {}
    if asked is not None and asked.instance in {each.name for each in session.instances}:
        of = session.instance(asked.instance)
        texts = dict(all_texts(asked, of, session.address(of), None))
    ready = all(image is not None and isinstance(image.verdict, Prepared) for image in images)
    return page(
        request,
        "compare",
        status=status,
        screen=_SCREEN,
        images=list(zip(SIDES, images, strict=True)),
        ready=ready,
        facts=facts_of_two(images),
        sameness=sameness(images),
        asked=asked,
        view=None if asked is None else view_of(asked),
        request_lines={} if asked is None else request_lines(asked),
        texts=texts,
        trouble=trouble,
        is_behind=is_behind,
    )
