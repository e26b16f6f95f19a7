"""The metrics as Prometheus reads them: a file for the node exporter, or an HTTP endpoint.

Both read the samples that the run's thread made last; neither ever waits for the run, nor the run for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError, MissingExtraError
from batchsearch.telemetry.metrics.metric_catalogue import BY_NAME, COMMON_LABELS, METRICS

try:
    from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector
    from prometheus_client.utils import floatToGoString
except ImportError:
    raise MissingExtraError("metrics", "metrics for Prometheus") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.metrics_core import Metric as Family

    from batchsearch.telemetry.metrics.samples import Samples

_LATENCY: Final = next(metric for metric in METRICS if metric.kind == "histogram")


class _LatestSamples(Collector):
    """Gives a registry the latest samples, each series labelled."""

    def __init__(self, latest: Callable[[], Samples], labels: Mapping[str, str]) -> None:
        self._latest = latest
        self._names = tuple(labels)
        self._values = tuple(labels.values())

    def describe(self) -> list[Family]:
        """Nothing: registering must not ask for values."""
        return []

    def collect(self) -> Iterator[Family]:
        """Every metric that has a value now."""
        samples = self._latest()
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for sample in samples.values:
            metric = BY_NAME[sample.name]
            family = families.get(sample.name)
            if family is None:
                labels = [*self._names, *metric.labels[len(COMMON_LABELS) :]]
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = families[sample.name] = kind(metric.name, metric.help, labels=labels)
            own = () if sample.label is None else (sample.label,)
            family.add_metric([*self._values, *own], sample.value)
        yield from families.values()
        latency = samples.latency
        bounds = [*map(floatToGoString, latency.bounds), "+Inf"]
        histogram = HistogramMetricFamily(_LATENCY.name, _LATENCY.help, labels=self._names)
        histogram.add_metric(
            self._values,
            buckets=list(zip(bounds, map(float, latency.cumulative()), strict=True)),
            sum_value=latency.total,
        )
        yield histogram


def registry_of(latest: Callable[[], Samples], labels: Mapping[str, str]) -> CollectorRegistry:
    """A registry of its own that has these metrics and no others.

    Args:
        latest: Gives the samples; called by whichever thread collects.
        labels: Name and value of each label that every series has.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_LatestSamples(latest, labels))
    return registry


def write_metrics(path: Path, registry: CollectorRegistry) -> None:
    """Write all metrics to a file: a reader finds the old one or the new one, never a piece.

    Raises:
        OSError: It cannot be written; an older file stays as it was.
    """
    write_to_textfile(str(path), registry)


def check_writable(path: Path) -> None:
    """Raises ConfigError if no file can be made beside this one."""
    folder = path.parent
    if not folder.is_dir():
        raise ConfigError(
            f"metrics.textfile: {folder} is no folder; make it, or give the one that the node exporter reads"
        )
    trial = folder / f".{path.name}.trial"
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise ConfigError(f"metrics.textfile: cannot write in {folder}: {error.strerror}") from error


class MetricsServer:
    """Serves a registry at `/metrics`, in threads of its own, until closed.

    Args:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        registry: What is served.

    Raises:
        ConfigError: The address is taken, or none of this machine's.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self._server: WSGIServer
        self._thread: Thread
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(f"metrics.port: cannot serve on {host}, port {port}: {reason}") from error

    @property
    def address(self) -> str:
        """Where it is, `http://HOST:PORT/metrics`."""
        host, port = self._server.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{name}]:{port}/metrics" if ":" in name else f"http://{name}:{port}/metrics"

    def close(self) -> None:
        """Stop serving; waits for answers that are being given."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
