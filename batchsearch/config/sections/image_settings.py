"""The job file's `images` section: where images come from and how they are made to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, field_validator

from batchsearch.config.base_address import SCHEMES, is_base
from batchsearch.config.sections.header_settings import check_headers
from batchsearch.config.sections.section import Proxy, Settings
from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection, StoresByScheme
from batchsearch.config.shape import IS_PATH, ONE_OR_MANY
from batchsearch.proxies import ENVIRONMENT as PROXIES_OF_ENVIRONMENT

if TYPE_CHECKING:
    from batchsearch.config.image_texts import TextKind

MOST_MEGAPIXELS: Final = 450
"""What `images.max_megapixels` can be set to: the largest cameras deliver 400."""


class StoreSettings(StoreConnection):
    """One object store that image addresses may lead to; its credentials come from the environment."""

    buckets: Annotated[tuple[str, ...], ONE_OR_MANY] = Field(
        min_length=1,
        description="What may be read: `bucket`, or `bucket/folder` for a part of one. Addresses that lead "
        "anywhere else are refused.",
    )

    @field_validator("buckets")
    @classmethod
    def _only_names(cls, buckets: tuple[str, ...]) -> tuple[str, ...]:
        for bucket in buckets:
            if not bucket.strip("/") or "://" in bucket or bucket.startswith("/"):
                raise ValueError(f"{bucket[:40]!r} is no bucket; write its name alone, or `bucket/folder`")
        return buckets


class StoresSettings(StoresByScheme[StoreSettings]):
    """Object stores that images may be read from; an address of one that is not named is refused."""


def connections_of(stores: ConnectionsSettings | None, images: StoresSettings) -> ConnectionsSettings:
    """How stores are reached that hold a job's manifest or output.

    Args:
        stores: The job's `stores`; None when it has none.
        images: Its `images.stores`, which also says it for a store that `stores` does not name.
    """
    given = {
        scheme: getattr(stores, scheme, None) or getattr(images, scheme)
        for scheme in ConnectionsSettings.model_fields
    }
    return ConnectionsSettings(
        **{
            scheme: StoreConnection(**each.model_dump(include=set(StoreConnection.model_fields)))
            for scheme, each in given.items()
            if each is not None
        }
    )


class ImageSettings(Settings):
    """Where images come from and how they are made to fit the service's rules."""

    root: Annotated[str | None, IS_PATH] = Field(
        None, description="Folder that relative paths start from; the manifest's folder when absent."
    )
    base_url: str | None = Field(
        None,
        description="Address that relative paths start from, such as a shop's media folder or a CDN: "
        "`https://shop.example/media/catalog/product`. A leading `/` is under it, and nothing leads out of "
        "it; `root` is not looked at then. Addresses with a scheme stay as they are.",
    )
    max_side: int | None = Field(
        None,
        ge=1,
        description="Shrink so that no side is longer, pixels; the service's own limit when absent.",
    )
    snap: bool = Field(
        default=True,
        description="A large JPEG may come out up to a tenth smaller than `max_side`, which its decoder does "
        "at a quarter of the cost.",
    )
    quality: int = Field(90, ge=1, le=100, description="JPEG quality of re-encoded images.")
    verify: Literal["none", "decode"] = Field(
        "none",
        description="`decode` also decodes images that comply, and so catches damage that their structure "
        "does not show, at ten times the cost.",
    )
    too_small: Literal["reject", "pad", "enlarge"] = Field(
        "reject",
        description="What becomes of an image with a side shorter than the service accepts: refused, set "
        "on a larger background, or enlarged.",
    )
    frame: int = Field(
        0,
        ge=0,
        le=999,
        description="Which image of an animation or multi-page file is sent, from 0; the last if fewer.",
    )
    background: str = Field(
        "#ffffff",
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="Colour under transparent pixels and around padded images.",
    )
    isolate: Literal["never", "rare", "always"] = Field(
        "rare",
        description="Which formats are decoded in a process of their own, so that a crashing decoder costs "
        "one image only: `rare` ones (TIFF, JPEG 2000, AVIF, HEIF), or all.",
    )
    decode_timeout: float = Field(
        30.0, ge=1, description="Seconds after which an isolated decoder is stopped."
    )
    blank: Literal["lost", "reject", "send", "contrast"] = Field(
        "lost",
        description="Which images without anything to see are refused with `Local.ImageBlank`: `lost`, those "
        "that would go out as one flat colour though the file holds more, or as nothing but `background` (a "
        "white logo on transparency); `reject`, also those that are white or black all over in the file; "
        "`contrast`, as `reject`, but black or white is put under an image where that shows it; "
        "`send`, none.",
    )
    max_megapixels: int = Field(
        80,
        ge=1,
        le=MOST_MEGAPIXELS,
        description="Images whose decoding costs more are refused before it, million pixels. A JPEG that is "
        "shrunk while it is decoded counts for what is decoded and an eighth of its canvas, any other image "
        "for its whole canvas: 200 megapixels of a phone's JPEG pass by default, of its PNG need 200.",
    )
    max_upload_bytes: int | None = Field(
        None, ge=16_384, description="Most bytes of an image sent; the service's own limit when absent."
    )
    upload_kbps: float | None = Field(
        None,
        ge=128,
        description="Upload rate for one call, kilobits a second: images are made small enough to arrive "
        "within the service's 5 seconds.",
    )
    threads: int | None = Field(
        None, ge=1, le=64, description="Threads that prepare images; the number of cores when absent."
    )
    allow_hosts: tuple[str, ...] = Field(
        (), description="Hosts whose private or loopback addresses may be fetched from."
    )
    allow_links: Annotated[tuple[str, ...], IS_PATH, ONE_OR_MANY] = Field(
        (),
        description="Folders outside `root` that symbolic links below it may lead to, such as another disk.",
    )
    scheme: Literal["https", "http"] | None = Field(
        None,
        description="What stands before addresses that begin with `//`; they are refused when absent.",
    )
    headers: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Request headers by host: `cdn.example: {Referer: 'https://shop.example/'}`; "
        "`*.cdn.example` is every host below it, `*` is all hosts. Secrets are variables of the environment, "
        "`Authorization: Bearer ${CDN_TOKEN}`, and go to their host alone, over https.",
    )
    proxy: Proxy = Field(
        PROXIES_OF_ENVIRONMENT,
        description="Proxy for addresses: `environment` (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), `none`, or "
        "`http://host:port`. One with a password belongs into the environment.",
    )
    stores: StoresSettings = Field(
        default_factory=StoresSettings, description="Object stores that images may be read from."
    )
    text: Literal["reference", "base64"] = Field(
        "reference",
        description="What the text of an image column is: a path or address, or the image in base64.",
    )
    fetch_timeout: float = Field(30.0, gt=0, description="Seconds for fetching one image.")
    fetch_per_host: int = Field(
        8, ge=1, le=64, description="Most downloads at a time from one host or store."
    )

    def of_folder(self) -> ImageSettings:
        """These settings where relative paths are files of a folder, whatever `base_url` says."""
        return self.model_copy(update={"base_url": None})

    @property
    def texts(self) -> TextKind:
        """What a text in an image column is that has no scheme."""
        if self.text == "base64":
            return "base64"
        return "path" if self.base_url is None else "address"

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, base_url: str | None) -> str | None:
        if base_url is not None and not is_base(base_url):
            raise ValueError(
                f"must be an address such as `https://host/folder` ({', '.join(SCHEMES)}), without user, "
                "query and `..`"
            )
        return base_url

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        check_headers(headers)
        return headers
