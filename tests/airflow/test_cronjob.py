"""The Kubernetes manifests are held to Kubernetes' own model (its client comes with Airflow)."""

from pathlib import Path

import pytest
import yaml
from kubernetes import client

CONFIGS = Path(__file__).parents[2] / "configs"
SHOWN = [
    shown
    for name in ("production/cronjob.yaml", "dask/kubernetes.yaml")
    for shown in yaml.safe_load_all((CONFIGS / name).read_text("utf-8"))
]
MODELS = {
    kind: f"V1{kind}" for kind in ("ConfigMap", "CronJob", "Deployment", "Job", "NetworkPolicy", "Service")
}


def unknown_fields(kind, value, place):
    """Every field of a value that its model does not have, by its place."""
    if kind.lower().startswith("list["):
        return [
            each
            for at, item in enumerate(value)
            for each in unknown_fields(kind[5:-1], item, f"{place}[{at}]")
        ]
    model = getattr(client, kind, None)
    if model is None or not isinstance(value, dict):
        return []
    names = {wire: name for name, wire in model.attribute_map.items()}
    found = [f"{place}.{name}" for name in value if name not in names]
    for name in value.keys() & names.keys():
        found += unknown_fields(model.openapi_types[names[name]], value[name], f"{place}.{name}")
    return found


@pytest.mark.parametrize("shown", SHOWN, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_every_field_is_one_that_kubernetes_has(shown):
    """A field that is misspelt or misplaced would be dropped by the cluster without a word."""
    assert unknown_fields(MODELS[shown["kind"]], shown, shown["kind"]) == []


def test_a_misspelt_field_is_noticed():
    """The check can fail, deep in a list as well."""
    wrong = {
        "spec": {
            "schedule": "",
            "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"img": ""}]}}}},
        }
    }
    place = "CronJob.spec.jobTemplate.spec.template.spec.containers[0].img"
    assert unknown_fields("V1CronJob", wrong, "CronJob") == [place]
