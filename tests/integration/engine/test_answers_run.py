"""What answers of every kind become: fields in Parquet, and failures handled as their codes say."""

import json
import math
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from run_rig import harm, hits_of, results_of, served
from run_rig import sign_in as put_keys

from batchsearch.emulator.faults import ErrorAnswer, FaultPlan, FaultRule, InBodyFailure, NotJson, WrongTypes
from batchsearch.emulator.http.signatures import AccessKey
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.records import NewItem
from batchsearch.emulator.server import Emulator
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ExitCode
from batchsearch.service.facts import CATEGORIES
from batchsearch.telemetry.logs import configure

LIFTED = dict.fromkeys(("query", "add", "delete", "update", "other"), math.inf)
SEARCH, COMPARE = "SearchImageByPic", "CompareSimilarByImage"
DENIAL = {
    "AuthAction": "imagesearch:CompareSimilarByImage",
    "AuthPrincipalDisplayName": "somebody",
    "AuthPrincipalOwnerId": "1000000000000000",
    "AuthPrincipalType": "SubUser",
    "EncodedDiagnosticMessage": "AQIB",
    "NoPermissionType": "ImplicitDeny",
    "PolicyType": "AccountLevelIdentityBasedPolicy",
}
ITEM = NewItem(
    product_id="P-1",
    pic_name="front view.jpg",
    category_id=4,
    custom_content="any content, 任意",
    int_attr=-(2**31),
    int_attr2=0,
    int_attr3=3,
    int_attr4=2**31 - 1,
    str_attr="one",
    str_attr2="",
    str_attr3="três",
    str_attr4='"four"',
)


def rows(count):
    return [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(count)]


def pair(first="p00.jpg", second="p01.jpg"):
    return [{"id": "r00", "primary_image": first, "secondary_image": second}]


@pytest.fixture
def serve(monkeypatch, images):
    """Starts an emulator that holds one image, and signs in to it; stopped after the test."""
    running = []

    def start(*, sign_in=True, **options):
        instance = InstanceOptions("demo", "product", rates=LIFTED)
        emulator = Emulator(EmulatorOptions(instances=(instance,), **options)).start()
        running.append(emulator)
        if sign_in:
            put_keys(monkeypatch, emulator)
        image = decode_image((images / "p00.jpg").read_bytes(), "product")
        emulator.catalogue().add(ITEM, image, crop=True, region=None)
        return emulator

    yield start
    for emulator in running:
        emulator.stop()


@pytest.fixture
def emulator(serve):
    """Such an emulator."""
    return serve()


@pytest.fixture
def job(load):
    """The settings of a job against an emulator."""

    def made(emulator, given, **settings):
        common = {"instance__endpoint": emulator.endpoint, "instance__service_type": "product"}
        return load(given, **common, **settings)

    return made


@pytest.fixture
def ran(job):
    """Runs such a job; its settings and its summary."""

    async def made(*given, **settings):
        loaded = job(*given, **settings)
        return loaded, await run_job(loaded)

    return made


async def test_every_field_of_a_search_reaches_parquet(emulator, ran):
    """Head, PicInfo with all its parts, each attribute of a hit, code, message, verdict and request id."""
    settings, _ = await ran(emulator, rows(1), parameters={"region": "10,90,20,100"})
    row, hits = results_of(settings).loc["r00"], hits_of(settings)
    entry = emulator.log.entries(SEARCH)[0]
    assert (row["docs_found"], row["docs_return"], row["hit_count"]) == (1, 1, 1)
    assert row["search_time_ms"] >= 1
    assert row["pic_category_id"] == 4
    assert row["pic_region"] == row["pic_region_sent"] == "10,90,20,100"
    assert [(each["id"], each["name"]) for each in row["all_categories"]] == list(CATEGORIES.items())
    assert (row["response_code"], row["response_message"], row["response_success"]) == (0, "success", True)
    assert row["request_id"] == hits["request_id"].item() == entry.request_id
    assert (row["http_status"], row["field_problems"]) == (200, 0)
    hit = hits.iloc[0]
    for name in NewItem.__dataclass_fields__:
        assert hit[name] == getattr(ITEM, name), name
    assert 0 < hit["score"] < 1
    first, second = hit["sort_expr_values"].split(";")
    assert float(first) == pytest.approx(hit["score"] * 5.37633353624177e24)
    assert int(second) == 0


async def test_the_subjects_of_a_turned_image_come_back_in_its_own_pixels(emulator, ran, images, tmp_path):
    """PicInfo.Region and MultiRegion are those of the file as it is stored, and as sent beside them."""
    from PIL import Image

    with Image.open(images / "p03.jpg") as opened:
        upright = opened.copy()
    exif = Image.Exif()
    exif[0x0112] = 3
    upright.rotate(180).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    settings, _ = await ran(emulator, [{"id": "r00", "image": "turned.jpg"}], images__root=str(tmp_path))
    row = results_of(settings).loc["r00"]

    def mirrored(region):
        x1, x2, y1, y2 = map(int, region.split(","))
        return f"{159 - x2},{159 - x1},{119 - y2},{119 - y1}"

    assert row["pic_region"] == mirrored(row["pic_region_sent"])
    assert row["multi_region_sent"][0] == row["pic_region_sent"]
    assert list(row["multi_region"]) == [mirrored(region) for region in row["multi_region_sent"]]


async def test_every_field_of_a_comparison_reaches_parquet(emulator, ran):
    """Score, verdict, and all seven parts of AccessDeniedDetail."""
    harm(emulator, WrongTypes({"AccessDeniedDetail": DENIAL}))
    settings, _ = await ran(emulator, pair(second="p00.jpg"), operation=COMPARE)
    row = results_of(settings).loc["r00"]
    assert (row["score"], row["response_code"], row["response_message"]) == (1.0, 0, "success")
    assert row["response_success"]
    assert list(row["access_denied_detail"].values()) == list(DENIAL.values())
    assert row["field_problems"] == 0


WRONG = {
    "Auctions.*.Score": "0.5",
    "Auctions.*.IntAttr": "12",
    "Auctions.*.ProductId": 7,
    "Auctions.*.CategoryId": "<absent>",
    "Auctions.*.StrAttr": ["no", "text"],
    "Auctions.*.Colour": "not documented",
    "Head.DocsFound": "many",
    "Head.SearchTime": 3.0,
    "PicInfo.Region": None,
    "PicInfo.MultiRegion": None,
    "Success": "true",
    "Code": "0",
    "Unexpected": {"Field": [1, 2]},
}


async def test_wrong_missing_null_and_extra_fields_are_survived_and_counted(emulator, ran):
    """What can be read without loss is kept, the rest is null, and each deviation counts once."""
    harm(emulator, WrongTypes(WRONG))
    settings, _ = await ran(emulator, rows(1))
    row, hit = results_of(settings).loc["r00"], hits_of(settings).iloc[0]
    assert (row["outcome"], row["field_problems"]) == ("ok", len(WRONG))
    assert (row["response_code"], row["response_success"], row["search_time_ms"]) == (0, True, 3)
    assert pd.isna(row["docs_found"])
    assert row["docs_return"] == 1
    assert pd.isna(row["pic_region"])
    assert (hit["score"], hit["int_attr"], hit["product_id"]) == (0.5, 12, "7")
    assert pd.isna(hit["category_id"])
    assert pd.isna(hit["str_attr"])
    assert hit["str_attr3"] == "três"


@pytest.mark.parametrize(
    ("wrong", "problems"),
    [
        ({"Auctions": None}, 1),
        ({"Auctions": None, "Head": [], "PicInfo": 7}, 3),
        ({"Auctions": [], "Head": "<absent>", "RequestId": "<absent>"}, 2),
    ],
)
async def test_an_answer_without_its_parts_is_an_answer_without_hits(emulator, ran, wrong, problems):
    """Parts beside the hits that are missing or of another type cost the row nothing but those parts."""
    harm(emulator, WrongTypes(wrong))
    settings, summary = await ran(emulator, rows(1))
    row = results_of(settings).loc["r00"]
    assert (summary.ok, row["hit_count"], row["field_problems"]) == (1, 0, problems)
    # Without an id in the body the header's is taken.
    assert row["request_id"] == emulator.log.entries(SEARCH)[0].request_id


@pytest.mark.parametrize(
    "wrong", [{"Auctions": "none"}, {"Auctions": [1, None]}, {"Auctions.*.Score": "high"}]
)
async def test_hits_that_cannot_be_read_are_not_no_hits(emulator, ran, wrong):
    """A search whose hits are of another type is asked for again; only an answer is an outcome."""
    harm(emulator, WrongTypes(wrong), times=1)
    settings, summary = await ran(emulator, rows(1))
    assert (summary.ok, summary.calls, summary.retries) == (1, 2, 1)
    assert results_of(settings).loc["r00"]["hit_count"] > 0


async def test_a_denial_ends_the_run_with_all_that_an_administrator_needs(emulator, job, capsys):
    """What is not granted, to whom, and the request id: in the message, the event and the summary's file."""
    body = json.dumps(
        {"RequestId": "ID-1", "Code": "NoPermission", "Message": "No.", "AccessDeniedDetail": DENIAL}
    )
    harm(emulator, NotJson(403, body, "application/json"))
    settings = job(emulator, rows(1))
    configure("json", "info")
    summary = await run_job(settings)
    assert summary.exit_code == ExitCode.ENDED
    assert "imagesearch:CompareSimilarByImage is not granted to somebody (ImplicitDeny)" in summary.message
    assert "request id ID-1" in summary.message
    record = json.loads((Path(settings.output.dir) / "summary.json").read_text())
    assert record["ended_by"]["code"] == "NoPermission"
    assert record["ended_by"]["request_id"] == "ID-1"
    assert record["ended_by"]["access_denied_detail"]["policy_type"] == "AccountLevelIdentityBasedPolicy"
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [ending] = [event for event in events if event["event"] == "run_ending"]
    assert (ending["request_id"], ending["access_denied_detail"]["auth_action"]) == (
        "ID-1",
        "imagesearch:CompareSimilarByImage",
    )


async def test_success_false_under_200_fails_the_row_with_its_number(emulator, ran):
    """The code is the answer's own, and the row is not called again."""
    harm(emulator, InBodyFailure(number=-7, message="Not today."))
    settings, summary = await ran(emulator, rows(1))
    row = results_of(settings).loc["r00"]
    assert (row["error_code"], row["error_origin"], row["error_message"]) == ("Code.-7", "api", "Not today.")
    assert (row["http_status"], summary.calls) == (200, 1)


async def test_the_services_own_waiting_time_is_respected(emulator, ran):
    """Before `x-acs-retry-after` is over no call comes, whatever the code; backoff alone would be shorter."""
    rules = (
        FaultRule(ErrorAnswer("DeniedRequest", retry_after=0.6), calls=frozenset({1})),
        FaultRule(ErrorAnswer("ServiceUnavailable", retry_after=0.6), calls=frozenset({2})),
    )
    emulator.set_faults(FaultPlan(rules))
    _, summary = await ran(emulator, rows(1))
    calls = emulator.log.entries(SEARCH)
    assert [entry.code for entry in calls] == ["DeniedRequest", "ServiceUnavailable", None]
    for earlier, later in pairwise(calls):
        assert later.arrived - earlier.arrived >= 0.6
    assert (summary.ok, summary.denied, summary.retries) == (1, 1, 2)


REPEATED = [
    ErrorAnswer("Throttling", retry_after=0.001),
    ErrorAnswer("Throttling.Whatever", status=400),
    ErrorAnswer("ServiceUnavailable"),
    ErrorAnswer("SearchTimeout"),
    ErrorAnswer("Nobody.Knows", status=500),
    ErrorAnswer("SignatureNonceUsed"),
]
FINAL = [ErrorAnswer("InvalidCategory"), ErrorAnswer("Nobody.Knows", status=400)]


async def test_codes_that_time_may_mend_are_repeated(emulator, ran):
    """By their entry, whatever the status; an unknown code by its 5xx. Each repeat is signed anew."""
    rules = (FaultRule(fault, calls=frozenset({n})) for n, fault in enumerate(REPEATED, start=1))
    emulator.set_faults(FaultPlan(tuple(rules)))
    _, summary = await ran(emulator, rows(len(REPEATED)))
    calls = emulator.log.entries(SEARCH)
    assert summary.ok == len(REPEATED)
    assert summary.calls == 2 * len(REPEATED)
    assert sorted(entry.code for entry in calls if entry.code) == sorted(fault.code for fault in REPEATED)
    assert len({entry.nonce for entry in calls}) == len(calls)


async def test_codes_that_time_cannot_mend_fail_their_row_at_once(emulator, ran):
    """The row's own mistake is final; so is an unknown code under a 4xx."""
    rules = (FaultRule(fault, calls=frozenset({n})) for n, fault in enumerate(FINAL, start=1))
    emulator.set_faults(FaultPlan(tuple(rules)))
    settings, summary = await ran(emulator, rows(len(FINAL)))
    results = results_of(settings)
    assert sorted(results["error_code"]) == sorted(fault.code for fault in FINAL)
    assert set(results["error_origin"]) == {"api"}
    assert summary.calls == len(FINAL)


async def test_a_job_file_gives_a_code_another_action(emulator, job, ran):
    """`codes` overrides the table: what fails a row is repeated, what is repeated ends the run."""
    harm(emulator, ErrorAnswer("InvalidCategory"), times=1)
    settings = job(emulator, rows(1), codes={"InvalidCategory": "retry", "SearchTimeout": "end_run"})
    assert (await run_job(settings)).ok == 1
    harm(emulator, ErrorAnswer("SearchTimeout"))
    _, summary = await ran(
        emulator,
        rows(3),
        codes={"InvalidCategory": "retry", "SearchTimeout": "end_run"},
        output__dir="other",
    )
    assert (summary.exit_code, summary.done) == (ExitCode.ENDED, 0)
    assert "SearchTimeout" in summary.message


@pytest.mark.parametrize("signing", ["v3", "v1"])
@pytest.mark.parametrize("offset", [3600.0, -3600.0])
async def test_a_clock_that_is_off_is_corrected_by_one_refusal(serve, ran, signing, offset):
    """An hour's difference costs one call of the whole run, with either signature."""
    emulator = serve(clock_offset=offset)
    _, summary = await ran(emulator, rows(5), calls__signing=signing, calls__max_in_flight=1)
    assert (summary.ok, summary.calls) == (5, 6)
    codes = [entry.code for entry in emulator.log.entries(SEARCH)]
    assert codes == ["InvalidTimeStamp.Expired", None, None, None, None, None]


async def test_a_clock_that_is_off_is_corrected_before_the_first_upload(serve, ran):
    """By address the open platform is asked first: its refusal corrects the clock for the calls as well."""
    emulator = serve(clock_offset=3600.0)
    _, summary = await ran(
        emulator,
        rows(3),
        instance__region="ap-southeast-1",
        calls__upload="url",
        calls__open_platform=emulator.endpoint,
    )
    assert (summary.ok, summary.calls) == (3, 3)
    asked = [entry.code for entry in emulator.log.entries("AuthorizeFileUpload")]
    assert asked.count(None) == 3
    assert set(asked) == {None, "InvalidTimeStamp.Expired"}


@pytest.fixture
def role(monkeypatch, tmp_path):
    """A credentials URI that gives one pair of temporary keys after the other."""
    given, asked = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            keys = given.pop(0) if len(given) > 1 else given[0]
            asked.append(keys)
            answer = {
                "Code": "Success",
                "AccessKeyId": keys.access_key_id,
                "AccessKeySecret": keys.access_key_secret,
                "SecurityToken": keys.security_token,
                "Expiration": "2099-01-01T00:00:00Z",
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "ROLE_ARN"):
        monkeypatch.delenv(f"ALIBABA_CLOUD_{name}", raising=False)
    with served(Handler) as address:
        monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", f"{address}/")
        yield given, asked


async def test_an_expired_token_is_fetched_anew_once(serve, ran, role):
    """The refused call is repeated with new temporary keys, and all later calls are signed with them."""
    old = AccessKey("STS.old", "secret-1", security_token="token-of-yesterday", expires=1.0)
    new = AccessKey("STS.new", "secret-2", security_token="token-of-today-and-tomorrow")
    given, asked = role
    given += [old, new]
    emulator = serve(keys=(old, new), sign_in=False)
    _, summary = await ran(emulator, rows(3), calls__max_in_flight=1)
    calls = emulator.log.entries(SEARCH)
    codes = [entry.code for entry in calls]
    assert summary.ok == 3
    assert codes[0] == "InvalidSecurityToken.Expired"
    assert codes == sorted(codes, key=lambda code: code is None)
    assert [entry.access_key_id for entry in calls if entry.code is None] == ["STS.new"] * 3
    # Asked for at the start and after the refusals, not once for each of these.
    assert asked == [old, new]
