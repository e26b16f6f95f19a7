"""`batchsearch emulator` as it is called."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import urllib.request

import pytest
from run_rig import invoke

from batchsearch.emulator.caller import Caller
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.named_instance import READ_AS, read_instance
from batchsearch.errors import ConfigError


@pytest.fixture
def serving(certificate):
    """Two instances with a temporary key, over HTTP and TLS; their listening events, and how to ask them."""
    command = (
        *(sys.executable, "-m", "batchsearch", "emulator", "--port", "0", "--log-format", "json"),
        *("--instance", "shoes:service_type=product,qps=5,add_qps=1", "--instance", "logos", "--qps", "2"),
        *("--counting", "sliding_log", "--update-qps", "0.001", "--announce-retry"),
        *("--security-token", "a-token-of-ones-own", "--tls", *map(str, certificate)),
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, [json.loads(process.stderr.readline()) for _ in range(2)]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def test_what_the_command_line_says_is_what_is_served(serving, certificate):
    """Several instances, their rates and counting, the temporary key and TLS are as they were asked for."""
    process, events = serving
    assert [(event["instance"], event["qps"], event["counting"]) for event in events] == [
        ("shoes", 5.0, "sliding_log"),
        ("logos", 2.0, "sliding_log"),
    ]
    key = AccessKey("emulator", "emulator-secret", security_token="a-token-of-ones-own")
    caller = Caller(events[0]["endpoint"], key)
    shoes = caller.call("Detail", {"InstanceName": "shoes"}).json()["Instance"]
    assert (shoes["ServiceType"], shoes["Qps"]) == (0, 5)
    logos = caller.call("Detail", {"InstanceName": "logos"}).json()["Instance"]
    assert (logos["ServiceType"], logos["Qps"]) == (1, 2)
    lasting = AccessKey("emulator", "emulator-secret")
    assert caller.call("Detail", {"InstanceName": "shoes"}, key=lasting).code == "MissingSecurityToken"
    change = {"InstanceName": "logos", "ProductId": "p", "CustomContent": "x"}
    assert caller.call("UpdateImage", change).code == "PicNotExist"
    denied = caller.call("UpdateImage", change)
    assert denied.code == "DeniedRequest"
    assert int(denied.headers["x-acs-retry-after"]) > 0
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    with urllib.request.urlopen(events[0]["tls_endpoint"] + "/console", context=trust, timeout=10) as page:
        assert b"logos" in page.read()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_what_an_instance_does_not_say_is_the_commands():
    """Keys of one `--instance` win over the options; what neither says is `InstanceOptions`' own."""
    options = read_instance(
        "shoes:qps=5,add-qps=3,predicted_category_limits=false",
        qps=2.0,
        counting="fixed_window",
    )
    assert (options.name, options.qps, options.counting) == ("shoes", 5.0, "fixed_window")
    assert options.all_rates()["add"] == 3.0
    assert options.all_rates()["delete"] == 20.0
    assert options.predicted_category_limits is False
    assert read_instance("shoes").predicted_category_limits is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shoes:", "is no setting"),
        ("shoes:qps", "is no setting"),
        ("shoes:speed=5", f"keys are {', '.join(READ_AS)}"),
        ("shoes:qps=fast", "qps: 'fast'"),
        ("shoes:qps=nan", "grants nothing"),
        ("shoes:capacity=1e5", "capacity: '1e5'"),
        ("shoes:counting=guess", "choose one of token_bucket"),
        ("shoes:predicted_category_limits=maybe", "neither true nor false"),
        (":qps=5", "use 1 to 20 letters"),
    ],
)
def test_an_instance_that_cannot_be_read_is_named(text, message):
    """What is wrong with an `--instance` is said with the text, the key and what it may be."""
    with pytest.raises(ConfigError) as caught:
        read_instance(text)
    assert message in str(caught.value)
    assert f"--instance {text}" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--instance", "a", "--instance", "a"), "different names"),
        (("--counting", "guess"), "choose one of token_bucket"),
        (("--bucket", "shop"), "write NAME=FOLDER"),
        (("--bucket", "shop=a", "--bucket", "shop=b"), "is given twice"),
        (("--bucket", "shop=s3://key@shop"), "has a user part"),
        (("--bucket", "shop=oss://shop"), "give --bucket-region"),
        (("--bucket", "shop=s3://shop", "--bucket-endpoint", "ftp://x"), "must be `https://host`"),
        (("--tls", "{here}", "{here}"), "cannot be used for TLS"),
    ],
)
def test_a_wrong_option_ends_with_64(arguments, message, tmp_path):
    """What cannot be served is refused before anything listens, with the exit code of a wrong setting."""
    here = tmp_path / "no.pem"
    here.write_text("no certificate")
    given = [argument.format(here=here) for argument in arguments]
    result = invoke("emulator", "--port", "0", *given)
    assert result.exit_code == 64
    assert message in result.output
    assert "Traceback" not in result.output
