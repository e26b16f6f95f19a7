"""The demonstration as files of somebody's own: the job file and the sample data that it names.

They lie in the checkout (`configs/`, `sample_data/`) and, by the same names, in the installed package: one
job file, wherever it is run from.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError, OutputError
from batchsearch.publish import make_folder, own_name, publishing

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB_FILE: Final = Path("configs", "demo.yaml")
OUTPUT: Final = Path("output", "demo")
_SAMPLE: Final = Path("sample_data")
_FILES: Final = (JOB_FILE, _SAMPLE / "NOTICE", _SAMPLE / "catalogue.csv", _SAMPLE / "queries.csv")
_FOLDERS: Final = (_SAMPLE / "catalogue", _SAMPLE / "queries")
_PACKAGE: Final = Path(__file__).parents[2]


def write_demo(folder: Path) -> Path:
    """Write the demonstration's files into a folder; returns the path of its job file.

    What is there already stays as it is, so that a demonstration can be changed and run again.

    Args:
        folder: A new or empty one, or one that holds the demonstration.

    Raises:
        ConfigError: The folder holds something else.
        OutputError: The files cannot be written, or the installation lacks them.
    """
    job = folder / JOB_FILE
    try:
        if not job.exists() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(
                f"{folder}: there is something else already; name a new folder: batchsearch demo FOLDER"
            )
        source = demo_source()
        # The job file comes last: where it is, everything is.
        for name in (*_names(source), JOB_FILE):
            target = folder / name
            if not target.exists():
                make_folder(target.parent)
                with (source / name).open("rb") as given, publishing(target, own_name(target)) as coming:
                    shutil.copyfileobj(given, coming)
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: the demo cannot be written: {error.strerror or error}; "
            "name another folder: batchsearch demo FOLDER"
        ) from error
    return job


def demo_source() -> Path:
    """The folder that the demonstration is installed in; raises OutputError where there is none."""
    for place in (_PACKAGE / "demo", _PACKAGE.parent):
        if (place / JOB_FILE).is_file():
            return place
    raise OutputError(
        f"{_PACKAGE}: the demo is missing here; install again: pip install --force-reinstall batchsearch"
    )


def _names(source: Path) -> Iterator[Path]:
    for name in _FILES:
        if name != JOB_FILE:
            yield name
    for folder in _FOLDERS:
        yield from sorted(path.relative_to(source) for path in (source / folder).iterdir() if path.is_file())
