"""The files around dedup: judgements, tables that appear whole, earlier nights, what images look like."""

import io
import json
import random
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_files import saved
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.errors import ConfigError
from batchsearch.images.rules import rules_for
from batchsearch.tasks.dedup.candidates.text_index import TextIndex
from batchsearch.tasks.dedup.clusters.judgements import read_judgements
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import (
    CLUSTER_COLUMNS,
    PAIR_COLUMNS,
    PAIRS,
    TableWriter,
    dedup_schema,
    read_table,
    table_path,
)
from batchsearch.tasks.dedup.nights import keep_night, read_record
from batchsearch.tasks.dedup.verifying.fingerprints import colour_distance, look_of

RULES = rules_for("generic", ImageSettings())
SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"


def judged(tmp_path, text):
    path = tmp_path / "judged.csv"
    path.write_text(text, encoding="utf-8")
    return read_judgements([path])


def test_of_two_judgements_on_a_pair_the_later_holds(tmp_path):
    """Pairs have no direction, further columns are ignored, empty lines too."""
    lines = [
        "product_a,product_b,judgement,judged_at,note",
        "b,a,same,,",
        "",
        "a,b,Different,,no",
        "b,c,same",
    ]
    text = "\n".join(lines)
    assert dict(judged(tmp_path, text).verdicts) == {("a", "b"): 2, ("b", "c"): 1}


def test_the_newest_judgement_on_a_pair_holds_whichever_file_has_it(tmp_path):
    """Files are joined; a line that does not say when it was judged is no older than those before it."""
    header = "product_a,product_b,judgement,judged_at,note\n"
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text(
        header + "a,b,same,2026-11-02T10:00:00Z,\nc,d,different,2026-11-05T00:00:00+01:00,kept\n",
        encoding="utf-8",
    )
    other.write_text(
        header + "b,a,different,2026-11-03T09:00:00Z,\nd,c,same,2026-11-04T22:59:59Z,\ne,f,same,,\n",
        encoding="utf-8",
    )
    for paths in ([one, other], [other, one]):
        found = read_judgements(paths)
        assert found.verdicts == {("a", "b"): 2, ("c", "d"): 2, ("e", "f"): 1}
    one.write_text(header + "a,b,same,2026-11-02T10:00:00Z,\na,b,different,,by hand\n", encoding="utf-8")
    assert read_judgements([one]).verdicts == {("a", "b"): 2}
    again = tmp_path / "again.csv"
    again.write_text(found.as_csv(), encoding="utf-8")
    back = read_judgements([again]).said
    assert {pair: (said.verdict, said.moment, said.note) for pair, said in back.items()} == {
        pair: (said.verdict, said.moment, said.note) for pair, said in found.said.items()
    }


def test_judgements_apply_to_the_products_that_there_are(tmp_path):
    """Pairs with a product that is gone are left out; the others are numbered like the products."""
    known = judged(tmp_path, "product_a,product_b,judgement\nc,a,same\na,gone,same\n")
    found = known.of_products(TextIndex(pa.array(["a", "b", "c"])))
    assert (found.a.tolist(), found.b.tolist(), found.verdict.tolist()) == ([0], [2], [1])


def test_no_file_is_no_judgement(tmp_path):
    """The report writes the file later."""
    assert not read_judgements([tmp_path / "none.csv"]).verdicts
    assert not read_judgements([]).verdicts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("product_a,product_b,judgment\n", r"has no column `judgement`; did you mean `judgment`"),
        ("product_a,product_b,judgement\na,b,sam\n", r"judged\.csv:2: judgement 'sam' is neither"),
        ("product_a,product_b,judgement\na,a,same\n", r"judges 'a' against itself"),
        ("product_a,product_b,judgement\na,,same\n", r"names no two products"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, said):
    """File, line, what is wrong."""
    with pytest.raises(ConfigError, match=said):
        judged(tmp_path, text)


def write(folder, night, rows):
    table = pa.Table.from_pylist(rows, dedup_schema(PAIRS))
    with TableWriter(folder, PAIRS, night) as writer:
        writer.add(table)
        writer.finish()
        writer.publish()


def test_a_table_that_is_not_published_leaves_the_old_one(tmp_path):
    """An error before the end leaves last night's table whole and nothing else."""
    write(tmp_path, "one", [{"product_a": "a", "product_b": "b"}])
    with TableWriter(tmp_path, PAIRS, "two") as writer:
        writer.add(dedup_schema(PAIRS).empty_table())
        # What a reader of the folder sees meanwhile is the old table alone.
        assert pq.read_table(tmp_path / PAIRS).num_rows == 1
    assert [path.name for path in (tmp_path / PAIRS).iterdir()] == ["pairs.parquet"]
    assert pq.read_metadata(table_path(tmp_path, PAIRS)).metadata[b"batchsearch.night"] == b"one"
    assert [*read_table(tmp_path, "clusters", ["product_id"])] == []


def test_every_column_says_what_it_means():
    """Names are unique, and each column is described in the files themselves."""
    for columns in (PAIR_COLUMNS, CLUSTER_COLUMNS):
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.field().metadata[b"description"] for column in columns)


def test_only_so_many_earlier_nights_are_kept(tmp_path):
    """The newest stay; a night is kept once, with its tables and its record."""
    for number in range(4):
        night = f"2026110{number}T000000Z-000000"
        write(tmp_path, night, [])
        (tmp_path / "dedup.json").write_text(json.dumps({"night": night}), encoding="utf-8")
        keep_night(tmp_path, 2)
        keep_night(tmp_path, 2)
    kept = sorted(path.name[:8] for path in (tmp_path / "nights").iterdir())
    assert kept == ["20261102", "20261103"]
    assert read_record(tmp_path / "nights" / "20261103T000000Z-000000")["night"].startswith("20261103")
    keep_night(tmp_path, 0)
    assert not list((tmp_path / "nights").iterdir())


def test_an_unreadable_record_is_no_night(tmp_path):
    """A file that is cut short or no JSON object does not stop a night."""
    (tmp_path / "dedup.json").write_text("[1", encoding="utf-8")
    assert read_record(tmp_path) is None
    keep_night(tmp_path, 3)
    assert not list((tmp_path / "nights").glob("*"))


def looks(*images, whole=False):
    return [look_of(data, RULES, whole=whole) for data in images]


def distance(*images):
    colours = [np.frombuffer(look.colours, np.uint8)[None] for look in looks(*images)]
    return float(colour_distance(*colours)[0])


@pytest.fixture(scope="module")
def changes():
    """The sample data's own functions that change images."""
    sys.path.insert(0, str(SAMPLES))
    from changed_pictures import CHANGES

    yield CHANGES
    sys.path.remove(str(SAMPLES))
    sys.modules.pop("changed_pictures")


@pytest.mark.parametrize("name", ["teal-t-shirt", "blue-band", "leather-sofa", "yoga-mat"])
def test_a_changed_copy_keeps_its_colours(changes, name):
    """Crops, banners, other brightness and JPEG's losses stay under the default distance."""
    data = (SAMPLES / "catalogue" / f"{name}.jpg").read_bytes()
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    for change in changes.values():
        assert not distance(data, change(image, random.Random(1))) > 0.55


def test_colour_variants_differ_in_colour():
    """Shirts and wristbands in different colours lie well beyond the default distance."""
    for family in ("blue-t-shirt green-t-shirt grey-t-shirt purple-t-shirt", "blue-band lime-band pink-band"):
        names = family.split()
        for one, other in pairwise(names):
            pair = [(SAMPLES / "catalogue" / f"{name}.jpg").read_bytes() for name in (one, other)]
            assert distance(*pair) > 0.7


def test_pixels_are_the_same_in_another_file():
    """An image saved without loss in another format has the same pixels and other bytes; turned ones too."""
    image = Image.effect_noise((120, 110), 60).convert("RGB")
    files = [saved(image, kind) for kind in ("PNG", "BMP")]
    png, bmp = looks(*files, whole=True)
    assert png.pixels == bmp.pixels != b""
    assert png.sha256 != bmp.sha256
    assert looks(files[0])[0].pixels == b""


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(40)])
def test_what_is_no_image_looks_like_nothing(data):
    """Any bytes are survived."""
    assert look_of(data, RULES, whole=True) is None
