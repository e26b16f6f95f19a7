"""Runs and their reports, and duplicates judged while one looks at them."""

from __future__ import annotations

import asyncio
import getpass
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from batchsearch.console.gate import HEADERS
from batchsearch.console.judgement_file import BadJudgementError, judged_so_far, write_judgements
from batchsearch.console.posted_form import posted
from batchsearch.console.rendering import GATE, SESSION, message, page
from batchsearch.console.run_list import output_folders
from batchsearch.console.tonight import tonight
from batchsearch.console.wording import say
from batchsearch.errors import BatchsearchError
from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from batchsearch.console.run_list import OutputFolder
    from batchsearch.console.session import Session
    from batchsearch.console.tonight import Tonight

_SCREEN: Final = "review"
MOST_FAILED: Final = 200
"""Failed rows of a page."""
JUDGEMENTS: Final = "judgements.csv"
"""File of a dedup's folder that judgements are written to where the job names none."""
_POLICY: Final = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def _below(session: Session) -> Path:
    return session.options.outputs or Path(session.settings.output.dir).parent


async def _folder(request: web.Request) -> OutputFolder:
    session = request.app[SESSION]
    folders = await asyncio.to_thread(output_folders, _below(session), datetime.now(UTC))
    found = next((each for each in folders if each.id == request.match_info["id"]), None)
    if found is None:
        raise web.HTTPNotFound(text=say("runs.no_folder"))
    return found


def _untold(request: web.Request, title: str, error: BatchsearchError) -> web.Response:
    """Why there is nothing to be told of a folder."""
    action = ("/runs", say("runs.short"))
    return message(request, 409, title, redacted(str(error)), screen=_SCREEN, action=action)


async def show(request: web.Request) -> web.Response:
    """`GET /runs`: the output folders and how they stand; free."""
    session = request.app[SESSION]
    below = _below(session)
    folders = await asyncio.to_thread(output_folders, below, datetime.now(UTC))
    return page(request, "runs", screen=_SCREEN, folders=folders, below=str(below))


async def report(request: web.Request) -> web.Response:
    """`GET /runs/ID/report`: an output folder's report, made now; duplicates with live judgements."""
    folder = await _folder(request)
    try:
        text = await asyncio.to_thread(
            _report, folder.path, folder.id, request.app[GATE].csrf, request.app[SESSION]
        )
    except BatchsearchError as error:
        return _untold(request, say("runs.no_report"), error)
    found = _POLICY.search(text)
    # The page's own policy, by hash of its one script; it may talk to this server, for its judgements.
    policy = (found[1].replace("&#39;", "'") if found else "default-src 'none'") + "; connect-src 'self'"
    text = text if found is None else text.replace(found[0], "", 1)
    return web.Response(
        text=text,
        content_type="text/html",
        headers={**HEADERS, "Content-Security-Policy": f"{policy}; frame-ancestors 'none'"},
    )


def _report(path: Path, name: str, csrf: str, session: Session) -> str:
    from dataclasses import replace

    from batchsearch.tasks.report.html_page import page_of
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.reporting import make_report

    made = make_report(path, ReportOptions(thumbnails=2_000), now=datetime.now(UTC))
    facts = made.page
    if facts.judged:
        judged = judged_so_far(judgement_files(session, path))
        facts = replace(facts, live=(f"/runs/{name}/judge", csrf), followed=tuple(judged) or facts.followed)
    return page_of(facts)


def judgement_files(session: Session, folder: Path) -> list[Path]:
    """The files of judgements that a dedup's folder goes by; the last one is written to."""
    dedup = session.settings.dedup
    own = Path(session.settings.output.dir).resolve() == folder.resolve()
    if own and dedup is not None and dedup.judgements:
        return [Path(path) for path in dedup.judgements]
    return [folder / JUDGEMENTS]


async def judge(request: web.Request) -> web.Response:
    """`POST /runs/ID/judge`: writes judgements to the file that the next night follows; free."""
    form = await posted(request)
    session = request.app[SESSION]
    folder = await _folder(request)
    if session.options.read_only:
        return web.json_response({"error": say("change.read_only")}, status=403)
    every = [form.every.get(name, ()) for name in ("product_a", "product_b", "judgement", "note")]
    if not every[0] or len({len(each) for each in every}) != 1:
        return web.json_response({"error": say("judgement.incomplete")}, status=422)
    path = judgement_files(session, folder.path)[-1]
    try:
        judged = list(zip(*every, strict=True))
        written = await asyncio.to_thread(write_judgements, path, judged, datetime.now(UTC), _user())
    except BadJudgementError as error:
        return web.json_response({"error": str(error)}, status=422)
    except BatchsearchError as error:
        return web.json_response({"error": redacted(str(error))}, status=507)
    return web.json_response({"written": written, "file": path.name})


def _user() -> str:
    """Who the console belongs to; empty where the machine does not know."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


async def judgements(request: web.Request) -> web.Response:
    """`GET /runs/ID/judgements`: the judgements that hold, those of other windows too; free."""
    session = request.app[SESSION]
    folder = await _folder(request)
    try:
        found = await asyncio.to_thread(judged_so_far, judgement_files(session, folder.path))
    except BatchsearchError as error:
        return web.json_response({"error": redacted(str(error))}, status=409)
    return web.json_response(found)


async def changes(request: web.Request) -> web.Response:
    """`GET /runs/ID/tonight`: what the judgements would change, from the last night's pairs; free."""
    session = request.app[SESSION]
    folder = await _folder(request)
    files = judgement_files(session, folder.path)
    try:
        found = await asyncio.to_thread(_changes, folder.path, files)
    except BatchsearchError as error:
        return _untold(request, say("tonight.nothing_said"), error)
    return page(request, "tonight", screen=_SCREEN, folder=folder, found=found, file=files[-1].name)


def _changes(path: Path, files: list[Path]) -> Tonight:
    from batchsearch.tasks.dedup.clusters.decide import JUDGED
    from batchsearch.tasks.dedup.clusters.judgements import read_judgements
    from batchsearch.tasks.report.output_kind import DedupFolder, open_folder
    from batchsearch.tasks.report.table_reading import batches

    found = open_folder(path)
    tables = found.pairs if isinstance(found, DedupFolder) else ()
    columns = ["product_a", "product_b", "accepted", "judged"]
    judged = {pair: str(JUDGED[verdict]) for pair, verdict in read_judgements(files).verdicts.items()}
    rows = (
        row
        for batch in batches(tables, columns)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    return tonight(rows, judged)


async def failed(request: web.Request) -> web.Response:
    """`GET /runs/ID/failed`: some failed rows, each of which opens in the search form; free."""
    folder = await _folder(request)
    try:
        rows = await asyncio.to_thread(_failed_rows, folder.path)
    except BatchsearchError as error:
        return _untold(request, say("failed.unreadable"), error)
    return page(request, "failed", screen=_SCREEN, folder=folder, rows=rows)


_NONE: Final = dict.fromkeys(("error_message", "product_id", "pic_name", "filter"))


def _failed_rows(path: Path) -> list[dict[str, object]]:
    import pyarrow.compute as pc

    from batchsearch.service.codes.lookup import advice_on
    from batchsearch.tasks.report.output_kind import DedupFolder, open_folder
    from batchsearch.tasks.report.table_reading import batches, columns_of

    found = open_folder(path)
    run = found.search if isinstance(found, DedupFolder) else found
    rows: list[dict[str, object]] = []
    if run is None:
        return rows
    there = columns_of(run.results)
    wanted = [
        name
        for name in ("row_key", "error_code", "error_message", "product_id", "pic_name", "filter")
        if name in there
    ]
    for batch in batches(run.results, wanted):
        kept = batch.filter(pc.is_valid(batch.column(wanted.index("error_code"))))
        rows += [
            {**_NONE, **row, "advice": advice_on(row["error_code"])}
            for row in kept.slice(0, MOST_FAILED - len(rows)).to_pylist()
        ]
        if len(rows) >= MOST_FAILED:
            break
    return rows


async def requests(request: web.Request) -> web.Response:
    """`GET /requests`: the last requests of the embedded instance, with what faults did to them; free."""
    session = request.app[SESSION]
    emulator = session.emulator
    if emulator is None:
        return message(
            request,
            404,
            say("requests.no_instance"),
            say("requests.no_instance_text"),
            screen="items",
            action=("/items", say("items.title")),
        )
    entries = list(reversed(emulator.log.entries()))[:100]
    instances = [
        (each.name, each.service_type, each.qps, emulator.catalogue(each.name).count(), each.capacity)
        for each in emulator.options.instances
    ]
    return page(request, "requests", screen="items", entries=entries, instances=instances)
