"""The job file's `workers` section: where images are made ready."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator

from batchsearch.config.sections.section import Settings

LOCAL: Final = "local"
MOST_LOCAL: Final = 256
"""Worker processes that `local:N` may ask for."""
_SCHEMES: Final = ("tcp", "tls", "ws", "wss", "inproc")


class WorkerSettings(Settings):
    """Where images are fetched, checked and made to fit; calls are always made by this process."""

    dask: str | None = Field(
        None,
        description="A Dask cluster that makes images ready: the address of its scheduler "
        "(`tcp://scheduler:8786`), or `local` for worker processes on this machine, as many as it has cores "
        "(`local:4` for four). Threads of this process when absent. Needs the extra `dask`.",
    )

    @field_validator("dask")
    @classmethod
    def _is_an_address(cls, dask: str | None) -> str | None:
        if dask is not None:
            local_workers(dask)
        return dask


def local_workers(address: str) -> int | None:
    """How many worker processes `local[:N]` asks for, 0 for one a core; None for a scheduler's address.

    Raises:
        ValueError: It is neither.
    """
    kind, colon, rest = address.partition(":")
    if kind == LOCAL:
        if not colon:
            return 0
        if rest.isascii() and rest.isdecimal() and 1 <= int(rest) <= MOST_LOCAL:
            return int(rest)
        raise ValueError(f"{address[:40]!r}: write `local`, or `local:N` with 1 to {MOST_LOCAL} workers")
    scheme, separator, host = address.partition("://")
    if scheme in _SCHEMES and separator and host and not any(sign in host for sign in "@ \\?#"):
        return None
    raise ValueError(
        f"{address[:40]!r} is no cluster; write the scheduler's address, such as `tcp://scheduler:8786`, or "
        "`local:4` for four workers on this machine"
    )
