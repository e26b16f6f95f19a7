"""The job that an output folder belongs to, taken up again without its job file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batchsearch.config.load import load_text
from batchsearch.engine.job.held import JOB, told_settings
from batchsearch.engine.job.lanes import whole_of
from batchsearch.errors import ConfigError
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER, NoOutputError, is_lane, no_output, runs_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchsearch.config.load import LoadedJob


def job_of(folder: Path, *, address: str | None = None, overrides: Sequence[str] = ()) -> LoadedJob:
    """The job whose latest run worked in this output folder, wherever the folder is now.

    Of the folder of a dedup it is the search: what else ran there has folders of its own. Where each instance
    has a folder below this one, it is the job of all of them.

    Args:
        folder: The output folder.
        address: Where the output is, when the folder is a copy of one in an object store.
        overrides: Texts like `instance.qps=5`, as given to `--set`.

    Raises:
        ConfigError: No run has worked there, or its settings cannot be used any more.
        OutputError: Its ledger cannot be read.
    """
    places = runs_in(folder)
    if not places:
        raise NoOutputError(no_output(folder))
    place = places[0]
    path = place / LEDGER
    with LedgerReader(path, oldest=1) as ledger:
        told_settings(ledger, JOB)
        text = ledger.meta(JOB)
    if text is None:
        raise ConfigError(
            f"{place}: its job was run by an older batchsearch, which did not keep the settings; "
            "run the job file once more first"
        )
    is_whole = is_lane(place.name) and place.parent == folder
    here = (address or str(folder.absolute())) + f"/{place.name}" if is_whole else address or place.absolute()
    job = load_text(text, path, overrides=(f"output.dir={here}", *overrides))
    return replace(job, settings=whole_of(job.settings)) if is_whole else job
