"""The job file's `dedup` section: what makes two products the same, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from batchsearch.config.sections.section import Settings, Share
from batchsearch.config.shape import IS_PATH, ONE_OR_MANY

SyncName = Literal["none", "add", "update", "delete"]
SYNC_ORDER: Final[tuple[SyncName, ...]] = ("delete", "add", "update")
"""The order in which an instance is brought in step: what is deleted makes room for what is added."""
PrecheckName = Literal["none", "report", "first", "instead"]
RepresentativeName = Literal["most_images", "best_image", "oldest"]


class ChainGuardSettings(Settings):
    """When a group that hangs together by a chain of pairs is taken apart."""

    min_share: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Two groups of products become one only if at least this share of the pairs between "
        "them resemble each other.",
    )
    largest: int = Field(50, ge=2, description="Clusters of more products are marked for review.")


class DedupSettings(Settings):
    """Which products are the same, night after night."""

    threshold: float = Field(
        0.8, gt=0, le=1, description="Pairs of products with at least this `Score` are duplicates."
    )
    thresholds: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict,
        description="Another threshold for a category: of `category_column`, or the service's category id.",
    )
    category_column: str | None = Field(
        None,
        description="Column of the manifest that `thresholds` goes by; where two products differ in it, the "
        "higher threshold applies. The service's category of the image found when absent.",
    )
    near: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Pairs up to this much below their threshold are kept in `pairs` without being "
        "accepted: they resemble each other, which is what the chain guard goes by.",
    )
    colours: float | None = Field(
        0.55,
        gt=0,
        le=1,
        description="Products whose best matching images differ more than this in colour, 0 to 1, are "
        "variants and no duplicates. Their images are read once for it; `null` does not look at colours.",
    )
    verify: int | None = Field(
        10,
        ge=1,
        description="So many of each product's best pairs are verified on the images themselves: only what "
        "is one photograph in one light is a duplicate, the rest is for review. `null` decides by score and "
        "colours alone.",
    )
    different_when: tuple[str, ...] = Field(
        (),
        description="Columns whose values speak against a pair: products that differ in one of them are "
        "different, and those that agree in all of them are one variant, whose photographs may differ twice "
        "as much in light and colour. Empty cells, and products whose rows disagree, say nothing.",
    )
    same_when: tuple[str, ...] = Field(
        (),
        description="Columns whose values speak for a pair, such as a GTIN: products that share one are the "
        "same where they resemble each other at all. Empty cells, and products whose rows disagree, say "
        "nothing.",
    )
    title_column: str | None = Field(
        None,
        description="Column with the product's title, shown beside its images in tables and page; one of the "
        "usual names (`title`, `product_name`, `name`) when absent. Titles also tell what an image is worth "
        "that is on many products.",
    )
    min_confidence: float = Field(
        0.5, ge=0, le=1, description="Clusters whose pairs are less sure than this on average are not made."
    )
    mutual_best: int | None = Field(
        None,
        ge=1,
        description="Accept only pairs of which each product is among the other's so many best; "
        "1 allows only the best one.",
    )
    product_column: str | None = Field(
        None,
        description="Column with the product id as the instance knows it; `product_id`, or else the first "
        "column of the key, when absent.",
    )
    pic_name_column: str | None = Field(
        None,
        description="Column with the image's name as the instance knows it; `pic_name`, or else the second "
        "column of the key, when absent.",
    )
    outside: Literal["drop", "keep"] = Field(
        "drop",
        description="Products that the manifest does not have (any more), but the instance or an earlier "
        "night has: left out of pairs and clusters (`drop`), or treated like the others (`keep`).",
    )
    chain_guard: ChainGuardSettings = Field(
        default_factory=ChainGuardSettings, description="When a chain of pairs is no cluster."
    )
    representative: RepresentativeName = Field(
        "most_images",
        description="Which product stands for a cluster: the one with the `most_images`, with the "
        "`best_image` (most pixels), or the `oldest` by `oldest_column`. Ties go to the next rule.",
    )
    oldest_column: str | None = Field(
        None,
        validate_default=True,
        description="Column whose smallest value is the oldest product: a date, a number or text.",
    )
    judgements: Annotated[tuple[str, ...], ONE_OR_MANY, IS_PATH] = Field(
        (),
        description="CSV files of pairs that people have judged, one or a list, with the columns product_a, "
        "product_b and judgement (`same` or `different`), and judged_at where they know it. Of several "
        "judgements on one pair the newest holds. A file may not be there yet.",
    )
    sync: Annotated[tuple[SyncName, ...], ONE_OR_MANY] = Field(
        ("none",),
        description="Keep the instance in step: `add` new and changed images, `update` attributes, "
        "`delete` images that have left the manifest, several of these as a list, or `none`.",
    )
    load_above: int | None = Field(
        None,
        ge=1,
        description="With more images to add than this, `sync: add` brings them by a batch task, as "
        "`batchsearch load` does; needs the section `load`. Always by calls when absent.",
    )
    max_deleted: Share = Field(
        "10%",
        description="Images that `sync: delete` may delete in one night: a share (`10%`) of those that the "
        "manifest has had, or a number. When more have left the manifest, the night stops before anything "
        "is changed; `--delete-all-missing` lets it go on for once.",
    )
    order: Literal["add_first", "search_first"] = Field(
        "add_first", description="Whether the instance is brought in step before the search or after it."
    )
    attributes: dict[str, str] = Field(
        default_factory=dict,
        description="What `sync` gives with each image: parameters of AddImage or UpdateImage, such as "
        "`category_id` or `str_attr`, each with its column.",
    )
    precheck: PrecheckName = Field(
        "none",
        description="Look for equal images before any call: `report` them, call them `first`, or make no "
        "call for the later copies (`instead`).",
    )
    keep_nights: int = Field(
        7, ge=0, description="Earlier nights whose pairs and clusters are kept in `nights/`, for `diff`."
    )

    @field_validator("near")
    @classmethod
    def _near_below_the_threshold(cls, near: float, info: ValidationInfo) -> float:
        given = [info.data.get("threshold", 1.0), *info.data.get("thresholds", {}).values()]
        if near >= min(given):
            raise ValueError(f"must be less than every threshold; the lowest is {min(given):g}")
        return near

    @field_validator("sync")
    @classmethod
    def _sync_is_plain(cls, sync: tuple[SyncName, ...]) -> tuple[SyncName, ...]:
        if "none" in sync and len(sync) > 1:
            raise ValueError("`none` stands alone")
        return sync

    @field_validator("oldest_column")
    @classmethod
    def _oldest_needs_a_column(cls, column: str | None, info: ValidationInfo) -> str | None:
        if column is None and info.data.get("representative") == "oldest":
            raise ValueError(
                "is needed for `representative: oldest`: the column that says how old a product is"
            )
        return column

    @property
    def upkeep(self) -> tuple[SyncName, ...]:
        """What brings the instance in step, in the order in which it is done."""
        return tuple(name for name in SYNC_ORDER if name in self.sync)

    @property
    def floor(self) -> float:
        """The lowest score that a pair is kept with."""
        return min(self.threshold, *self.thresholds.values(), 1.0) - self.near
