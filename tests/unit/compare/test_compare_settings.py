"""The `compare` section of a job file."""

import pytest

from batchsearch.errors import ConfigError

ROWS = [{"id": "a", "image": "p00.jpg", "family": "x"}]


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ({"pairs": "group"}, r"compare\.pairs: .*did you mean `groups`"),
        ({"pairs": "reference"}, r"compare\.reference_key: .*is needed"),
        ({"pairs": "reference", "reference": "a", "reference_key": "b"}, "says the same as `reference`"),
        ({"pairs": "groups", "reference": "a"}, "needs `pairs: reference`"),
        ({"pairs": "given", "reference_key": "a"}, "needs `pairs: reference`"),
        ({"pairs": "reference", "reference": "a", "group": "family"}, "means nothing with"),
        ({"carry": ["x"]}, "of given pairs all columns are carried"),
        ({"pairs": "groups", "carry": ["x", "x"]}, "names the column 'x' twice"),
        ({"max_pairs": 0}, "must be at least 1"),
        ({"matrix_image": 3}, "did you mean `matrix_images`"),
    ],
)
def test_what_does_not_fit_together_is_refused(load, compare, said):
    """Each mistake is told with its setting and what to do."""
    with pytest.raises(ConfigError, match=said):
        load(ROWS, operation="CompareSimilarByImage", compare=compare)


def test_one_carried_column_needs_no_list(load):
    """`carry: name` is `carry: [name]`."""
    settings = load(ROWS, operation="CompareSimilarByImage", compare={"pairs": "groups", "carry": "family"})
    assert settings.compare.carry == ("family",)
