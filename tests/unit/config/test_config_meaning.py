"""`config explain`: every setting has a meaning, and a name that is nearly right leads to it."""

import json
from typing import get_args

import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from batchsearch.cli import cli
from batchsearch.config.model import JobSettings
from batchsearch.config.setting_help import as_text, every_setting, meaning_of, sections
from batchsearch.errors import ConfigError
from batchsearch.service.operations import OPERATIONS


def models(model, seen=None):
    """Every section's model, also inside lists and mappings."""
    seen = set() if seen is None else seen
    if model in seen:
        return seen
    seen.add(model)

    def inside(annotation):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            models(annotation, seen)
        for argument in get_args(annotation):
            inside(argument)

    for field in model.model_fields.values():
        inside(field.annotation)
    return seen


@pytest.mark.parametrize("model", sorted(models(JobSettings), key=lambda model: model.__name__))
def test_every_setting_says_what_it_means(model):
    """Each field of each section has a description that is a sentence."""
    for name, field in model.model_fields.items():
        text = field.description or ""
        assert text[:1].isupper() or text[:1] == "`", f"{model.__name__}.{name}: {text!r}"
        assert text.endswith((".", "`.", ").")), f"{model.__name__}.{name}: {text!r}"


@pytest.mark.parametrize("name", sorted(every_setting()))
def test_every_setting_can_be_explained(name):
    """Each path gives one page, with what it takes, its default, and where it stands in a job file."""
    (setting,) = meaning_of(name)
    text = as_text([setting], 80)
    assert text.splitlines()[0] == name
    assert "\n  takes " in text
    assert "\n  default " in text
    assert f"{name.rpartition('.')[2]}:" in text
    json.dumps(setting.as_dict())


def test_a_setting_says_what_must_be_given_and_what_holds_otherwise():
    """Required settings say so; others show their default as a job file has it."""
    required = {name for name, each in every_setting().items() if each.default is None and not each.below}
    assert {"operation", "instance.name", "instance.qps", "output.dir", "manifest.path"} <= required
    shown = {name: each.default for name, each in every_setting().items()}
    assert shown["dedup.threshold"] == "`0.8`"
    assert shown["instance.vpc"] == "`false`"
    assert shown["dedup.sync"] == "`[none]`"
    assert shown["max_failed"] == "`10%`"
    assert shown["instance.region"] == "nothing (`null`)"


def test_related_settings_are_those_that_the_meanings_name():
    """A setting leads to those in its own meaning and to those whose meaning speaks of it."""
    (qps,) = meaning_of("instance.qps")
    assert "instance.custom_qps" in qps.related
    assert "emulator.qps" in qps.related


@pytest.mark.parametrize(
    ("asked", "paths"),
    [
        ("qps", {"instance.qps", "emulator.qps"}),
        ("threshold", {"dedup.threshold"}),
        ("instances.share", {"instance.share"}),
        ("instances[0].share", {"instance.share"}),
        ("`dedup`:", {"dedup"}),
        ("parameters.filter", {"parameters.filter"}),
        ("num", {"parameters.num"}),
        ("codes.PictureError", {"codes.PictureError"}),
        ("manifest.columns.image", {"manifest.columns.image"}),
        ("dedup.thresholds.Shoes", {"dedup.thresholds.Shoes"}),
    ],
)
def test_a_name_alone_and_names_of_the_users_own_are_understood(asked, paths):
    """Last names, list items, parameters of operations, and whatever stands below a mapping."""
    assert {setting.name for setting in meaning_of(asked)} == paths


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("instance.qsp", "did you mean `instance.qps`?"),
        ("dedp.threshold", "did you mean `dedup.threshold`?"),
        ("treshold", "did you mean `dedup.threshold`?"),
        ("output.direcory", "output.dir"),
        ("xyzzy", "`batchsearch config explain` lists the sections"),
    ],
)
def test_a_name_that_is_nearly_right_is_told(asked, near):
    """An unknown setting ends with the nearest one by its whole path, or with where to look."""
    with pytest.raises(ConfigError) as told:
        meaning_of(asked)
    assert near in str(told.value)


def test_every_parameter_of_an_operation_can_be_explained():
    """`parameters.NAME` says which operations take it, under the vendor's name."""
    for operation in OPERATIONS.values():
        for parameter in operation.parameters:
            (setting,) = meaning_of(f"parameters.{parameter.key}")
            assert parameter.wire in setting.means
            assert operation.name in setting.means


def test_pages_fit_the_terminal():
    """No line of an explanation is wider than the terminal, where words allow it."""
    for setting in every_setting().values():
        for line in as_text([setting], 80).splitlines():
            assert len(line) <= 80 or " " not in line.strip() or "BATCHSEARCH__" in line, line


def test_the_command_explains_lists_and_refuses():
    """Without a name all sections; with one its page; `--json` an object; an unknown one exit code 64."""
    listed = CliRunner().invoke(cli, ["config", "explain"])
    assert listed.exit_code == 0
    assert all(each.name in listed.stdout for each in sections())
    told = CliRunner().invoke(cli, ["config", "explain", "instance.qps", "--json"])
    assert json.loads(told.stdout)["environment"] == "BATCHSEARCH__INSTANCE__QPS"
    unknown = CliRunner().invoke(cli, ["config", "explain", "instance.qsp"])
    assert (unknown.exit_code, unknown.stdout) == (64, "")


def test_the_schema_says_that_it_is_for_editors():
    """The help of `config schema` leads people to `config explain`."""
    text = CliRunner().invoke(cli, ["config", "schema", "--help"]).stdout
    assert "for editors only" in text
    assert "batchsearch config explain" in text
