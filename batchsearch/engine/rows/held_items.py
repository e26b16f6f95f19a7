"""What an instance holds already, by an export of it: such a row of an AddImage job needs no call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.engine.digest_set import DigestSet
from batchsearch.engine.rows.answer_cache import CachedAnswer
from batchsearch.errors import ConfigError, OutputError, Problem
from batchsearch.service.facts import SERVICE_TYPES
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.rows.pending_row import PendingRow

ADDS: Final = "AddImage"
_IDS: Final = ("product_id", "pic_name")
_NOT_COMPARED: Final = frozenset({"region", "crop"})
"""A region is told in the pixels of the image that was sent, which nobody has here."""
SAID: Final = "the instance holds it already, by its export"


class HeldItems:
    """Knows the images of an export, each with the attributes that a job speaks of.

    Args:
        digests: Of names and attributes.
        told: The attributes, in order.
    """

    def __init__(self, digests: DigestSet, told: tuple[str, ...]) -> None:
        self._digests = digests
        self._told = told
        self._answer = CachedAnswer("", datetime.now(UTC), {"response_message": SAID}, (), None)

    @classmethod
    def of(cls, settings: JobSettings) -> Self | None:
        """What the job's `reuse.held` names; None where it names nothing, or the job adds nothing.

        Raises:
            ConfigError: The file is no export.
            OutputError: It cannot be read.
        """
        if settings.reuse.held is None or settings.operation != ADDS:
            return None
        told = {*settings.manifest.columns, *settings.parameters}
        names = tuple(sorted(compared_attributes(told, settings.instance.service_type)))
        return cls(DigestSet(_digests(Path(settings.reuse.held), names)), names)

    def take(self, pending: PendingRow) -> bool:
        """Answer a row that is held, and say whether it was; a row that has changed is not looked for."""
        if pending.renewal is not None or _digest(pending.values, self._told) not in self._digests:
            return False
        pending.cached = self._answer
        pending.request_key = sha256(pending.digest).hexdigest()
        return True


def compared_attributes(told: Collection[str], service_type: str) -> frozenset[str]:
    """Attributes by which an image of a catalogue is compared with one that an instance holds.

    Args:
        told: What the catalogue speaks of, by snake_case name.
        service_type: The kind of instance; where there is one category only, it says nothing.
    """
    names = OPERATIONS[ADDS].keys.intersection(told) - {*_IDS, *_NOT_COMPARED}
    return names if SERVICE_TYPES[service_type].category is None else names - {"category_id"}


def _digests(file: Path, told: tuple[str, ...]) -> Iterator[bytes]:
    try:
        with pq.ParquetFile(file) as table:
            wanted = (*_IDS, *told)
            missing = [name for name in wanted if name not in table.schema_arrow.names]
            if missing:
                what = f"{file} has no column {missing[0]!r}; `batchsearch instance export` makes one"
                raise ConfigError([Problem("reuse.held", what)])
            for batch in table.iter_batches(columns=list(wanted)):
                for row in batch.to_pylist():
                    yield _digest(row, told)
    except FileNotFoundError:
        what = f"{file} is not there; `batchsearch instance export` makes one"
        raise ConfigError([Problem("reuse.held", what)]) from None
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{file}: cannot be read: {error}") from error


def _digest(values: Mapping[str, Any], told: tuple[str, ...]) -> bytes:
    said = [values.get(name) for name in (*_IDS, *told)]
    return blake2b(json.dumps(said).encode(), digest_size=16).digest()
