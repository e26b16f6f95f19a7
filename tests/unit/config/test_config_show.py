"""What `config check` prints."""

import re

import pytest

from batchsearch.config.document import parse_document
from batchsearch.config.load import load_job
from batchsearch.config.model import JobSettings
from batchsearch.config.shape import leaves, shape_of
from batchsearch.config.show import render_resolved

JOB = """\
operation: SearchImageByPic
instance: {endpoint: emulator, name: 'on', qps: 5}
parameters: {filter: 'int_attr > 1 AND str_attr = "a #b: c"', num: 7}
manifest: {path: "s3://user:pw@bucket/x.csv?sig=1", key: ['007', "y\\nz"], columns: {region: 'a: b'}}
output: {dir: /out}
"""


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return load_job(path, overrides=["calls.timeout=2.5"], environ={})


def test_what_is_shown_reads_back_as_the_same_job(job):
    """The rendered configuration is a job file that means the same."""
    root = parse_document(render_resolved(job), "shown").root
    root["manifest"]["path"] = job.settings.manifest.path
    assert JobSettings.model_validate(root) == job.settings


def test_every_value_has_its_source(job):
    """Each value stands beside the line, the variable, the `--set` or the default it came from."""
    lines = render_resolved(job).splitlines()
    assert any(re.fullmatch(r"  timeout: 2\.5 +# --set calls\.timeout", line) for line in lines)
    assert any(re.fullmatch(r"  num: 7 +# .*job\.yaml:3", line) for line in lines)
    assert any(re.fullmatch(r"  quality: 90 +# default", line) for line in lines)
    values = [path for path, _ in leaves(job.settings.model_dump())]
    assert sum(" # " in line for line in lines) >= len(values)


def test_urls_are_trimmed(job):
    """What a URL may keep secret, its user part and its query, is not shown."""
    shown = render_resolved(job)
    assert "s3://bucket/x.csv" in shown
    assert "pw" not in shown
    assert "sig=" not in shown


def test_every_path_setting_is_marked():
    """Each setting that is a path on disk carries the mark that makes it absolute."""

    def marked(shape, path=()):
        for name in shape.names:
            child = shape.child(name)
            if child.is_path:
                yield ".".join((*path, name))
            yield from marked(child, (*path, name))

    assert {
        "manifest.path",
        "images.root",
        "output.dir",
        "emulator.data",
        "emulator.catalogue.root",
        "emulator.catalogue.manifest.path",
    } <= set(marked(shape_of(JobSettings)))
