"""Connections of both types, from where Airflow has them to the child's signature; and the provider."""

import json
import os
import threading
from pathlib import Path

import jsonschema
import pytest
from one_task import made
from processes import child_of, wait_for

from batchsearch.airflow import BatchSearchHook, BatchSearchOperator
from batchsearch.airflow.provider import FIELDS, get_provider_info
from batchsearch.errors import ConfigError

DEMO = Path(__file__).parent.parent.parent / "configs" / "demo.yaml"


@pytest.mark.parametrize("conn_type", ["batchsearch", "alibaba_cloud"])
def test_a_connection_signs_the_childs_calls(conn_type, instances, place, context, monkeypatch):
    """Key and secret of either type reach the child by its environment alone: never an argument."""
    # What the worker itself has is another account's: it must not mix in.
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "of-another")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", os.environ.get("AIRFLOW__CORE__FERNET_KEY", ""))
    endpoint = instances("image_search", conn_type)
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__ENDPOINT", endpoint)
    task = made(
        BatchSearchOperator, config=str(DEMO), conn_id="image_search", output_dir=str(place), max_calls=40
    )
    task.accept = (4,)
    seen = {}

    def look():
        child = wait_for(lambda: child_of(os.getpid()))
        wait_for((place / "ledger").exists)
        seen["arguments"] = Path(f"/proc/{child}/cmdline").read_text()
        seen["environment"] = Path(f"/proc/{child}/environ").read_text().split("\0")

    looking = threading.Thread(target=look)
    looking.start()
    summary = task.execute(context)
    looking.join()
    assert summary["calls"] > 0
    assert summary["ok"] > 0, summary
    assert "secret-of" not in seen["arguments"]
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID=key-of-image_search" in seen["environment"]
    assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET=secret-of-image_search" in seen["environment"]
    assert not [one for one in seen["environment"] if one.startswith(("AIRFLOW", "ALIBABA_CLOUD_SEC"))]
    assert not [
        path for path in place.rglob("*") if path.is_file() and b"secret-of-image" in path.read_bytes()
    ]


def test_the_alibaba_providers_own_hook_reads_the_same(monkeypatch):
    """One `alibaba_cloud` connection serves both: names of its extras are that provider's."""
    base_alibaba = pytest.importorskip("airflow.providers.alibaba.cloud.hooks.base_alibaba")
    extra = json.dumps({"access_key_id": "theirs", "access_key_secret": "theirs-too", "region": "oss-eu"})
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", json.dumps({"conn_type": "alibaba_cloud", "extra": extra}))
    read = BatchSearchHook("theirs").get_conn()
    assert base_alibaba.AlibabaBaseHook("theirs").get_access_key_credential() == (
        read.access_key_id,
        read.access_key_secret,
    )
    # What else it says is about other services.
    assert read.settings == {}


def test_a_secret_is_masked_in_the_tasks_log(instances, capfd):
    """Whatever writes the secret of a connection into a log after it was read, writes asterisks."""
    instances("masked")
    BatchSearchHook("masked").get_conn()
    try:
        from airflow.sdk._shared.secrets_masker import redact
    except ImportError:
        from airflow.utils.log.secrets_masker import redact
    assert redact("it is secret-of-masked") == "it is ***"


def test_a_connection_is_tried_by_one_call(instances):
    """The button in Airflow's form: the instance answers, or says why not."""
    instances("tried")
    good, message = BatchSearchHook("tried").test_connection()
    assert good, message
    assert "'demo'" in message


def test_a_wrong_secret_is_told_by_the_service(instances, monkeypatch):
    """What the service says to a bad key is what the button says."""
    instances("tried")
    connection = json.loads(os.environ["AIRFLOW_CONN_TRIED"])
    monkeypatch.setenv("AIRFLOW_CONN_TRIED", json.dumps(connection | {"password": "wrong"}))
    good, message = BatchSearchHook("tried").test_connection()
    assert not good
    assert "SignatureDoesNotMatch" in message
    assert "wrong" not in message


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        ({"conn_type": "http", "login": "a", "password": "b"}, "type 'http'"),
        ({"conn_type": "batchsearch", "login": "a"}, "access_key_secret is missing"),
        ({"conn_type": "batchsearch", "password": "b"}, "access_key_id is missing"),
        ({"conn_type": "alibaba_cloud"}, "no access key"),
        ({"conn_type": "batchsearch", "extra": '{"regoin": "x"}'}, "did you mean `region`"),
        ({"conn_type": "batchsearch", "extra": '{"security_token": "x"}'}, "no access key"),
    ],
)
def test_a_connection_that_makes_no_sense_is_refused(connection, says, monkeypatch):
    """The message says which connection, what is wrong with it, and never a secret."""
    monkeypatch.setenv("AIRFLOW_CONN_ODD", json.dumps(connection))
    with pytest.raises(ConfigError, match="'odd'") as raised:
        BatchSearchHook("odd").get_conn()
    assert says in str(raised.value)


def test_a_connection_names_its_instance(monkeypatch):
    """Region, name and rate win over the job file's; a region means its own endpoint."""
    extra = {"region": "ap-southeast-1", "instance": "mine", "qps": "5", "security_token": "t"}
    connection = {"conn_type": "batchsearch", "login": "a", "password": "b", "extra": json.dumps(extra)}
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))
    read = BatchSearchHook("mine").get_conn()
    assert read.settings == {
        "instance.region": "ap-southeast-1",
        "instance.name": "mine",
        "instance.qps": "5",
        "instance.endpoint": None,
    }
    assert read.environment()["ALIBABA_CLOUD_SECURITY_TOKEN"] == "t"
    assert "'b'" not in repr(read)


def test_airflow_knows_the_provider():
    """Airflow finds the provider by its entry point, its connection type and the fields of its form."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert "batchsearch" in manager.providers
    assert manager.hooks["batchsearch"].connection_type == "batchsearch"
    fields = {
        name.removeprefix("extra__batchsearch__")
        for name in manager.connection_form_widgets
        if name.startswith("extra__batchsearch__")
    }
    assert fields == set(FIELDS)
    assert manager.field_behaviours["batchsearch"]["relabeling"]["login"] == "Access key id"


def test_the_description_is_as_airflow_wants_it():
    """The provider's description passes this Airflow's own schema."""
    import airflow

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
