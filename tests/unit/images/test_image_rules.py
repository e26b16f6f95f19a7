"""Limits by service type and settings, and the codes of refusals."""

import pytest
from pydantic import ValidationError

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.errors import ConfigError
from batchsearch.images.rules import FORM_GROWTH, rules_for
from batchsearch.service.facts import MAX_BODY_BYTES, MAX_IMAGE_BYTES, SERVICE_TYPES


@pytest.mark.parametrize("name", sorted(SERVICE_TYPES))
def test_the_limits_are_those_of_the_service_type(name):
    """Sides come from the table of service types, bytes from the service's own limit."""
    rules = rules_for(name, ImageSettings())
    assert (rules.min_side, rules.max_side) == (SERVICE_TYPES[name].min_side, SERVICE_TYPES[name].max_side)
    assert rules.target_side == rules.max_side
    assert rules.max_bytes == MAX_IMAGE_BYTES


def test_max_side_narrows_but_never_widens():
    """`images.max_side` lowers the wanted side; the service's limit stays."""
    assert rules_for("generic", ImageSettings(max_side=1024)).target_side == 1024
    assert rules_for("trademark", ImageSettings(max_side=9000)).target_side == 4095


def test_a_max_side_below_the_shortest_side_is_a_configuration_error():
    """A wanted side that the service would refuse is reported with the setting and the limit."""
    with pytest.raises(ConfigError, match=r"images.max_side: 300 is below 448"):
        rules_for("fabric", ImageSettings(max_side=300))


def test_two_images_share_one_body():
    """Both images of a comparison fit one request body together."""
    rules = rules_for("generic", ImageSettings(), images=2)
    assert 2 * rules.max_bytes * FORM_GROWTH <= MAX_BODY_BYTES
    assert rules.max_bytes > 2_500_000


def test_a_slow_line_and_a_byte_limit_narrow_the_bytes():
    """The upload rate leaves images small enough to arrive in the service's time."""
    assert rules_for("generic", ImageSettings(upload_kbps=800)).max_bytes == int(
        800_000 / 8 * 4 / FORM_GROWTH
    )
    assert rules_for("generic", ImageSettings(max_upload_bytes=100_000)).max_bytes == 100_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"background": "white"},
        {"frame": -1},
        {"upload_kbps": 1},
        {"max_megapixels": 500},
        {"verify": "maybe"},
    ],
)
def test_settings_outside_their_range_are_refused(wrong):
    """Image settings are checked when the job file is read."""
    with pytest.raises(ValidationError):
        ImageSettings(**wrong)


def test_the_background_is_read_as_a_colour():
    """`#rrggbb` becomes red, green, blue."""
    assert rules_for("generic", ImageSettings(background="#0A10ff")).background == (10, 16, 255)
