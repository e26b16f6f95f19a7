"""Nothing secret in anything that a failing run writes: every byte of it is searched."""

import base64
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import command, served

from batchsearch.config.sections.notify_settings import NOTIFY_VARIABLE
from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule, NotJson, Reset

SECRET = "k7PlantedAccessKeySecretQ2"
TOKEN = "t0PlantedSecurityTokenZ9+/="
SIGNATURE = "PlantedSignature%2Bof%2Ban%2Baddress"
PASSWORD = "PlantedUserPassword"
HOOK = "PlantedHookPathSecret"
IN_MESSAGE = "PlantedInTheServicesWords"

PLANTED = {
    "access key secret": SECRET,
    "security token": TOKEN,
    "signature of an address": SIGNATURE,
    "password in an address": PASSWORD,
    "path of the webhook": HOOK,
    "signature in the service's message": IN_MESSAGE,
}


def forms(secret):
    """Every way in which a secret may be written down."""
    plain = secret.encode()
    yield from (plain, quote(secret, safe="").encode(), base64.b64encode(plain).rstrip(b"="))
    yield from (plain.replace(b"%2B", b"+"), plain[::-1])


def leaks(texts):
    """Which secrets are found, and where."""
    return [
        (name, place)
        for place, data in texts.items()
        for name, secret in PLANTED.items()
        if any(form in data for form in forms(secret))
    ]


class Refusing(BaseHTTPRequestHandler):
    """A host of images, and of a webhook, that answers everything with an error."""

    def do_GET(self):
        self.send_error(int(self.path.split("/")[1].split("?")[0]))

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(500)

    def log_message(self, *_):
        """Not to our stderr."""


@pytest.fixture
def host():
    """Where the refusing host is, `127.0.0.1:PORT`."""
    with served(Refusing) as address:
        yield address.removeprefix("http://")


@pytest.fixture
def key(emulator):
    """The emulator accepts one key pair, a temporary one: its secret and token are the planted ones."""
    from batchsearch.emulator.http.signatures import AccessKey

    emulator.set_keys([AccessKey("STS.planted", SECRET, TOKEN)])
    return emulator


def rows(host):
    """Images that fail in many ways, each by an address with a signature, and some that are found."""
    signed = f"?Expires=9&OSSAccessKeyId=STS.planted&Signature={SIGNATURE}"
    addresses = [
        *(f"http://{host}/{status}/p.jpg{signed}" for status in (403, 404, 500)),
        f"http://user:{PASSWORD}@{host}/404/p.jpg",
        f"http://127.0.0.1:9/p.jpg{signed}",
        f"https://{host}/p.jpg{signed}",
        f"http://169.254.169.254/latest{signed}",
        f"ftp://{host}/p.jpg{signed}",
        f"http://[bad/p.jpg{signed}",
        f"s3://bucket/p.jpg{signed}",
        f"oss://user:{PASSWORD}@bucket/p.jpg{signed}",
        f"data:text/plain,{signed}",
        f"//{host}/404/p.jpg{signed}",
        f"//user:{PASSWORD}@cdn.example/p.jpg",
        f"http:/{host}/p.jpg{signed}",
        f"https//{host}/p.jpg{signed}",
        f"cdn.example/p.jpg{signed}",
        f"p09.jpg{signed}",
        f"user:{PASSWORD}@cdn.example/p.jpg",
    ]
    found = [f"p{n:02}.jpg" for n in range(6)]
    return [{"id": f"r{n:02}", "image": image} for n, image in enumerate([*addresses, *found])]


def everything(folder, ran):
    """All that a run has left anywhere: streams, and each file's bytes."""
    texts = {"stdout": ran.stdout, "stderr": ran.stderr}
    for path in folder.rglob("*"):
        if path.is_file():
            texts[str(path.relative_to(folder))] = path.read_bytes()
            if path.suffix == ".parquet":
                texts[f"{path.name}, read"] = repr(pq.read_table(path).to_pylist()).encode()
    return texts


def run(job, host, *, what="run", log_format="json", kill_after=None, **environ):
    """The job by the command line, at debug level, killed after so many rows; all that it wrote."""
    out = job.parent / "out"
    command = [sys.executable, "-m", "batchsearch", what, str(job)]
    given = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.planted",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
        "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN,
        NOTIFY_VARIABLE: f"http://{host}/{HOOK}",
    }
    command += ["--log-format", log_format, "--log-level", "debug"]
    metrics = [
        *("--set", f"metrics.textfile={out / 'run.prom'}", "--set", "images.fetch_timeout=1"),
        *("--set", f"images.allow_hosts=[{host.partition(':')[0]}]", "--set", "notify.attempts=1"),
    ]
    out.mkdir(exist_ok=True)
    environment = {**os.environ, **given, **environ}
    if kill_after is not None:
        with subprocess.Popen([*command, *metrics], stdout=-1, stderr=-1, env=environment) as process:
            lines, finished = [], 0
            while finished < kill_after and (line := process.stderr.readline()):
                lines.append(line)
                finished += b'"row_finished"' in line
            process.kill()
            stdout, stderr = process.communicate()
        ran = subprocess.CompletedProcess(command, process.returncode, stdout, b"".join([*lines, stderr]))
    else:
        ran = subprocess.run(
            [*command, *metrics], capture_output=True, check=False, env=environment, timeout=60
        )
    return ran, everything(out, ran)


def told(code):
    """A refusal whose words quote an address with a signature, and the string that was signed."""
    words = (
        f"cannot read https://b.oss.example/p.jpg?Signature={IN_MESSAGE} "
        f"x-acs-security-token: {TOKEN} Authorization: ACS3-HMAC-SHA256 Credential=a,Signature={IN_MESSAGE}"
    )
    body = json.dumps({"Code": code, "Message": words, "RequestId": "r", "Success": False})
    return NotJson(status=400, body=body, content_type="application/json")


FAULTS = {
    "rows fail": (
        FaultRule(ErrorAnswer("DeniedRequest"), times=2),
        FaultRule(Reset(), times=2),
        FaultRule(told("InvalidImage.Unknown")),
    ),
    "the run ends": (FaultRule(told("NoPermission")),),
}


def settings_of(emulator, **more):
    return {
        "instance__endpoint": emulator.endpoint,
        "instance__region": "ap-southeast-1",
        "calls__open_platform": emulator.endpoint,
        "calls__max_outage_seconds": 3,
        "calls__max_attempts": 2,
        "output__rows_per_part": 5,
        **more,
    }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("upload", ["body", "url"])
def test_nothing_that_a_failing_run_writes_holds_a_secret(key, make_job, host, fault, upload):
    """Bad images by signed addresses, refusals that quote them, uploads by address, a dead webhook."""
    key.set_faults(FaultPlan(FAULTS[fault]))
    job = make_job(rows(host), **settings_of(key, calls__upload=upload))
    _, texts = run(job, host)
    assert b"notify_failed" in texts["stderr"]
    assert b"row_finished" in texts["stderr"]
    assert {"run.prom", "summary.json", "ledger/heartbeat.json", "ledger/ledger.sqlite3"} <= set(texts)
    assert leaks(texts) == []


@pytest.mark.parametrize("what", ["run", "check"])
def test_relative_addresses_give_nothing_away(key, make_job, host, what):
    """What `images.base_url` completes is signed like any address, and in no result, verdict or message."""
    signed = f"?st=1&x={SIGNATURE}"
    paths = [f"404/p.jpg{signed}", f"/500/p.jpg{signed}", f"../p.jpg{signed}", f"//cdn.example/p.jpg{signed}"]
    made = [{"id": f"r{n}", "image": path} for n, path in enumerate(paths)]
    job = make_job(made, **settings_of(key, images__base_url=f"http://{host}"))
    ran, texts = run(job, host, what=what)
    assert ran.returncode in (0, 2, 3), ran.stderr
    table = "results" if what == "run" else "verdicts"
    assert any(place.startswith(table) or table in place for place in texts), sorted(texts)
    assert leaks(texts) == []


def test_a_night_keeps_no_signed_address(make_job, images, tmp_path):
    """The pre-check hands its rows to the search in a file, which is gone with the signatures after it."""

    class Serving(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=images)

        def log_message(self, *_):
            """Not to our stderr."""

    with served(Serving) as address:
        image = f"{address}/p{{:02}}.jpg?x={SIGNATURE}"
        made = [
            {
                "id": f"r{n}",
                "product": f"P{n % 5}",
                "pic": f"{n}",
                "image": image.format(n),
            }
            for n in range(8)
        ]
        made[7]["image"] = made[0]["image"]
        job = make_job(
            made,
            instance__endpoint="emulator",
            images__allow_hosts=["127.0.0.1"],
            dedup={"product_column": "product", "pic_name_column": "pic", "sync": "add", "precheck": "first"},
        )
        ran = command("dedup", job, "--no-progress", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    out = tmp_path / "out"
    assert (out / "precheck" / "copies.parquet").is_file()
    ran = subprocess.CompletedProcess([], 0, ran.stdout.encode(), ran.stderr.encode())
    assert leaks(everything(out, ran)) == []


def test_a_wrong_key_is_shown_nowhere(emulator, make_job, host):
    """A key that the service refuses ends the run; neither the key nor what was signed with it is told."""
    job = make_job(rows(host)[-6:], **settings_of(emulator))
    ran, texts = run(job, host, log_format="console")
    assert ran.returncode in (4, 5), ran.stderr
    assert leaks(texts) == []


def test_a_killed_run_leaves_no_secret_in_its_log(key, make_job, host):
    """The ledger's write-ahead log, which a clean end would have emptied, is searched as well."""
    key.set_faults(FaultPlan(FAULTS["rows fail"]))
    many = [{**row, "id": f"{row['id']}-{n}"} for n in range(30) for row in rows(host)]
    job = make_job(many, **settings_of(key, instance__qps=5))
    ran, texts = run(job, host, kill_after=30)
    assert ran.returncode == -9, ran.stderr
    assert texts["ledger/ledger.sqlite3-wal"]
    assert leaks(texts) == []


def test_a_manifest_that_is_not_usable_quotes_no_secret(key, make_job, host):
    """Keys that are there twice are named; the addresses beside them are not."""
    twice = [row | {"id": "same"} for row in rows(host)]
    ran, texts = run(make_job(twice, **settings_of(key)), host)
    assert ran.returncode == 65
    assert leaks(texts) == []


@pytest.mark.parametrize("name", list(PLANTED))
def test_a_leak_would_be_found(tmp_path, name):
    """The search finds each secret, in any of its forms, in a stream and in a file of any kind."""
    for number, form in enumerate(forms(PLANTED[name])):
        (tmp_path / f"{number}.bin").write_bytes(b"\x00before" + form + b"after\x00")
    table = pa.table({"a": [PLANTED[name]] * 3})
    pq.write_table(table, tmp_path / "part.parquet", compression="zstd")
    clean = subprocess.CompletedProcess([], 0, b"", b"x " + PLANTED[name].encode())
    found = leaks(everything(tmp_path, clean))
    places = {place for leaked, place in found if leaked == name}
    assert {"stderr", "0.bin", "1.bin", "2.bin", "part.parquet, read"} <= places


def test_a_planted_leak_is_found_in_a_real_run(key, make_job, host):
    """With one line that prints the secret, the same run is not clean: the search sees the real streams."""
    job = make_job(rows(host)[-1:], **settings_of(key))
    planted = job.parent / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(
        "import os, sys\nsys.stderr.write(os.environ['ALIBABA_CLOUD_ACCESS_KEY_SECRET'] + '\\n')\n"
    )
    paths = os.pathsep.join(filter(None, [str(planted), os.environ.get("PYTHONPATH")]))
    _, texts = run(job, host, PYTHONPATH=paths)
    assert leaks(texts) == [("access key secret", "stderr")]
