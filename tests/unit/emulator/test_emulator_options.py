"""Setting an emulator up."""

from __future__ import annotations

import pytest

from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions, random_key


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, "instance name"),
        ({"name": "x" * 21}, "instance name"),
        ({"name": "../up"}, "instance name"),
        ({"service_type": "animals"}, "choose one of product"),
        ({"counting": "guess"}, "choose one of token_bucket"),
        ({"capacity": 0}, "capacity 0"),
        ({"qps": 0}, "grants nothing"),
        ({"rates": {"queries": 1}}, "choose one of query"),
    ],
)
def test_an_impossible_instance_is_refused_with_what_to_do(settings, message):
    """A wrong setting is named, with what it may be."""
    with pytest.raises(ValueError, match=message):
        InstanceOptions(**settings)


def test_an_emulator_needs_instances_of_different_names():
    """No instance, and two of one name, are refused."""
    with pytest.raises(ValueError, match="at least one"):
        EmulatorOptions(instances=())
    with pytest.raises(ValueError, match="different names"):
        EmulatorOptions(instances=(InstanceOptions(), InstanceOptions()))


def test_random_keys_differ_and_show_no_secret():
    """Each random key pair is new, and its text hides the secret."""
    first, second = random_key(), random_key()
    assert first.access_key_id != second.access_key_id
    assert first.access_key_secret not in repr(EmulatorOptions(keys=(first,)))


def test_single_rates_override_the_documented_ones():
    """A budget's rate can be set by itself; the rest stays as documented."""
    assert InstanceOptions(qps=5, rates={"add": 50.0}).all_rates() == {
        "query": 5, "add": 50.0, "delete": 20.0, "update": 20.0, "other": 1.0,
    }  # fmt: skip
