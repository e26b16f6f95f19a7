"""What is read of a search's results and hits, whatever order they were answered in."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.tasks.dedup.candidates.catalogue_images import Columns
from batchsearch.tasks.dedup.candidates.catalogue_reading import read_images
from batchsearch.tasks.dedup.candidates.hits import HitRules, Tally, read_matches
from batchsearch.tasks.dedup.candidates.pair_folding import PairFolder

COLUMNS = Columns(product="product", pic_name="name", image=None, category=None, oldest=None)
RULES = HitRules(floor=0.1, enough=0.5, outside=False, add_first=False, wanted=10)


def written(folder, rows):
    """Results in the order given, a part each, with each row's one hit."""
    for table in ("results", "hits"):
        (folder / table).mkdir(parents=True)
    for number, (key, product, found) in enumerate(rows):
        result = {
            "row_key": key,
            "product": product,
            "name": f"{key}.jpg",
            "run_id": "run",
            "outcome": "ok",
            "answered_at": number + 1,
            "finished_at": number + 1,
            "source_width": 10,
            "source_height": 10,
            "source_sha256": None,
        }
        hit = {
            "row_key": key,
            "rank": 1,
            "score": 0.9,
            "product_id": found,
            "pic_name": None,
            "category_id": 1,
        }
        texts = {"source_sha256": pa.string(), "pic_name": pa.string()}
        for table, row in (("results", result), ("hits", hit)):
            columns = {name: pa.array([value], texts.get(name)) for name, value in row.items()}
            pq.write_table(pa.table(columns), folder / table / f"part-{number:06}.parquet")
    return folder


def best_row(folder):
    """The row key that the one pair names."""
    images = read_images(folder, COLUMNS, None)
    folding = PairFolder()
    tally = Tally(*(np.zeros(count, bool) for count in (2, 2, len(images))))
    for matches in read_matches(folder, images, RULES, tally):
        folding.add(matches)
    pairs = folding.pairs()
    return [images.row_keys[int(row)].as_py() for row in pairs.row]


def test_the_row_that_a_pair_names_follows_from_the_data(tmp_path):
    """Of several rows that found a pair with the same score the first by key is named."""
    rows = [("r3", "A", "B"), ("r1", "B", "A"), ("r2", "A", "B")]
    for number, order in enumerate(itertools.permutations(rows)):
        assert best_row(written(tmp_path / str(number), order)) == ["r1"]
