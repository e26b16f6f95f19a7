"""A job file's list of images made into the manifest of pairs that an ordinary run works through."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.arrow_values import storable_values
from batchsearch.config.sections.compare_settings import CompareSettings
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.run.places import image_root
from batchsearch.errors import ConfigError, ManifestError, Problem
from batchsearch.manifest.column_types import cell, normal_type
from batchsearch.manifest.formats.memory_table import GivenTable
from batchsearch.manifest.formats.registry import format_of
from batchsearch.manifest.rows import reference
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.nearest import did_you_mean
from batchsearch.publish import made_folder
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.output_layout import LEDGER_FOLDER
from batchsearch.tasks.compare.pairing import GroupSizes, Member, OpenGroups, Pair, too_many
from batchsearch.tasks.compare.pairs_table import (
    KEY,
    PAIR_COLUMNS,
    PAIRS_FILE,
    MadeOf,
    made_of,
    pairs_schema,
    write_pairs,
)
from batchsearch.tasks.plan.planning import pace_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchsearch.config.model import JobSettings
    from batchsearch.manifest.rows import Row

OPERATION: Final = "CompareSimilarByImage"

_GROUP: Final = "group"
_SCHEME: Final = 1
"""Raised when pairs are made in another way, so that those made before are not taken for these."""

_MOST_HELD: Final = 512 * 1024 * 1024
_KEYS_LOOKED_AT: Final = 20_000


@dataclass(frozen=True, slots=True)
class PairsJob:
    """What the engine runs for a comparison.

    Attributes:
        settings: The job over its pairs, paths absolute.
        compare: What the job file says about the pairs.
        made: What they were made of; None when the manifest gives them.
    """

    settings: JobSettings
    compare: CompareSettings
    made: MadeOf | None = None


def pairs_job(settings: JobSettings, *, pairs_made: Callable[[int], None] | None = None) -> PairsJob:
    """The job over its pairs, which are made in the output folder unless they are there already.

    Args:
        settings: The job, its paths absolute.
        pairs_made: Told how many, when they were made just now.

    Raises:
        ConfigError: The job compares nothing, or there would be more pairs than it allows.
        ManifestError: The list is not usable.
        OutputInUseError: A run works in the output folder.
        OutputError: The pairs cannot be written.
    """
    compare = compared(settings)
    if compare.pairs == "given":
        return PairsJob(_symmetric(settings), compare)
    source = _List.of(settings, compare)
    path = Path(settings.output.dir) / PAIRS_FILE
    made = made_of(path)
    if made is None or made.digest != source.digest:
        folder = made_folder(Path(settings.output.dir) / LEDGER_FOLDER)
        # A run over the pairs that were there must not see them change.
        with OutputLock(folder / "lock", "compare"):
            made, pairs = source.write(path)
        if pairs_made is not None:
            pairs_made(pairs)
    return PairsJob(_over_pairs(settings, path), compare, made)


@contextmanager
def job_to_plan(settings: JobSettings) -> Iterator[JobSettings]:
    """The job over its pairs for `batchsearch plan`: nothing is written into the output folder.

    Pairs that are not there yet are made in a temporary folder, which goes when the block ends. A job
    without a `compare` section is given back as it is.

    Raises:
        ConfigError: The job compares nothing, or there would be more pairs than it allows.
        ManifestError: The list is not usable.
        OutputError: The temporary folder cannot be written.
    """
    if settings.compare is None:
        yield settings
        return
    compare = compared(settings)
    if compare.pairs == "given":
        yield _symmetric(settings)
        return
    source = _List.of(settings, compare)
    path = Path(settings.output.dir) / PAIRS_FILE
    made = made_of(path)
    if made is not None and made.digest == source.digest:
        yield _over_pairs(settings, path)
        return
    with tempfile.TemporaryDirectory(prefix="batchsearch-pairs-") as folder:
        path = Path(folder) / PAIRS_FILE.name
        source.write(path)
        yield _over_pairs(settings, path)


def compared(settings: JobSettings) -> CompareSettings:
    """The job's `compare` section, its defaults when it has none.

    Raises:
        ConfigError: The job's operation compares nothing.
    """
    if settings.operation != OPERATION:
        raise ConfigError.at(
            "operation", f"must be `{OPERATION}` to compare images, not `{settings.operation}`"
        )
    return settings.compare or CompareSettings()


def _symmetric(settings: JobSettings) -> JobSettings:
    """Pairs that differ in their order only are one call, unless the job file says otherwise."""
    if "symmetric_pairs" in settings.reuse.model_fields_set:
        return settings
    reuse = settings.reuse.model_copy(update={"symmetric_pairs": True})
    return settings.model_copy(update={"reuse": reuse})


def _over_pairs(settings: JobSettings, path: Path) -> JobSettings:
    manifest = ManifestSettings(
        path=str(path),
        format="parquet",
        key=KEY,
        columns={"primary_image": "primary_image", "secondary_image": "secondary_image"},
    )
    images = settings.images.model_copy(update={"root": str(image_root(settings))})
    return _symmetric(settings).model_copy(update={"manifest": manifest, "images": images})


@dataclass(frozen=True, slots=True)
class _List:
    """The images of a job file, and how pairs are made of them."""

    settings: JobSettings
    compare: CompareSettings
    manifest: Manifest
    inline: bool
    digest: str

    @classmethod
    def of(cls, settings: JobSettings, compare: CompareSettings) -> _List:
        if settings.manifest.columns:
            meaning = next(iter(settings.manifest.columns))
            raise ConfigError.at(
                f"manifest.columns.{meaning}",
                f"means nothing with `compare.pairs: {compare.pairs}`; "
                "the column with the images is `compare.image`",
            )
        grouped = compare.group is not None
        columns = {"image": compare.image} | ({_GROUP: compare.group} if grouped else {})
        manifest = Manifest.open(
            settings.manifest.model_copy(update={"columns": columns}),
            base=Path(settings.manifest.path).parent,
            wanted=Wanted(
                images=("image",),
                required=(_GROUP,) if grouped else (),
                allowed=frozenset({_GROUP}),
                texts=settings.images.texts,
                kept=frozenset(compare.carry),
            ),
        )
        _check_carried(manifest, compare)
        deciding = ("pairs", "image", "group", "reference", "reference_key", "carry")
        digest = hashlib.sha256(
            json.dumps(
                [
                    _SCHEME,
                    manifest.identity(),
                    settings.manifest.csv.model_dump(mode="json", exclude_none=True),
                    settings.images.text,
                    compare.model_dump(mode="json", include=set(deciding)),
                ],
                sort_keys=True,
            ).encode()
        ).hexdigest()
        return cls(settings, compare, manifest, _may_be_inline(settings, compare, manifest), digest)

    def write(self, path: Path) -> tuple[MadeOf, int]:
        """Make the pairs; what they are made of, and how many they are."""
        rows = self.manifest.check()
        if self.compare.pairs == "reference":
            chosen = self._reference()
            self._bound(rows - (self.compare.reference_key is not None), None)
            made = MadeOf(self.digest, rows)
            pairs = self._against(chosen)
        else:
            sizes = self._sizes()
            self._bound(sizes.pairs, sizes)
            made = MadeOf(
                self.digest, rows, groups=len(sizes.sizes), alone=sizes.alone, without=sizes.without
            )
            pairs = self._within(sizes)
        carried = {name: self.manifest.schema_carried.field(name).type for name in self.compare.carry}
        schema = pairs_schema(carried, inline=self.inline, made_of=made)
        return made, write_pairs(path, pairs, schema, self.compare.carry)

    def _bound(self, pairs: int, sizes: GroupSizes | None) -> None:
        path = self.settings.manifest.path
        if pairs == 0:
            raise ManifestError.at(path, self._nothing(sizes))
        if pairs <= self.compare.max_pairs:
            return
        pace = pace_of(self.settings, self.settings.instance)
        said = too_many(pairs, self.compare.max_pairs, rate=pace.rate, night_hours=pace.night_hours)
        advice = "raise `compare.max_pairs` if that is meant"
        if sizes is not None:
            group, size = sizes.largest()
            whole = self.compare.group is None
            name = "the list" if whole else f"the largest group, {cell(group)},"
            advice += f"; {name} has {size:,} images, {size * (size - 1) // 2:,} pairs" + (
                "; `compare.group` names a column that divides it" if whole else ""
            )
        raise ConfigError.at(path, f"makes {said}; {advice}")

    def _nothing(self, sizes: GroupSizes | None) -> str:
        if sizes is None or self.compare.group is None:
            return "makes no pair: it has fewer than two images"
        return (
            f"makes no pair: no two rows have the same value in `{self.compare.group}` "
            f"({sizes.alone:,} groups of one row, {sizes.without:,} rows without a value)"
        )

    def _sizes(self) -> GroupSizes:
        sizes: Counter[str | None] = Counter()
        without = 0
        for batch in self.manifest.batches():
            groups = [_group_text(value) for value in batch.values(_GROUP)]
            if self.compare.group is not None:
                without += groups.count(None)
                groups = [group for group in groups if group is not None]
            sizes.update(groups)
        return GroupSizes(sizes, without)

    def _members(self) -> Iterator[tuple[Row, Member]]:
        for batch in self.manifest.batches():
            carried = [storable_values(batch.carried.column(name)) for name in self.compare.carry]
            for row in batch.rows:
                values = tuple(column[row.index] for column in carried)
                yield row, Member(row.key, row.images[0], values)

    def _within(self, sizes: GroupSizes) -> Iterator[Pair]:
        groups = OpenGroups(sizes)
        for row, member in self._members():
            if self.compare.group is not None and _GROUP not in row.parameters:
                continue
            yield from groups.pairs_with(_group_text(row.parameters.get(_GROUP)), member)
            if groups.held_bytes > _MOST_HELD:
                raise ManifestError.at(
                    self.settings.manifest.path,
                    f"the images of its open groups take more than {_MOST_HELD >> 20} MiB; sort "
                    "it by group, or give images as files instead of bytes",
                )

    def _against(self, chosen: Member) -> Iterator[Pair]:
        is_row = self.compare.reference_key is not None
        for _, member in self._members():
            if not (is_row and member.key == chosen.key):
                yield Pair(None, chosen, member)

    def _reference(self) -> Member:
        """The image that all are compared with."""
        if self.compare.reference is not None:
            nothing = (None,) * len(self.compare.carry)
            return Member(self.compare.reference, reference(self.compare.reference), nothing)
        wanted = self.compare.reference_key
        seen: list[str] = []
        for row, member in self._members():
            if row.key == wanted:
                return member
            if len(seen) < _KEYS_LOOKED_AT:
                seen.append(row.key)
        raise ConfigError.at(
            "compare.reference_key", f"no row has the key {cell(wanted)}{did_you_mean(wanted or '', seen)}"
        )


def _group_text(value: Any) -> str | None:
    """A row's group as text; None where it has none, or all rows are one."""
    return None if value is None else str(value)


def _check_carried(manifest: Manifest, compare: CompareSettings) -> None:
    problems = []
    names = manifest.schema_carried.names
    taken = {column.name.casefold() for column in PAIR_COLUMNS}
    for number, name in enumerate(compare.carry):
        where = f"compare.carry.{number}"
        if name not in names:
            problems.append(
                Problem(where, f"the manifest has no column {cell(name)}{did_you_mean(name, names)}")
            )
        elif {f"primary_{name}".casefold(), f"secondary_{name}".casefold()} & taken:
            problems.append(Problem(where, f"`{name}` is carried already, as `primary_{name}` of the pairs"))
    if problems:
        raise ConfigError(problems)


def _may_be_inline(settings: JobSettings, compare: CompareSettings, manifest: Manifest) -> bool:
    """Whether the images may be bytes: they are in a Parquet or Arrow file, and not text."""
    first = manifest.files[0]
    if isinstance(first, GivenTable):
        return True
    kind = settings.manifest.format if settings.manifest.format != "auto" else format_of(first)
    if kind not in ("parquet", "arrow", None):
        return False
    if not isinstance(first, Path):
        return True  # in an object store: its footer is not worth another request
    try:
        column = pq.read_schema(arrow_readable(first)).field(compare.image).type
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return True
    return not pa.types.is_string(normal_type(column))
