"""A job with several instances taken apart into lanes, one for each instance, and put together again (pure).

A lane is the same job narrowed to the rows of one instance, with an output of its own below that of the
whole::

    output.dir = s3://bucket/night
    ├── instance=shop_a/    its results, its hits, its ledger, its lease
    └── instance=shop_b/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.engine.job.instance_worker import all_workers_of
from batchsearch.storage.output_layout import is_lane, lane_folder
from batchsearch.storage.stores.address import is_store_url

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings


JOURNAL_SECONDS: Final = 0.25
"""How long the answers of a lane are gathered that moves from worker to worker, unless the job says it."""


def lanes_of(settings: JobSettings) -> dict[str, JobSettings]:
    """The lanes of a job by the names of their instances, in the job's order."""
    return {
        worker.instance.name: lane_of(settings, worker.instance.name) for worker in all_workers_of(settings)
    }


def lane_of(settings: JobSettings, name: str) -> JobSettings:
    """The job that works on the rows of one instance alone, into an output below the whole's."""
    output, emulator = settings.output, settings.emulator
    places: dict[str, object] = {"dir": _below(output.dir, name)}
    if output.journal_seconds is None and is_store_url(output.dir):
        places["journal_seconds"] = JOURNAL_SECONDS
    if output.work_dir is not None:
        places["work_dir"] = _below(output.work_dir, name)
    if emulator.data is not None:
        # Two processes cannot keep their embedded instances in one folder.
        emulator = emulator.model_copy(update={"data": _below(emulator.data, name)})
    return settings.model_copy(
        update={
            "only_instance": name,
            "output": output.model_copy(update=places),
            "emulator": emulator,
        }
    )


def whole_of(settings: JobSettings) -> JobSettings:
    """The job that a lane was taken from; any other job as it is."""
    output, emulator = settings.output, settings.emulator
    places = {"dir": _above(output.dir), "work_dir": _above(output.work_dir)}
    return settings.model_copy(
        update={
            "only_instance": None,
            "output": output.model_copy(update=places),
            "emulator": emulator.model_copy(update={"data": _above(emulator.data)}),
        }
    )


def _below(place: str, name: str) -> str:
    return f"{place.rstrip('/')}/{lane_folder(name)}"


def _above(place: str | None) -> str | None:
    above, _, last = (place or "").rpartition("/")
    return above if is_lane(last) else place
