"""`batchsearch emulator`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchsearch.commands.shared.options import file_option, logging_options
from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from batchsearch.emulator.server import Emulator

_EXAMPLES = """\b
Examples:
  batchsearch emulator --port 8088 --data emulator-data
  batchsearch emulator --qps 5 --counting sliding_log --faults faults.yaml
  batchsearch emulator --data emulator-data --bucket shop=exported/images
  batchsearch emulator --instance shoes:service_type=product,qps=5 --instance logos:service_type=trademark
"""


@click.command(epilog=_EXAMPLES)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8088, show_default=True, help="Port to listen on; 0 picks a free one.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that keeps the items.")
@click.option(
    "--instance",
    "instances",
    multiple=True,
    default=("demo",),
    show_default=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="An instance, and what it has unlike the options below, by their names (`qps=5,add_qps=1`); "
    "repeat it for several.",
)
@click.option("--qps", default=10.0, show_default=True, help="Queries per second that it grants.")
@click.option("--add-qps", type=float, help="AddImage calls per second; the documented 1 or 5 by default.")
@click.option("--update-qps", type=float, help="UpdateImage calls per second; the documented 20 by default.")
@click.option("--delete-qps", type=float, help="DeleteImage calls per second; the documented 20 by default.")
@click.option(
    "--other-qps",
    type=float,
    help="Calls per second of Detail and of the batch operations; the documented 1 by default.",
)
@click.option(
    "--counting",
    default="token_bucket",
    show_default=True,
    help="How it counts a second: token_bucket, token_bucket_one, fixed_window, sliding_log or "
    "sliding_log_denials.",
)
@click.option("--announce-retry", is_flag=True, help="Tell a denied caller how long to wait.")
@click.option("--service-type", default="generic", show_default=True, help="Kind of instance.")
@click.option("--capacity", default=100_000, show_default=True, help="Most images that it takes.")
@click.option(
    "--predicted-category-limits/--no-predicted-category-limits",
    default=True,
    show_default=True,
    help="On product instances, search only the category that is predicted when none is given.",
)
@click.option(
    "--bucket",
    "buckets",
    multiple=True,
    metavar="NAME=PLACE",
    help="A bucket that IncreaseInstance reads from: a folder that stands for it, or an address such as "
    "s3://NAME; repeat it for several.",
)
@click.option("--bucket-region", help="Region of s3:// and oss:// buckets.")
@click.option("--bucket-endpoint", help="Endpoint of s3:// and oss:// buckets, an address.")
@click.option(
    "--access-key-id",
    default="emulator",
    show_default=True,
    envvar="BATCHSEARCH_EMULATOR_ACCESS_KEY_ID",
    help="Key that requests must be signed with.",
)
@click.option(
    "--access-key-secret",
    default="emulator-secret",
    envvar="BATCHSEARCH_EMULATOR_ACCESS_KEY_SECRET",
    help="Secret that requests must be signed with; a local, made-up one by default.",
)
@click.option(
    "--security-token",
    envvar="BATCHSEARCH_EMULATOR_SECURITY_TOKEN",
    help="Token that must come with the key, as with a temporary (STS) one.",
)
@click.option(
    "--tls",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    nargs=2,
    metavar="CERTIFICATE KEY",
    help="Listen over TLS too, with this certificate and key (PEM): where official clients upload images.",
)
@click.option("--tls-port", default=0, show_default=True, help="Port for TLS; 0 picks a free one.")
@file_option(
    "--faults",
    meaning="YAML file of what goes wrong, to practise on: as `emulator.faults` in configs/bad-night.yaml.",
    exists=True,
)
@click.option(
    "--console/--no-console",
    default=None,
    help="Print the address of a page to try queries on, look at items and requests; on but for JSON logs.",
)
@click.option(
    "--image-copies-mb",
    type=click.IntRange(min=0),
    metavar="MB",
    help="Small copies of added images that each instance keeps for the console, at most; 0 keeps none. "
    "256 by default, none without the console.",
)
@logging_options
def command(
    log_format: str, log_level: str, *, console: bool | None, image_copies_mb: int | None, **options: Any
) -> None:
    """Serve embedded Image Search instances over HTTP, until interrupted.

    It speaks the vendor's protocol, checks signatures, grants the given rate, and keeps what is added in
    --data. Needs the extra `emulator`.
    """
    from batchsearch.console.console_options import COPIES_MB
    from batchsearch.tasks.emulator.serving import serve
    from batchsearch.telemetry.logs import configure

    configure("json" if log_format == "json" else "console", log_level)
    wanted = log_format != "json" if console is None else console
    copies = (COPIES_MB if wanted else 0) if image_copies_mb is None else image_copies_mb
    serve(**options, image_copies_mb=copies, beside=_console if wanted else None)
    sys.exit(ExitCode.DONE)


def _console(emulator: Emulator) -> AbstractContextManager[object]:
    from batchsearch.commands.shared.showing import show
    from batchsearch.console.beside_emulator import console_beside

    return console_beside(emulator, lambda address: show(f"The console is at {address}"))
