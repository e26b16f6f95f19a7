"""Files that appear whole or not at all, and stay."""

import ast
import os
from pathlib import Path

import pytest

import batchsearch
from batchsearch.errors import OutputError
from batchsearch.publish import NewFile, make_folder, own_name, publish, publishing, write_text


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    """The new text stands alone in the folder, whatever was there before."""
    path = tmp_path / "summary.json"
    path.write_text("old and longer than the new text", encoding="utf-8")
    write_text(path, "neu: \u00fc \ud800\n")
    assert path.read_bytes() == "neu: \u00fc ?\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    """What a link points at is never written."""
    target = tmp_path / "precious"
    target.write_text("mine", encoding="utf-8")
    path = tmp_path / "summary.json"
    path.symlink_to(target)
    write_text(path, "new")
    assert target.read_text(encoding="utf-8") == "mine"
    assert path.read_text(encoding="utf-8") == "new"
    assert not path.is_symlink()


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    """A folder of that name, or a folder that is not there, is an error with the path."""
    path = tmp_path / "summary.json"
    path.mkdir()
    with pytest.raises(OutputError, match=r"summary\.json: cannot be written: "):
        write_text(path, "new")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match=r"gone/summary\.json: cannot be written: No such file"):
        write_text(tmp_path / "gone" / "summary.json", "new")


@pytest.fixture
def synced(monkeypatch):
    """What is synced, in order: its name, and the names that its folder has at that moment."""
    seen, real = [], os.fsync

    def watched(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        folder = path if path.is_dir() else path.parent
        seen.append((path.name, sorted(child.name for child in folder.iterdir())))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return seen


def _by_hand(path):
    new = NewFile(path)
    new.file.write(b"whole")
    new.publish()


def _in_a_block(path):
    with publishing(path) as file:
        file.write(b"whole")


def _from_elsewhere(path):
    other = path.with_name("other")
    other.write_bytes(b"whole")
    publish(other, path)


def _as_text(path):
    write_text(path, "whole")


WAYS = [_by_hand, _in_a_block, _from_elsewhere, _as_text]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks up what a descriptor is in /proc")
@pytest.mark.parametrize("way", WAYS)
def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_end(tmp_path, synced, way):
    """A machine that stops leaves the old file or the new one: content is synced first, the folder last."""
    folder = tmp_path / "folder"
    folder.mkdir()
    way(folder / "table")
    content, name = synced
    assert content[0] != "table"
    assert "table" not in content[1]
    assert name == ("folder", ["table"])
    assert (folder / "table").read_bytes() == b"whole"


def test_what_is_not_finished_leaves_the_old_file_and_nothing_else(tmp_path):
    """A block that fails publishes nothing, whatever it fails with."""
    path = tmp_path / "table"
    path.write_bytes(b"old")

    def interrupted():
        with publishing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_at_the_temporary_name_is_not_written_through(tmp_path):
    """Whoever lays a link at a temporary name that can be guessed gains nothing."""
    target = tmp_path / "precious"
    target.write_bytes(b"mine")
    path = tmp_path / "table"
    own_name(path).symlink_to(target)
    with publishing(path, own_name(path)) as file:
        file.write(b"new")
    assert target.read_bytes() == b"mine"
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks up what a descriptor is in /proc")
def test_every_folder_that_is_made_is_in_a_folder_that_is_synced(tmp_path, synced):
    """A name that is not on disk is lost with all that is below it."""
    make_folder(tmp_path / "a" / "b")
    assert synced == [(tmp_path.name, ["a"]), ("a", ["b"])]


# Beside it there is one that asks a disk whether it takes anything at all.
SYNCING = {"publish.py", "storage/ledger/damage.py"}


def test_nobody_else_syncs():
    """There is one way to put a file in its place: a second one would forget the folder again."""
    package = Path(batchsearch.__file__).parent
    found = set()
    paths = [path for path in package.rglob("*.py") if "fsync" in path.read_text(encoding="utf-8")]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "fsync":
                found.add(path.relative_to(package).as_posix())
    assert found == SYNCING
