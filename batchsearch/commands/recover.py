"""`batchsearch recover`."""

from __future__ import annotations

from pathlib import Path

import click

from batchsearch.commands.shared.options import file_option, load
from batchsearch.commands.shared.showing import show, wants_json
from batchsearch.errors import ExitCode

_EPILOG = """\b
Exit codes:
   0  recovered: run the job again, it goes on from there
   6  something is damaged and nothing was changed; it is named, with the ways on
  64  there is no such output folder
  75  a run is working there

\b
Examples:
  batchsearch recover out/tonight
  batchsearch recover out/tonight --without-damaged
  batchsearch recover s3://bucket/night --config nightly.yaml
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="DIR")
@file_option("--config", meaning="The job file, which says how the object store of DIR is reached.")
@click.option(
    "--without-damaged",
    is_flag=True,
    help="Give up files that are damaged: they are set aside, and the next run asks for their rows again.",
)
@click.option("--json", "only_json", is_flag=True, help="No page: the line of JSON alone.")
def command(folder: str, *, config: Path | None, without_damaged: bool, only_json: bool) -> None:
    """Make the ledger of the output folder DIR anew from its parts, so that nothing is paid for twice.

    For an output whose ledger is lost, damaged or an older copy. Every part is read from end to end; what an
    older ledger still says is taken over. Nothing is deleted: what has to make room is moved to `set-aside/`,
    the ledger that was there to `ledger/before-recovery/`. DIR may be the folder of a dedup job too.

    Of an output in an object store (DIR is its address) the index is made anew, from the ledger that was
    carried there.
    """
    from batchsearch.storage.stores.address import is_store_url

    if is_store_url(folder):
        line = _reindexed(folder, config)
        if wants_json(asked=only_json):
            click.echo(line)
        else:
            show(f"{folder}: the index was made anew", int(ExitCode.DONE))
        return
    from batchsearch.tasks.recover.recover_page import as_json, as_text
    from batchsearch.tasks.recover.recovery import outputs_in, recover_folder

    done = [recover_folder(one, without_damaged=without_damaged) for one in outputs_in(Path(folder))]
    if not only_json:
        show(as_text(done), int(ExitCode.DONE))
    if wants_json(asked=only_json):
        click.echo(as_json(done))


def _reindexed(address: str, config: Path | None) -> str:
    """Make the index of an output in a store anew; a line of JSON about it."""
    import json

    from batchsearch.config.sections.image_settings import connections_of
    from batchsearch.engine.run.remote_output import files_of
    from batchsearch.storage.remote.reindex import index_anew
    from batchsearch.storage.remote.store_output import work_folder

    settings = None if config is None else load(config, ()).settings
    connections = None if settings is None else connections_of(settings.stores, settings.images.stores)
    own = None if settings is None else settings.output.work_dir
    index = index_anew(address, connections, work_folder(address, own), files_of)
    tables = {table: sum(file.rows or 0 for file in index.tables(table)) for table in ("results", "hits")}
    return json.dumps({"status": "recovered", "exit_code": 0, "output": address, **tables})
