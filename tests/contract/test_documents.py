"""What README.md and docs/ say to type, to set and to follow exists: commands, options, settings, links."""

import ast
import re
import shlex
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from batchsearch.cli import COMMANDS, cli
from batchsearch.config.load import load_text
from batchsearch.config.model import JobSettings
from batchsearch.config.shape import shape_of

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

FENCE = re.compile(r"^([ ]*)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
SHELLS = ("sh", "bash", "shell", "console", "")
A_JOB = {
    "instance": {"endpoint": "emulator", "name": "demo", "qps": 10},
    "manifest": {"path": "catalogue.csv", "key": ["sku"]},
    "output": {"dir": "out"},
}
"""A job that lacks nothing; what a page shows is laid over it."""


def named(path):
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Page:
    """A page's fenced blocks by language, and its text without them."""

    blocks: tuple
    prose: str


@cache
def page_of(path):
    text = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    blocks = tuple((found[2], re.sub(f"(?m)^{found[1]}", "", found[3])) for found in FENCE.finditer(text))
    return Page(blocks, FENCE.sub("", text))


def split_commands(text):
    """Every simple command in shell text, as words: pipes, lists, redirections and substitutions undone."""
    text = re.sub(r"\\\n", " ", text)
    for line in text.splitlines():
        for inner in re.findall(r"\$\(([^()]*)\)", line):
            yield from split_commands(inner)
        lexer = shlex.shlex(re.sub(r"^\s*[$#] ", "", line), posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        command, skip = [], False
        for word in [*lexer, ";"]:
            if set(word) <= set("<>&") and set(word) & set("<>"):
                skip = True  # The file's name follows.
            elif set(word) <= set("|&;"):
                yield command
                command = []
            elif not skip and not (not command and re.fullmatch(r"\w+=.*", word)):
                command.append(word)
            else:
                skip = False


def commands_of(path):
    """Every command that a page shows: in its blocks, and as a span of code that is more than a mention."""
    page = page_of(path)
    texts = [block for language, block in page.blocks if language in SHELLS]
    spans = [" ".join(span.split()) for span in SPAN.findall(page.prose)]
    texts += [span for span in spans if re.match(r"(batchsearch|python|pytest|pip|eval) \S|\.ci/", span)]
    for text in texts:
        yield from (words for words in split_commands(text) if words)


def parse(words):
    """Parses a `batchsearch` command line; a click error says what is wrong.

    Whether files are there is not asked, and a word in capitals stands for a value of the user's.
    """
    command, context = cli, click.Context(cli, info_name="batchsearch")
    rest = list(words)
    while isinstance(command, click.Group):
        if not rest:
            return
        if rest[0].startswith("-"):
            command.make_parser(context).parse_args(rest)
            return
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"there is no command {name!r}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    values, left, _ = command.make_parser(context).parse_args(rest)
    if left:
        raise click.UsageError(f"too much: {left}")
    for parameter in command.params:
        value = values.get(parameter.name)
        for each in value if isinstance(value, list | tuple) else [value]:
            placeholder = isinstance(each, str) and re.fullmatch(r"[A-Z][A-Z_.…]*", each)
            if isinstance(each, str) and not placeholder and not isinstance(parameter.type, click.Path):
                kind = parameter.type.types[0] if isinstance(parameter.type, click.Tuple) else parameter.type
                kind.convert(each, parameter, context)


def check_command(words):
    """Raises if a command names what is not there: a command, an option, an extra, a file of the project."""
    match words:
        case ["batchsearch", *rest]:
            parse(rest)
        case ["python" | "python3", "-m", "batchsearch", *rest]:
            parse(rest)
        case ["python", "-m", "pytest", *rest] | ["pytest", *rest]:
            assert all((ROOT / each).exists() for each in rest if each.startswith("tests")), rest
        case ["python", script, *rest] if script.endswith(".py"):
            source = (ROOT / script).read_text(encoding="utf-8")
            sizes = re.search(r"command_line\(__doc__([^)]*)\)", source)
            shared = (
                {"--json", *(f"--{name}" for name in re.findall(r"(\w+)=", sizes[1]))} if sizes else set()
            )
            given = {each for each in rest if each.startswith("--")}
            missing = [each for each in sorted(given - shared) if f'"{each}"' not in source]
            assert missing == [], f"{script} has no {missing}"
        case ["pip", ("install" | "wheel" | "download"), *rest]:
            for each in rest:
                if found := re.fullmatch(r"(?:\.|batchsearch)\[(.*)\](?:==.*)?", each):
                    assert set(found[1].split(",")) <= set(EXTRAS), each
        case [script, *_] if script.startswith(".ci/"):
            assert (ROOT / script).exists(), script


@cache
def every_option():
    """Every option of every command, and of the benchmarks that pages quote."""
    found = set()
    context = click.Context(cli, info_name="batchsearch")
    commands = [cli.get_command(context, name) for name in COMMANDS]
    while commands:
        command = commands.pop()
        commands += command.commands.values() if hasattr(command, "commands") else []
        for parameter in command.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    for script in (ROOT / "tests" / "benchmarks").rglob("*.py"):
        found |= set(re.findall(r'"(--[a-z-]+)"', script.read_text(encoding="utf-8")))
    return found | {"--help", "-h", "--no-index", "--find-links", "--require-hashes"}


def slug(heading):
    """The anchor that a heading gets."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.lower())
    return re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")


def anchors_of(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def laid_over(below, above):
    """One mapping over another; of two ways to an instance the upper one's holds."""
    merged = dict(below)
    if "region" in above and "endpoint" not in above:
        merged.pop("endpoint", None)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = laid_over(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return merged


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=named)
def test_links_lead_somewhere(path):
    """A link to a file names one that is there, and an anchor one of its headings."""
    for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{named(path)} links {target}"
        assert not anchor or anchor in anchors_of(file), f"{named(path)} links {target}"


def test_the_index_has_a_line_for_every_page():
    """docs/README.md links each page once, and nothing in docs/ is left out."""
    linked = [
        target for target in LINK.findall(INDEX.read_text(encoding="utf-8")) if not target.startswith("..")
    ]
    assert sorted(linked) == sorted(
        path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path != INDEX
    )


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_commands_parse(path):
    """Each command line of a page names commands, options, extras and scripts that are there."""
    for words in commands_of(path):
        try:
            check_command(words)
        except (click.ClickException, AssertionError, OSError) as error:
            pytest.fail(f"{' '.join(words)}: {getattr(error, 'message', error)}")


def test_the_first_page_shows_commands():
    """The test above reads something: README.md has commands of all kinds."""
    found = [words[0] for words in commands_of(ROOT / "README.md")]
    assert found.count("batchsearch") > 15
    assert {"pip", "python", ".ci/run"} <= set(found)


@pytest.mark.parametrize(
    "line",
    [
        "batchsearch runn job.yaml",
        "batchsearch run job.yaml --untill 06:00",
        "x=1 batchsearch run job.yaml --max-calls some | cat",
        "true && batchsearch usage out --parquet",
        "batchsearch config chek job.yaml",
        "batchsearch status out/one out/two",
        "pip install '.[emulator,nothing]'",
        "python tests/benchmarks/dedup.py --folder x",
        "python tests/benchmarks/none.py",
        "pytest -n auto tests/none",
        'eval "$(batchsearch completion bash --loud)"',
    ],
)
def test_a_command_that_is_not_there_is_noticed(line):
    """The check can fail: on unknown commands, options, extras and scripts, wherever they stand in a line."""
    commands = [words for words in split_commands(line) if words]
    with pytest.raises((click.ClickException, AssertionError, OSError)):
        list(map(check_command, commands))


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_options_exist(path):
    """An option that a sentence names is one of some command."""
    spans = [span.split() for span in SPAN.findall(page_of(path).prose)]
    named_options = {words[0].partition("=")[0] for words in spans if words[0].startswith("--")}
    assert named_options - every_option() == set()


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_settings_exist(path):
    """A setting that a sentence names by its path, such as `instance.qps`, is one of the job file's."""
    top = shape_of(JobSettings)
    for span in SPAN.findall(page_of(path).prose):
        found = re.match(r"([a-z_]+(?:\.[a-z_]+)+)(?=: |=|$)", span)
        if found is None or top.child(found[1].split(".")[0]) is None or re.search(r"\.(json|csv)$", span):
            continue
        shape = top
        for name in found[1].split("."):
            shape = shape.child(name)
            assert shape is not None, f"{named(path)}: there is no setting {found[1]}"


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_pieces_of_job_files_are_understood(path):
    """Each YAML block that shows settings makes a job that is accepted."""
    for language, block in page_of(path).blocks:
        if language != "yaml":
            continue
        shown = yaml.safe_load(block)
        if set(shown) <= set(JobSettings.model_fields):
            text = yaml.safe_dump(laid_over({"operation": "SearchImageByPic"} | A_JOB, shown))
            assert load_text(text, ROOT / "job.yaml", environ={}).settings.manifest.key, block
        else:
            assert {"apiVersion", "groups", "scrape_configs", "services"} & set(shown), block


PYTHON = [(path, block) for path in PAGES for language, block in page_of(path).blocks if language == "python"]


@pytest.mark.parametrize(("path", "block"), PYTHON, ids=[named(path) for path, _ in PYTHON])
def test_python_is_python(path, block):
    """Each Python block of a page can be compiled, and holds a statement."""
    assert ast.parse(block, named(path)).body


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_examples_fit_a_narrow_terminal(path):
    """No line of an example is longer than 100 columns."""
    for language, block in page_of(path).blocks:
        assert [line for line in block.splitlines() if len(line) > 100] == [], language


def test_every_extra_is_explained():
    """docs/installing.md says of each extra what it is for, but of those for working on the project."""
    page = (DOCS / "installing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    explained = {extra for row in rows for extra in re.findall(r"`(\w+)`", row)}
    assert explained == EXTRAS.keys() - {"test", "dev", "bench"}
