"""The output's columns are a promise: names, order and types are pinned here."""

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batchsearch.cli import cli
from batchsearch.storage.parts.results_and_hits import (
    HIT_COLUMNS,
    RESULT_COLUMNS,
    SCHEMA_VERSION,
    hits_schema,
    own_results_schema,
    results_schema,
)

PINNED = json.loads((Path(__file__).parent / "data" / "output_schema.json").read_text(encoding="utf-8"))


def described(schema):
    return [[field.name, str(field.type)] for field in schema]


@pytest.mark.parametrize("operation", list(RESULT_COLUMNS))
def test_results_columns_are_as_pinned(operation):
    """A column of `results` appears, vanishes or changes its type only with this file."""
    assert described(own_results_schema(operation)) == PINNED["results"][operation]


def test_hits_columns_are_as_pinned():
    """A column of `hits` appears, vanishes or changes its type only with this file."""
    assert described(hits_schema()) == PINNED["hits"]


@pytest.mark.parametrize("columns", [*RESULT_COLUMNS.values(), HIT_COLUMNS])
def test_every_column_says_what_it_means(columns):
    """Each field is documented in the Arrow metadata, and no name appears twice."""
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    for column in columns:
        description = column.field().metadata[b"description"].decode()
        assert description.endswith("."), column.name
        assert len(description) > 10, column.name


@pytest.mark.parametrize("table", ["results", "hits"])
def test_the_documentation_has_every_column(table):
    """The page on outputs shows each column as it is written, with its type and meaning."""
    shown = CliRunner().invoke(cli, ["schema", table, "--markdown"]).output.strip()
    assert len(shown.splitlines()) > len(HIT_COLUMNS)
    page = (Path(__file__).parents[2] / "docs" / "outputs.md").read_text(encoding="utf-8")
    assert shown in page
    assert f"now `{SCHEMA_VERSION}`" in page


def test_no_column_is_taken_away_or_changes_its_type():
    """Columns that version 0.1.0 had are there with the types that they had: tables over them go on."""
    archive = Path(__file__).parents[1] / "integration" / "earlier" / "0.1.0.zip"
    with zipfile.ZipFile(archive) as earlier:
        for table, schema in (("results", own_results_schema("SearchImageByPic")), ("hits", hits_schema())):
            data = earlier.read(f"{table}/part-000001.parquet")
            before = pq.read_schema(pa.BufferReader(data))
            own = [field for field in before if b"vendor_name" in (field.metadata or {})]
            assert own
            assert [schema.field(field.name).type for field in own] == [field.type for field in own]
            assert set(before.names) - {"id", "image", "price"} <= set(schema.names)


def test_the_manifests_own_columns_come_first_and_keep_their_types():
    """User columns lead the table; a name of ours is prefixed."""
    carried = pa.schema([("price", pa.decimal128(8, 2)), ("outcome", pa.string())])
    schema = results_schema("SearchImageByPic", carried)
    assert schema.names[:3] == ["price", "manifest_outcome", "row_key"]
    assert schema.field("price").type == pa.decimal128(8, 2)


def test_every_documented_search_field_has_a_column():
    """Auction's fields reach `hits`; the head and the image information reach `results`."""
    auction = {
        "ProductId", "PicName", "CategoryId", "SortExprValues", "CustomContent", "Score",
        "IntAttr", "IntAttr2", "IntAttr3", "IntAttr4", "StrAttr", "StrAttr2", "StrAttr3", "StrAttr4",
    }  # fmt: skip
    assert auction <= {column.vendor_name for column in HIT_COLUMNS}
    answer = {
        "Head.DocsFound", "Head.DocsReturn", "Head.SearchTime", "PicInfo.CategoryId", "PicInfo.Region",
        "PicInfo.MultiRegion", "PicInfo.AllCategories", "RequestId", "Code", "Msg", "Success",
    }  # fmt: skip
    assert answer <= {column.vendor_name for column in RESULT_COLUMNS["SearchImageByPic"]}
