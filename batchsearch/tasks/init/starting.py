"""`batchsearch init` from a manifest to a job file that loads."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.config.load import load_text
from batchsearch.config.sections.manifest_settings import XlsxSettings
from batchsearch.errors import BatchsearchError, ConfigError, ManifestError, OutputError
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.path_spellings import in_shell, other_spellings
from batchsearch.streams import printable
from batchsearch.tasks.init.first_look import look_at
from batchsearch.tasks.init.given_settings import GivenSettings
from batchsearch.tasks.init.guess_records import Guess, Guesses, Lack
from batchsearch.tasks.init.guesses import guess
from batchsearch.tasks.init.job_text import job_text
from batchsearch.tasks.init.template import Wishes, lines, title

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.init.first_look import ManifestFacts
    from batchsearch.tasks.init.guess_records import Kind

_MOST_FOLDERS: Final = 20
_EMULATED_QPS: Final = math.inf
_BOUGHT_QPS: Final = 1.0
_EMULATED_NAME: Final = "demo"
_BOUGHT_NAME: Final = "my-instance"
_WIDEST: Final = 40
_IMAGE_SETTINGS: Final = ("manifest.images", "manifest.columns.image", "manifest.columns", "compare.image")


@dataclass(frozen=True, slots=True)
class Started:
    """A job file that is to be written, or was.

    Attributes:
        file: Where it is.
        text: What is in it.
        kind: What it is about.
        told: What was guessed, and why.
        rows: Rows of the manifest; None where none was looked at, or it is not usable as guessed.
        problem: What is still wrong with the guesses; empty when nothing is.
        lacking: What a person has to set first.
        grouped: A column says which rows are compared; without one all of a list are.
        embedded: The job is for the embedded instance.
    """

    file: Path
    text: str
    kind: Kind
    told: tuple[Guess, ...]
    rows: int | None
    problem: str = ""
    lacking: tuple[Lack, ...] = ()
    grouped: bool = True
    embedded: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether the job can be run as it is written."""
        return not self.problem and not self.lacking

    def as_text(self) -> str:
        """A page for people."""
        text = [f"{self.file}: a job file for `batchsearch {_COMMANDS[self.kind]}`"]
        if self.told:
            width = max(len(each.what) for each in self.told)
            found = min(max(len(printable(each.found)) for each in self.told), _WIDEST)
            text += [
                f"  {each.what:<{width}}  {printable(each.found):<{found}}  {printable(each.why)}"
                for each in self.told
            ]
        else:
            text.append("  no manifest was looked at: change what is marked CHANGE")
        if self.rows is not None:
            text.append(f"  {self.rows:,} {'row' if self.rows == 1 else 'rows'}, each with a key of its own")
            if not self.grouped:
                pairs = self.rows * (self.rows - 1) // 2
                text.append(
                    f"  {pairs:,} pairs, and as many calls: each row with each; "
                    "`compare.group` names a column within whose values rows are compared"
                )
        if not self.is_ready:
            wrong = [*self.problem.splitlines(), *(printable(each.what) for each in self.lacking)]
            text += ["  to be mended first:", *(f"    {line}" for line in wrong)]
        # The embedded instance costs neither money nor slots: there is nothing to plan.
        ready = _COMMANDS[self.kind] if self.embedded else "plan"
        text.append(f"next: batchsearch {ready if self.is_ready else 'config check'} {in_shell(self.file)}")
        return "\n".join(text)


_COMMANDS: Final[dict[Kind, str]] = {"search": "run", "compare": "compare", "dedup": "dedup"}


def start(
    manifest: Path | None,
    kind: Kind | None,
    file: Path | None,
    *,
    region: str | None = None,
    name: str | None = None,
    qps: float | None = None,
    overrides: tuple[str, ...] = (),
    agreed: Callable[[Started], bool] = lambda _: True,
) -> Started:
    """Write a first job file; nothing that is there is replaced.

    Args:
        manifest: The manifest to look at; None for a file to be filled in by hand.
        kind: Which job; by the manifest's columns when None.
        file: Where to write it; a name after the kind in the current folder when None.
        region: Region of the purchased instance; the embedded one when None.
        name: Name of the instance.
        qps: Queries per second that were bought.
        overrides: Settings that are given, each `name=value`.
        agreed: Asked before the file is written.

    Raises:
        ConfigError: The file is there already, its folder is not, or an option makes no sense.
        ManifestError: The manifest cannot be read, or it has no images.
        OutputError: The file cannot be written.
        NotWrittenError: It was not agreed to.
    """
    given = GivenSettings(overrides)
    facts = None if manifest is None else look_at(manifest)
    found = _guesses(facts, kind, given)
    path = file or Path(f"{found.kind}.yaml")
    if path.exists():
        raise ConfigError.at(path, "is there already; give another name with `-o`")
    if not path.parent.is_dir():
        raise ConfigError.at(path.parent, "there is no such folder")
    wishes = Wishes(
        kind=found.kind,
        manifest="manifest.csv" if facts is None else _from(path.parent, facts.path),
        output=f"output/{path.stem}",
        guesses=_with_root(found, facts, path.parent),
        csv=None if facts is None else facts.csv,
        xlsx=XlsxSettings() if facts is None else facts.xlsx,
        region=region,
        name=name or (_EMULATED_NAME if region is None else _BOUGHT_NAME),
        qps=qps or (_EMULATED_QPS if region is None else _BOUGHT_QPS),
        seen=facts is not None,
        format=None if facts is None or facts.is_named else facts.format,
    )
    text = job_text(title(wishes, str(path)), given.over(lines(wishes), path.parent))
    settings = _checked(path, text)
    rows, problem = (None, "") if facts is None else _tried(settings)
    grouped = found.kind != "compare" or found.pair is not None or found.group is not None
    started = Started(
        path, text, found.kind, found.told, rows, problem, found.lacking, grouped, embedded=region is None
    )
    if not agreed(started):
        raise NotWrittenError
    _write(started)
    return started


class NotWrittenError(Exception):
    """Nobody wanted the file."""


def _guesses(facts: ManifestFacts | None, kind: Kind | None, given: GivenSettings) -> Guesses:
    if facts is None:
        pair = ("primary_image", "secondary_image") if kind == "compare" else None
        image = None if kind == "compare" else "image"
        return Guesses(kind or "search", image=image, pair=pair, key=("product_id", "pic_name"))
    root = given.text("images.root")
    found = guess(
        facts,
        kind,
        folders=_folders(facts.folder) if root is None else [os.path.relpath(root, facts.folder)],
        is_there=lambda folder, path: _is_there(facts.folder / folder, path),
    )
    if found.image is None and found.pair is None and not any(map(given.has, _IMAGE_SETTINGS)):
        names = ", ".join(f"`{printable(column.name)}`" for column in facts.columns[:_MOST_FOLDERS])
        what = (
            "has no column that looks like images: paths, addresses, or bytes; "
            f"it has {names}. Name it: `--set manifest.columns.image=COLUMN`"
        )
        raise ManifestError.at(facts.path, what)
    # A root that was given is where files were looked for: what is lacking then is lacking there.
    lacking = (
        each
        for each in found.lacking
        if not any(given.has(name) for name in each.mended_by if name != "images.root")
    )
    return replace(found, lacking=tuple(lacking))


def _folders(folder: Path) -> list[str]:
    """Folders in which images may lie, from the manifest's: those in it, the one above, those beside."""
    above = [".."] if folder.resolve() != folder.resolve().parent else []
    found: list[str] = []
    for base in ("", *above):
        with suppress(OSError):
            inside = sorted(entry.name for entry in (folder / base).iterdir() if entry.is_dir())
            found += [os.path.join(base, name) for name in inside if not name.startswith(".")][:_MOST_FOLDERS]  # noqa: PTH118 - a text for a job file
    return [*found, *above]


def _is_there(folder: Path, path: str) -> bool:
    """Whether a run would find the file: by its path as written, or as it may be meant."""
    return any(_is_file(folder / each) for each in (path, *other_spellings(path)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _with_root(found: Guesses, facts: ManifestFacts | None, folder: Path) -> Guesses:
    """The guesses, with the images' folder as the job file is to have it."""
    if facts is None or found.root is None:
        return found
    return replace(found, root=_from(folder, facts.folder / found.root))


def _from(folder: Path, path: Path) -> str:
    """A path from a folder on: as it is where it is absolute."""
    return str(path) if path.is_absolute() else os.path.relpath(path, folder)


def _checked(path: Path, text: str) -> JobSettings:
    """The settings of a job file that is not there yet.

    Raises:
        ConfigError: They do not load, as something that was given does not fit.
    """
    return load_text(text, path, environ={}).settings


def _write(started: Started) -> None:
    """Write the file; at no moment is there half of one."""
    path = started.file
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.yaml")
    try:
        temporary.write_text(started.text, encoding="utf-8")
        os.link(temporary, path)
    except FileExistsError:
        raise ConfigError.at(path, "is there already; give another name with `-o`") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _tried(settings: JobSettings) -> tuple[int | None, str]:
    """The rows of the manifest as the file reads it, or what is wrong with it."""
    manifest = settings.manifest
    try:
        opened = Manifest.open(
            manifest.model_copy(update={"columns": {}}),
            base=Path(manifest.path).parent,
            wanted=Wanted(texts=settings.images.texts),
        )
        return opened.check(), ""
    except BatchsearchError as error:
        return None, str(error)
