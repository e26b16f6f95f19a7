"""Hits with images: small copies that the embedded instance keeps for the console."""

import io
import re

import pytest
from console_rig import SAMPLES, Visitor, demo_settings, running_console
from PIL import Image
from run_rig import invoke

from batchsearch.console.beside_emulator import settings_of
from batchsearch.console.console_options import COPIES_MB
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.tasks.emulator import serving


@pytest.fixture(scope="module")
def emulator():
    """An instance that keeps copies, as `batchsearch emulator` has it beside its console."""
    options = EmulatorOptions(instances=(InstanceOptions(qps=1e6),), copies_bytes=1_000_000)
    with Emulator(options) as running:
        yield running


@pytest.fixture
def visitor(emulator):
    with running_console(settings_of(emulator), emulator=emulator) as console:
        yield Visitor(console)


def photograph(number):
    return sorted((SAMPLES / "catalogue").glob("*.jpg"))[number].read_bytes()


def add(visitor, product, data):
    """An item, added on the page."""
    status, _, body = visitor.post(
        "/change/add", {"product_id": product, "pic_name": "front"}, {"image": ("front.jpg", data)}
    )
    assert status in {200, 303}, body.decode()[:2000]


def hits_of(visitor, product):
    _, status, _, body = visitor.follow(
        visitor.post("/search", {"type": "SearchImageByName", "product_id": product, "pic_name": "front"})
    )
    assert status == 200
    return body.decode()


def thumbnail(visitor, product):
    return visitor.get(f"/thumbnail?product_id={product}&pic_name=front")


def test_an_item_that_no_table_knows_is_shown(visitor, emulator):
    """What was added comes back as a hit with its image, small, and without a further call."""
    add(visitor, "P1", photograph(3))
    page = hits_of(visitor, "P1")
    assert re.search(r'<img class="frame"[^>]*src="/thumbnail\?product_id=P1', page)
    assert "image not known here" not in page
    calls = len(emulator.log.entries())
    status, headers, body = thumbnail(visitor, "P1")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(body)) as shown:
        assert max(shown.size) <= 256
    assert len(emulator.log.entries()) == calls
    assert visitor.get("/items")[2].decode().count("/thumbnail?product_id=P1") == 1


def test_a_copy_changes_and_goes_with_its_item(visitor, emulator):
    """Another image of the same name is shown at once; a deleted one is not."""
    add(visitor, "P2", photograph(4))
    before = thumbnail(visitor, "P2")[2]
    add(visitor, "P2", photograph(9))
    assert thumbnail(visitor, "P2")[2] != before
    emulator.catalogue().delete("P2", "front")
    assert thumbnail(visitor, "P2")[0] == 404


def test_a_copy_is_no_image_to_ask_about(visitor):
    """It is too small to be sent: an item that is known by its copy alone is not offered as a question."""
    add(visitor, "P3", photograph(5))
    page = visitor.get("/items/one?product_id=P3&pic_name=front")[2].decode()
    assert "/thumbnail?product_id=P3" in page
    assert "item=P3" not in page


def test_a_console_of_its_own_keeps_copies_of_what_is_added(tmp_path):
    """The demonstration's images are known from its table and not copied; others are."""
    with running_console(demo_settings(tmp_path)) as console:
        visitor = Visitor(console)
        add(visitor, "NEW", photograph(6))
        assert thumbnail(visitor, "NEW")[0] == 200
        catalogue = console.session.emulator.catalogue()
        known = next(iter(console.session.known.places))
        assert catalogue.get(*known) is not None
        assert catalogue.image_copy(*known) is None
    with running_console(demo_settings(tmp_path, "emulator.image_copies_mb=0")) as console:
        assert thumbnail(Visitor(console), "NEW")[0] == 404


@pytest.mark.parametrize(
    ("options", "megabytes"),
    [
        ((), COPIES_MB),
        (("--no-console",), 0),
        (("--log-format", "json"), 0),
        (("--image-copies-mb", "0"), 0),
        (("--no-console", "--image-copies-mb", "7"), 7),
    ],
)
def test_the_emulator_keeps_copies_for_its_console_alone(monkeypatch, options, megabytes):
    """Nobody looks at them without one; who says how many has the say."""
    given = {}
    monkeypatch.setattr(serving, "serve", lambda **options: given.update(options))
    assert invoke("emulator", *options).exit_code == 0
    assert given["image_copies_mb"] == megabytes
