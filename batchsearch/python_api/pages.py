"""What a notebook shows of a result: counts, failures and the first rows with their images, as HTML.

Everything is escaped and bounded; images are small copies inside the page, and none is fetched from an
address for it.
"""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import BatchsearchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.config.model import JobSettings
    from batchsearch.python_api.output import Output
    from batchsearch.tasks.report.thumbnails import Thumbnail

_IMAGES: Final = ("image", "primary_image", "secondary_image")
_SIDE: Final = 96
_MEGABYTES: Final = 2
_LONGEST: Final = 80
_MOST_COLUMNS: Final = 12
_MOST_ROWS: Final = 100


def page_of(
    title: str, text: str, output: Output, *, table: str, settings: JobSettings | None, rows: int
) -> str:
    """A page of a result.

    Args:
        title: What it is.
        text: How it ended, a few lines.
        output: What was written.
        table: Which of its tables is shown.
        settings: The job; None where images are not known.
        rows: How many rows are shown, at most a hundred.
    """
    body = [f"<div><b>{html.escape(title)}</b><pre>{html.escape(text)}</pre>"]
    try:
        body.append(rows_as_html(output, table, settings, min(rows, _MOST_ROWS)))
    except BatchsearchError as error:
        body.append(f"<p>{html.escape(str(error))}</p>")
    return "".join([*body, "</div>"])


def rows_as_html(output: Output, table: str, settings: JobSettings | None, rows: int) -> str:
    """The first rows of a table, each with its images where they can be read from here."""
    found: list[dict[str, Any]] = []
    for batch in output.batches(table, rows=max(rows, 1)):
        found += batch.slice(0, rows - len(found)).to_pylist()
        if len(found) >= rows:
            break
    if not found:
        return "<p>no rows</p>"
    # What is null in all of them says nothing here.
    names = [name for name in found[0] if any(row[name] is not None for row in found)][:_MOST_COLUMNS]
    images = [] if settings is None else [name for name in _image_columns(settings) if name in found[0]]
    copies = _copies(settings, found, images) if settings is not None and images else {}
    shown = [name for name in images if any((place, name) in copies for place in range(len(found)))]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in [*("" for _ in shown), *names])
    lines = []
    for place, row in enumerate(found):
        cells = [f"<td>{_tag(copies.get((place, name)))}</td>" for name in shown]
        cells += [f"<td>{html.escape(_text(row[name]))}</td>" for name in names]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _image_columns(settings: JobSettings) -> list[str]:
    given = settings.manifest.columns
    named = [given.get(role, role) for role in _IMAGES]
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def _copies(
    settings: JobSettings, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[tuple[int, str], Thumbnail]:
    from batchsearch.engine.run.places import image_root
    from batchsearch.tasks.report.references import RowSource, passthrough_reference
    from batchsearch.tasks.report.thumbnails import Thumbnail, Thumbnails

    source = RowSource(Path(image_root(settings)), settings.images)
    thumbnails = Thumbnails(most=len(rows) * len(names), side=_SIDE, megabytes=_MEGABYTES)
    places = {}
    for place, row in enumerate(rows):
        for name in names:
            reference = passthrough_reference(row[name]) if isinstance(row[name], str) else None
            if reference is not None:
                places[place, name] = thumbnails.want(source, (str(place), name), reference=reference)
    thumbnails.make()
    made = thumbnails.made
    return {
        where: copy
        for where, index in places.items()
        if index >= 0 and isinstance(copy := made[index], Thumbnail)
    }


def _tag(copy: Thumbnail | None) -> str:
    if copy is None:
        return ""
    data = base64.b64encode(copy.data).decode()
    return f'<img width="{copy.width}" height="{copy.height}" src="data:image/jpeg;base64,{data}">'


def _text(value: object) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
