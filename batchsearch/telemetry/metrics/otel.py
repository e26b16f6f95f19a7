"""The metrics through OpenTelemetry's API: the program that runs us decides where they go, if anywhere.

Only the API is used. Without a meter provider it does nothing and costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from batchsearch._version import __version__
from batchsearch.errors import MissingExtraError
from batchsearch.telemetry.metrics.metric_catalogue import METRICS

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider
except ImportError:
    raise MissingExtraError("otel", "metrics for OpenTelemetry") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from batchsearch.telemetry.metrics.metric_catalogue import Metric
    from batchsearch.telemetry.metrics.samples import Samples

_SCOPE: Final = "batchsearch"


class _Instruments:
    """One set of instruments of one provider: it keeps them for ever, so runs come and go behind them."""

    def __init__(self, provider: MeterProvider) -> None:
        self._sources: dict[frozenset[tuple[str, str]], Callable[[], Samples]] = {}
        meter = provider.get_meter(_SCOPE, __version__)
        for metric in METRICS:
            name = otel_name(metric)
            if metric.kind == "counter":
                meter.create_observable_counter(
                    name, callbacks=[self._reader(metric)], unit=metric.unit, description=metric.help
                )
            elif metric.kind == "gauge":
                meter.create_observable_gauge(
                    name, callbacks=[self._reader(metric)], unit=metric.unit, description=metric.help
                )
            else:
                self.latency = meter.create_histogram(name, unit=metric.unit, description=metric.help)

    def read_from(self, labels: Mapping[str, str], latest: Callable[[], Samples]) -> None:
        """From now on the values with these labels come from there."""
        self._sources[frozenset(labels.items())] = latest

    def _reader(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> list[Observation]:
            found = []
            for labels, latest in tuple(self._sources.items()):
                for sample in latest().values:
                    if sample.name == metric.name:
                        own = {} if metric.label is None else {metric.label: sample.label or ""}
                        found.append(Observation(sample.value, {**dict(labels), **own}))
            return found

        return read


_instruments: Final[WeakKeyDictionary[MeterProvider, _Instruments]] = WeakKeyDictionary()
_OWN: Final[list[_Instruments]] = []


def _instruments_of(provider: MeterProvider | None) -> _Instruments:
    if provider is None:
        # Made once: what stands in until the program sets its provider hands them over to that one.
        if not _OWN:
            _OWN.append(_Instruments(get_meter_provider()))
        return _OWN[0]
    if provider not in _instruments:
        _instruments[provider] = _Instruments(provider)
    return _instruments[provider]


class OtelMetrics:
    """Shows one run's samples to a meter provider, which reads the latest ones whenever it collects.

    The last values of a run that is over stay, as counters do, until a run with the same labels replaces
    them: the collection that counts most comes when the program ends.

    Args:
        latest: Gives the samples; called by whichever thread collects.
        labels: Name and value of each label that every series has.
        provider: Where to; the program's own when absent.
    """

    def __init__(
        self,
        latest: Callable[[], Samples],
        labels: Mapping[str, str],
        provider: MeterProvider | None = None,
    ) -> None:
        self._labels = dict(labels)
        self._instruments = _instruments_of(provider)
        self._instruments.read_from(self._labels, latest)

    def record(self, latencies: Iterable[float]) -> None:
        """Add these latencies, seconds, to the histogram."""
        for latency in latencies:
            self._instruments.latency.record(latency, self._labels)

    def close(self, last: Samples) -> None:
        """Let go of the run; these are its last values."""
        self._instruments.read_from(self._labels, lambda: last)


def otel_name(metric: Metric) -> str:
    """A metric's name there: `batchsearch.calls`, without what kind and unit already say.

    An exporter to Prometheus puts `_total` and the unit back.
    """
    name = metric.name.removesuffix("_total").removesuffix("_seconds")
    return name.replace("batchsearch_", "batchsearch.", 1)
