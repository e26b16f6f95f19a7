"""What Airflow is told about this package: the entry point `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any, Final

from batchsearch._version import __version__
from batchsearch.airflow.connection import OWN_TYPE

HOOK_NAME: Final = "Alibaba Cloud Image Search"

FIELDS: Final[dict[str, tuple[str, str | None, str]]] = {
    "region": ("Region", None, "Such as ap-southeast-1."),
    "instance": ("Instance name", None, "The name, not the id; the job file's when empty."),
    "qps": ("Purchased QPS", None, "1, 5 or 10; the job file's when empty."),
    "security_token": ("Security token", "password", "Of a temporary access key."),
    "redis_url": ("Redis URL", "password", "Server of a rate that several hosts share."),
}
"""Fields of the connection's form by extra: label, format, and what it is for."""

FIELD_BEHAVIOUR: Final[dict[str, Any]] = {
    "hidden_fields": ["schema"],
    "relabeling": {"login": "Access key id", "password": "Access key secret", "host": "Endpoint"},
    "placeholders": {
        "login": "empty: the worker's own credentials",
        "host": "derived from the region when empty",
    },
}
"""How the form shows the common fields."""


def get_provider_info() -> dict[str, Any]:
    """The provider as Airflow's schema describes it."""
    return {
        "package-name": "batchsearch",
        "name": "batchsearch",
        "description": "Alibaba Cloud Image Search: search, dedup and comparison at the purchased rate.",
        "versions": [__version__],
        "integrations": [{"integration-name": HOOK_NAME, "tags": ["service"]}],
        "operators": [
            {
                "integration-name": HOOK_NAME,
                "python-modules": ["batchsearch.airflow.operators", "batchsearch.airflow.verifying"],
            }
        ],
        "hooks": [{"integration-name": HOOK_NAME, "python-modules": ["batchsearch.airflow.hook"]}],
        "connection-types": [
            {
                "connection-type": OWN_TYPE,
                "hook-class-name": "batchsearch.airflow.hook.BatchSearchHook",
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": {
                    "hidden-fields": FIELD_BEHAVIOUR["hidden_fields"],
                    "relabeling": FIELD_BEHAVIOUR["relabeling"],
                    "placeholders": FIELD_BEHAVIOUR["placeholders"],
                },
                "conn-fields": {
                    name: {
                        "label": label,
                        "description": what,
                        "schema": {
                            "type": ["string", "null"],
                            **({} if form is None else {"format": form}),
                        },
                    }
                    for name, (label, form, what) in FIELDS.items()
                },
            }
        ],
    }
