"""The output that a command looks at: a folder of this machine, or an address in an object store."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.commands.shared.options import file_option, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.sections.store_settings import ConnectionsSettings

STORE_CONFIG = file_option(
    "--config",
    meaning="The job file, which says how the object store is reached where DIR is an address such as "
    "`s3://bucket/night`; else the environment says it.",
)


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """An output to look at.

    Attributes:
        folder: Where it is on this machine.
        given: As the command was given it.
        is_address: It was brought from an object store.
    """

    folder: Path
    given: str
    is_address: bool = False

    def named(self, text: str) -> str:
        """A text with the output called as it was given."""
        return text.replace(str(self.folder), self.given) if self.is_address else text


@contextmanager
def output_place(given: str, config: Path | None, *, without_tables: bool = False) -> Iterator[OutputPlace]:
    """The output that was given; one in an object store is brought down meanwhile, to be looked at.

    Args:
        given: A folder, or an address.
        config: A job file that says how stores are reached.
        without_tables: No Parquet file of it is needed.

    Raises:
        ConfigError: Nothing was carried to the address, or it names no place.
        OutputError: The store cannot be read.
    """
    from batchsearch.storage.stores.address import is_store_url

    if not is_store_url(given):
        yield OutputPlace(Path(given), given)
        return
    from batchsearch.storage.output_layout import NoOutputError
    from batchsearch.storage.remote.store_output import fetch_outputs

    with tempfile.TemporaryDirectory(prefix="batchsearch-look-") as temporary:
        folder = Path(temporary, "output")
        folder.mkdir()
        if not fetch_outputs(given, connections_in(config), folder, without_tables=without_tables):
            raise NoOutputError(f"{given}: no job has run here: the store has no index of an output there")
        yield OutputPlace(folder, given, is_address=True)


def connections_in(config: Path | None) -> ConnectionsSettings | None:
    """How a job file says that stores are reached; None without one."""
    if config is None:
        return None
    from batchsearch.config.sections.image_settings import connections_of

    settings = load(config, ()).settings
    return connections_of(settings.stores, settings.images.stores)
