"""The columns of the scores are a promise: names, order and types are pinned here."""

from batchsearch.tasks.compare.pairs_table import PAIR_COLUMNS
from batchsearch.tasks.compare.scores_table import SCORE_COLUMNS

IMAGE = {
    "source_format": "string",
    "source_width": "int32",
    "source_height": "int32",
    "source_bytes": "int64",
    "source_sha256": "string",
    "sent_sha256": "string",
    "transforms": "list<item: string>",
}
TEXT = "string"
PINNED = {
    "pair_key": TEXT,
    "group": TEXT,
    "primary": TEXT,
    "secondary": TEXT,
    "primary_image": TEXT,
    "secondary_image": TEXT,
    "score": "double",
    "same_bytes": "bool",
    "outcome": TEXT,
    "error_code": TEXT,
    "error_owner": TEXT,
    "error_message": TEXT,
    **{f"primary_{name}": kind for name, kind in IMAGE.items()},
    **{f"secondary_{name}": kind for name, kind in IMAGE.items()},
    "request_id": TEXT,
    "coalesced_from": TEXT,
    "run_id": TEXT,
    "answered_at": "timestamp[us, tz=UTC]",
}


def test_score_columns_are_as_pinned():
    """A column of `scores` appears, vanishes or changes its type only with this file."""
    assert [(column.name, str(column.type)) for column in SCORE_COLUMNS] == list(PINNED.items())


def test_pair_columns_are_as_pinned():
    """So do the columns of the pairs that a list becomes."""
    assert [column.name for column in PAIR_COLUMNS] == [
        "primary_key",
        "secondary_key",
        "group",
        "primary_image",
        "secondary_image",
    ]
