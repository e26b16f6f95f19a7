"""The metrics' values, from a run's counters."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from batchsearch.config.sections.metrics_settings import TAKEN_LABELS, MetricsSettings
from batchsearch.errors import ConfigError
from batchsearch.telemetry.metrics.metric_catalogue import BY_NAME, COMMON_LABELS, METRICS
from batchsearch.telemetry.metrics.publisher import Publisher
from batchsearch.telemetry.metrics.samples import MOST_CODES, OTHER, samples_of
from batchsearch.telemetry.stats import Stats

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def samples(stats, exit_code=None):
    return samples_of(stats, 100, NOW, started_at=NOW - timedelta(seconds=60), exit_code=exit_code)


def value(found, name, label=None):
    [sample] = [each for each in found.values if each.name == f"batchsearch_{name}" and each.label == label]
    return sample.value


def test_names_follow_the_conventions():
    """Counters end in _total, units are base units and in the name, nothing is listed twice."""
    assert len(BY_NAME) == len(METRICS)
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert (metric.unit == "s") == metric.name.removesuffix("_left").endswith("seconds"), metric.name
        assert metric.help.endswith(".")


def test_a_job_file_cannot_take_the_labels_of_the_metrics():
    """Neither ours nor those that Prometheus gives to what it reads."""
    assert {label for metric in METRICS for label in metric.labels} <= TAKEN_LABELS
    for name in ("search_instance", "instance", "job", "le", "a b", "__x", ""):
        with pytest.raises(ValueError):
            MetricsSettings(labels={name: "x"})
    assert MetricsSettings(labels={"team": "search"}).labels == {"team": "search"}


def test_every_sample_is_in_the_catalogue_with_its_label():
    """A value without meaning, or with a label that is not declared, cannot be published."""
    stats = Stats(ends=NOW, last_success=99.0)
    stats.codes["Local.ImageEmpty"] = 1
    found = samples(stats, exit_code=0)
    assert {sample.name for sample in found.values} == {
        metric.name for metric in METRICS if metric.kind != "histogram"
    }
    for sample in found.values:
        assert (sample.label is None) == (BY_NAME[sample.name].label is None), sample


def test_slots_add_up():
    """Used slots are granted, denied or still out; what needed none is saved, by reason."""
    stats = Stats(calls=10, denied=3, in_flight=1, coalesced=4, reused=5, rejected=6)
    stats.answers = Counter({"ok": 5, "DeniedRequest": 3, "InvalidImage": 1})
    found = samples(stats)
    used, granted, denied = (value(found, f"calls{name}_total") for name in ("", "_granted", "_denied"))
    assert (used, granted, denied) == (10, 6, 3)
    assert used == granted + denied + value(found, "calls_in_flight")
    saved = [value(found, "calls_saved_total", reason) for reason in ("validation", "coalescing", "reuse")]
    assert saved == [6, 4, 5]


def test_labels_are_bounded_whatever_codes_come():
    """A service that invents a code for each call makes one series of them; no count is lost."""
    stats = Stats()
    for number in range(1000):
        stats.answers[f"Code{number}"] = 1
    stats.answers['Bad"\nname'] = 7
    codes = [each for each in samples(stats).values if each.name == "batchsearch_answers_total"]
    assert len(codes) == MOST_CODES + 1
    assert sum(each.value for each in codes) == 1007
    assert [each.label for each in codes].count(OTHER) == 1


def test_times_are_by_the_wall_clock():
    """The steady clock's moments are told as seconds since 1970; what never was is absent."""
    assert value(samples(Stats(last_success=90.0)), "last_success_timestamp_seconds") == NOW.timestamp() - 10
    names = {sample.name for sample in samples(Stats()).values}
    assert "batchsearch_last_success_timestamp_seconds" not in names
    assert "batchsearch_run_exit_code" not in names


def test_a_run_that_is_over_says_how():
    """Active until it ends, then its exit code."""
    assert value(samples(Stats()), "run_active") == 1
    over = samples(Stats(), exit_code=4)
    assert (value(over, "run_active"), value(over, "run_exit_code")) == (0, 4)


def test_the_common_labels_do_not_clash_with_prometheus():
    """`instance` and `job` are what Prometheus calls what it scrapes."""
    assert not {"instance", "job"} & set(COMMON_LABELS)


@pytest.mark.parametrize("textfile", ["metrics.txt", "metrics"])
def test_a_file_that_the_collector_would_not_take_is_refused(textfile):
    """The node exporter reads `*.prom` alone."""
    with pytest.raises(ValueError, match=r"\.prom"):
        MetricsSettings(textfile=textfile)


def publisher(stats=None, **settings):
    found = MetricsSettings(opentelemetry=False, **settings)
    return Publisher(found, stats or Stats(), instance="demo", operation="SearchImageByPic")


def test_a_folder_that_is_not_there_is_told_before_any_call(tmp_path):
    """A metrics file that can never be written is a mistake in the job file."""
    with pytest.raises(ConfigError, match=r"metrics\.textfile.*no folder"):
        publisher(textfile=str(tmp_path / "none" / "run.prom"))


async def test_a_port_that_is_taken_is_told_before_any_call():
    """The message names the port."""
    first = publisher(port=0)
    port = int(first.address.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(ConfigError, match=rf"metrics\.port.*{port}"):
        publisher(port=port)
    await first.close(0)


async def test_a_file_that_cannot_be_written_later_is_said_once_and_stops_nothing(tmp_path, capsys):
    """The run goes on; when it can be written again it is."""
    from batchsearch.telemetry.logs import configure

    configure("json", "info", {})
    folder = tmp_path / "metrics"
    folder.mkdir()
    now = [0.0]
    found = MetricsSettings(opentelemetry=False, textfile=str(folder / "run.prom"), every=1)
    made = Publisher(found, Stats(), instance="a", operation="b", clock=lambda: now[0])
    folder.rmdir()
    for _ in range(3):
        now[0] += 2
        await made.update()
    assert capsys.readouterr().err.count("metrics_failed") == 1
    folder.mkdir()
    await made.close(0)
    assert "batchsearch_run_active" in (folder / "run.prom").read_text()


async def test_no_metrics_cost_nothing(monkeypatch):
    """Without a place to go nothing is imported, read or kept."""
    made = publisher()
    monkeypatch.setattr(made, "_read", None)
    await made.update()
    assert (made.wanted, made.address) == (False, None)
