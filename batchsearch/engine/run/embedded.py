"""The embedded instance of a job: started beside the run, filled with its catalogue by real calls."""

from __future__ import annotations

import asyncio
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.config.sections.image_settings import connections_of
from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.emulator.installed import check_installed
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.rows.pending_row import JobFacts
from batchsearch.engine.rows.preparer import Preparer
from batchsearch.engine.run.direct_calls import DirectClient, calls_at_once
from batchsearch.engine.run.manifest_check import checked
from batchsearch.errors import ConfigError
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.publish import own_name, write_text
from batchsearch.service.client import Client
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.credentials import Credentials, StaticCredentials
from batchsearch.service.endpoint import parse_endpoint
from batchsearch.service.facts import TIERS
from batchsearch.service.form import build_call, build_handed_call
from batchsearch.service.http_exchange import new_session
from batchsearch.service.operations import OPERATIONS
from batchsearch.steps import step
from batchsearch.storage.ledger.entries import digest_of

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from batchsearch.config.model import CatalogueSettings, JobSettings
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.emulator.flow import Budget
    from batchsearch.emulator.instance_options import InstanceOptions
    from batchsearch.emulator.server import Emulator
    from batchsearch.manifest.rows import Row, RowBatch
    from batchsearch.steps import Step

_ADD: Final = OPERATIONS["AddImage"]
_INDEXED: Final = "indexed.json"
_LISTED: Final = 10


def start(settings: JobSettings) -> Emulator:
    """Start the job's embedded instance; stop it with its `stop`."""
    from batchsearch.emulator.faults import parse_plan
    from batchsearch.emulator.instance_options import EmulatorOptions

    check_installed()
    from batchsearch.emulator.server import Emulator
    from batchsearch.storage.stores.store_bucket import bucket_opener

    instances = tuple(
        _options_of(settings, worker.instance)
        for worker in workers_of(settings)
        if worker.instance.endpoint == EMULATOR
    )
    faults = parse_plan(settings.emulator.faults or {})
    options = EmulatorOptions(
        data=data_folder(settings),
        copies_bytes=(settings.emulator.image_copies_mb or 0) * 1_000_000,
        instances=instances,
        faults=faults,
        open_bucket=bucket_opener(settings.stores),
    )
    return Emulator(options).start()


def _options_of(settings: JobSettings, instance: InstanceSettings) -> InstanceOptions:
    from batchsearch.emulator.instance_options import InstanceOptions

    unlimited = instance.unlimited and not is_called_directly(settings, instance)
    rates: dict[Budget, float] = {
        "add": math.inf if unlimited else instance.add_qps,
        "update": math.inf if unlimited else instance.update_qps,
        "delete": math.inf if unlimited else instance.delete_qps,
    }
    if unlimited:
        # `Detail`, before deletions.
        rates["other"] = math.inf
    if settings.operation != _ADD.name:
        # Filling it is not what the job is about: no slot of the add budget is waited for.
        rates["add"] = math.inf
    return InstanceOptions(
        name=instance.name,
        service_type=instance.service_type,
        qps=settings.emulator.qps or _granted(settings, instance),
        rates=rates,
        predicted_category_limits=settings.emulator.predicted_category_limits,
        longest_id=instance.longest_id,
        buckets=dict([settings.load.bucket]) if settings.load is not None else {},
    )


def is_called_directly(settings: JobSettings, instance: InstanceSettings) -> bool:
    """Whether a job's calls to its embedded instance are handed over within the process.

    Tiers and faults are there to be practised, and uploads by address: they are met over HTTP.
    """
    return (
        instance.endpoint == EMULATOR
        and instance.unlimited
        and settings.emulator.qps is None
        and not settings.emulator.faults
        and settings.calls.upload == "body"
    )


def _granted(settings: JobSettings, instance: InstanceSettings) -> float:
    """Queries per second over HTTP: what others ask for keeps the largest tier beside a job's own calls."""
    return max(TIERS) if is_called_directly(settings, instance) else instance.qps


def data_folder(settings: JobSettings) -> Path:
    """Where the embedded instance keeps its items."""
    return Path(settings.emulator.data or Path(settings.output.dir) / "emulator")


def credentials_of(emulator: Emulator) -> StaticCredentials:
    """The key pair that the embedded instance accepts."""
    return StaticCredentials(Credentials(emulator.access_key_id, emulator.access_key_secret))


async def fill(
    settings: JobSettings, instance: InstanceSettings, emulator: Emulator, log: FilteringBoundLogger
) -> None:
    """Add the job's catalogue to an embedded instance, once: a second run finds it there.

    What cannot be added is left out and told, and tried again by the next run: a shop's export has a few
    images that are gone.

    Raises:
        ConfigError: Not one product of the catalogue can be added, or the instance refuses for a reason that
            is no product's; the message names some.
        ManifestError: The catalogue's table is not usable.
    """
    catalogue = settings.emulator.catalogue
    if catalogue is None:
        return
    base = catalogue.manifest.images_folder
    wanted = Wanted(
        images=tuple(image.role for image in _ADD.images), required=_ADD.required, allowed=_ADD.keys
    )
    stores = connections_of(settings.stores, settings.images.stores)
    manifest = Manifest.open(catalogue.manifest, base=base, wanted=wanted, stores=stores)
    identity = json.dumps([manifest.identity(), catalogue.model_dump(mode="json")], sort_keys=True)
    marker = data_folder(settings) / f"{instance.name}.{_INDEXED}"
    missing = _missing_from(marker, identity)
    if missing is not None and not missing:
        return
    products = await checked(manifest) if missing is None else len(missing)
    log.info("instance_indexing", products=products)
    indexing = step("indexing the catalogue", products)
    left_out: dict[str, str] = {}
    over_http = bool(settings.emulator.faults)
    with ThreadPoolExecutor(calls_at_once(), thread_name_prefix="index") as threads:
        async with (
            new_session(connections=calls_at_once()) as session,
            open_workshop(
                Path(catalogue.root or base),
                _images_of(settings, catalogue),
                executor=threads,
                jitter=lambda: 0.0,
            ) as workshop,
        ):
            client: Client | DirectClient = DirectClient(emulator.direct(), threads)
            if over_http:
                client = Client(session, parse_endpoint(emulator.endpoint), credentials_of(emulator))
            facts = JobFacts.of(
                run_id="",
                operation=_ADD.name,
                instance=instance.name,
                service_type=instance.service_type,
                parameters={},
                results_per_row=None,
                roles=tuple(image.role for image in _ADD.images),
                has_hits=False,
                longest_id=instance.longest_id,
            )
            rules = rules_for(instance.service_type, settings.images)
            build = build_call if over_http else build_handed_call
            preparer = Preparer(facts, rules, workshop, build=build)
            held = emulator.catalogue(instance.name)
            # Where these images are is in the table.
            held.keeps_copies = False
            try:
                for batch in manifest.batches():
                    left_out |= await _add(batch, facts, preparer, client, catalogue, indexing, missing)
            finally:
                held.keeps_copies = True
    if left_out:
        if missing is None and len(left_out) == products:
            some = "\n  ".join(list(left_out.values())[:_LISTED])
            raise ConfigError(f"{catalogue.manifest.path}: none of its products can be indexed:\n  {some}")
        log.warning("products_left_out", products=len(left_out), such_as=next(iter(left_out.values())))
    write_text(marker, json.dumps({"of": identity, "missing": sorted(left_out)}), own_name(marker))


def _missing_from(marker: Path, identity: str) -> frozenset[str] | None:
    """The products that an earlier run could not add, by their rows' keys; None where all are to be added."""
    try:
        text = marker.read_text(encoding="utf-8")
        if text == identity:  # as version 0.1 noted it
            return frozenset()
        noted = json.loads(text)
        return frozenset(map(str, noted["missing"])) if noted["of"] == identity else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _images_of(settings: JobSettings, catalogue: CatalogueSettings) -> ImageSettings:
    """How the catalogue's images are read: where it has a folder of its own, from there."""
    return settings.images if catalogue.root is None else settings.images.of_folder()


async def _add(  # noqa: PLR0917 - what is added, how and where to
    batch: RowBatch,
    facts: JobFacts,
    preparer: Preparer,
    client: Client | DirectClient,
    catalogue: CatalogueSettings,
    indexing: Step,
    only: frozenset[str] | None,
) -> dict[str, str]:
    """Add the rows of a batch, or those of some keys; why some of them cannot be added, by their keys."""
    at_once = asyncio.Semaphore(calls_at_once())

    async def one(row: Row) -> str | None:
        async with at_once:
            pending = facts.work_for(row, batch.carried, digest_of(row.key), None)
            failure = await preparer.prepare(pending)
            indexing.advance()
            if failure is not None or pending.call is None:
                return f"row {row.number + 1} ({row.key}): {failure and failure.message}"
            answer = await client.send(pending.call)
            if answer.code is None:
                return None
            why = f"row {row.number + 1} ({row.key}): {answer.code}: {answer.message}"
            if code_for(answer.code, answer.http_status).action != "fail_row":
                raise ConfigError(f"{catalogue.manifest.path}: its products cannot be indexed:\n  {why}")
            return why

    rows = [row for row in batch.rows if only is None or row.key in only]
    found = await asyncio.gather(*map(one, rows))
    return {row.key: why for row, why in zip(rows, found, strict=True) if why is not None}
