"""Where a reference leads is the same for who reads an image and for who asks whether it has changed."""

import pytest

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.engine.renewal.row_source import SourceReader
from batchsearch.images.fetching.fetch import Fetcher
from batchsearch.images.image_identity import address_of, path_of
from batchsearch.manifest.rows import ImageReference


@pytest.mark.parametrize(
    "written", ["file://{root}/a b.jpg", "file:{root}/a%20b.jpg?v=2", "file://localhost{root}/a%20b.jpg#x"]
)
def test_a_file_that_is_read_is_the_file_whose_change_is_noticed(tmp_path, written):
    """Query and fragment of a `file:` address name no file: what is read is what is looked at."""
    reference = ImageReference(url=written.format(root=tmp_path))
    settings = ImageSettings()
    (tmp_path / "a b.jpg").write_bytes(b"first")
    assert Fetcher(tmp_path, settings).read(reference) == b"first"
    sources = SourceReader(tmp_path, settings, files=True)
    before = sources.of_image(reference)
    (tmp_path / "a b.jpg").write_bytes(b"second one")
    after = sources.of_image(reference)
    assert not before.missing
    assert not after.missing
    assert before.digest != after.digest


def test_an_address_without_its_scheme_is_no_missing_file(tmp_path):
    """What `images.scheme` makes an address is not looked for on the disk."""
    reference = ImageReference(path="//cdn.example/a.jpg")
    settings = ImageSettings(scheme="https")
    assert address_of(reference, settings) == "https://cdn.example/a.jpg"
    assert path_of(reference, settings) is None
    assert not SourceReader(tmp_path, settings, files=True).of_image(reference).missing


@pytest.mark.parametrize("url", ["https://h/a.jpg", "file://elsewhere/a.jpg", "data:,x", "file://[/a.jpg"])
def test_an_address_of_no_file_here_has_no_path(url):
    """Hosts, inline data and what cannot be read are no files."""
    assert path_of(ImageReference(url=url), ImageSettings()) is None


def test_text_that_is_the_image_has_no_path():
    """Base64 is not looked for on the disk."""
    assert path_of(ImageReference(path="aGk="), ImageSettings(text="base64")) is None
