"""This program's own errors are told apart from what comes in."""

import io

import pytest
from image_files import saved
from PIL import Image, UnidentifiedImageError

from batchsearch.emulator.search import image_reading as images
from batchsearch.images.regions import Geometry
from batchsearch.own_errors import is_own, told


def raised(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def test_an_error_belongs_to_the_code_that_raised_it():
    """The last step decides: in this package it is its own, in a package that it called it is not."""
    own = raised(lambda: Geometry(1, 1, 1, 1, 1).to_sent("one"))
    assert is_own(own)
    decoder = raised(lambda: Image.open(io.BytesIO(b"no image")))
    assert isinstance(decoder, UnidentifiedImageError)
    assert not is_own(decoder)
    assert not is_own(ValueError("never raised"))


def test_a_report_holds_the_place_and_no_data():
    """Type, errno's name, module and line are told; the error's text may quote a file or an address."""
    secret = raised(lambda: Geometry(1, 1, 1, 1, 1).to_sent("secret"))
    assert "secret" in str(secret)
    assert told(secret).startswith(
        "this program failed: ValueError at batchsearch.images.regions (regions.py, "
    )
    assert "secret" not in told(secret)
    assert told(OSError(28, "secret")) == "this program failed: OSError ENOSPC; please report it"


def test_the_embedded_service_does_not_blame_an_image_for_its_own_error(monkeypatch):
    """What the emulator's own code raises is answered as its failure, not as a format it does not take."""
    data = saved(Image.new("RGB", (200, 200)))
    monkeypatch.setattr(images, "_to_rgb", None)
    with pytest.raises(TypeError):
        images.decode_image(data, "generic")
