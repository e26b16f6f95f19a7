"""Who keeps the rate of a run: this process alone, all of this host, or all of several hosts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError
from batchsearch.pacing.pacer import Pacer
from batchsearch.pacing.shared import SharedPacer
from batchsearch.pacing.shared_file import FileBoard, file_for
from batchsearch.pacing.unpaced import Unpaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.config.sections.instance_settings import InstanceSettings

REDIS_VARIABLE: Final = "BATCHSEARCH_REDIS_URL"


def pacer_for(
    instance: InstanceSettings,
    budget: str,
    authority: str,
    *,
    embedded: bool,
    environ: Mapping[str, str] = os.environ,
) -> Pacer | SharedPacer | Unpaced:
    """The pacer that a job's settings ask for; close it when the run is over.

    Args:
        instance: The job's instance.
        budget: Which of its separate rates the calls draw on (`service.operations.Budget`).
        authority: Host and port that are called: what is shared is the rate of an instance there.
        embedded: The instance is this process's own, so nobody can share it.
        environ: Where the Redis server's address may be, with its password.

    Raises:
        ConfigError: Redis is asked for, but not where.
        MissingExtraError: Redis is asked for without its package.
        SlotBoardError: The host's folder for shared rates cannot be used.
    """
    if instance.unlimited:
        return Unpaced()
    shared = instance.shared
    if shared == "auto":
        # A rate that nobody can buy is a local matter: a test, a benchmark, an emulator.
        shared = "none" if embedded or instance.custom_qps else "host"
    qps = instance.qps_of(budget)
    if shared == "none":
        return Pacer(qps, share=instance.share)
    what = (authority, instance.name, budget)
    if shared == "host":
        return SharedPacer(qps, FileBoard(file_for(*what)), share=instance.share)
    url = environ.get(REDIS_VARIABLE) or instance.redis
    if not url:
        raise ConfigError(f"instance.shared: redis needs a server: set `instance.redis` or {REDIS_VARIABLE}")
    from batchsearch.pacing.shared_redis import RedisBoard

    return SharedPacer(qps, RedisBoard(url, *what), share=instance.share)
