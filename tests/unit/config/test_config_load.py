"""A job file, read with its overrides, or refused with every problem at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_rig import program

from batchsearch.config.load import job_schema, load_job, load_text, recorded_settings
from batchsearch.config.mapping import job_of_mapping
from batchsearch.errors import ConfigError, ExitCode

GOOD = """\
operation: SearchImageByPic
instance:
  endpoint: emulator
  name: demo
  qps: 5
manifest:
  path: data/queries.csv
output:
  dir: out
"""


@pytest.fixture
def job(tmp_path):
    """Writes a job file; loads it with overrides and an environment of its own."""

    def load(text=GOOD, *overrides, **environ):
        path = tmp_path / "job.yaml"
        path.write_text(text)
        return load_job(path, overrides=overrides, environ=environ)

    return load


@pytest.fixture
def problems(job, tmp_path):
    """The problems of a job that cannot run, without the folder's name."""

    def find(text=GOOD, *overrides, **environ):
        with pytest.raises(ConfigError) as caught:
            job(text, *overrides, **environ)
        assert caught.value.exit_code is ExitCode.BAD_CONFIG
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return find


def test_a_short_job_file_is_enough(job):
    """Everything but the operation, the instance, the manifest and the output has a default."""
    loaded = job()
    assert loaded.settings.instance.qps == 5
    assert loaded.settings.manifest.key == ("product_id", "pic_name")
    assert loaded.sources["instance.qps"].line == 5
    assert str(loaded.sources["calls.timeout"]) == "default"


def test_later_sources_win(job):
    """The environment wins over the file, `--set` over the environment, a later `--set` over an earlier."""
    loaded = job(
        GOOD,
        "instance.name=third",
        "instance.name=fourth",
        BATCHSEARCH__INSTANCE__NAME="second",
        BATCHSEARCH__INSTANCE__QPS="10",
    )
    assert loaded.settings.instance.name == "fourth"
    assert loaded.settings.instance.qps == 10
    assert str(loaded.sources["instance.name"]) == "--set instance.name"
    assert str(loaded.sources["instance.qps"]) == "BATCHSEARCH__INSTANCE__QPS"
    assert loaded.sources["instance.endpoint"].kind == "file"


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("instance.name=007", lambda s: s.instance.name, "007"),
        ("instance.name=yes", lambda s: s.instance.name, "yes"),
        ("instance.name='quoted'", lambda s: s.instance.name, "quoted"),
        ("instance.vpc=yes", lambda s: s.instance.vpc, True),
        ("manifest.key=sku", lambda s: s.manifest.key, ("sku",)),
        ("manifest.key=[a, b]", lambda s: s.manifest.key, ("a", "b")),
        ("manifest.carry=none", lambda s: s.manifest.carry, "none"),
        ("manifest.carry=all", lambda s: s.manifest.carry, "all"),
        ("manifest.carry=sku", lambda s: s.manifest.carry, ("sku",)),
        ("manifest.csv.types.unit.price=int64", lambda s: s.manifest.csv.types, {"unit.price": "int64"}),
        ("manifest.csv.delimiter=tab", lambda s: s.manifest.csv.delimiter, "\t"),
        ("parameters.num=3", lambda s: s.parameters, {"num": 3}),
        ("parameters={num: 3, crop: false}", lambda s: s.parameters, {"num": 3, "crop": False}),
        ("parameters.filter=int_attr=1", lambda s: s.parameters, {"filter": "int_attr=1"}),
        ("codes.Throttling.User=fail_row", lambda s: s.codes, {"Throttling.User": "fail_row"}),
        ("images.max_side=null", lambda s: s.images.max_side, None),
        ("images.root=null", lambda s: s.images.root, None),
    ],
)
def test_overrides_are_read_as_the_setting_means(job, override, read, value):
    """Text settings keep the text, others read YAML, free names keep their dots."""
    assert read(job(GOOD, override).settings) == value


def test_a_current_folder_that_is_gone_matters_to_relative_paths_alone(job, problems, tmp_path, monkeypatch):
    """Cron and CI clean up behind those who name whole paths."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert job(GOOD, f"output.dir={tmp_path}/out").settings.output.dir == f"{tmp_path}/out"
    assert "is relative, and the current folder is gone" in str(problems(GOOD, "output.dir=out"))


def test_a_section_given_whole_replaces_the_section(job):
    """What `--set` gives as a section has nothing of the file's left in it."""
    loaded = job(GOOD + "parameters: {num: 3}\n", "parameters={crop: true}")
    assert loaded.settings.parameters == {"crop": True}
    assert str(loaded.sources["parameters.crop"]) == "--set parameters"


def test_paths_start_at_the_job_files_folder(job, tmp_path, monkeypatch):
    """Relative paths of the file start at its folder, typed ones at the current one; `~` is home."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", "/home/someone")
    text = GOOD + "images: {root: ../images}\nemulator: {data: ~/instance, catalogue: {root: c, manifest: "
    text += "{path: 's3://bucket/x.csv'}}}\n"
    settings = job(text, "output.dir=here").settings
    assert settings.manifest.path == str(tmp_path / "data/queries.csv")
    assert settings.images.root == str(tmp_path.parent / "images")
    assert settings.output.dir == str(elsewhere / "here")
    assert settings.emulator.data == "/home/someone/instance"
    assert settings.emulator.catalogue.root == str(tmp_path / "c")
    assert settings.emulator.catalogue.manifest.path == "s3://bucket/x.csv"


def test_dots_beside_a_link_keep_their_meaning(job, tmp_path):
    """`..` after a symbolic link is the folder above its target, as for every other program."""
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    path = job(GOOD, "output.dir=/nowhere").settings.manifest.path
    assert path == str(tmp_path / "data/queries.csv")
    linked = job(GOOD.replace("data/queries.csv", "link/../queries.csv")).settings.manifest.path
    assert os.path.realpath(linked) == str(tmp_path / "far" / "queries.csv")


def test_every_problem_is_reported_at_once(problems):
    """One run of the command shows all there is to mend, with file, line and setting."""
    text = """\
operation: SearchImageByPic
instance:
  name: 5
  qsp: 5
  qps: 7
manifest:
  columns: {imag: x}
  csv: {types: {a: integer}, delimiter: ab}
parameters: {num: 1000, scroe_threshold: 0.1}
results_per_row: 20
calls: {timeout: -1, max_attempts: many}
codes: {DeniedRequst: retry, DeniedRequest: agian}
max_failed: lots
images: 5
emulator: {catalogue: {manifest: {path: x, columns: {int_atr: price}}}}
"""
    found = problems(text, "a.b=c", "nothing", "instance.name.x=1", BATCHSEARCH__INSTANCE__QPSS="1")
    expected = [
        "job.yaml:2: instance.region: is needed to find the service, unless `endpoint` is given",
        "job.yaml:3: instance.name: must be text, not 5; put it in quotes if it is meant as text",
        "job.yaml:4: instance.qsp: there is no such setting; did you mean `qps`?",
        (
            "job.yaml:5: instance.qps: 7 is not a tier that can be bought (1, 5, 10); "
            "set `custom_qps: true` if another rate is meant"
        ),
        "job.yaml:6: manifest.path: is missing. File, folder or glob; or a folder of images.",
        (
            "job.yaml:7: manifest.columns.imag: "
            "SearchImageByPic takes nothing called `imag`; did you mean `image`?"
        ),
        "job.yaml:8: manifest.csv.delimiter: must be one ASCII character and no line end, not 'ab'",
        "job.yaml:9: parameters.num: 1000 is not a whole number from 1 to 100",
        "job.yaml:10: results_per_row: says the same as `parameters.num`; give one of them",
        "job.yaml:11: calls.timeout: must be more than 0, not -1",
        "job.yaml:11: calls.max_attempts: must be a whole number, not 'many'",
        (
            "job.yaml:12: codes.DeniedRequst: no error code has the name `DeniedRequst`; "
            "did you mean `DeniedRequest`?"
        ),
        "job.yaml:12: codes.DeniedRequest: must be one of `retry`, `fail_row`, `end_run`, not 'agian'",
        "job.yaml:13: max_failed: 'lots' is neither a share like `5%` nor a number of rows",
        "job.yaml:14: images: must be a section with `name: value` lines below it, not 5",
        (
            "job.yaml:15: emulator.catalogue.manifest.columns.int_atr: "
            "AddImage takes nothing called `int_atr`; did you mean `int_attr`?"
        ),
        "job.yaml: output: is missing. Where results go.",
        "--set nothing: is not `--set setting=value`, such as `--set instance.qps=5`",
        "--set instance.name.x: `instance.name` is one value and has no settings below it",
        "BATCHSEARCH__INSTANCE__QPSS: there is no setting `qpss` in `instance`; did you mean `qps`?",
    ]
    assert [line for line in expected if line not in found] == []
    assert any(line.startswith("job.yaml:8: manifest.csv.types.a: must be one of `string`") for line in found)
    assert any("did you mean `score_threshold`" in line for line in found)
    assert len(found) == len(expected) + 3
    lines = [int(line.split(":")[1]) for line in found if line.startswith("job.yaml:") and line[9].isdigit()]
    assert lines == sorted(lines)


@pytest.mark.parametrize("name", ["Local.ImageBroken", "Transport.ImageTimeout"])
def test_a_code_that_is_given_before_any_call_has_no_other_action(problems, name):
    """What is decided here is no answer: an action for it would never be taken, and is refused."""
    (told,) = problems(f"{GOOD}codes:\n  {name}: retry\n")
    assert told.endswith(f"`{name}` is given before any call; only the answer to a call has another action")


@pytest.mark.parametrize(
    ("section", "before", "now", "given", "found"),
    [
        ("dedup", "picture_column", "pic_name_column", "photo", "photo"),
        ("dedup", "representative", "representative", "most_pictures", "most_images"),
        ("compare", "matrix_pictures", "matrix_images", 7, 7),
    ],
)
def test_settings_are_read_under_the_names_that_they_had(job, section, before, now, given, found):  # noqa: PLR0917 - a table
    """A job file of 0.1.0 is read as it stands: in its text, by `--set`, and as an output noted it."""
    loaded = job(f"{section}:\n  {before}: {given}\n{GOOD}")
    assert getattr(getattr(loaded.settings, section), now) == found
    assert loaded.sources[f"{section}.{now}"].line == 2
    override = job(GOOD, f"{section}.{before}={given}")
    assert getattr(getattr(override.settings, section), now) == found
    noted = loaded.settings.model_dump(mode="json")
    noted[section][before] = given
    if before != now:
        del noted[section][now]
    assert getattr(getattr(recorded_settings(noted), section), now) == found


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("instance.qps=true", "is true, which is a switch's value"),
        ("instance.qps=.inf", "must be a number, not '.inf'"),
        ("instance.qps=inf", "must be a number"),
        ("instance.region=ap-southeast1", "is not a known region"),
        ("instance.endpoint=ftp://x", "takes `http://`"),
        ("instance.endpoint=http://user:pw@x", "no path, user or query"),
        ("instance.endpoint=x/y", "no path, user or query"),
        ("instance.service_type=genric", "did you mean `generic`?"),
        ("operation=SearchImageByPicture", "did you mean `SearchImageByPic`?"),
        ("instance.name=", "must not be empty"),
        ("instance.name=" + "x" * 21, "has more than 20 characters"),
        ("manifest.key=[]", "needs at least 1"),
        ("manifest.key=[a, a]", "names the column 'a' twice"),
        ("manifest.csv.encoding=utf-88", "is no character encoding"),
        ("manifest.csv.encoding=rot13", "is no character encoding"),
        ("manifest.csv.quote=,", "cannot be the delimiter as well"),
        ("max_failed=120%", "is neither a share"),
        ("max_failed=nan", "is neither a share"),
        ("images.max_side=0", "must be at least 1"),
        ("images.background=red", "must look like `#rrggbb`, not 'red'"),
        (
            "instance=5",
            "it replaces all of the section, whose settings are given one by one: `--set instance.",
        ),
        ("parameters.filter=int_attr ==", "int_attr"),
        ("parameters=5", "must be a section"),
        ("manifest.csv.types.=int64", "ends before the setting's name"),
        ("instance.vpc=[", "not a value as YAML writes it"),
    ],
)
def test_a_bad_value_says_what_is_wrong(problems, setting, said):
    """Each message is in plain words and names what gave the value."""
    text = GOOD.replace("  endpoint: emulator\n", "") if "region" in setting else GOOD
    (found,) = problems(text, setting)
    assert found.startswith(f"--set {setting.partition('=')[0]}")
    assert said in found
    assert "pydantic" not in found


def test_an_override_without_a_name_says_so(problems):
    """What is missing is named, and nothing that was typed is repeated."""
    assert problems(GOOD, "=SECRET", " = 3", "") == [
        "--set: has no setting's name before its `=`; it is written like `--set instance.qps=5`",
        "--set: is empty; it is written like `--set instance.qps=5`",
    ]


def test_a_variable_for_a_whole_section_is_told_apart(problems):
    """A variable that replaces a section says how to set one setting of it."""
    (found,) = problems(GOOD, BATCHSEARCH__INSTANCE="5")
    assert found.startswith("BATCHSEARCH__INSTANCE: must be a section")
    assert found.endswith("`BATCHSEARCH__INSTANCE__ENDPOINT=…`")
    (found,) = problems(GOOD.replace("manifest:\n  path: data/queries.csv", "manifest: 5"))
    assert found == "job.yaml:6: manifest: must be a section with `name: value` lines below it, not 5"


def test_a_misspelt_operation_does_not_hide_the_rest(problems):
    """What is wrong for every operation is reported beside an unknown one, and nothing else."""
    text = GOOD + "parameters: {scroe_threshold: 1, num: 1000, start: 3, crop: true, product_id: x}\n"
    text = text.replace("csv\n", "csv\n  columns: {imag: a, primary_image: b}\n")
    found = problems(text.replace("SearchImageByPic", "SearchImageByPicture"))
    assert len(found) == 4
    assert "did you mean `SearchImageByPic`?" in found[0]
    assert found[1].startswith("job.yaml:8: manifest.columns.imag: ")
    assert "parameters.scroe_threshold: SearchImageByPic has no parameter" in found[2]
    assert "parameters.num: 1000 is not a whole number" in found[3]
    assert len(problems(text.replace("operation: SearchImageByPic\n", ""))) == 4


def test_an_unlisted_region_is_taken_with_an_endpoint(job):
    """The vendor adds regions; an explicit endpoint says that the name is meant."""
    assert job(GOOD, "instance.region=eu-north-9").settings.instance.region == "eu-north-9"


def test_a_required_parameter_may_come_from_a_column(job):
    """What a column can give is not missing in the job file."""
    settings = job(GOOD, "operation=SearchImageByName").settings
    assert settings.parameters == {}


@pytest.mark.parametrize(
    "line",
    [
        "access_key_id: TOPSECRET1",
        "images: {access_key_secret: TOPSECRET1}",
        "parameters: {security_token: TOPSECRET1}",
        "credentials: {id: TOPSECRET1}",
        "calls: {Password: [TOPSECRET1]}",
        "codes: {x: LTAI5tTOPSECRET1}",
    ],
)
def test_credentials_are_refused_and_never_shown(problems, line):
    """A credential in the file is refused with the place where it belongs; its value is not repeated."""
    found = "\n".join(problems(GOOD + line + "\n"))
    assert "credentials do not belong in a job file" in found
    assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET" in found
    assert "TOPSECRET1" not in found


def test_credentials_in_overrides_are_refused_and_never_shown(problems):
    """Neither `--set` nor a variable carries a credential into a job."""
    found = problems(
        GOOD,
        "instance.access_key_secret=TOPSECRET",
        "parameters={token: TOPSECRET}",
        BATCHSEARCH__SECURITY_TOKEN="TOPSECRET",
    )
    assert len(found) == 3
    assert all("ALIBABA_CLOUD_ACCESS_KEY_SECRET" in line for line in found)
    assert "TOPSECRET" not in "".join(found)


def test_a_column_may_be_called_token(job):
    """Column types are named by the user's own columns, whatever these are called."""
    assert job(GOOD, "manifest.csv.types.token_count=int64").settings.manifest.csv.types == {
        "token_count": "int64"
    }


def test_other_variables_do_not_matter(job):
    """Only names with the prefix are settings."""
    assert job(GOOD, BATCHSEARCH_LOG="x", PATH="/").settings.instance.name == "demo"


def test_a_missing_file_names_the_nearest(tmp_path):
    """A wrong file name is met with the job file beside it that was probably meant."""
    (tmp_path / "nightly-dedup.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"did you mean .*nightly-dedup\.yaml"):
        load_job(tmp_path / "nightly_dedup.yml", environ={})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: 1\nb: \xff\n", "job.yaml:2: is not UTF-8"),
        (b"#" * 300_000, "larger than 256 KiB"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, data, said):
    """Bytes that are no job file end in one plain message."""
    path = tmp_path / "job.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=said):
        load_job(path, environ={})
    with pytest.raises(ConfigError, match="is a folder"):
        load_job(tmp_path, environ={})


def test_a_byte_order_mark_is_understood(tmp_path):
    """Editors that write one make a good job file all the same."""
    path = tmp_path / "job.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_job(path, environ={}).settings.instance.name == "demo"


def test_loading_a_job_is_light():
    """No table, image or network package is imported to read a job file."""
    code = "import sys, batchsearch.config.load, batchsearch.config.show; print(*sys.modules)"
    root = Path(__file__).parents[3]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert (
        loaded & {"pandas", "pyarrow", "numpy", "aiohttp", "PIL", "rich", "onnxruntime", "asyncio"} == set()
    )


def test_the_schema_is_for_editors():
    """The exported schema refuses unknown keys, knows defaults and takes a single key as text."""
    schema = json.loads(json.dumps(job_schema()))
    manifest = schema["$defs"]["ManifestSettings"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["operation", "instance", "manifest", "output"]
    assert {"type": "string"} in manifest["properties"]["key"]["anyOf"]


@pytest.mark.parametrize("name", ["num", "start"])
def test_hits_are_counted_in_one_place(job, problems, name):
    """A column for a parameter that `results_per_row` decides would be overwritten: it is refused."""
    text = GOOD.replace("queries.csv", f"queries.csv\n  columns: {{image: image, {name}: wanted}}")
    assert job(text).settings.manifest.columns[name] == "wanted"
    (found,) = problems(text + "results_per_row: 20\n")
    assert found.endswith(
        f"manifest: maps the column 'wanted' to `{name}`, which `results_per_row` decides for all rows; "
        "give one of them"
    )


HEADERS = 'images:\n  headers:\n    tokens.cdn.example:\n      Referer: "https://shop.example/"\n'


def test_secrets_of_headers_are_variables_of_the_environment(job):
    """What is named is kept, what it holds is not in the settings; hosts may be called as they like."""
    text = f"{GOOD}{HEADERS}      Authorization: Bearer ${{CDN_TOKEN}}\n"
    images = job(text, CDN_TOKEN="a-very-secret-token").settings.images
    assert images.headers["tokens.cdn.example"]["Authorization"] == "Bearer ${CDN_TOKEN}"
    assert "a-very-secret" not in images.model_dump_json()


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Cookie", "X-Auth-Token", "x-signature"])
@pytest.mark.parametrize("override", [False, True])
def test_secrets_of_headers_are_not_written_out(problems, name, override):
    """A secret in the job file, or in an override, is refused by its place and not shown."""
    value = "Bearer a-very-secret-token"
    if override:
        found = problems(GOOD, f'images.headers={{cdn.example: {{{name}: "{value}"}}}}')
    else:
        found = problems(f"{GOOD}{HEADERS}      {name}: {value}\n")
    assert len(found) == 1
    assert "${NAME}" in found[0]
    assert ("--set images.headers" if override else name) in found[0]
    assert "a-very-secret" not in found[0]


@pytest.mark.parametrize(
    ("host", "header", "said"),
    [
        ("https://h/x", "Referer: a", "is no host"),
        ("h:p", "Referer: a", "is no host"),
        ("'*'", "Authorization: ${TOKEN}", "name the host"),
        ("'*'", "X-Any: ${TOKEN}", "name the host"),
        ("h", "Host: other", "set by the HTTP client"),
        ("h", "Proxy-Authorization: ${TOKEN}", "set by the HTTP client"),
        ("h", "'a b': c", "no name of a header"),
        ("h", 'Referer: "a\\r\\nX: y"', "one line"),
        ("h", "Referer: 'https://ş/'", "one line"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(problems, host, header, said):
    """Hosts, names and values are looked at when the job is read."""
    found = problems(f"{GOOD}images:\n  headers:\n    {host}:\n      {header}\n")
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize("setting", ["images.proxy", "calls.proxy"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://me:pass-word@p:1", "environment"),
        ("socks5://p:1", "`none`"),
        ("p:1", "`none`"),
        ("http://p:1/x", "end after the port"),
    ],
)
def test_a_proxy_is_an_address_without_a_password(problems, setting, value, said):
    """A password belongs into the environment, and another kind of proxy is refused."""
    (found,) = problems(GOOD, f"{setting}={value}")
    assert said in found
    assert "pass-word" not in found


def test_folders_that_links_may_lead_to_start_at_the_job_file(job, tmp_path):
    """A list of paths, or one of them, is made absolute like any path."""
    assert job(f"{GOOD}images: {{allow_links: [disk, /mnt]}}").settings.images.allow_links == (
        str(tmp_path / "disk"),
        "/mnt",
    )
    assert job(f"{GOOD}images: {{allow_links: disk}}").settings.images.allow_links == (
        str(tmp_path / "disk"),
    )


def test_time_zones_are_known_everywhere():
    """A named zone works where the system has no zones of its own."""
    script = "from zoneinfo import ZoneInfo; print(ZoneInfo('Asia/Shanghai'))"
    ran = program("-c", script, env={"PYTHONTZPATH": ""})
    assert ran.stdout.strip() == "Asia/Shanghai"


@pytest.mark.parametrize(
    "setting",
    ["manifest.path", "output.dir", "images.root", "emulator.data", "dedup.judgements", "metrics.textfile"],
)
@pytest.mark.parametrize("path", ["a\0b", "a\ud800b"])
def test_a_path_that_no_file_can_have_is_refused_by_its_setting(setting, path):
    """A NUL or half a character in a path is the job's mistake, in a file as from a program."""
    section, name = setting.split(".")
    written = {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": "emulator", "name": "demo", "qps": 5},
        "manifest": {"path": "m.csv"},
        "output": {"dir": "out"},
    }
    written[section] = written.get(section, {}) | {name: path}
    for load in (lambda: job_of_mapping(written), lambda: load_text(json.dumps(written), Path("job.yaml"))):
        with pytest.raises(ConfigError, match=rf"{setting}: holds a") as caught:
            load()
        assert caught.value.exit_code is ExitCode.BAD_CONFIG


def test_half_a_character_is_refused_everywhere(tmp_path):
    """No table could hold it, and no file has such a name."""
    with pytest.raises(ConfigError, match=r"instance\.name: holds half a character"):
        load_text(GOOD.replace("demo", '"a\\ud800"'), Path("job.yaml"))
    with pytest.raises(ConfigError, match="is no path"):
        load_job(tmp_path / "a\0b.yaml")
