"""The job file's `load` section: how `batchsearch load` brings images to an instance by batch tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from batchsearch.config.sections.section import Settings
from batchsearch.config.shape import IS_PATH


class LoadSettings(Settings):
    """A bucket in the instance's region, and how much goes into one task."""

    to: Annotated[str, IS_PATH] = Field(
        min_length=1,
        description="Bucket and folder that images and their list are put into, `oss://bucket/folder`, "
        "in the instance's region. For an embedded instance also a local folder, which stands for a bucket.",
    )
    images_per_task: int = Field(
        1_000_000, ge=1, description="Most images of one batch task; more take several, one after another."
    )
    names: Literal["pic_name", "product_id/pic_name"] = Field(
        "pic_name",
        description="How images are named in the bucket, and so on the instance: by the row's `pic_name`, or "
        "with the product before it, where products have images of one name. A name without an image's "
        "extension gets one.",
    )
    at_once: int = Field(16, ge=1, le=256, description="Images put into the bucket at a time.")
    poll_seconds: float = Field(
        5.0, ge=1, description="A task is asked how far it is so often, seconds; once a second at most."
    )

    @property
    def bucket(self) -> tuple[str, str]:
        """The bucket's name, and its place: an address, or the local folder that stands for it."""
        scheme, is_address, path = self.to.partition("://")
        if not is_address:
            return Path(self.to).name or "bucket", self.to
        name = path.partition("/")[0]
        return name, f"{scheme}://{name}"
