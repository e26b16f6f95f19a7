"""Where the images of a report come from: the manifest, an address when asked, or nowhere."""

import json
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_rig import report_on
from run_rig import invoke, served

from batchsearch.tasks.report.thumbnails import NOT_FETCHED, Missing, Thumbnail


@pytest.fixture
def host(tmp_path, make_products):
    """Serves the products' images on loopback, behind a secret in the query; tells what was asked for."""
    rows = make_products(tmp_path)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            path, _, query = self.path.partition("?")
            self.send_response(200 if query == "signature=s3cret" else 403)
            self.end_headers()
            self.wfile.write((tmp_path / "images" / path.strip("/")).read_bytes())

        def log_message(self, *_):
            """Say nothing."""

    with served(Handler) as address:
        yield SimpleNamespace(folder=tmp_path, rows=rows, address=address, asked=asked)


def test_images_inside_the_manifest_are_read_from_there(tmp_path, make_products, make_run):
    """Results carry no bytes; the report looks them up in the job's manifest by row key."""
    rows = make_products(tmp_path)[:6]
    for row in rows:
        row["image"] = (tmp_path / "images" / row["image"]).read_bytes()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    out = make_run(tmp_path, tmp_path / "rows.parquet")
    report = report_on(out)
    assert len(report.page.thumbnails) == 6
    assert all(isinstance(each, Thumbnail) for each in report.page.thumbnails)
    (tmp_path / "rows.parquet").unlink()
    later = report_on(out)
    assert {each.why for each in later.page.thumbnails} == {"the manifest cannot be read any more"}
    assert any("6 images cannot be shown" in note for note in later.page.notes)


def test_grey_boxes_are_told_on_the_terminal_with_what_fills_them(host, make_run, make_rows):
    """A page without the images of addresses says how many, and which command fetches them."""
    rows = [row | {"image": f"{host.address}/{row['image']}?signature=s3cret"} for row in host.rows[:4]]
    make_rows(host.folder / "rows.csv", rows)
    out = make_run(host.folder, host.folder / "rows.csv", images={"allow_hosts": ["127.0.0.1"]})
    host.asked.clear()
    ended = invoke("report", out)
    assert (ended.exit_code, host.asked) == (0, [])
    assert "4 images are grey boxes on this page" in ended.stderr
    assert f"batchsearch report {out} --fetch-images" in ended.stderr
    for option in ("--fetch-images", "--fetch-pictures"):
        ended = invoke("report", out, option)
        assert (ended.exit_code, "grey box" in ended.stderr) == (0, False), ended.output
    assert len(host.asked) == 8
    without_images = invoke("report", out, "--pictures", "0")
    assert "grey box" not in without_images.output


def test_addresses_are_fetched_only_when_asked(host, make_run, make_rows):
    """Unasked the report sends nothing; asked, it fetches as the job did, and shows no part of a query."""
    rows = [row | {"image": f"{host.address}/{row['image']}?signature=s3cret"} for row in host.rows[:4]]
    make_rows(host.folder / "rows.csv", rows)
    out = make_run(host.folder, host.folder / "rows.csv", images={"allow_hosts": ["127.0.0.1"]})
    host.asked.clear()
    report = report_on(out)
    assert host.asked == []
    assert set(report.page.thumbnails) == {Missing(NOT_FETCHED)}
    assert any("--fetch-images" in note for note in report.page.notes)
    fetched = report_on(out, fetch=True)
    assert len(host.asked) == 4
    assert all(isinstance(each, Thumbnail) for each in fetched.page.thumbnails)
    assert "s3cret" not in repr(fetched.page.galleries)


def test_hits_among_the_rows_themselves_have_images(tmp_path, make_products, make_run, make_rows, signed_in):
    """A search within one's own catalogue shows each hit by that product's own row."""
    rows = make_products(tmp_path)[8:14]
    make_rows(tmp_path / "rows.csv", rows)
    there = {"instance": {"endpoint": signed_in.endpoint, "name": "demo", "qps": 500, "custom_qps": True}}
    make_run(
        tmp_path,
        tmp_path / "rows.csv",
        operation="AddImage",
        output={"dir": str(tmp_path / "added")},
        **there,
    )
    out = make_run(tmp_path, tmp_path / "rows.csv", **there)
    report = report_on(out)
    (gallery,) = report.page.galleries
    own = {json.loads(card["k"])[0]: card["t"] for card in gallery.cards}
    for card in gallery.cards:
        assert [hit[3] for hit in card["h"]] == [own[hit[0]] for hit in card["h"]]
    assert len(report.page.thumbnails) == 6
    added = report_on(tmp_path / "added")
    assert added.sections[0].table("outcomes").rows[0][:2] == ("ok", 6)
    assert "AddImage on demo" in added.page.subtitle
