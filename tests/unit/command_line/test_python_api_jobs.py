"""What a program may give as a job."""

from pathlib import Path

import pytest

import batchsearch
from batchsearch.config.load import load_job

JOB = {
    "operation": "SearchImageByPic",
    "instance": {"endpoint": "emulator", "name": "demo", "qps": 10},
    "manifest": {"path": "list.csv", "key": ["id"]},
    "output": {"dir": "out"},
}


def test_a_mapping_means_what_a_file_means(tmp_path, monkeypatch):
    """The same settings come out, paths starting at the current folder."""
    monkeypatch.chdir(tmp_path)
    import yaml

    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(JOB), encoding="utf-8")
    assert batchsearch.load(JOB) == load_job(file, environ={}).settings
    assert batchsearch.load(JOB).output.dir == str(tmp_path / "out")


def test_the_mapping_stays_as_it_was():
    """Overrides are laid over a copy."""
    batchsearch.load(JOB, overrides={"instance.qps": 5, "parameters.num": 3})
    assert JOB["instance"]["qps"] == 10
    assert "parameters" not in JOB


@pytest.mark.parametrize(
    "overrides", [{"instance.qps": 5, "max_failed": "5%"}, ["instance.qps=5", "max_failed=5%"]]
)
def test_overrides_may_be_a_mapping_or_texts(overrides):
    """Both are laid over the job by dotted name."""
    settings = batchsearch.load(JOB, overrides)
    assert (settings.instance.qps, settings.max_failed) == (5, "5%")


def test_override_values_keep_their_types(tmp_path):
    """Lists, switches, null and paths are what they are."""
    settings = batchsearch.load(
        JOB,
        {
            "manifest.key": ["a", "b"],
            "images.snap": False,
            "images.max_side": None,
            "output.dir": tmp_path / "x",
            "parameters.filter": 'str_attr = "a"',
        },
    )
    assert settings.manifest.key == ("a", "b")
    assert settings.images.snap is False
    assert settings.images.max_side is None
    assert settings.output.dir == str(tmp_path / "x")
    assert settings.parameters["filter"] == 'str_attr = "a"'


def test_paths_may_be_path_objects(tmp_path):
    """`pathlib.Path` anywhere in the mapping is its text."""
    settings = batchsearch.load({**JOB, "manifest": {"path": tmp_path / "list.csv", "key": "id"}})
    assert settings.manifest.path == str(tmp_path / "list.csv")


def test_settings_are_taken_as_they_are():
    """Loaded settings are a job; overrides make new ones and keep what was never set unset."""
    settings = batchsearch.load(JOB)
    assert batchsearch.load(settings) is settings
    changed = batchsearch.load(settings, {"instance.qps": 1})
    assert changed.instance.qps == 1
    assert settings.instance.qps == 10
    assert "symmetric_pairs" not in changed.reuse.model_fields_set


def test_every_problem_is_told_at_once():
    """A program sees what the command line would list: the setting, the nearest name."""
    bad = {**JOB, "operation": "SearchImageByPick", "instance": {"endpoint": "emulator", "nam": "demo"}}
    with pytest.raises(batchsearch.ConfigError) as caught:
        batchsearch.load(bad, ["calls.timeot=3"])
    said = str(caught.value)
    for part in ("job: operation", "SearchImageByPic", "`name`", "instance.qps", "--set calls.timeot"):
        assert part in said
    assert len(caught.value.problems) >= 4


def test_credentials_are_no_setting():
    """A key in a mapping is refused like one in a file, and not repeated in the message."""
    with pytest.raises(batchsearch.ConfigError) as caught:
        batchsearch.load({**JOB, "instance": {**JOB["instance"], "access_key_secret": "hunter2"}})
    assert "hunter2" not in str(caught.value)


def test_a_setting_has_a_name():
    """Names that are no text are told, not guessed."""
    with pytest.raises(batchsearch.ConfigError, match=r"job: instance: a setting's name is text, not 3"):
        batchsearch.load({**JOB, "instance": {3: 4}})


def test_the_environment_is_laid_over_files_only(tmp_path, monkeypatch):
    """What a program says in full is not changed from outside."""
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__QPS", "5")
    assert batchsearch.load(JOB).instance.qps == 10
    import yaml

    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(JOB), encoding="utf-8")
    assert batchsearch.load(str(file)).instance.qps == 5


def test_a_missing_file_is_a_config_error():
    """The nearest file is not looked for in vain: the message names the path."""
    with pytest.raises(batchsearch.ConfigError, match=r"no-such\.yaml"):
        batchsearch.load(Path("no-such.yaml"))
