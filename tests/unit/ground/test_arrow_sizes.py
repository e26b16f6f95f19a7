"""The size of Arrow data."""

import pyarrow as pa
import pytest

from batchsearch.arrow_values import size_of


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.string_view(), pa.binary_view()]
)
@pytest.mark.parametrize("form", [pa.array, pa.chunked_array, "batch", "table"])
def test_every_type_has_a_size(kind, form):
    """Views, too, of which some versions of pyarrow cannot tell it; slices are no exception."""
    cells = pa.array(["a text of more than twelve bytes"] * 100, pa.string()).cast(kind)
    data = {
        pa.array: cells,
        pa.chunked_array: pa.chunked_array([cells]),
        "batch": pa.record_batch({"a": cells}),
        "table": pa.table({"a": cells}),
    }[form]
    assert size_of(data) >= 3200
    assert size_of(data.slice(10, 50)) >= 1600
