"""Values that are made by the thousand behave as frozen dataclasses do, but for refusing."""

import copy
import pickle
from dataclasses import asdict, field, fields, replace

import pytest

from batchsearch.quick_record import quick_record


@quick_record
class Spot:
    """Something with a default, and with something that is not shown."""

    x: int
    name: str = field(default="here", repr=False)


def test_equal_fields_are_one_value():
    """Equality and hash are those of the fields, and what is not to be shown is not."""
    assert Spot(1) == Spot(1, "here")
    assert len({Spot(1), Spot(1), Spot(2)}) == 2
    assert repr(Spot(1, "secret")).endswith("Spot(x=1)")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda spot: pickle.loads(pickle.dumps(spot))])
def test_a_copy_is_the_same_value(again):
    """They go to workers in other processes and come back."""
    assert again(Spot(3, "there")) == Spot(3, "there")


def test_they_are_dataclasses():
    """What takes dataclasses takes them; a field that is not there cannot be set."""
    assert [each.name for each in fields(Spot)] == ["x", "name"]
    assert asdict(replace(Spot(1), x=2)) == {"x": 2, "name": "here"}
    with pytest.raises(AttributeError):
        Spot(1).z = 1
