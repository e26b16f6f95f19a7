"""Files are read below their root and nowhere else."""

import errno
import os
import resource
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.fetching import fetch as fetch_module
from batchsearch.images.fetching.fetch import Fetcher, Unreachable
from batchsearch.images.prepare import Rejected
from batchsearch.manifest.rows import ImageReference


@pytest.fixture
def root(tmp_path):
    top = tmp_path / "root"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "one.jpg").write_bytes(b"one")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return top


@pytest.fixture
def fetcher(root):
    return Fetcher(root, ImageSettings())


@pytest.mark.parametrize("path", ["a/b/one.jpg", "./a//b/./one.jpg", "a/b/../b/one.jpg", "a/../a/b/one.jpg"])
def test_paths_below_the_root_are_read(fetcher, path):
    """Relative paths work in any spelling that stays inside."""
    assert fetcher.read_path(path) == b"one"


def test_an_absolute_path_below_the_root_is_read(fetcher, root):
    """Absolute paths and `file:` addresses are taken when they lead below the root."""
    assert fetcher.read_path(str(root / "a/b/one.jpg")) == b"one"
    assert fetcher.read(ImageReference(url=(root / "a/b/one.jpg").as_uri())) == b"one"
    (root / "a ä.jpg").write_bytes(b"two")
    assert fetcher.read(ImageReference(url=(root / "a ä.jpg").as_uri())) == b"two"


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "a/b/../../../secret.txt", "/../etc/passwd"],
)
def test_paths_that_lead_out_are_refused(fetcher, path):
    """No `..` and no absolute path gets out of the root."""
    result = fetcher.read_path(path)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageOutsideRoot"


def test_a_folder_whose_name_only_begins_like_the_root_is_outside(fetcher, root):
    """`/root-other` is not below `/root`."""
    other = root.with_name("root-other")
    other.mkdir()
    (other / "x.jpg").write_bytes(b"x")
    assert fetcher.read_path(str(other / "x.jpg")).code == "Local.ImageOutsideRoot"


@pytest.mark.parametrize("target", ["../../secret.txt", "/etc/passwd", "../../../../../../etc/passwd"])
def test_links_that_lead_out_are_refused(fetcher, root, target):
    """A symbolic link is walked by the rules of paths, as a file and as a folder."""
    (root / "a" / "link.jpg").symlink_to(target)
    (root / "a" / "up").symlink_to("../..")
    assert fetcher.read_path("a/link.jpg").code == "Local.ImageOutsideRoot"
    assert fetcher.read_path("a/up/secret.txt").code == "Local.ImageOutsideRoot"


def test_links_that_stay_inside_are_followed(fetcher, root):
    """A link to a file or folder below the root is as good as the file."""
    (root / "folder").symlink_to("a/b")
    (root / "a" / "file.jpg").symlink_to("../folder/one.jpg")
    (root / "absolute.jpg").symlink_to(root / "a" / "b" / "one.jpg")
    for path in ("folder/one.jpg", "a/file.jpg", "absolute.jpg"):
        assert fetcher.read_path(path) == b"one"


def test_links_in_a_ring_are_missing_files(fetcher, root):
    """A link to itself ends."""
    (root / "ring").symlink_to("ring")
    (root / "loop").symlink_to("loop/x")
    assert fetcher.read_path("ring").code == "Local.ImageMissing"
    assert fetcher.read_path("loop/y").code == "Local.ImageMissing"


def test_the_root_itself_may_be_a_link(tmp_path, root):
    """The job's own folder may be reached through links."""
    link = tmp_path / "link"
    link.symlink_to(root)
    fetcher = Fetcher(link, ImageSettings())
    assert fetcher.read_path("a/b/one.jpg") == b"one"
    assert fetcher.read_path(str(root / "a/b/one.jpg")) == b"one"


@pytest.mark.parametrize("path", ["nope.jpg", "a/nope/x.jpg", "a/b/one.jpg/x", "a", "", "x" * 300])
def test_what_is_not_there_is_missing_for_good(fetcher, path):
    """No file, a folder, or a name that cannot exist: an outcome of the row."""
    result = fetcher.read_path(path)
    assert isinstance(result, Rejected)
    assert result.code == "Local.ImageMissing"


def test_a_pipe_is_no_file_and_does_not_block(fetcher, root):
    """A named pipe is refused at once instead of waiting for a writer."""
    os.mkfifo(root / "pipe.jpg")
    assert fetcher.read_path("pipe.jpg").code == "Local.ImageMissing"


def test_names_that_no_file_has_are_refused(fetcher):
    """A NUL character or a lone surrogate in a path is a broken reference."""
    assert fetcher.read_path("a\0b").code == "Local.ImageReferenceInvalid"
    assert fetcher.read_path("a\ud800b").code == "Local.ImageReferenceInvalid"


def test_a_missing_root_says_nothing_about_its_files(tmp_path):
    """While the root cannot be opened (not mounted), rows are unreachable and not missing."""
    result = Fetcher(tmp_path / "not-mounted", ImageSettings()).read_path("x.jpg")
    assert isinstance(result, Unreachable)
    assert "is it mounted" in result.message


@pytest.mark.parametrize(("number", "transient"), [(errno.EIO, True), (errno.EACCES, False)])
def test_a_failing_disk_is_unreachable(fetcher, monkeypatch, number, transient):
    """An input error may pass, a lack of permission will not; neither is a missing image."""

    def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fetch_module, "read_under", failing)
    result = fetcher.read_path("a/b/one.jpg")
    assert isinstance(result, Unreachable)
    assert result.code == "Transport.ImageRead"
    assert result.transient is transient


def test_a_file_over_the_bound_is_not_read(fetcher, root):
    """A file longer than the bound is refused by its length."""
    with (root / "big.tif").open("wb") as file:
        file.truncate(fetch_module.MAX_FILE_BYTES + 1)
    assert fetcher.read_path("big.tif").code == "Local.ImageFileTooLarge"


def test_inline_and_data_addresses_need_no_place(fetcher):
    """Bytes of the manifest come back as the same object; `data:` addresses are decoded."""
    data = b"inline"
    assert fetcher.read(ImageReference(data=data)) is data
    assert fetcher.read(ImageReference(url="data:image/png;base64,aW5saW5l")) == data
    assert fetcher.read(ImageReference(url="data:,in%6cine")) == data
    assert fetcher.read(ImageReference(url="data:;base64,!!")).code == "Local.ImageReferenceInvalid"
    assert fetcher.read(ImageReference(url="data:nothing")).code == "Local.ImageReferenceInvalid"


@pytest.mark.parametrize("url", ["ftp://host/x.jpg", "file://other/x.jpg", "no-scheme", "gopher:x"])
def test_other_addresses_are_refused_with_the_known_ones(fetcher, url):
    """A scheme that is not read, or another host's file, is a broken reference."""
    assert fetcher.read(ImageReference(url=url)).code == "Local.ImageReferenceInvalid"


def test_nothing_stays_open(fetcher, root):
    """Every descriptor is closed, whatever the ending."""
    (root / "folder").symlink_to("a/b")

    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for path in ("a/b/one.jpg", "folder/one.jpg", "nope", "a", "../secret.txt", "a/b/one.jpg/x"):
        fetcher.read_path(path)
    assert count() == before


def test_a_long_way_round_takes_no_descriptors(fetcher, root):
    """`d/../` repeated is one open folder at a time, whatever the way."""
    (root / "up").symlink_to("a/../a/b/../b")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 3, limit[1]))
    try:
        assert fetcher.read_path("a/../" * 700 + "a/b/one.jpg") == b"one"
        assert fetcher.read_path("a/b/../../" * 300 + "up/one.jpg") == b"one"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_a_path_longer_than_any_is_missing(fetcher):
    """What no system takes for a path names no file."""
    assert fetcher.read_path("a/../" * 5_000 + "a/b/one.jpg").code == "Local.ImageMissing"


def test_a_folder_that_is_moved_meanwhile_leads_nowhere(fetcher, root, monkeypatch):
    """`..` leads to the folder that was walked through, or to none."""
    opened = os.open

    def moving(path, *args, **options):
        if path == "..":
            with suppress(FileNotFoundError):
                (root / "a" / "b").rename(root.parent / "b")
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", moving)
    found = fetcher.read_path("a/b/../secret.txt")
    assert isinstance(found, Unreachable)
    assert (found.code, found.transient) == ("Transport.ImageRead", True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_want_of_descriptors_is_this_machines(fetcher, monkeypatch, number):
    """No image is charged with it: it is marked as what is waited out."""

    def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", failing)
    assert fetcher.read_path("a/b/one.jpg").here == "descriptors"


def test_a_root_that_goes_away_is_this_machines(fetcher, root):
    """A folder that was there and is gone is waited for; one that never was is not."""
    root.rename(root.with_name("elsewhere"))
    assert fetcher.read_path("a/b/one.jpg").here == "root"
    assert Fetcher(root, ImageSettings()).read_path("a/b/one.jpg").here is None


# -- links to other disks ------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path, root):
    """A folder outside the root, with links to it and past it."""
    top = tmp_path / "disk"
    (top / "season").mkdir(parents=True)
    (top / "season" / "two.jpg").write_bytes(b"two")
    (top / "out.jpg").symlink_to("../secret.txt")
    (top / "back.jpg").symlink_to(root / "a" / "b" / "one.jpg")
    (root / "absolute").symlink_to(top)
    (root / "a" / "relative").symlink_to("../../disk/season")
    (root / "past.jpg").symlink_to("../secret.txt")
    return top


LINKED = ["absolute/season/two.jpg", "a/relative/two.jpg", "absolute/season/../season/two.jpg"]


@pytest.mark.parametrize("path", LINKED)
def test_links_lead_to_the_folders_that_the_job_names(fetcher, root, disk, path):
    """A disk beside the root is read through links once the job allows it, and not before."""
    assert fetcher.read_path(path).code == "Local.ImageOutsideRoot"
    assert "images.allow_links" in fetcher.read_path(path).message
    allowed = Fetcher(root, ImageSettings(allow_links=(str(disk),)))
    assert allowed.read_path(path) == b"two"


@pytest.mark.parametrize(
    "path",
    [
        "past.jpg",
        "absolute/out.jpg",
        "absolute/../secret.txt",
        "absolute/../disk/season/two.jpg",
        "../disk/season/two.jpg",
        "a/relative/../../secret.txt",
    ],
)
def test_nothing_else_leads_out(root, disk, path):
    """Neither the manifest's own `..` nor a link past the named folder gets anywhere."""
    allowed = Fetcher(root, ImageSettings(allow_links=(str(disk),)))
    assert allowed.read_path(path).code == "Local.ImageOutsideRoot"
    assert allowed.read_path(str(disk / "season" / "two.jpg")).code == "Local.ImageOutsideRoot"


def test_a_link_leads_back_into_the_root(root, disk):
    """From a named folder a link may come home."""
    assert Fetcher(root, ImageSettings(allow_links=(str(disk),))).read_path("absolute/back.jpg") == b"one"


# -- spellings -----------------------------------------------------------------------------------------

CAFE = "café.jpg"


@pytest.mark.parametrize(
    "path",
    [" a/b/one.jpg", "a/b/one.jpg \n", "\u00a0a/b/one.jpg\ufeff", "a\\b\\one.jpg", " .\\a\\b\\one.jpg"],
)
def test_blanks_and_backslashes_are_healed(fetcher, path):
    """What a spreadsheet or Windows adds to a path costs no image."""
    assert fetcher.read_path(path) == b"one"


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("folder", ["NFC", "NFD"])
@pytest.mark.parametrize("file", ["NFC", "NFD"])
def test_both_unicode_forms_name_the_file(fetcher, root, written, folder, file):
    """A letter with its accent is the same letter in one character or in two, in each part of a path."""
    place = root / unicodedata.normalize(folder, "été")
    place.mkdir()
    (place / unicodedata.normalize(file, CAFE)).write_bytes(b"three")
    assert fetcher.read_path(unicodedata.normalize(written, f"été/{CAFE}")) == b"three"


def test_the_written_name_comes_first(fetcher, root):
    """A file that is called so, blank and all, is the one that is meant."""
    (root / " x.jpg").write_bytes(b"blank")
    (root / "x.jpg").write_bytes(b"bare")
    (root / "a\\x.jpg").write_bytes(b"backslash")
    assert fetcher.read_path(" x.jpg") == b"blank"
    assert fetcher.read_path("a\\x.jpg") == b"backslash"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (" nope.jpg", "begins with a space"),
        ("nope.jpg\t", "ends with a tab"),
        ("nope.jpg\u200b", "ends with an invisible character"),
        ("a\\nope.jpg", "backslashes"),
        ("C:\\shop\\nope.jpg", "a path of a Windows machine"),
        ("\\\\server\\share\\nope.jpg", "a path of a Windows machine"),
        ("né.jpg", "both Unicode forms"),
    ],
)
def test_what_is_odd_about_a_missing_path_is_said(fetcher, path, said):
    """A person sees in the message what cannot be seen in the cell."""
    found = fetcher.read_path(path)
    assert found.code == "Local.ImageMissing"
    assert said in found.message


@pytest.mark.parametrize(
    "path", ["..\\secret.txt", " ../secret.txt", "a\\..\\..\\secret.txt", " /etc/passwd"]
)
def test_no_other_spelling_leads_out(fetcher, path):
    """Healing keeps to the root like everything else."""
    assert isinstance(fetcher.read_path(path), Rejected)


@pytest.mark.parametrize("url", ["data:;base64,aW5s\naW5l\n", "data:;base64 ,aW5saW5l", "data:,inline"])
def test_data_addresses_are_read_as_browsers_do(fetcher, url):
    """Line breaks in base64 mean nothing."""
    assert fetcher.read(ImageReference(url=url)) == b"inline"


def test_base64_comes_in_both_alphabets_with_or_without_padding(root):
    """What is base64 to anybody is read; what is none is refused."""
    fetcher = Fetcher(root, ImageSettings(text="base64"))
    for text in ("+/+/YQ==", "-_-_YQ==", "-_-_YQ", "+/+/\r\n YQ"):
        assert fetcher.read(ImageReference(path=text)) == b"\xfb\xff\xbfa"
        assert fetcher.read(ImageReference(url=f"data:;base64,{text}")) == b"\xfb\xff\xbfa"
    for text in ("YQ=Y", "Y", "Y*=="):
        assert fetcher.read(ImageReference(path=text)).code == "Local.ImageReferenceInvalid"
