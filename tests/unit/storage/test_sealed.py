"""What is sealed, whether the disk has it, and what lies beside it."""

import json
from contextlib import closing
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.engine.parts.sealer import Writers
from batchsearch.storage.ledger.entries import FinishedRow, digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.parts.part_files import part_name, part_number
from batchsearch.storage.sealed.difference import CheckedFiles, differences
from batchsearch.storage.sealed.inventory import Inventory, has_ledger, inventory_of, parts_in
from batchsearch.storage.sealed.unsealed import WaitingOutcomes, set_aside, unsealed

CARRIED = pa.schema([("sku", pa.string())])


def finished(key, *, run="one"):
    own = pa.record_batch([[key]], schema=CARRIED).serialize().to_pybytes()
    line = json.dumps({"row_key": key, "rank": 1}).encode() + b"\n"
    result = json.dumps({"row_key": key, "run_id": run, "outcome": "ok", "hit_count": 1}).encode()
    return FinishedRow(digest_of(key), None, None, result, line, own, False)


class Output:
    """An output folder with its ledger open."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "ledger").mkdir()
        self.ledger = Ledger(folder / "ledger" / "ledger.sqlite3")
        self.writers = Writers.of(folder, "SearchImageByName", CARRIED)
        self.writers.prepare()

    async def write(self, *keys, number=None, seal=True):
        """Commit outcomes and write their part."""
        for key in keys:
            await self.ledger.finish(finished(key), {})
        rows = [row for chunk in self.ledger.pending(100) for row in chunk]
        name = part_name(number or self.ledger.next_part())
        made = self.writers.current.write(name, [rows])
        part = replace(made, first_seq=rows[0].seq, last_seq=rows[-1].seq)
        if seal:
            await self.ledger.seal(part)
        return part

    def beside(self):
        found = unsealed(self.folder, inventory_of(self.ledger), WaitingOutcomes(self.ledger.waiting_results))
        return {each.path: each.why for each in found}

    def wrong(self, **options):
        return [str(one) for one in differences(self.folder, inventory_of(self.ledger), **options)]


@pytest.fixture
def output(tmp_path):
    made = Output(tmp_path)
    yield made
    made.ledger.close()


async def test_damage_to_sealed_files_is_named(output):
    """Of sealed files, those that are gone, cut short, no files or not what was sealed are each named."""
    for keys in ("ab", "cd", "ef", "gh", "ij", "k"):
        await output.write(*keys)
    assert output.wrong() == []
    results, hits = output.folder / "results", output.folder / "hits"
    (results / part_name(1)).unlink()
    whole = (hits / part_name(2)).read_bytes()
    (hits / part_name(2)).write_bytes(whole[:-100])
    (results / part_name(3)).unlink()
    (results / part_name(3)).mkdir()
    pq.write_table(pq.read_table(results / part_name(6)), results / part_name(4))
    # Whole, with as many rows, and all the same another one.
    (hits / part_name(5)).write_bytes((hits / part_name(4)).read_bytes())
    lines = output.wrong()
    assert [line.split(": ")[0] for line in lines] == [
        "results/part-000001.parquet",
        "hits/part-000002.parquet",
        "results/part-000003.parquet",
        "results/part-000004.parquet",
        "hits/part-000005.parquet",
    ]
    said = "\n".join(lines)
    assert "is not there" in said
    assert "is not a file" in said
    assert "has 1 rows, was sealed with 2" in said
    assert "is not what was sealed" in said


async def test_a_file_whose_content_was_read_is_not_read_again(output, monkeypatch):
    """As long as size, time and inode stay the same, opening costs a look at each file."""
    await output.write("a", "b")
    checked = CheckedFiles(output.folder)
    assert differences(output.folder, inventory_of(output.ledger), checked) == []
    checked.keep()
    read = []
    monkeypatch.setattr("batchsearch.storage.sealed.difference.sha256_of", read.append)
    assert output.wrong() == []
    assert read == []
    part = output.folder / "hits" / part_name(1)
    part.write_bytes(part.read_bytes())
    assert len(output.wrong()) == 1
    assert read == [part]


async def test_only_what_a_kill_can_have_left_counts_as_left(output):
    """The next part whose outcomes all wait is left over; any other one the ledger cannot know."""
    await output.write("a", "b")
    await output.write("c", "d", seal=False)
    (output.folder / "results" / "part-000003.parquet.tmp").write_bytes(b"half")
    (output.folder / "results" / "notes.txt").write_text("mine")
    (output.folder / "results" / "mine.parquet").write_bytes(b"")
    (output.folder / "results.next").mkdir()
    assert output.beside() == {
        "results/mine.parquet": "table",
        "results/notes.txt": "file",
        "results/part-000002.parquet": "left",
        "results/part-000003.parquet.tmp": "temporary",
        "hits/part-000002.parquet": "left",
        "results.next": "beside",
    }
    (output.folder / "results" / part_name(2)).rename(output.folder / "results" / part_name(7))
    assert output.beside()["results/part-000007.parquet"] == "unknown"


async def test_the_next_part_of_another_ledger_is_not_left_over(output, tmp_path):
    """A part with the right number whose outcomes do not wait here was sealed by a ledger that is missing."""
    await output.write("a", "b")
    other = tmp_path / "other"
    other.mkdir()
    made = Output(other)
    await made.write("a", "b")
    part = await made.write("c")
    for table in ("results", "hits"):
        (other / table / part.name).rename(output.folder / table / part.name)
    made.ledger.close()
    await output.ledger.finish(finished("d"), {})
    assert output.beside() == {
        "results/part-000002.parquet": "unknown",
        "hits/part-000002.parquet": "unknown",
    }


async def test_what_makes_room_is_moved_and_never_replaced(output):
    """Files set aside keep their places below the folder of that moment, whatever is there already."""
    await output.write("a")
    for content in ("first", "second"):
        (output.folder / "results" / "x").write_text(content)
        moved = set_aside(output.folder, ["results/x"], "then")
    assert moved == ["set-aside/then/results/x.2"]
    assert (output.folder / "set-aside/then/results/x").read_text() == "first"
    assert not (output.folder / "results" / "x").exists()


def test_an_empty_ledger_is_none(tmp_path):
    """A ledger of no bytes, or one that was never given a table, says nothing; one with tables does."""
    path = tmp_path / "ledger" / "ledger.sqlite3"
    assert not has_ledger(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"")
    assert not has_ledger(tmp_path)
    path.unlink()
    with closing(Ledger(path)) as ledger:
        assert inventory_of(ledger) == Inventory((), 1)
    assert has_ledger(tmp_path)
    path.write_bytes(b"no database")
    assert has_ledger(tmp_path)


def test_parts_are_found_wherever_they_can_be(tmp_path):
    """Seen, staged, replaced or being exchanged: a part is a part by its name."""
    places = ("results", "hits", "staged/results", "history", "results.next", "hits.next.old")
    for place in places:
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / part_name(3)).write_bytes(b"")
        (tmp_path / place / f"{part_name(4)}.tmp").write_bytes(b"")
        (tmp_path / place / "other.parquet").write_bytes(b"")
    assert sorted(parts_in(tmp_path)) == sorted(f"{place}/{part_name(3)}" for place in places)
    assert [part_number(name) for name in (part_name(3), "part-000003.parquet.tmp", "x.parquet")] == [
        3,
        None,
        None,
    ]


async def test_while_parts_are_exchanged_the_coming_ones_are_sealed(output):
    """From the note of an exchange to its end, a coming part is found beside those that readers see."""
    part = await output.write("a", "b")
    coming = replace(part, name=part_name(2))
    for table in ("results", "hits"):
        beside = output.folder / f"{table}.next"
        beside.mkdir()
        (beside / coming.name).write_bytes((output.folder / table / part.name).read_bytes())
    await output.ledger.intend([coming], [], [])
    assert output.wrong() == []
    assert output.beside() == {}
    (output.folder / "results" / part_name(9)).write_bytes(b"")
    assert output.beside() == {"results/part-000009.parquet": "unknown"}
    (output.folder / "hits.next" / coming.name).unlink()
    assert output.wrong() == ["hits/part-000002.parquet: is not there"]
