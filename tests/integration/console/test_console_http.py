"""The console without a browser: its guard, its forms as a page without script sends them, what they cost."""

import asyncio
import base64
import csv
import html
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from console_rig import SAMPLES, Visitor, asked_of, demo_settings, running_console
from run_rig import command, sign_in, started

import batchsearch
from batchsearch.config.load import load_job, load_text
from batchsearch.console.console_options import ConsoleOptions
from batchsearch.console.opening_console import WantedConsole, check_host, seconds_of
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError

IMAGE = "assorted-succulents-recompressed.jpg"
DATA = (SAMPLES / "queries" / IMAGE).read_bytes()
CATALOGUE = (SAMPLES / "catalogue.csv").read_text(encoding="utf-8")


def hits_on(page):
    """Product, image and score of each card of a page."""
    text = page.decode()
    cards = text.partition('id="cards"')[2].partition("</ol>")[0]
    return re.findall(
        r"<strong>([\d.]+)</strong>.*?<bdi>(.*?)</bdi>.*?<bdi>(.*?)</bdi>", cards, re.DOTALL
    )  # fmt: skip


def sent(visitor, do, image=(IMAGE, DATA), **fields):
    """The answer to a search by an image: by the sample, by another one, or by what the fields say."""
    files = None if image is None else {"image": image}
    return visitor.post("/search", {"type": "SearchImageByPic", "do": do, **fields}, files)


def searched(visitor, do="again", **fields):
    """The page that a search by an image leads to."""
    return visitor.follow(sent(visitor, do, **fields))


def test_what_has_attributes_is_listed_without_an_image(visitor):
    """By filter: all that passes, without scores; without a filter nothing is asked."""
    form = {"type": "SearchImageByFilter", "do": "again", "filter": 'str_attr = "Clothing"', "num": "50"}
    page = visitor.follow(visitor.post("/search", form))[-1]
    clothing = [row for row in csv.DictReader(CATALOGUE.splitlines()) if row["category"] == "Clothing"]
    assert page.decode().count('class="panel hit"') == len(clothing) > 0
    assert f"{len(clothing)} results" in page.decode()
    status, _, page = visitor.post("/search", form | {"filter": ""})
    assert status == 422
    assert b"filter" in page


def test_an_empty_answer_says_what_the_best_was_where_that_is_known(visitor):
    """Asked before with a lower threshold, the best score is known and costs no call."""
    _, _, _, page = searched(visitor, num="3")
    best = max(float(score) for score, *_ in hits_on(page))
    assert best < 1
    _, _, _, page = searched(visitor, num="3", score_threshold="1.00")
    assert f"best was {best:.2f}" in page.decode()
    _, _, _, page = searched(visitor, num="4", score_threshold="1.00")
    assert "best was" not in page.decode()


def test_words_are_for_instances_that_understand_them(tmp_path):
    """By text on a product multimodal instance; any other kind is told as such before a call is made."""
    for kind, wanted in (("multimodal", 200), ("generic", 422)):
        settings = demo_settings(tmp_path / kind, f"instance.service_type={kind}")
        with running_console(settings) as console:
            visitor = Visitor(console)
            form = {"type": "SearchImageByText", "do": "again", "text": "purple t-shirt"}
            answered = visitor.post("/search", form)
            assert answered[0] == (303 if wanted == 200 else wanted)
            page = visitor.follow(answered)[-1] if wanted == 200 else answered[2]
            said = "purple-t-shirt.jpg" if wanted == 200 else "cannot be searched by text"
            assert said in page.decode()


def test_the_address_lets_a_browser_in_once(tmp_path):
    """The printed address gives a cookie that no script can read, once."""
    with running_console(demo_settings(tmp_path)) as console:
        visitor = Visitor(console, let_in=False)
        path = console.told[0].removeprefix(f"http://{visitor.host}")
        assert visitor.get("/search")[0] == 403
        status, headers, _ = visitor.get(path)
        assert (status, headers["Location"]) == (303, "/search")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Path=/" in cookie
        assert headers["Referrer-Policy"] == "no-referrer"
        status, _, body = visitor.get(path)
        assert status == 403
        assert b"printed in the terminal" in body
        assert len(console.told) == 2
        assert console.told[1] != console.told[0]
        assert visitor.get("/?t=guess")[0] == 403
        assert len(console.told) == 2, "a guess has nothing printed"
        visitor.cookie = cookie.partition(";")[0]
        assert visitor.get("/search")[0] == 200


ATTACKS = {
    "another host name": {"Host": "evil.example"},
    "another port": {"Host": "127.0.0.1:1"},
    "no cookie": {"Cookie": None},
    "another origin": {"Origin": "http://evil.example"},
    "no origin": {"Origin": None},
    "an opaque origin": {"Origin": "null"},
    "a page of another site": {"Sec-Fetch-Site": "cross-site"},
    "a body without permission": {"Content-Type": "text/plain"},
    "no token": {"X-CSRF-Token": None},
    "a wrong token": {"X-CSRF-Token": "guess"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_other_pages_can_send_costs_nothing(console, visitor, attack):
    """Rebinding, forged forms and foreign origins are refused with 4xx, and no call is made."""
    before = (len(asked_of(console)), console.session.meter.calls)
    if ATTACKS[attack].get("Cookie", "") is None:
        visitor = Visitor(console, let_in=False)
    for path in ("/search", "/compare", "/change/delete", "/history", "/cancel", "/check", "/instance"):
        fields = {
            "type": "SearchImageByName",
            "product_id": "PR000",
            "pic_name": "bamboo-watch.jpg",
            "do": "search",
        }
        status, headers, _ = visitor.post(path, fields, **ATTACKS[attack])
        assert 400 <= status < 500, path
        assert "Access-Control-Allow-Origin" not in headers
    assert (len(asked_of(console)), console.session.meter.calls) == before


def test_no_get_costs_or_changes_anything(console, visitor):
    """Every address can be looked at: no call is made, and nothing at the instance is changed."""
    before = len(asked_of(console))
    count = console.session.emulator.catalogue("demo").count()
    location = searched(visitor)[0]
    for path in (
        "/search",
        "/search?type=SearchImageByName&product_id=PR000&do=search",
        "/compare",
        "/items",
        "/history",
        "/runs",
        "/requests",
        "/meter",
        "/names?text=P",
        "/values",
        "/change/add",
        "/change/delete?product_id=PR000",
        location,
        f"{location}/raw",
        "/items/one?product_id=PR000&pic_name=bamboo-watch.jpg",
        "/thumbnail?product_id=PR000&pic_name=bamboo-watch.jpg",
        "/assets/console.js",
        "/assets/base.css",
    ):
        status, headers, body = visitor.get(path)
        assert status == 200, (path, body[:500])
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        if headers.get_content_type() == "text/html":
            assert headers["Cache-Control"] == "no-store"
            assert "<script>" not in body.decode()
            assert not re.search(r'\sstyle="|\son[a-z]+="', body.decode())
    assert len(asked_of(console)) == before + 1
    assert console.session.emulator.catalogue("demo").count() == count


@pytest.mark.parametrize(
    "path",
    [
        "/", "/?t=%FF", "/search?type=%FF&product_id=%FF&do=search", "/items?q=%FF",
        "/names?text=%ED%A0%80",
        "/items/one?product_id=%FF&pic_name=%00", "/thumbnail?product_id=%FF&pic_name=%FF", "/answer/%FF",
        "/history/%FF/image", "/runs/%FF", "/assets/%FF", "/change/%FF", "/values?name=%FF", "/search\xff",
    ],
)  # fmt: skip
def test_bytes_of_no_encoding_are_answered(console, visitor, path):
    """In a cookie, a path, a query, a form: refused or answered, never an error of the server."""
    host, port = visitor.host.split(":")
    name = console.gate.cookie_name
    for cookie in (visitor.cookie.encode(), name.encode() + b"=\xff\xfe"):
        for method, body in (("GET", b""), ("POST", b"csrf=\xff&type=\xff&product_id=%FF&do=search")):
            lines = [
                f"{method} ".encode() + path.encode("latin-1") + b" HTTP/1.1",
                f"Host: {visitor.host}".encode(),
                b"Cookie: " + cookie,
                f"Origin: http://{visitor.host}".encode(),
                b"Content-Type: application/x-www-form-urlencoded",
                f"X-CSRF-Token: {console.gate.csrf}".encode(),
                f"Content-Length: {len(body)}".encode(),
                b"Connection: close",
            ]
            with socket.create_connection((host, int(port)), timeout=30) as to:
                to.sendall(b"\r\n".join([*lines, b"", body]))
                status = int(to.makefile("rb").readline().split()[1])
            assert 200 <= status < 500, (method, cookie, status)


@pytest.mark.parametrize(
    "path",
    [
        "/assets/..%2Fsession.py", "/assets/%2e%2e%2fgate.py", "/answer/..%2F..%2Fetc", "/nowhere",
        "/preview/..%2f..%2fx", "/runs/..%2F../report", "/history/..%2F..%2Fx/image",
        "/thumbnail?product_id=../../etc&pic_name=passwd",
        "/assets/search.html.j2", "/change/everything",
    ],
)  # fmt: skip
def test_no_path_leads_out(visitor, path):
    """What is not a page is not there: no file of the machine is named by an address."""
    status, _, body = visitor.get(path)
    assert status == 404
    assert b"root:" not in body


def test_a_search_without_script_reads_every_field(console, visitor):
    """The vendor's page as plain forms: show, choose a region, category, page, filter, threshold."""
    shown = searched(visitor, "show")
    assert shown[1] == 200
    assert b"Sent as it is." in shown[3]
    sha = re.search(r'name="image_sha" value="(\w+)"', shown[3].decode())[1]
    preview = visitor.get(f"/preview/{sha}")
    assert (preview[0], preview[1].get_content_type()) == (200, "image/jpeg")
    assert preview[2] != DATA
    first = searched(visitor, image=None, image_sha=sha)
    region = re.search(r'value="region:([\d,]+)"', first[3].decode())[1]
    chosen = searched(visitor, f"region:{region}", image=None, image_sha=sha)
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(chosen[0]).query)["region"] == [region]
    assert f'value="{region.split(",")[0]}"' in chosen[3].decode()
    fields = {
        "category_id": "88888888",
        "num": "20",
        "start": "10",
        "filter": "int_attr > 1",
        "score_threshold": "0.00",
    }
    x1, x2, y1, y2 = region.split(",")
    drawn = {"method": "custom", "crop": "true", "x1": x1, "x2": x2, "y1": y1, "y2": y2}
    page = searched(visitor, image=None, image_sha=sha, **drawn, **fields)
    asked = console.session.history.get(page[0].rpartition("/")[2])
    assert asked.values == {
        "category_id": 88888888, "crop": True, "region": region, "num": 20, "start": 10,
        "filter": "int_attr > 1", "score_threshold": "0.00",
    }  # fmt: skip
    text = html.unescape(page[3].decode())
    for name in (
        "RequestId",
        "Code",
        "Msg",
        "Success",
        "HTTP status",
        "DocsReturn",
        "DocsFound",
        "SearchTime",
    ):
        assert f"<dt>{name}</dt>" in text
    for name in (
        "CustomContent",
        "PicName",
        "CategoryId",
        "ProductId",
        "SortExprValues",
        "Score",
        "IntAttr",
        "StrAttr",
    ):
        assert f">{name}" in text
    assert "(deprecated)" in text
    assert len(hits_on(page[3])) == 20
    assert asked.content["Auctions"][0]["ProductId"] == hits_on(page[3])[0][1]
    raw = visitor.get(f"{page[0]}/raw")
    assert json.loads(raw[2]) == asked.content


def test_wrong_fields_are_marked_before_any_call(console, visitor):
    """A form that the service would refuse is shown again with what is wrong, by the service's own names."""
    before = len(asked_of(console))
    fields = {
        "type": "SearchImageByName",
        "product_id": "x" * 300,
        "pic_name": "y",
        "num": "60",
        "start": "480",
    }
    status, _, body = visitor.post("/search", {**fields, "filter": "int_attr ~ 3", "do": "search"})
    text = body.decode()
    assert status == 422
    for name in ("OverflowMaxResultNum", "InvalidFilterClause", "InvalidProductId"):
        assert name in text
    assert "(column 10)" in text
    assert 'value="480"' in text, "nothing typed is lost"
    told = visitor.post("/check", {**fields, "filter": "int_attr ~ 3"})
    assert {"start", "filter", "product_id"} <= json.loads(told[2])["problems"].keys()
    assert len(asked_of(console)) == before


def test_an_image_is_judged_before_any_call(console, visitor):
    """An image that no call would take says so, with its code; a hostile one never comes back."""
    before = len(asked_of(console))
    evil = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    for name, data, code in (
        ("x.svg", evil, "Local.ImageFormatUnsupported"),
        ("page.html", b"<html>" * 20, "Local.NotAnImage"),
    ):
        status, _, body = sent(visitor, "search", (name, data))
        assert status == 422
        assert code in body.decode()
        sha = re.search(r'name="image_sha" value="(\w+)"', body.decode())[1]
        assert visitor.get(f"/preview/{sha}")[0] == 404
    status, _, body = sent(visitor, "search", image=None)
    assert (status, b"Choose an image first." in body) == (422, True)
    status, _, body = sent(visitor, "show", image=None, image_url="file:///etc/passwd")
    assert status == 422
    status, _, body = sent(visitor, "show", image=None, image_url="http://127.0.0.1:1/x.jpg")
    assert (status, b"Local.ImageAddressRefused" in body) == (422, True)
    assert len(asked_of(console)) == before


def test_what_is_too_large_is_not_read(visitor):
    """A body above the limit is refused by what it says of itself, and by what it turns out to be."""
    assert visitor.post("/search", {}, **{"Content-Length": "99000000"})[0] == 413
    status, _, body = visitor.post("/search", {"do": "show"}, {"image": ("x.jpg", b"\xff" * 25_000_000)})
    assert (status, b"24,000,000" in body) == (413, True)


def test_the_meter_is_the_instances_own_count(console, visitor):
    """Every call that the meter counts is one that the instance has seen, and the other way round."""
    calls, seen = console.session.meter.calls, len(asked_of(console))
    searched(visitor)
    searched(visitor, num="3")
    visitor.post(
        "/search", {"type": "SearchImageByName", "product_id": "no", "pic_name": "such", "do": "again"}
    )
    again = sent(visitor, "search")
    assert b"Show that answer (free)" in again[2]
    assert console.session.meter.calls - calls == len(asked_of(console)) - seen == 3
    told = json.loads(visitor.get("/meter")[2])
    assert told["calls"] == console.session.meter.calls


def test_a_wall_of_calls_holds(tmp_path):
    """Behind --max-calls nothing is asked; what was answered is there to be looked at."""
    with running_console(demo_settings(tmp_path), ConsoleOptions(max_calls=1)) as console:
        visitor = Visitor(console)
        location = searched(visitor)[0]
        status, _, body = sent(visitor, "again", num="7")
        assert status == 409
        assert b"may make" in body
        assert visitor.get(location)[0] == 200
        assert len(asked_of(console)) == 1


def test_changes_are_made_one_at_a_time_and_shown_before(console, visitor):
    """An item is added, changed and deleted; a deletion first names what goes, for no call."""
    catalogue = console.session.emulator.catalogue("demo")
    before = catalogue.count()
    form = {
        "product_id": "NEW-1",
        "pic_name": "a.jpg",
        "custom_content": "x",
        "int_attr": "7",
        "do": "change",
    }
    added = visitor.follow(visitor.post("/change/add", form, {"image": (IMAGE, DATA)}))
    assert (added[1], catalogue.count()) == (200, before + 1)
    changed = visitor.post(
        "/change/update", {"product_id": "NEW-1", "pic_name": "a.jpg", "str_attr": "red", "do": "change"}
    )
    assert changed[0] == 303
    assert catalogue.get("NEW-1", "a.jpg").str_attr == "red"
    item = visitor.get("/items/one?product_id=NEW-1&pic_name=a.jpg")[2].decode()
    assert "<dd" in item
    assert "red" in item
    listed = visitor.get("/items?filter=" + urllib.parse.quote('str_attr = "red" AND int_attr = 7'))[
        2
    ].decode()
    assert re.findall(r"<bdi>(NEW-1)</bdi>", listed) == ["NEW-1"]
    assert "column" in visitor.get("/items?filter=int_attr")[2].decode()
    calls = console.session.meter.calls
    look = visitor.post("/change/delete", {"product_id": "NEW-1", "do": "look"})
    assert (look[0], b"1 image will be deleted" in look[2]) == (200, True)
    assert (catalogue.count(), console.session.meter.calls) == (before + 1, calls)
    assert visitor.post("/change/delete", {"product_id": "NEW-1", "do": "delete"})[0] == 303
    assert catalogue.count() == before


def test_read_only_changes_nothing(tmp_path):
    """With --read-only no form changes anything, whatever it sends."""
    with running_console(demo_settings(tmp_path), ConsoleOptions(read_only=True)) as console:
        visitor = Visitor(console)
        for what in ("add", "update", "delete"):
            assert visitor.get(f"/change/{what}")[0] == 403
            status, _, body = visitor.post(f"/change/{what}", {"product_id": "PR000", "do": "delete"})
            assert (status, b"--read-only" in body) == (403, True)
        assert asked_of(console) == []


@pytest.fixture
def purchased(tmp_path, monkeypatch):
    """An instance that the console takes for a purchased one: over HTTP, with keys of the environment."""
    options = EmulatorOptions(instances=(InstanceOptions(name="bought", qps=5, rates={"add": math.inf}),))
    with Emulator(options) as emulator:
        sign_in(monkeypatch, emulator)
        monkeypatch.setenv("BATCHSEARCH_RUNTIME_DIR", str(tmp_path / "rates"))
        (tmp_path / "queries.csv").write_text(
            "id,image\n"
            + "".join(
                f"r{number},{path.name}\n"
                for number, path in enumerate(sorted((SAMPLES / "catalogue").iterdir())[:40])
            )
        )
        job = {
            "operation": "SearchImageByPic",
            "instance": {"endpoint": emulator.endpoint, "name": "bought", "qps": 5, "shared": "host"},
            "manifest": {"path": str(tmp_path / "queries.csv"), "key": "id", "columns": {"image": "image"}},
            "images": {"root": str(SAMPLES / "catalogue")},
            "output": {"dir": str(tmp_path / "output")},
        }
        yield emulator, load_text(json.dumps(job), tmp_path / "job.yaml").settings


def test_a_run_beside_is_never_denied(purchased):
    """A run's rows go first; asked all the same, both share one rate: nobody is denied, all get through."""
    emulator, settings = purchased
    with running_console(settings) as console:
        visitor = Visitor(console)
        run = threading.Thread(target=lambda: asyncio.run(run_job(settings)))
        run.start()
        while not console.session.look().is_running:
            pass
        status, _, body = sent(visitor, "search")
        assert (status, b"its rows go first" in body, console.session.meter.calls) == (200, True, 0)
        for number in range(8):
            searched(visitor, num=str(number + 1), do="now")
        run.join(60)
        verdicts = [entry.verdict for entry in emulator.log.entries("SearchImageByPic")]
        assert verdicts.count("denied") == 0
        assert verdicts.count("granted") == 8 + 40
        assert console.session.meter.denied == 0


def test_a_purchased_instance_is_changed_only_where_that_was_allowed(purchased):
    """Of a purchased one changes are off; where they are on, a deletion wants the instance's name typed."""
    emulator, settings = purchased
    with running_console(settings) as console:
        page = Visitor(console).get("/items")[2].decode()
        assert "PURCHASED" in page
        assert "cannot be listed by a call" in page
        assert Visitor(console).get("/change/delete")[0] == 403
    with running_console(settings, ConsoleOptions(allow_changes=True)) as console:
        visitor = Visitor(console)
        form = {"product_id": "P", "do": "delete"}
        status, _, body = visitor.post("/change/delete", form)
        assert (status, b"name of the instance" in body) == (422, True)
        assert emulator.log.entries("DeleteImage") == ()
        assert visitor.post("/change/delete", {**form, "confirm": "bought"})[0] == 303
        assert len(emulator.log.entries("DeleteImage")) == 1


def test_no_secret_leaves_the_process(purchased):
    """In everything that a browser is sent, and in everything that is kept, there is no key and no token."""
    emulator, settings = purchased
    sent = []
    with running_console(settings, ConsoleOptions(history=settings_folder(settings) / "history")) as console:
        visitor = Visitor(console)
        location, *_ = searched(visitor)
        for path in (
            "/search",
            location,
            f"{location}/raw",
            "/history",
            "/items",
            "/runs",
            "/meter",
            "/compare",
        ):
            _, headers, body = visitor.get(path)
            sent += [str(headers).encode(), body]
    kept = [path.read_bytes() for path in (settings_folder(settings) / "history").iterdir()]
    for secret in (emulator.access_key_id, emulator.access_key_secret, console.gate.cookie):
        assert not [each for each in (*sent, *kept) if secret.encode() in each]


def settings_folder(settings):
    return Path(settings.output.dir).parent


FAULTS = {
    "InvalidAccessKeyId.NotFound": {"ALIBABA_CLOUD_ACCESS_KEY_ID": "nobody-at-all"},
    "SignatureDoesNotMatch": {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "not-the-secret-of-it"},
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_refused_key_says_what_to_do(purchased, monkeypatch, code):
    """Keys that the service refuses are told by its code, with the advice of the table."""
    _, settings = purchased
    for name, value in FAULTS[code].items():
        monkeypatch.setenv(name, value)
    with running_console(settings) as console:
        page = searched(Visitor(console))[3].decode()
        assert code in page
        assert "Traceback" not in page
        assert "Change the account or the instance at the vendor." in page


def test_missing_keys_and_hosts_are_told(purchased, monkeypatch):
    """Without credentials, and where nothing listens, pages work and say what is missing."""
    _, settings = purchased
    gone = settings.model_copy(
        update={"instance": settings.instance.model_copy(update={"endpoint": "http://127.0.0.1:1"})}
    )
    with running_console(gone) as console:
        assert "Transport." in searched(Visitor(console))[3].decode()
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    with running_console(settings) as console:
        page = Visitor(console).get("/search")[2].decode()
        assert "The instance cannot be called." in page
        assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in page
        assert sent(Visitor(console), "again")[0] == 409


def test_copied_texts_run_and_give_the_same_answer(purchased, tmp_path):
    """The job file, the program and the shell script of an answer are run, and find what the page shows."""
    emulator, settings = purchased
    caller = emulator.caller()
    for path in sorted((SAMPLES / "catalogue").iterdir())[:12]:
        item = {"InstanceName": "bought", "ProductId": path.stem, "PicName": path.name, "IntAttr": "5"}
        added = caller.call("AddImage", {**item, "PicContent": base64.b64encode(path.read_bytes()).decode()})
        assert added.status == 200, added.body
    with running_console(settings) as console:
        visitor = Visitor(console)
        location, _, _, page = searched(visitor, num="4", filter="int_attr > 1", score_threshold="0.10")
    expected = [(product, image) for _, product, image in hits_on(page)]
    assert len(expected) >= 2
    text = page.decode()
    copied = {
        name: html.unescape(re.search(rf'<pre id="copy-{name}"[^>]*>(.*?)</pre>', text, re.DOTALL)[1])
        for name in ("job", "csv", "python", "curl")
    }
    folder = tmp_path / "copied"
    folder.mkdir()
    (folder / IMAGE).write_bytes(DATA)
    for name, content in (
        ("job.yaml", copied["job"]),
        ("query.csv", copied["csv"]),
        ("ask.py", copied["python"]),
        ("ask.sh", copied["curl"]),
    ):
        (folder / name).write_text(content)

    def ran(*command):
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    ran(sys.executable, "-m", "batchsearch", "config", "check", "job.yaml")
    loaded = load_job(folder / "job.yaml")
    batchsearch.run(loaded.settings)
    hits = pq.read_table(folder / "query-output" / "hits").sort_by("rank").to_pylist()
    assert [(hit["product_id"], hit["pic_name"]) for hit in hits] == expected
    (folder / "query-output").rename(folder / "first-output")
    printed = ran(sys.executable, "ask.py")
    assert expected[0][0] in printed
    again = pq.read_table(folder / "query-output" / "hits").sort_by("rank").to_pylist()
    assert [(hit["product_id"], hit["pic_name"]) for hit in again] == expected
    answered = json.loads(ran("bash", "ask.sh"))
    assert [(hit["ProductId"], hit["PicName"]) for hit in answered["Auctions"]] == expected
    assert location.startswith("/answer/")


def test_the_emulator_has_a_console(tmp_path):
    """`batchsearch emulator` prints an address, and its own `/console` leads there without the token."""
    wanted = ("--port", "0", "--log-format", "json", "--console")
    home = {"XDG_DATA_HOME": str(tmp_path)}
    with started("emulator", *wanted, env=home, stdout=None) as process:
        try:
            event = json.loads(process.stderr.readline())
            address = urllib.parse.urlsplit(re.search(r"http://\S+", process.stderr.readline())[0])
            import http.client

            connection = http.client.HTTPConnection(event["endpoint"].removeprefix("http://"), timeout=30)
            connection.request("GET", "/console")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            assert (answer.status, answer.headers["Location"]) == (303, f"http://{address.netloc}/")
        finally:
            process.terminate()
            assert process.wait() == 0


def test_others_are_let_near_only_where_it_is_meant(purchased):
    """Another host needs to be meant, and is refused for a purchased instance without TLS in front of it."""
    _, bought = purchased
    check_host(WantedConsole(), bought)
    with pytest.raises(ConfigError, match="--i-know"):
        check_host(WantedConsole(host="0.0.0.0"), bought)
    with pytest.raises(ConfigError, match="ssh -L"):
        check_host(WantedConsole(host="0.0.0.0", i_know=True), bought)
    assert (seconds_of("8h"), seconds_of("90"), seconds_of("1.5m")) == (28_800, 90, 90)
    with pytest.raises(ConfigError, match="--idle"):
        seconds_of("soon")


def test_a_call_that_waits_can_be_given_up(purchased):
    """While a call waits for its slot a second one is refused; given up, it has cost nothing."""
    emulator, settings = purchased
    rare = settings.instance.model_copy(update={"qps": 0.02, "custom_qps": True, "shared": "none"})
    with running_console(settings.model_copy(update={"instance": rare})) as console:
        visitor = Visitor(console)
        searched(visitor)
        told = []
        waiting = threading.Thread(target=lambda: told.append(sent(visitor, "again", num="2")))
        waiting.start()
        while json.loads(visitor.get("/meter")[2])["state"] != "waiting":
            pass
        status, _, body = sent(visitor, "again", num="2")
        assert (status, b"under way" in body) == (409, True)
        assert json.loads(visitor.post("/cancel")[2]) == {"cancelled": True}
        waiting.join(30)
        assert told[0][0] == 409
        assert b"nothing was spent" in told[0][2]
        assert json.loads(visitor.post("/cancel")[2]) == {"cancelled": False}
        assert console.session.meter.calls == len(emulator.log.entries("SearchImageByPic")) == 1
        assert json.loads(visitor.get("/meter")[2])["state"] == "idle"


CONSOLE = ("console", "--no-open", "--log-level", "error")


def test_a_console_that_nobody_uses_ends(tmp_path):
    """After its idle time a console ends by itself, with 0, and has told its address on the way."""
    ended = command(*CONSOLE, "--idle", "0.2s", env={"XDG_DATA_HOME": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"http://127\.0\.0\.1:\d+/\?t=\S{43}", ended.stdout + ended.stderr)


def test_ctrl_c_ends_it_in_good_order(tmp_path):
    """Ctrl+C ends the console with 0 and without a traceback; its embedded instance is let go of."""
    home = {"XDG_DATA_HOME": str(tmp_path)}
    for _ in range(2):
        with started(*CONSOLE, env=home, stderr=subprocess.STDOUT) as process:
            assert "http://127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert (process.stdout.read(), process.wait()) == ("", 0)
