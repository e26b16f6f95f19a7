"""The job file's settings: names, types, defaults, and what each is for.

Every field's `description` is what `config check` and the documentation show. Paths are text, marked
`IS_PATH`; `load` makes relative ones absolute against the job file's folder. Rules that span settings
stand at the later one of them, so that each is checked and reported by itself.
"""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, create_model, field_validator

from batchsearch.config.sections.call_settings import CallSettings
from batchsearch.config.sections.compare_settings import CompareSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.dedup_settings import DedupSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.config.sections.instance_settings import EMULATOR, InstanceSettings
from batchsearch.config.sections.load_settings import LoadSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.manifest_settings import ManifestSettings  # noqa: TC001 - pydantic reads it
from batchsearch.config.sections.metrics_settings import MetricsSettings
from batchsearch.config.sections.notify_settings import NotifySettings
from batchsearch.config.sections.section import Settings, Share, allowed_of
from batchsearch.config.sections.store_settings import ConnectionsSettings, RemoteOutput
from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.config.shape import IS_PATH, ONE_OR_MANY
from batchsearch.nearest import did_you_mean
from batchsearch.service.facts import (
    MAX_RESULTS,
)

PRIORITY: Final = "priority"
"""What `manifest.columns` calls the column that says which rows go first."""

INSTANCE: Final = "instance"
"""What `manifest.columns` calls the column that says which of a job's instances a row goes to."""

OperationName = Literal[
    "SearchImageByPic",
    "SearchImageByName",
    "CompareSimilarByImage",
    "SearchImageByText",
    "SearchImageByFilter",
    "CheckImageExists",
    "AddImage",
    "UpdateImage",
    "DeleteImage",
]

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
    held: Annotated[str | None, IS_PATH] = Field(
        None,
        description="An export of the instance (`batchsearch instance export`): images that it has, with the "
        "attributes that the job gives, are not added again by AddImage or by `dedup.sync: add`. It knows "
        "names, not pixels: a row whose image changes later is added all the same.",
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
    image_copies_mb: int | None = Field(
        None,
        ge=0,
        description="Small copies of added images that the instance keeps for the console, megabytes at "
        "most; 0 keeps none. 256 in `batchsearch console` when absent, none in other commands.",
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
    only_instance: str | None = Field(
        None,
        description="Work on the rows of this one of the instances alone, as if the manifest had no others: "
        "for a run of its own for each instance, each with an `output.dir` of its own, "
        "`…/instance=NAME`.",
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
    max_failed: Share = Field(
        "10%",
        description="Failed rows allowed before the exit code is 3: a share (`5%`) or a number of rows.",
    )
    max_deleted: Share = Field(
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
    workers: WorkerSettings = Field(
        default_factory=WorkerSettings, description="Where images are made ready to be sent."
    )
    load: LoadSettings | None = Field(
        None, description="Where `batchsearch load` puts images for batch tasks."
    )
    dedup: DedupSettings | None = Field(
        None, description="Which products are the same, for `batchsearch dedup`."
    )
    compare: CompareSettings | None = Field(
        None, description="Which pairs `batchsearch compare` makes, and what becomes of their scores."
    )

    @field_validator("dedup")
    @classmethod
    def _has_a_bucket(cls, dedup: DedupSettings | None, info: ValidationInfo) -> DedupSettings | None:
        load = info.data.get("load")
        if dedup is not None and dedup.load_above is not None:
            if load is None:
                raise ValueError("`load_above` needs the section `load`: the bucket that images are put into")
            if load.names != "pic_name":
                raise ValueError(
                    "`load_above` needs `load.names: pic_name`: images are updated and deleted by the row's "
                    "own name"
                )
        return dedup

    @field_validator("instances")
    @classmethod
    def _names_differ(cls, instances: list[InstanceSettings], info: ValidationInfo) -> list[InstanceSettings]:
        first = info.data.get("instance")
        names = [each.name for each in instances] + ([first.name] if first is not None else [])
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is there twice; rows find their instance by its name")
        return instances

    @field_validator("only_instance")
    @classmethod
    def _is_one_of_them(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None or info.data.get("instance") is None or "instances" not in info.data:
            return name
        known = [each.name for each in (info.data["instance"], *info.data["instances"])]
        if name not in known:
            raise ValueError(f"the job has no instance {name[:40]!r}{did_you_mean(name, known)}")
        return name

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

    @field_validator("output")
    @classmethod
    def _no_call_outlasts_the_lease(cls, output: OutputSettings, info: ValidationInfo) -> OutputSettings:
        calls = info.data.get("calls")
        if calls is not None and output.lease_seconds < 3 * calls.connect_timeout:
            raise ValueError(
                f"`lease_seconds: {output.lease_seconds:g}` has to be three times `calls.connect_timeout` "
                f"({calls.connect_timeout:g}) or more, so that no call leaves after the lease has lapsed"
            )
        return output

    def failures_allowed(self, rows: int) -> float:
        """How many of `rows` may fail before the run counts as failed."""
        return allowed_of(self.max_failed, rows)
