"""`batchsearch instance`: what the service says, all that is held, and what differs from a catalogue."""

import asyncio
import gzip
import io
import json
import random
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from csv_rows import write_rows
from run_rig import invoke

from batchsearch.config.load import load_job
from batchsearch.emulator.faults import FaultPlan, FaultRule, WrongTypes
from batchsearch.engine.run.job import run_job
from batchsearch.errors import OutputError
from batchsearch.service.line_files import lines_in

PRODUCTS, IMAGES = 100, 40


def rows_of(count=PRODUCTS):
    """A catalogue: products over forty images, attributes of every kind."""
    return [
        {
            "id": f"r{n}",
            "product_id": f"P{n // 2:03}",
            "pic_name": f"{n}/schön {n}.jpg",
            "image": f"p{n % IMAGES:02}.jpg",
            "price": str(n),
            "colour": f"rot{n % 7}",
            "words": f"größe {n}" if n % 3 else "",
        }
        for n in range(count)
    ]


@pytest.fixture
def job_file(signed, make_job, tmp_path):
    """Writes the job file of a catalogue, and the catalogue; returns the file."""

    def made(rows, **more):
        columns = {"image": "image", "int_attr": "price", "str_attr": "colour", "custom_content": "words"}
        return make_job(
            rows,
            operation="AddImage",
            instance__endpoint=signed.endpoint,
            instance__add_qps=1000.0,
            instance__update_qps=1000.0,
            instance__delete_qps=1000.0,
            manifest__columns=columns,
            manifest__csv={"types": {"price": "int64"}},
            **more,
        )

    return made


def command(*arguments):
    """Its exit code, and what it wrote as JSON."""
    done = invoke("instance", *arguments, "--json")
    return done.exit_code, json.loads(done.stdout) if done.stdout.startswith("{") else done.output


def ran(file, *overrides):
    """A job, run; its summary."""
    return asyncio.run(run_job(load_job(file, overrides=overrides, environ={}).settings))


def test_an_instance_is_shown_against_its_job(job_file):
    """Kind, images of how many, rate, end; a rate that is not what was bought is said."""
    file = job_file(rows_of(2))
    code, told = command("show", file)
    (shown,) = told["instances"]
    assert (code, shown["service_type"], shown["images"], shown["capacity"]) == (0, "generic", 0, 1_000_000)
    assert 364 < shown["days_left"] <= 365
    by_name = {check["check"]: check for check in shown["checks"]}
    assert by_name["rate"]["state"] == "warn"
    page = invoke("instance", "show", file)
    assert "images       0 of 1,000,000" in page.output
    assert "the job uses 1000 of 1000000000 queries per second that are bought" in page.output


def test_an_export_has_every_image_with_its_attributes(job_file, tmp_path):
    """What was added is in the export as it was added: names of any script, numbers, texts, nulls."""
    rows = rows_of(30)
    file = job_file(rows)
    assert ran(file).ok == 30
    code, told = command("export", file, "--to", tmp_path / "held.parquet")
    assert (code, told["images"], told["unread"], told["raw"]) == (0, 30, 0, None)
    held = pd.read_parquet(tmp_path / "held.parquet").sort_values(["int_attr"])
    assert list(held["pic_name"]) == [row["pic_name"] for row in rows]
    assert list(held["product_id"]) == [row["product_id"] for row in rows]
    assert list(held["str_attr"]) == [row["colour"] for row in rows]
    assert list(held["custom_content"].fillna("")) == [row["words"] for row in rows]
    assert held["int_attr"].dtype == "int64"
    assert list(tmp_path.glob("*.meta")) == []


def test_fifty_planted_differences_are_found_and_nothing_else(job_file, tmp_path):
    """Missing, extra, changed and cleared attributes, fifty in all: each is told, and the jobs mend them."""
    rows = rows_of()
    file = job_file(rows)
    assert ran(file).ok == PRODUCTS
    assert command("diff", file)[1]["counts"] == {}
    rng = random.Random("fifty")
    places = rng.sample(range(PRODUCTS), 50)
    gone, renamed, priced, coloured, cleared = (places[n : n + 10] for n in range(0, 50, 10))
    planted = {"missing": set(), "extra": set(), "attributes": {}}
    changed = []
    for place, row in enumerate(rows):
        after = dict(row)
        name = (row["product_id"], row["pic_name"])
        if place in gone:
            planted["extra"].add(name)
            continue
        if place in renamed:
            after["pic_name"] = f"{place}/other.jpg"
            planted["missing"].add((row["product_id"], after["pic_name"]))
            planted["extra"].add(name)
        if place in priced:
            after["price"] = str(place + 1000)
            planted["attributes"][name] = {"int_attr"}
        if place in coloured:
            after |= {"colour": "grün", "words": "andere"}
            planted["attributes"][name] = {"str_attr", "custom_content"}
        if place in cleared:
            after["colour"] = ""
            planted["attributes"][name] = {"str_attr"}
        changed.append(after)
    other = tmp_path / "other.csv"
    write_rows(other, changed)
    code, told = command("diff", file, other, "--as-manifest", tmp_path / "mend")
    assert code == 3
    assert told["counts"] == {"missing": 10, "extra": 20, "attributes": 30}
    found = pq.read_table(told["file"]).to_pylist()
    named = {(row["product_id"], row["pic_name"]): row for row in found}
    assert len(named) == len(found) == 60
    for change in ("missing", "extra"):
        assert {name for name, row in named.items() if row["change"] == change} == planted[change]
    told_fields = {name: set(row["fields"]) for name, row in named.items() if row["change"] == "attributes"}
    assert told_fields == planted["attributes"]

    jobs = {job["file"].rpartition("/")[2]: job["rows"] for job in told["jobs"]}
    assert jobs == {"delete.yaml": 20, "add.yaml": 20, "update.yaml": 20}
    for name in jobs:
        more = ("max_deleted=20",) if name == "delete.yaml" else ()
        summary = ran(tmp_path / "mend" / name, *more)
        assert (summary.exit_code, summary.ok) == (0, 20), name
    assert command("diff", file, other)[1]["counts"] == {}


def test_a_job_that_deletes_is_guarded_as_any(job_file, tmp_path):
    """The job that a comparison writes deletes nothing when it would delete too much."""
    rows = rows_of(20)
    file = job_file(rows)
    ran(file)
    (tmp_path / "few.csv").write_text(
        "id,product_id,pic_name,image,price,colour,words\n" + ",".join(rows[0].values()) + "\n"
    )
    command("diff", file, tmp_path / "few.csv", "--as-manifest", tmp_path / "mend")
    refused = invoke("run", tmp_path / "mend" / "delete.yaml", "--no-progress")
    assert refused.exit_code == 65
    assert "Nothing was deleted" in refused.output
    assert command("show", file)[1]["instances"][0]["images"] == 20
    job = yaml.safe_load((tmp_path / "mend" / "delete.yaml").read_text(encoding="utf-8"))
    assert "max_deleted" not in job


def test_lines_that_cannot_be_read_are_no_images_that_are_missing(job_file, tmp_path):
    """They are told before what differs, and no jobs are written that would add them once more."""
    rows = rows_of(3)
    file = job_file(rows)
    ran(file)
    held = tmp_path / "held.parquet"
    assert command("export", file, "--to", held)[0] == 0
    (tmp_path / "held.meta").write_text("what is this?\n")
    told = invoke("instance", "diff", file, "--export", held)
    assert told.exit_code == 0
    assert "held.meta: has lines that cannot be read" in told.stderr
    refused = invoke("instance", "diff", file, "--export", held, "--as-manifest", tmp_path / "mend")
    assert refused.exit_code == 5
    assert "no jobs are written" in refused.stderr
    assert not (tmp_path / "mend").exists()


def test_what_is_no_export_is_refused(job_file, tmp_path):
    """A file that is not there, and one that is something else, are told as what they are."""
    file = job_file(rows_of(2))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    for name, said in (("none.parquet", "there is no such file"), ("a.parquet", "is no export")):
        code, told = command("diff", file, "--export", tmp_path / name)
        assert code == 64
        assert said in told


def test_a_job_whose_rows_name_no_image_is_refused(make_job, signed):
    """Without product and name there is nothing to compare with what is held."""
    file = make_job([{"id": "1", "image": "p01.jpg"}], instance__endpoint=signed.endpoint)
    code, told = command("diff", file)
    assert code == 64
    assert "name no images of an instance" in told


def test_answers_of_another_shape_are_understood(job_file, signed, tmp_path):
    """Times and ids as text or as numbers are read alike; an export is found by its id."""
    rows = rows_of(3)
    file = job_file(rows)
    ran(file)
    numbers = WrongTypes({"Data.Id": 1})
    signed.set_faults(FaultPlan((FaultRule(numbers, frozenset({"DumpMeta"})),)))
    assert command("export", file)[1]["images"] == 3


LINES = (
    b'{"ProductId": "a", "PicName": "1.jpg"}\n\nno json at all\n[1]\n{"ProductId": "b", "PicName": "2.jpg"}'
)


def _zipped():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("one.meta", LINES[:40])
        archive.writestr("two.meta", LINES[40:])
    return made.getvalue()


@pytest.mark.parametrize("content", [LINES, gzip.compress(LINES), _zipped()], ids=["plain", "gzip", "zip"])
def test_files_of_lines_are_read_however_they_are_packed(content, tmp_path):
    """Plain, gzipped or zipped: JSON objects are read, anything else keeps its text and number."""
    path = tmp_path / "file"
    path.write_bytes(content)
    found = list(lines_in(path))
    assert [line.content and line.content["ProductId"] for line in found] == ["a", None, None, "b"]
    assert [line.text for line in found[1:3]] == ["no json at all", "[1]"]


@pytest.mark.parametrize("content", [gzip.compress(LINES)[:-10], _zipped()[:-30]], ids=["gzip", "zip"])
def test_a_file_that_is_cut_off_is_no_short_one(content, tmp_path):
    """What ends before its end is an error, never a shorter list."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(OutputError, match="cannot be read"):
        list(lines_in(path))
