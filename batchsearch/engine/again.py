"""The job that an output folder belongs to, taken up again without its job file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.config.load import load_text
from batchsearch.engine.opening import LEDGER_FILE, LEDGER_FOLDER
from batchsearch.errors import ConfigError
from batchsearch.ledger.reader import LedgerReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.config.load import LoadedJob


def job_of(folder: Path, *, overrides: Sequence[str] = ()) -> LoadedJob:
    """The job whose latest run worked in this output folder, wherever the folder is now.

    Args:
        folder: The output folder.
        overrides: Texts like `instance.qps=5`, as given to `--set`.

    Raises:
        ConfigError: No run has worked there, or its settings cannot be used any more.
        OutputError: Its ledger cannot be read.
    """
    path = folder / LEDGER_FOLDER / LEDGER_FILE
    if not path.exists():
        raise ConfigError(f"{folder}: no job has run here: {LEDGER_FOLDER}/{LEDGER_FILE} is not there")
    with LedgerReader(path, oldest=1) as ledger:
        text = ledger.meta("job")
    if text is None:
        raise ConfigError(
            f"{folder}: its job was run by an older batchsearch, which did not keep the settings; "
            "run the job file once more first"
        )
    here = f"output.dir={Path(folder).absolute()}"
    return load_text(text, path, overrides=(here, *overrides))
