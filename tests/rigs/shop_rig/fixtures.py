"""What nights of dedup start from."""

import pytest

from . import ImageServer, Shop


@pytest.fixture
def image_server():
    """A web server of images."""
    made = ImageServer()
    yield made
    made.close()


@pytest.fixture
def shop(tmp_path, signed_in):
    """A shop over the running emulator."""
    return Shop(tmp_path, signed_in)
