"""`batchsearch search`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchsearch.commands.shared.options import SET, load
from batchsearch.commands.shared.showing import show, show_answer, tell
from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from batchsearch.tasks.search.query import Found, Query

_EPILOG = """\b
Exit codes:
   0  answered, also when nothing was found
   3  the image cannot be used, or is not there; the message says why
   4  the service or the image cannot be reached: try again later
   5  the service refuses this account or instance: see `batchsearch ping`
  64  an option, the job file or the path is wrong

\b
Examples:
  batchsearch search chair.jpg search.yaml
  batchsearch search chair.jpg search.yaml --num 50 --filter 'int_attr < 2000'
  batchsearch search https://cdn.example.com/chair.jpg search.yaml --json
  batchsearch search --name 4711/chair.jpg search.yaml
  batchsearch search --text 'red wooden chair' search.yaml
  batchsearch search --filter 'str_attr = "Chairs"' search.yaml
  cat chair.jpg | batchsearch search - search.yaml | jq .hits[0].product_id
"""


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="[IMAGE] CONFIG", type=click.Path(allow_dash=True))
@click.option(
    "--name",
    metavar="ID/PIC",
    help="Search by an image that the instance has: its product id, a slash, its name. The id ends at the "
    "first slash; where it has one itself, give the name by --pic-name.",
)
@click.option(
    "--text", metavar="WORDS", help="Search by words; instances of the kind product multimodal only."
)
@click.option("--pic-name", metavar="PIC", help="The image's name; --name is then the product id alone.")
@click.option(
    "--num", type=click.IntRange(1, 500), metavar="N", help="Hits wanted; over 100 takes several calls."
)
@click.option("--start", type=click.IntRange(0, 499), metavar="N", help="Leave out so many hits before them.")
@click.option("--category", metavar="ID", help="Only images of this category id.")
@click.option(
    "--filter",
    "filter_",
    metavar="TEXT",
    help="Only images whose attributes pass, such as `int_attr=1`; alone, all that pass.",
)
@click.option("--crop/--no-crop", default=None, help="Whether the service looks for the subject.")
@click.option("--region", metavar="X1,X2,Y1,Y2", help="Where the subject is, in the image's own pixels.")
@click.option("--distinct", is_flag=True, default=None, help="One hit of each product.")
@click.option("--threshold", metavar="SCORE", help="Only hits with at least this score, 0 to 1.")
@click.option("--instance", metavar="NAME", help="Which of the job's instances; the first when not given.")
@click.option(
    "--json/--table",
    "as_json",
    default=None,
    help="One JSON object, or a table; a table on a terminal and JSON in a pipe when not given.",
)
@SET
def command(
    paths: tuple[str, ...],
    *,
    name: str | None,
    pic_name: str | None,
    overrides: tuple[str, ...],
    as_json: bool | None,
    **options: Any,
) -> None:
    """Search the instance of the job file CONFIG for one IMAGE, and show what it finds.

    IMAGE is a file, an address (fetched by the job's rules), or - for stdin. What is done to the image before
    it is sent is what a run would do, and is said. Without an image, --name, --text or --filter says what is
    looked for. One call is made, through the pacer that runs share. Neither the job's manifest nor its output
    is touched.
    """
    image, config = _paths(paths, alone=_alone(paths, name, options))
    job = load(config, overrides)
    from batchsearch.tasks.search.searching import search
    from batchsearch.telemetry.logs import configure

    # That a catalogue is being indexed takes a while and is news to whoever waits; to a script it is not.
    configure("console", "info" if sys.stderr.isatty() else "warning")
    found = asyncio.run(search(job.settings, _query(image, name, pic_name, options)))
    if as_json is None:
        as_json = not sys.stdout.isatty()
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        _show(found)
    if found.failure is not None and as_json:
        tell(f"batchsearch: {found.failure.code}: {found.failure.message}", to_stderr=True)
    sys.exit(int(found.exit_code))


def _paths(paths: tuple[str, ...], *, alone: str | None) -> tuple[str | None, Path]:
    """The image and the job file.

    Args:
        paths: What was given.
        alone: The option that says what is looked for without an image; None where none was given.
    """
    wanted = 2 if alone is None else 1
    if len(paths) != wanted:
        what = "takes an image and a job file" if alone is None else f"{alone} takes the job file alone"
        given = f"{len(paths)} given" if len(paths) != 1 else "one given"
        raise click.UsageError(f"{what}: {given}")
    return (paths[0] if alone is None else None), Path(paths[-1])


def _alone(paths: tuple[str, ...], name: str | None, options: dict[str, Any]) -> str | None:
    """The option that says what is looked for without an image; a filter does where there is nothing else."""
    said = [flag for flag, value in (("--name", name), ("--text", options["text"])) if value is not None]
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)}: give one of them")
    if said:
        return said[0]
    return "--filter" if len(paths) == 1 and options["filter_"] is not None else None


def _query(image: str | None, name: str | None, pic_name: str | None, options: dict[str, Any]) -> Query:
    from batchsearch.errors import ConfigError
    from batchsearch.service.operations import OPERATIONS
    from batchsearch.tasks.search.query import Query

    named = None
    if name is not None:
        product, slash, rest = (name, "/", pic_name) if pic_name is not None else name.partition("/")
        if not (product and slash and rest):
            raise ConfigError(f"--name {name}: is not ID/PIC, such as `4711/chair.jpg`")
        named = (product, rest)
    elif pic_name is not None:
        raise ConfigError("--pic-name needs --name with the product id")
    given = {
        "category_id": ("--category", options["category"]),
        "filter": ("--filter", options["filter_"]),
        "crop": ("--crop", options["crop"]),
        "region": ("--region", options["region"]),
        "distinct_product_id": ("--distinct", options["distinct"]),
        "score_threshold": ("--threshold", options["threshold"]),
    }
    parameters = {key: value for key, (_, value) in given.items() if value is not None}
    query = Query(
        image, named, options["text"], options["num"], options["start"], parameters, options["instance"]
    )
    taken = OPERATIONS[query.operation].keys
    for key in parameters:
        if key not in taken:
            by = query.operation.removeprefix("SearchImageBy").lower()
            raise ConfigError(f"{given[key][0]}: means nothing in a search by {by}")
    return query


def _show(found: Found) -> None:
    from rich.console import Console

    from batchsearch.tasks.search.search_page import lines_of, table_of

    said = "\n".join(lines_of(found))
    if found.failure is None:
        show_answer(said)
    else:
        show(said, ExitCode.TOO_MANY_FAILED)
    if found.hits:
        # In a file or a pipe nothing is cut.
        console = Console() if sys.stdout.isatty() else Console(width=10_000)
        console.print(table_of(found))
