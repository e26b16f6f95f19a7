"""The dashboard asks for metrics that there are."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from batchsearch.cli import cli
from batchsearch.telemetry.metrics.metric_catalogue import METRICS

DASHBOARD = json.loads((Path(__file__).parents[2] / "configs" / "grafana-dashboard.json").read_text("utf-8"))
SERIES = {name: metric for metric in METRICS for name in metric.series}
SELECTED = re.compile(r"\b(batchsearch_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")


def queries():
    """Every query of a panel or a variable, with the panel's title."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


@pytest.mark.parametrize(("title", "query"), list(queries()))
def test_queries_name_metrics_and_labels_that_exist(title, query):
    """Each name is a series of the catalogue, and each label one that the series has."""
    found = SELECTED.findall(query)
    assert found, query
    for name, selector in found:
        assert name in SERIES, query
        allowed = {*SERIES[name].labels, *({"le"} if SERIES[name].kind == "histogram" else ())}
        assert set(LABEL.findall(selector)) <= allowed, query
        for clause in re.findall(r"by \(([^)]*)\)", query):
            assert {each.strip() for each in clause.split(",")} <= allowed, query


@pytest.mark.parametrize(("title", "query"), list(queries()))
def test_queries_are_balanced_and_counters_are_not_read_raw_where_a_rate_is_meant(title, query):
    """Brackets close; what a panel shows per second is a rate of a counter."""
    for opening, closing in ("()", "{}", "[]"):
        assert query.count(opening) == query.count(closing), query
    for name in re.findall(r"rate\((batchsearch_[a-z_]+)", query):
        assert SERIES[name].kind in ("counter", "histogram"), query


def test_every_metric_is_on_the_dashboard():
    """What is published is shown; a metric that nobody looks at is not worth its series."""
    shown = {SERIES[name].name for _, query in queries() for name, _ in SELECTED.findall(query)}
    assert {metric.name for metric in METRICS} - shown == set()


def test_panels_do_not_overlap():
    """Each panel has its own place on the grid of 24 columns."""
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_command_lists_every_metric():
    """`batchsearch events --metrics` is the document of the metrics."""
    listed = CliRunner().invoke(cli, ["events", "--metrics"]).output
    assert [line.split("`")[1] for line in listed.splitlines()[2:]] == [metric.name for metric in METRICS]
