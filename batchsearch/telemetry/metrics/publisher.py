"""Keeps the metrics of a run up to date wherever its job file wants them."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.telemetry.logs import logger
from batchsearch.telemetry.metrics.metric_catalogue import COMMON_LABELS
from batchsearch.telemetry.metrics.samples import Samples, samples_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from batchsearch.config.sections.metrics_settings import MetricsSettings
    from batchsearch.telemetry.metrics.otel import OtelMetrics
    from batchsearch.telemetry.metrics.prometheus import MetricsServer
    from batchsearch.telemetry.stats import Stats


class Publisher:
    """Publishes one run's metrics. Opening says at once what cannot work; later nothing stops the run.

    Args:
        settings: Where to.
        stats: The run's counters.
        instance: Name of the Image Search instance, a label.
        operation: The operation, a label.
        clock: The steady clock of the counters.
        wall: Wall clock, UTC.

    Raises:
        ConfigError: The file's folder or the port cannot be used.
        MissingExtraError: A package is not installed.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        stats: Stats,
        *,
        instance: str,
        operation: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._stats = stats
        self._clock = clock
        self._wall = wall
        self._started_at = wall()
        self._exit_code: int | None = None
        self._path = None if settings.textfile is None else Path(settings.textfile)
        self._registry: CollectorRegistry | None = None
        self._server: MetricsServer | None = None
        self._otel: OtelMetrics | None = None
        self._write_at = clock()
        self._failing = False
        self._writing = threading.Lock()
        self._samples = self._read()
        own = dict(zip(COMMON_LABELS, (instance, operation), strict=True))
        labels = {**own, **settings.labels}
        if self._path is not None or settings.port is not None:
            from batchsearch.telemetry.metrics.prometheus import MetricsServer, check_writable, registry_of

            self._registry = registry_of(lambda: self._samples, labels)
            if self._path is not None:
                check_writable(self._path)
            if settings.port is not None:
                self._server = MetricsServer(settings.host, settings.port, self._registry)
                logger().info("metrics_listening", address=self._server.address)
        wants_otel = settings.opentelemetry
        if _has_opentelemetry() if wants_otel is None else wants_otel:
            from batchsearch.telemetry.metrics.otel import OtelMetrics

            self._otel = OtelMetrics(lambda: self._samples, labels)
            stats.fresh_latencies = []

    @property
    def wanted(self) -> bool:
        """Whether the metrics go anywhere."""
        return self._registry is not None or self._otel is not None

    @property
    def address(self) -> str | None:
        """Where they are served; None when they are not."""
        return None if self._server is None else self._server.address

    async def update(self) -> None:
        """Make the counters' values of now the latest; write the file when it is time to."""
        if not self.wanted:
            return
        self._samples = self._read()
        self._hand_over_latencies()
        if self._path is not None and self._clock() >= self._write_at:
            self._write_at = self._clock() + self._settings.every
            await asyncio.to_thread(self._write)

    async def close(self, exit_code: int) -> None:
        """Publish the last values, with how the run ended, and let go of port and instruments."""
        self._exit_code = exit_code
        self._write_at = self._clock()
        await self.update()
        if self._server is not None:
            await asyncio.to_thread(self._server.close)
        if self._otel is not None:
            self._stats.fresh_latencies = None
            self._otel.close(self._samples)

    def _read(self) -> Samples:
        return samples_of(
            self._stats,
            self._clock(),
            self._wall(),
            started_at=self._started_at,
            exit_code=self._exit_code,
        )

    def _hand_over_latencies(self) -> None:
        fresh = self._stats.fresh_latencies
        if self._otel is not None and fresh:
            self._stats.fresh_latencies = []
            self._otel.record(fresh)

    def _write(self) -> None:
        if self._path is None or self._registry is None:
            return
        from batchsearch.telemetry.metrics.prometheus import write_metrics

        # One at a time, each with the values that are the latest when its turn comes.
        with self._writing:
            try:
                write_metrics(self._path, self._registry)
            except OSError as error:
                if not self._failing:
                    logger().warning("metrics_failed", file=str(self._path), reason=error.strerror)
                self._failing = True
            else:
                self._failing = False


def _has_opentelemetry() -> bool:
    try:
        return find_spec("opentelemetry.metrics") is not None
    except ModuleNotFoundError:
        return False
