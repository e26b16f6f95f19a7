"""Text files that appear whole or not at all."""

import pytest

from batchsearch.errors import OutputError
from batchsearch.storage.parts.atomic import write_text_atomically


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    """The new text stands alone in the folder, whatever was there before."""
    path = tmp_path / "summary.json"
    path.write_text("old and longer than the new text", encoding="utf-8")
    write_text_atomically(path, "neu: \u00fc \ud800\n")
    assert path.read_bytes() == "neu: \u00fc ?\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path):
    """What a link points at is never written."""
    target = tmp_path / "precious"
    target.write_text("mine", encoding="utf-8")
    path = tmp_path / "summary.json"
    path.symlink_to(target)
    write_text_atomically(path, "new")
    assert target.read_text(encoding="utf-8") == "mine"
    assert path.read_text(encoding="utf-8") == "new"
    assert not path.is_symlink()


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    """A folder of that name, or a folder that is not there, is an error with the path."""
    path = tmp_path / "summary.json"
    path.mkdir()
    with pytest.raises(OutputError, match=r"summary\.json: cannot be written: "):
        write_text_atomically(path, "new")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match=r"gone/summary\.json: cannot be written: No such file"):
        write_text_atomically(tmp_path / "gone" / "summary.json", "new")
