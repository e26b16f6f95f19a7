"""The search screen: the vendor's page field by field, its answer beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from batchsearch.console.answer_view import best_known, request_lines, view_of
from batchsearch.console.asked import digest_of_question
from batchsearch.console.copied_texts import all_texts
from batchsearch.console.form_fields import METHOD, Problem, categories_of, checked, fields_of, read_posted
from batchsearch.console.meter import CallLimitError
from batchsearch.console.posted_form import posted, whole
from batchsearch.console.rendering import SESSION, message, page, see
from batchsearch.console.session import NotAskedError
from batchsearch.console.wording import say
from batchsearch.errors import BatchsearchError
from batchsearch.images.outcome import Prepared, Rejected, Unreachable
from batchsearch.redaction import redacted
from batchsearch.service.codes.lookup import advice_on
from batchsearch.service.facts import DEFAULT_NUM
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.console.asked import Asked
    from batchsearch.console.image_shelf import ShelvedImage
    from batchsearch.console.posted_form import Posted
    from batchsearch.console.session import Session
    from batchsearch.service.operations import Operation

SEARCHES: Final = tuple(name for name, each in OPERATIONS.items() if each.paged)
_SCREEN: Final = "search"
TYPE: Final = "type"
IMAGE: Final = "image_sha"
_PLAIN: Final = (METHOD,)
NOW: Final = "now"
"""What a form says to ask although a run works: its rows go first unless that is said."""


def operation_named(name: str | None) -> Operation:
    """The search that a form asks for; by image when it says nothing, or nothing known."""
    return OPERATIONS[name if name in SEARCHES else SEARCHES[0]]


async def show(request: web.Request) -> web.Response:
    """`GET /search`: the form, filled from the address; no call is made."""
    session = request.app[SESSION]
    query = request.query
    operation = operation_named(query.get(TYPE))
    instance = session.instance(session.current)
    entered = read_posted(operation, query) | {name: query[name] for name in _PLAIN if name in query}
    image, trouble = None, ""
    if query.get("item"):
        image, trouble = await item_image(
            session, instance, operation, query["item"], query.get("item_pic", "")
        )
    elif query.get(IMAGE):
        image = await session.shelf.get(query[IMAGE], session.rules(instance, operation))
        if image is None:
            trouble = say("images.gone")
    return _page(request, operation, entered, image=image, trouble=trouble)


async def search(request: web.Request) -> web.Response:
    """`POST /search`: shows the image, or asks; an answer leads to its own address."""
    session = request.app[SESSION]
    form = await posted(request)
    operation = operation_named(form.get(TYPE))
    instance = session.instance(session.current)
    entered = read_posted(operation, form.values) | {
        name: form.values[name] for name in _PLAIN if name in form.values
    }
    image, trouble = await shelved(session, instance, operation, form) if operation.images else (None, "")
    wish, _, what = form.get("do").partition(":")
    if wish == "region":
        entered |= {"region": what, METHOD: "custom", "crop": "true"}
    if wish == "more":
        entered["start"] = str(whole(entered.get("start", "")) + whole(entered.get("num", ""), DEFAULT_NUM))
    if wish in {"show", "region"} and not trouble:
        told = {**entered, TYPE: operation.name, IMAGE: "" if image is None else image.sha256}
        return see("/search", **told)
    values, problems, trouble = judged(operation, instance, entered, image, trouble)
    if problems or trouble:
        return _page(request, operation, entered, image=image, problems=problems, trouble=trouble, status=422)
    images = [] if image is None else [image]
    if wish not in {"again", NOW}:
        same = session.history.same(_digest(instance, operation, values, images))
        if same is not None:
            return _page(request, operation, entered, image=image, same=same)
    if session.look().is_running and wish != NOW:
        return _page(request, operation, entered, image=image, is_behind=True)
    return await asked_page(
        request,
        operation,
        values,
        entered,
        images,
        lambda text, status: _page(request, operation, entered, image=image, trouble=text, status=status),
    )


def judged(
    operation: Operation,
    instance: InstanceSettings,
    entered: Mapping[str, str],
    image: ShelvedImage | None,
    trouble: str,
) -> tuple[dict[str, Any], dict[str, Problem], str]:
    """The values that a form asks for, what is wrong with its fields, and what is wrong with its image.

    Args:
        operation: The operation.
        instance: Which instance.
        entered: The form's fields.
        image: Its image; None where there is none.
        trouble: Why there is none, where that is known.
    """
    values, problems = checked(
        operation, entered_values(entered), service_type=instance.service_type, longest_id=instance.longest_id
    )
    if operation.images and image is None and not trouble:
        trouble = say("images.choose")
    if image is not None and isinstance(image.verdict, Rejected):
        code = image.verdict.code
        trouble = say("images.rejected", code=code, message=image.verdict.message, advice=advice_on(code))
    return values, problems, trouble


def entered_values(entered: Mapping[str, str]) -> dict[str, str]:
    """What was entered, without what only the page needs."""
    values = {name: text for name, text in entered.items() if name not in _PLAIN}
    if entered.get(METHOD, "custom") != "custom":
        values.pop("region", None)
    return values


def _digest(
    instance: InstanceSettings, operation: Operation, values: Mapping[str, Any], images: list[ShelvedImage]
) -> str:
    sent = [image.verdict.sent.sha256 for image in images if isinstance(image.verdict, Prepared)]
    return digest_of_question(instance.name, operation.name, values, sent)


async def asked_page(  # noqa: PLR0917 - a question and where its answer goes
    request: web.Request,
    operation: Operation,
    values: Mapping[str, Any],
    entered: Mapping[str, str],
    images: list[ShelvedImage],
    refused: Callable[[str, int], web.Response],
) -> web.Response:
    """Ask, and lead to the answer; what keeps it from being asked is told on the page that `refused` makes.

    Args:
        request: What asks.
        operation: The operation.
        values: Its parameters, checked.
        entered: The same as they were entered.
        images: Its images.
        refused: Makes a page of a text and a status.
    """
    session = request.app[SESSION]
    try:
        asked = await session.ask(operation, session.instance(session.current), values, entered, images)
    except (NotAskedError, CallLimitError) as error:
        return refused(redacted(str(error)), 409)
    except BatchsearchError as error:
        return refused(redacted(str(error)), 502)
    categories = view_of(asked).categories
    if categories:
        session.categories[asked.instance] = categories
    return see(f"/answer/{asked.id}")


async def shelved(
    session: Session, instance: InstanceSettings, operation: Operation, form: Posted, suffix: str = ""
) -> tuple[ShelvedImage | None, str]:
    """The image that a form brings, and why there is none.

    Args:
        session: Keeps images.
        instance: By whose rules it is judged.
        operation: By whose rules it is judged.
        form: Has a file, an address, or the hash of one that is kept.
        suffix: Behind the names of its fields, where a form has several.
    """
    rules = session.rules(instance, operation)
    name, data = form.files.get(f"image{suffix}", ("", b""))
    if data:
        return await session.shelf.put(data, name or "image", rules), ""
    url = form.get(f"image_url{suffix}").strip()
    if url:
        return await _fetched(session, url, instance, operation)
    kept = form.get(f"{IMAGE}{suffix}")
    if not kept:
        return None, ""
    image = await session.shelf.get(kept, rules)
    return image, "" if image is not None else say("images.gone")


async def _fetched(
    session: Session, url: str, instance: InstanceSettings, operation: Operation
) -> tuple[ShelvedImage | None, str]:
    from batchsearch.manifest.rows import reference

    found = reference(url)
    if found is None or found.url is None or not found.url.lower().startswith(("http://", "https://")):
        return None, say("images.address")
    name = url.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1][:200] or "image"
    made = await session.shelf.put_fetched(found, name, session.rules(instance, operation))
    if isinstance(made, Rejected | Unreachable):
        told = {"code": made.code, "message": made.message, "advice": advice_on(made.code)}
        return None, redacted(say("images.rejected", **told))
    return made, ""


async def item_image(
    session: Session, instance: InstanceSettings, operation: Operation, product_id: str, pic_name: str
) -> tuple[ShelvedImage | None, str]:
    """The image of an item, and why there is none."""
    made = await session.item_image(product_id, pic_name, session.rules(instance, operation))
    if made is None:
        return None, say("images.item_unknown")
    if isinstance(made, Rejected | Unreachable):
        return None, redacted(say("images.item_rejected", code=made.code, message=made.message))
    return made, ""


async def answer(request: web.Request) -> web.Response:
    """`GET /answer/ID`: an answer with the form that asked for it; free."""
    session = request.app[SESSION]
    asked = session.history.get(request.match_info["id"])
    if asked is None:
        return message(
            request,
            404,
            say("answer.gone"),
            say("answer.gone_text"),
            screen="history",
            action=("/search", say("search.title")),
        )
    if asked.operation == "CompareSimilarByImage":
        first, second = (image.sha256 for image in asked.images)
        return see("/compare", answer=asked.id, **{IMAGE: first, f"{IMAGE}_2": second})
    if asked.operation not in SEARCHES:
        return page(
            request,
            "told",
            screen="history",
            asked=asked,
            view=view_of(asked),
            request_lines=request_lines(asked),
            texts={},
        )
    operation = OPERATIONS[asked.operation]
    instance = session.instance(asked.instance)
    image = None
    if asked.images:
        image = await session.shelf.get(asked.images[0].sha256, session.rules(instance, operation))
    return _page(request, operation, asked.entered, image=image, asked=asked)


async def raw(request: web.Request) -> web.Response:
    """`GET /answer/ID/raw`: the answer as it came, to be kept."""
    asked = request.app[SESSION].history.get(request.match_info["id"])
    if asked is None:
        raise web.HTTPNotFound(text=say("answer.gone_line"))
    return web.Response(
        text=asked.body,
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="answer-{asked.id}.json"'},
    )


async def check(request: web.Request) -> web.Response:
    """`POST /check`: what is wrong with a form, while it is filled; free."""
    session = request.app[SESSION]
    form = await posted(request)
    operation = operation_named(form.get(TYPE))
    instance = session.instance(session.current)
    _, problems = checked(
        operation,
        entered_values(read_posted(operation, form.values) | {METHOD: form.get(METHOD) or "auto"}),
        service_type=instance.service_type,
        longest_id=instance.longest_id,
    )
    told = {
        name: {"text": each.text, "name": each.name, "column": each.column} for name, each in problems.items()
    }
    return web.json_response({"problems": told})


async def cancel(request: web.Request) -> web.Response:
    """`POST /cancel`: gives up a call that has not left."""
    await posted(request)
    given_up = request.app[SESSION].cancel()
    return web.json_response({"cancelled": given_up})


def _page(
    request: web.Request,
    operation: Operation,
    entered: Mapping[str, str],
    *,
    image: ShelvedImage | None = None,
    asked: Asked | None = None,
    same: Asked | None = None,
    is_behind: bool = False,
    problems: Mapping[str, Problem] | None = None,
    trouble: str = "",
    status: int = 200,
) -> web.Response:
    session = request.app[SESSION]
    instance = session.instance(session.current)
    view = None if asked is None else view_of(asked)
    found = dict(problems or {})
    if view is not None and view.failure is not None and view.failure.field and asked is not None:
        found.setdefault(view.failure.field, Problem(view.failure.meaning, view.failure.code))
    texts = {}
    # An answer of another job's instance is shown; how that one is reached is not known here.
    if asked is not None and asked.instance in {each.name for each in session.instances}:
        of = session.instance(asked.instance)
        texts = dict(all_texts(asked, of, session.address(of), _in_source(image, asked)))
    return page(
        request,
        "search",
        status=status,
        screen=_SCREEN,
        operation=operation,
        searches=SEARCHES,
        fields=fields_of(operation, entered, found, service_type=instance.service_type),
        method=entered.get(METHOD) or ("custom" if entered.get("region") else "auto"),
        categories=categories_of(instance.service_type, session.categories.get(instance.name, ())),
        image=image,
        is_rejected=image is not None and isinstance(image.verdict, Rejected),
        advice=advice_on(image.verdict.code)
        if image is not None and isinstance(image.verdict, Rejected)
        else "",
        asked=asked,
        view=view,
        best=best_known(session.history, asked, view),
        same=same,
        is_behind=is_behind,
        trouble=trouble,
        request_lines={} if asked is None else request_lines(asked),
        texts=texts,
        source_region=_in_source(image, asked),
        samples=_samples(session) if image is None and asked is None else (),
        known=session.shown(instance),
    )


def _in_source(image: ShelvedImage | None, asked: Asked | None) -> str | None:
    """The region of a question in the pixels of the file."""
    region = None if asked is None else asked.values.get("region")
    if region is None or image is None or not isinstance(image.verdict, Prepared):
        return None
    try:
        return image.verdict.geometry.to_source(region)
    except ValueError:
        return None


def _samples(session: Session) -> tuple[tuple[str, str], ...]:
    """A few items whose images are known, to begin with."""
    places = list(session.known.places)
    step = max(1, len(places) // 4)
    return tuple(places[::step][:4])
