"""The job file's settings: names, types, defaults, and what each is for.

Every field's `description` is what `config check` and the documentation show. Paths are text, marked
`IS_PATH`; `load` makes relative ones absolute against the job file's folder. Rules that span settings
stand at the later one of them, so that each is checked and reported by itself.
"""

from __future__ import annotations

import math
from datetime import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, create_model, field_validator

from batchsearch.config.sections.compare_settings import CompareSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.dedup_settings import DedupSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.config.sections.manifest_settings import ManifestSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.metrics_settings import MetricsSettings
from batchsearch.config.sections.notify_settings import NotifySettings
from batchsearch.config.sections.proxy_settings import proxy_setting
from batchsearch.config.sections.rate_setting import UNLIMITED, Rate
from batchsearch.config.sections.section import Settings
from batchsearch.config.sections.share import allowed_of, checked_share
from batchsearch.config.sections.store_settings import ConnectionsSettings, RemoteOutput
from batchsearch.config.shape import IS_PATH, ONE_OR_MANY
from batchsearch.proxies import ENVIRONMENT as PROXIES_OF_ENVIRONMENT
from batchsearch.service.facts import (
    MAX_ID,
    MAX_INSTANCE_NAME,
    MAX_LONG_ID,
    MAX_RESULTS,
    REGIONS,
    TIERS,
    ServiceTypeName,
)

PRIORITY: Final = "priority"
"""What `manifest.columns` calls the column that says which rows go first."""

INSTANCE: Final = "instance"
"""What `manifest.columns` calls the column that says which of a job's instances a row goes to."""

OperationName = Literal[
    "SearchImageByPic",
    "SearchImageByName",
    "CompareSimilarByImage",
    "AddImage",
    "UpdateImage",
    "DeleteImage",
]

EMULATOR: Final = "emulator"
"""The `instance.endpoint` that means the embedded instance."""


class InstanceSettings(Settings):
    """Which Image Search instance is called, and how fast."""

    endpoint: str | None = Field(
        None,
        description="Host of the service, `http://host:port` for a local one, or `emulator` for the "
        "embedded instance. Derived from `region` when absent.",
    )
    region: str | None = Field(
        None, validate_default=True, description="Region of the instance, such as `ap-southeast-1`."
    )
    vpc: bool = Field(default=False, description="Use the region's VPC endpoint.")
    custom_qps: bool = Field(default=False, description="Allow a `qps` that is not a purchasable tier.")
    name: str = Field(
        min_length=1, max_length=MAX_INSTANCE_NAME, description="Instance name (not the instance id)."
    )
    qps: Rate = Field(
        description="Purchased queries per second: 1, 5 or 10. Another rate needs `custom_qps: true`. "
        "`unlimited`, for the embedded instance only: as fast as the cores allow."
    )
    add_qps: float = Field(
        5.0, gt=0, description="Images added per second, a budget of its own: 1 for instances of 100,000."
    )
    update_qps: float = Field(20.0, gt=0, description="Updates per second, a budget of its own.")
    delete_qps: float = Field(20.0, gt=0, description="Deletions per second, a budget of its own.")
    share: float = Field(1.0, gt=0, le=1, description="Part of each rate that this job may use.")
    monthly_price: float | None = Field(
        None, ge=0, description="What the instance costs a month, for `batchsearch plan`."
    )
    currency: str = Field("", max_length=8, description="Of that price, such as `USD`.")
    shared: Literal["auto", "none", "host", "redis"] = Field(
        "auto",
        description="Who shares this instance's rate: nobody else (`none`), processes of this host (`host`), "
        "or of several hosts through a Redis server (`redis`). `auto` is `host` for a purchased instance.",
    )
    redis: str | None = Field(
        None,
        description="The Redis server, `redis://host:6379/0`; one with a password belongs into the "
        "environment, BATCHSEARCH_REDIS_URL.",
    )
    service_type: ServiceTypeName = Field("generic", description="Kind of instance; decides the image rules.")
    longest_id: int = Field(
        MAX_ID,
        ge=1,
        le=MAX_LONG_ID,
        description="Most characters of a product id and of an image name: the vendor's documents say 256, "
        "older ones 512.",
    )

    @property
    def unlimited(self) -> bool:
        """Whether calls are made as fast as the cores allow, by any budget."""
        return math.isinf(self.qps)

    def qps_of(self, budget: str) -> float:
        """Calls per second granted to a budget (`api.operations.Budget`); infinite where unlimited."""
        if self.unlimited:
            return math.inf
        return {"add": self.add_qps, "update": self.update_qps, "delete": self.delete_qps}.get(
            budget, self.qps
        )

    @field_validator("endpoint")
    @classmethod
    def _only_a_host(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        scheme, has_scheme, host = endpoint.rpartition("://")
        if has_scheme and scheme not in ("http", "https"):
            raise ValueError("takes `http://` or `https://` before the host, or neither")
        if (
            not host
            or any(character in host for character in "/?#@\\")
            or not host.isprintable()
            or " " in host
        ):
            raise ValueError("must be a host, `http://host:port` or `emulator`: no path, user or query")
        return endpoint

    @field_validator("region")
    @classmethod
    def _known_region(cls, region: str | None, info: ValidationInfo) -> str | None:
        # With an endpoint of its own an unlisted region may be right: the vendor adds some.
        if region is not None and region not in REGIONS and info.data.get("endpoint") is None:
            regions = ", ".join(REGIONS)
            raise ValueError(f"{region!r} is not a known region ({regions}); give `endpoint` if it is right")
        return region

    @field_validator("region", mode="before")
    @classmethod
    def _endpoint_or_region(cls, region: object, info: ValidationInfo) -> object:
        if region is None and "endpoint" in info.data and info.data["endpoint"] is None:
            raise ValueError("is needed to find the service, unless `endpoint` is given")
        return region

    @field_validator("qps")
    @classmethod
    def _known_tier(cls, qps: float, info: ValidationInfo) -> float:
        if math.isinf(qps):
            if info.data.get("endpoint", EMULATOR) == EMULATOR:
                return qps
            tiers = ", ".join(str(tier) for tier in TIERS)
            raise ValueError(
                f"`{UNLIMITED}` is for the embedded instance (`endpoint: {EMULATOR}`) only; write the rate "
                f"that was bought for this one ({tiers})"
            )
        if qps not in TIERS and info.data.get("custom_qps") is False:
            tiers = ", ".join(str(tier) for tier in TIERS)
            raise ValueError(
                f"{qps:g} is not a tier that can be bought ({tiers}); "
                "set `custom_qps: true` if another rate is meant"
            )
        return qps


class CallSettings(Settings):
    """How calls are made and repeated."""

    connect_timeout: float = Field(5.0, gt=0, description="Seconds to connect.")
    timeout: float = Field(30.0, gt=0, description="Seconds for a whole call.")
    max_attempts: int = Field(8, ge=1, description="Most calls made for one answer.")
    max_retry_seconds: float = Field(600.0, gt=0, description="A row older than this is not retried.")
    max_in_flight: int | None = Field(
        None, ge=1, description="Most calls waiting for answers; follows rate and latency when absent."
    )
    max_outage_seconds: float = Field(
        900.0,
        gt=0,
        description="A dead service or network is waited for so long, seconds; then the run ends, resumable.",
    )
    end_after: int = Field(
        3, ge=1, description="Run-ending codes in a row (no permission, no such instance …) that end the run."
    )
    signing: Literal["v3", "v1"] = Field(
        "v3", description="How requests are signed: ACS3-HMAC-SHA256 (`v3`) or RPC HMAC-SHA1 (`v1`)."
    )
    upload: Literal["body", "url"] = Field(
        "body",
        description="How images travel: base64 in the request (`body`), or uploaded to the vendor's object "
        "store first (`url`), which takes two more requests for each image but no call slot. Needs "
        "`instance.region`.",
    )
    open_platform: str | None = Field(
        None, description="Where permissions to upload are given; the vendor's own place when absent."
    )
    proxy: str = Field(
        PROXIES_OF_ENVIRONMENT,
        description="Proxy for calls: `environment` (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), `none`, or "
        "`http://host:port`. One with a password belongs into the environment. This machine itself is "
        "always asked directly.",
    )

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, proxy: str) -> str:
        return proxy_setting(proxy)


if TYPE_CHECKING:
    _ReuseFrom = Settings
else:
    # `from` cannot be written as a name in Python.
    _ReuseFrom = create_model(
        "_ReuseFrom",
        __base__=Settings,
        **{
            "from": (
                Annotated[tuple[str, ...], IS_PATH, ONE_OR_MANY],
                Field(
                    (),
                    description="Other output folders whose answers serve equal requests, however old they "
                    "are: begin anew in another `output.dir`, and nothing is paid twice. They are only read.",
                ),
            )
        },
    )


class ReuseSettings(_ReuseFrom):
    """Which requests need no call of their own."""

    max_age_hours: float = Field(
        24.0,
        ge=0,
        description="Answers of earlier runs serve equal requests while they are no older than this. "
        "Within a run equal requests are always one call.",
    )
    notice_changes: Literal["no", "manifest", "files", "contents"] = Field(
        "files",
        description="What is looked at to notice that a finished row has changed: nothing (`no`), what the "
        "manifest says of it, also its image's file by size and time, or every image anew (`contents`). "
        "A changed row gets a new outcome; an image that cannot be reached says nothing.",
    )
    renew_after_hours: float | None = Field(
        None, gt=0, description="Outcomes older than this get a new one in the next round; never when absent."
    )
    retry: Literal["passing", "none"] = Field(
        "passing",
        description="Which failed rows are asked for again once a round is complete: those that failed for "
        "reasons that pass (network, overload), or none. `batchsearch retry` picks others.",
    )
    notice_parameters: bool = Field(
        default=True,
        description="A row whose parameters have changed gets a new outcome; else only changed images count.",
    )
    changed_job: Literal["refuse", "renew"] = Field(
        "refuse",
        description="What a run does when a setting that decides answers is another than the output's: it "
        "ends and says which (`refuse`), or asks again for the rows that would ask something else now "
        "(`renew`, or `--renew` for once).",
    )
    symmetric_pairs: bool = Field(
        default=False,
        description="CompareSimilarByImage: the pairs (A, B) and (B, A) are one call.",
    )

    @property
    def folders(self) -> tuple[str, ...]:
        """The setting `from`: output folders whose answers serve."""
        return tuple(getattr(self, "from"))


class WindowSettings(Settings):
    """When calls may be made."""

    start: str = Field(description="Time of day from which calls are made, `HH:MM`.")
    end: str = Field(description="Time of day at which the run stops, `HH:MM`; it may be past midnight.")
    tz: str = Field("UTC", description="Time zone of both, such as `Europe/Berlin`.")

    @field_validator("start", "end")
    @classmethod
    def _time_reads(cls, text: str) -> str:
        try:
            time.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no time of day like `22:00`") from None
        return text

    @field_validator("tz")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"{name[:40]!r} is no time zone like `Europe/Berlin`") from None
        return name


class OutputSettings(RemoteOutput):
    """Where results go."""

    dir: Annotated[str, IS_PATH] = Field(
        min_length=1,
        description="Folder of `results/`, `hits/` and the ledger, on this machine or in an object store "
        "(`s3://bucket/folder`).",
    )
    rows_per_part: int = Field(5_000, ge=1, description="Rows in one Parquet part.")
    seal_seconds: float = Field(300.0, gt=0, description="A part is written at least this often, seconds.")


class TruthSettings(Settings):
    """Columns that say what should come out, for demonstrations and acceptance runs."""

    first_hit: str | None = Field(
        None, description="Column with the product id expected as first hit; null where none is expected."
    )
    outcome: str | None = Field(None, description="Column with the expected outcome: `ok` or an error code.")


class CatalogueSettings(Settings):
    """Images that the embedded instance holds."""

    manifest: ManifestSettings = Field(description="The products: `columns` maps AddImage's parameters.")
    root: Annotated[str | None, IS_PATH] = Field(
        None, description="Folder that image paths start from; the manifest's folder when absent."
    )


class EmulatorSettings(Settings):
    """The embedded instance, when `instance.endpoint` is `emulator`."""

    catalogue: CatalogueSettings | None = Field(None, description="What to index before the run.")
    data: Annotated[str | None, IS_PATH] = Field(
        None, description="Folder that keeps the instance between runs; inside the output folder when absent."
    )
    qps: float | None = Field(
        None, gt=0, description="Queries per second that the instance grants; `instance.qps` when absent."
    )
    predicted_category_limits: bool = Field(
        True,
        description="On product instances, a search without a category finds only images of the category "
        "that is predicted, as the service's pages say; false: of every category.",
    )
    faults: dict[str, Any] | None = Field(
        None,
        description="What goes wrong, to practise on: a `seed` and `rules`, each with an effect (`error`, "
        "`latency`, `reset` …), `operations`, `probability`, `times`; see `configs/bad-night.yaml`.",
    )

    @field_validator("faults")
    @classmethod
    def _faults_read(cls, faults: dict[str, Any] | None) -> dict[str, Any] | None:
        if faults is not None:
            from batchsearch.emulator.faults import parse_plan

            parse_plan(faults)
        return faults


class JobSettings(Settings):
    """One job: an operation over a manifest."""

    operation: OperationName = Field(description="What is called for each row.")
    instance: InstanceSettings = Field(description="Which instance is called.")
    instances: list[InstanceSettings] = Field(
        default_factory=list,
        description="Further instances, each with its own rate; a manifest column mapped to `instance` names "
        "the one that a row goes to. Rows that name none go to `instance`.",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameters of the operation for every row, by snake_case name; "
        "a column of the manifest wins over them.",
    )
    results_per_row: int | None = Field(
        None, ge=1, le=MAX_RESULTS, description="Hits wanted for each row; more than 100 takes several calls."
    )
    manifest: ManifestSettings = Field(description="The rows.")
    images: ImageSettings = Field(default_factory=ImageSettings, description="The images.")
    calls: CallSettings = Field(default_factory=CallSettings, description="How calls are made.")
    reuse: ReuseSettings = Field(
        default_factory=ReuseSettings, description="Which requests need no call of their own."
    )
    window: WindowSettings | None = Field(None, description="When calls may be made; always when absent.")
    codes: dict[str, Literal["retry", "fail_row", "end_run"]] = Field(
        default_factory=dict, description="Another action for an error code than the table's."
    )
    stores: ConnectionsSettings | None = Field(
        None, description="How object stores are reached that hold the manifest or the output."
    )
    output: OutputSettings = Field(description="Where results go.")
    max_failed: str | float = Field(
        "10%",
        description="Failed rows allowed before the exit code is 3: a share (`5%`) or a number of rows.",
    )
    max_deleted: str | float = Field(
        "10%",
        description="Deletions that a DeleteImage job may make in one run: a share (`10%`) of the images "
        "that the instance says it holds, or a number. A run that would make more makes none.",
    )
    truth: TruthSettings = Field(default_factory=TruthSettings, description="What should come out.")
    emulator: EmulatorSettings = Field(default_factory=EmulatorSettings, description="The embedded instance.")
    metrics: MetricsSettings = Field(
        default_factory=MetricsSettings, description="Where a run's numbers go while it works."
    )
    notify: NotifySettings = Field(default_factory=NotifySettings, description="Who is told how a run ended.")
    dedup: DedupSettings | None = Field(
        None, description="Which products are the same, for `batchsearch dedup`."
    )
    compare: CompareSettings | None = Field(
        None, description="Which pairs `batchsearch compare` makes, and what becomes of their scores."
    )

    @field_validator("instances")
    @classmethod
    def _names_differ(cls, instances: list[InstanceSettings], info: ValidationInfo) -> list[InstanceSettings]:
        first = info.data.get("instance")
        names = [each.name for each in instances] + ([first.name] if first is not None else [])
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice; rows find their instance by its name")
        return instances

    @field_validator("manifest")
    @classmethod
    def _rows_name_their_instance(cls, manifest: ManifestSettings, info: ValidationInfo) -> ManifestSettings:
        if info.data.get("instances") and INSTANCE not in manifest.columns:
            raise ValueError(
                "has to map a column to `instance` (`columns: {instance: shop}`): with `instances`, rows say "
                "where they go"
            )
        return manifest

    @field_validator("manifest")
    @classmethod
    def _num_not_row_by_row(cls, manifest: ManifestSettings, info: ValidationInfo) -> ManifestSettings:
        given = [name for name in ("num", "start") if name in manifest.columns]
        if info.data.get("results_per_row") is not None and given:
            raise ValueError(
                f"maps the column {manifest.columns[given[0]]!r} to `{given[0]}`, which `results_per_row` "
                "decides for all rows; give one of them"
            )
        return manifest

    @field_validator("results_per_row")
    @classmethod
    def _num_once(cls, results_per_row: int | None, info: ValidationInfo) -> int | None:
        given = [name for name in ("num", "start") if name in info.data.get("parameters", {})]
        if results_per_row is not None and given:
            raise ValueError(f"says the same as `parameters.{given[0]}`; give one of them")
        return results_per_row

    @field_validator("calls")
    @classmethod
    def _upload_has_a_region(cls, calls: CallSettings, info: ValidationInfo) -> CallSettings:
        instance = info.data.get("instance")
        if (
            calls.upload == "url"
            and instance is not None
            and not (instance.region or instance.endpoint == EMULATOR)
        ):
            raise ValueError(
                "`upload: url` needs `instance.region`: permissions to upload are given by region"
            )
        return calls

    @field_validator("max_failed", "max_deleted")
    @classmethod
    def _share_reads(cls, share: str | float) -> str | float:
        return checked_share(share)

    def failures_allowed(self, rows: int) -> float:
        """How many of `rows` may fail before the run counts as failed."""
        return allowed_of(self.max_failed, rows)
