"""Metrics of real runs, as Prometheus and OpenTelemetry get them."""

import asyncio
import os
import subprocess
import sys
import urllib.request

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families
from run_rig import harm

from batchsearch.config.sections.metrics_settings import MetricsSettings
from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.telemetry.metrics.metric_catalogue import METRICS
from batchsearch.telemetry.metrics.otel import OtelMetrics, otel_name
from batchsearch.telemetry.metrics.publisher import Publisher
from batchsearch.telemetry.metrics.samples import samples_of
from batchsearch.telemetry.stats import Stats

ROWS = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(12)]
LABELS = {"search_instance": "demo", "operation": "SearchImageByPic"}


def values(text):
    """Series by name and the labels beside the common ones."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            own = {name: value for name, value in sample.labels.items() if name not in LABELS}
            assert {name: sample.labels[name] for name in LABELS} == LABELS
            found[sample.name, *sorted(own.values())] = sample.value
    return found


async def test_the_file_agrees_with_the_summary(signed_in, run_here, tmp_path):
    """Slots, outcomes by code, latencies and bytes: counted once each, through denials and bad images."""
    harm(signed_in, ErrorAnswer("DeniedRequest"), of="SearchImageByPic", times=3)
    file = tmp_path / "run.prom"
    _, summary = await run_here(
        [*ROWS, {"id": "gone", "image": "gone.jpg"}, {"id": "same", "image": "p00.jpg"}],
        metrics__textfile=str(file),
        metrics__labels={"team": "search"},
    )
    found = values(file.read_text())
    assert found["batchsearch_calls_total", "search"] == summary.calls == 15
    assert found["batchsearch_calls_denied_total", "search"] == summary.denied == 3
    assert found["batchsearch_calls_granted_total", "search"] == 12
    assert found["batchsearch_answers_total", "ok", "search"] == 12
    assert found["batchsearch_answers_total", "DeniedRequest", "search"] == 3
    assert found["batchsearch_rows_finished_total", "ok", "search"] == 13
    assert found["batchsearch_rows_finished_total", "Local.ImageMissing", "search"] == 1
    assert found["batchsearch_calls_saved_total", "search", "validation"] == 1
    assert found["batchsearch_calls_saved_total", "coalescing", "search"] == 1
    assert found["batchsearch_call_latency_seconds_count", "search"] == 15
    assert found["batchsearch_call_latency_seconds_sum", "search"] > 0
    assert found["batchsearch_sent_bytes_total", "search"] > 15 * 1000
    assert found["batchsearch_run_exit_code", "search"] == 0
    assert found["batchsearch_run_active", "search"] == 0
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["run.prom"]


async def test_every_metric_reaches_prometheus_as_what_it_is(tmp_path):
    """Name, kind and help as in the catalogue."""
    file = tmp_path / "run.prom"
    stats = Stats(last_success=0.0)
    stats.codes["X"] = 1
    made = Publisher(
        MetricsSettings(textfile=str(file), opentelemetry=False), stats, instance="i", operation="o"
    )
    await made.close(0)
    found = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    for metric in METRICS:
        if metric.name != "batchsearch_run_ends_timestamp_seconds":  # this run has no end
            family = found[metric.name.removesuffix("_total")]
            assert (family.type, family.documentation) == (metric.kind, metric.help)


def get(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


async def test_the_endpoint_serves_while_the_run_works_and_is_gone_after():
    """On loopback alone; each request sees the values of the last update."""
    stats = Stats(total=5)
    made = Publisher(MetricsSettings(port=0, opentelemetry=False), stats, instance="demo", operation="o")
    address = made.address
    assert address.startswith("http://127.0.0.1:")
    stats.ok = 3
    await made.update()
    assert 'batchsearch_rows_done{operation="o",search_instance="demo"} 3.0' in await asyncio.to_thread(
        get, address
    )
    await made.close(0)
    with pytest.raises(OSError):
        await asyncio.to_thread(get, address)


def read(reader):
    """Every point by instrument: attributes beside the common ones, and the point."""
    found = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = found.setdefault(metric.name, {})
                for point in metric.data.data_points:
                    own = [value for name, value in point.attributes.items() if name not in LABELS]
                    points[tuple(own)] = point
    return found


def test_opentelemetry_gets_every_metric_and_two_runs_do_not_add_up():
    """Counters of a second run with the same labels replace the first's, as a new process would."""
    from datetime import UTC, datetime

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    for calls in (7, 4):
        stats = Stats(calls=calls, ends=moment, last_success=1.0)
        stats.codes["X"] = 2
        last = samples_of(stats, 2.0, moment, started_at=moment, exit_code=0)
        metrics = OtelMetrics(lambda last=last: last, LABELS, provider)
        metrics.record([0.1, 0.2])
        metrics.close(last)
    found = read(reader)
    assert set(found) == {otel_name(metric) for metric in METRICS}
    assert found["batchsearch.calls"][()].value == 4
    assert found["batchsearch.rows_finished"][("X",)].value == 2
    assert found["batchsearch.call_latency"][()].count == 4
    assert dict(found["batchsearch.calls"][()].attributes) == LABELS
    provider.shutdown()


def test_a_programs_own_meter_provider_gets_a_runs_numbers(make_job_here):
    """Set up a provider, run a job: the numbers are there, without a word in the job file."""
    script = f"""
import asyncio
from pathlib import Path
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
from batchsearch.config.load import load_job
from batchsearch.engine.run.job import run_job
asyncio.run(run_job(load_job(Path({str(make_job_here(ROWS))!r})).settings))
found = {{}}
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            found[metric.name] = metric.data.data_points[0]
print(int(found["batchsearch.calls"].value), found["batchsearch.call_latency"].count)
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert ran.stdout.splitlines()[-1].split() == ["12", "12"]


@pytest.mark.parametrize(
    ("module", "setting", "extra"),
    [("prometheus_client", "port: 0", "metrics"), ("opentelemetry", "opentelemetry: true", "otel")],
)
def test_a_missing_package_is_named_with_its_extra(make_job, module, setting, extra):
    """Asked for and not installed: a configuration error that says what to install, before any call."""
    name, value = setting.split(": ")
    job = make_job(ROWS, **{f"metrics__{name}": {"0": 0, "true": True}[value]})
    script = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['batchsearch', 'run', {str(job)!r}]\n"
        "from batchsearch.cli import main; main()"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 64, ran.stderr
    assert f"batchsearch[{extra}]" in ran.stderr
