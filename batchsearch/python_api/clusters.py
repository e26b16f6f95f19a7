"""A Dask cluster as programs give it: an address, or a client that they have."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from batchsearch.config.model import JobSettings


DaskLike: TypeAlias = "str | Client"
"""A Dask cluster: the address of its scheduler, `local[:N]`, or a `distributed.Client`."""


@contextmanager
def on_workers(settings: JobSettings, dask: DaskLike) -> Iterator[JobSettings]:
    """A job whose images the workers of a cluster make ready.

    Args:
        settings: The job.
        dask: The cluster; a client stays open.

    Raises:
        ConfigError: It is no cluster.
    """
    if not isinstance(dask, str):
        from batchsearch.images.cluster.cluster_connection import given

        with given(dask) as address:
            yield settings.model_copy(update={"workers": WorkerSettings(dask=address)})
        return
    try:
        workers = WorkerSettings(dask=dask)
    except ValueError as error:
        raise ConfigError.at("dask", str(error)) from None
    yield settings.model_copy(update={"workers": workers})
