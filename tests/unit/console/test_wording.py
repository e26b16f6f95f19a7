"""All words of the console's pages are in one table, and the table has no other."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import jinja2
import pytest
from jinja2 import nodes

import batchsearch
from batchsearch.console.rendering import SCREENS
from batchsearch.console.wording import Plural, Texts, operations, say, screens, script_texts, texts
from batchsearch.service.operations import OPERATIONS

CONSOLE = Path(batchsearch.__file__).parent / "console"
# A shell script, which is copied: no page.
TEMPLATES = sorted(path for path in (CONSOLE / "templates").glob("*.html.j2"))
SCRIPTS = sorted((CONSOLE / "assets").glob("*.js"))
MODULES = sorted([*CONSOLE.glob("*.py"), *(CONSOLE / "screens").glob("*.py")])
# What the terminal says, and programs that are copied.
NO_PAGES = {"opening_console.py", "console_server.py", "beside_emulator.py", "copied_texts.py"}
NAMES = {"batchsearch", "https", "RequestId", "Auctions", "Score"}
"""What pages write without the table: names."""
TOLD = {"aria-label", "aria-roledescription", "title", "placeholder", "alt", "label"}
"""Attributes that people are told."""
SILENT = {"format", "strftime", "isoformat", "get", "has", "items"}
"""Methods whose arguments are not shown."""
WORD = re.compile(r"[^\W\d_]{2,}")
WORDED = re.compile(r'worded\("(\w+)"(?:, \{ ([^{}]*) \})?')


def parsed(path):
    return jinja2.Environment().parse(path.read_text(encoding="utf-8"))


def said_in_templates():
    """Key and given fields of each text that a template takes; a key that is put together ends in a dot."""
    for path in TEMPLATES:
        for call in parsed(path).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "say":
                key = call.args[0]
                name = key.value if isinstance(key, nodes.Const) else key.nodes[0].value
                given = None if call.dyn_kwargs is not None else {each.key for each in call.kwargs}
                yield path.name, name, given


def said_in_modules():
    """The same of Python: a key that is chosen is any of those that there are to choose from."""
    for path in MODULES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "say":
                given = {each.arg for each in call.keywords}
                for each in ast.walk(call.args[0]):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        yield path.name, each.value, None if None in given else given


def said_in_scripts():
    for path in SCRIPTS:
        for key, fields in WORDED.findall(path.read_text(encoding="utf-8")):
            yield (
                path.name,
                f"script.{key}",
                {each.partition(":")[0].strip() for each in fields.split(", ") if each},
            )


def said():
    return [*said_in_templates(), *said_in_modules(), *said_in_scripts()]


def forms(text):
    return (text.one, text.many) if isinstance(text, Plural) else (text,)


def fields_of(text):
    return {name for form in forms(text) for _, name, _, _ in Formatter().parse(form) if name is not None}


def test_every_key_is_in_the_table_and_every_text_is_used():
    """What templates, modules and scripts take is there, with its fields; there is nothing else."""
    table = texts().by_key
    families = ("operations.", "parameters.", "screens.")
    used = {key for _, key, _ in said()}
    together = (*families, *(key for key in used if key.endswith(".")))
    assert {key for key in used if key not in table and not key.endswith(".")} == set()
    assert {key for key in table if key not in used and not key.startswith(together)} == set()
    for place, key, given in said():
        if given is not None and key in table:
            assert fields_of(table[key]) - given == set(), (place, key)
            assert given - fields_of(table[key]) <= {"n"}, (place, key)
    assert len(used) > 300


def test_families_are_what_there_is():
    """Every screen and every operation that pages name has its word, and no other has."""
    assert set(screens()) == {name for name, *_ in SCREENS}
    assert set(operations()) <= set(OPERATIONS)
    assert all(form.strip() for text in texts().by_key.values() for form in forms(text))


def test_scripts_are_given_plain_fields():
    """A script fills {fields} in as they are: its texts have no formats."""
    for key, text in script_texts().items():
        for form in text.values() if isinstance(text, dict) else [text]:
            assert not [each for each in Formatter().parse(form) if each[2] or each[3]], key


def test_a_number_chooses_the_form():
    """One is told otherwise than none and many."""
    table = Texts.of('[a]\nb = { one = "{n} call", many = "{n} calls" }\nc.d = "x"')
    assert dict(table.by_key)["a.c.d"] == "x"
    assert [table.text("a.b", n) for n in (0, 1, 2, None)] == ["{n} calls", "{n} call", *["{n} calls"] * 2]
    assert say("answer.calls", n=1) == "1 call"
    with pytest.raises(KeyError):
        table.text("a.e")


def shown(node):  # noqa: C901 - a case for each kind of node
    """The text of an expression that is written in the template itself."""
    match node:
        case nodes.Const(value=str(text)):
            told = [re.sub(r"%[\d.]*[a-z]", "", text)]
        case nodes.TemplateData(data=text):
            told = [text]
        case nodes.CondExpr(expr1=one, expr2=other):
            told = [shown(one), shown(other)]
        case (
            nodes.Add(left=one, right=other)
            | nodes.And(left=one, right=other)
            | nodes.Or(left=one, right=other)
        ):
            told = [shown(one), shown(other)]
        case nodes.Concat(nodes=several):
            told = map(shown, several)
        case nodes.Filter(node=one):
            told = [shown(one)]
        case nodes.Call(node=nodes.Name(name="say")):
            told = [shown(each.value) for each in node.kwargs]
        case nodes.Call(node=nodes.Name(name="tag"), args=[nodes.Const(value="code" | "kbd"), *_]):
            told = []
        case nodes.Call(node=nodes.Name(name="tag"), args=[_, content, *_]):
            told = [shown(content)]
        case nodes.Call(node=nodes.Getattr(attr=name)) if name in SILENT:
            told = []
        case nodes.Call(args=several):
            told = map(shown, several)
        case _:
            told = []
    return " ".join(told)


def markup(node):
    """What a template writes by itself, whichever way its conditions go."""
    if isinstance(node, nodes.Output):
        return "".join(map(shown, node.nodes))
    parts = [getattr(node, name, None) or [] for name in ("body", "elif_", "else_")]
    text = "".join(markup(each) for part in parts for each in part)
    # Attributes alone, to be put into an element.
    return f"<i {text}>" if isinstance(node, nodes.Macro) and node.name == "attributes_of" else text


class Words(HTMLParser):
    """Collects the words that people would see."""

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        for name, value in attrs:
            if name in TOLD:
                self.handle_words(value or "")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in {"kbd", "code", "script"}:
            self.handle_words(data)

    def handle_words(self, text):
        self.found += [word for word in WORD.findall(text) if word not in NAMES]


def words_in(tree):
    words = Words()
    words.feed(markup(tree))
    words.close()
    return words.found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_no_words_of_their_own(path):
    """Texts between elements, and attributes that are read out or shown, come from the table."""
    assert words_in(parsed(path)) == []


@pytest.mark.parametrize(
    "template",
    [
        "<p>Hello</p>",
        '<p>{{ "Hello" if yes else say("base.skip") }}</p>',
        '{% if yes %}{% else %}<b title="Hello">1</b>{% endif %}',
        '<b aria-label="{{ name ~ " Hello" }}">1</b>',
        '{{ show.well(image, "", "Hello") }}',
        '{% for each in all %}{% else %}<td>{{ each or "Hello" }}</td>{% endfor %}',
        '{% set a %}<i>{{ "Hello" | upper }}</i>{% endset %}',
        '{{ say("form.costing", cost=tag("span", "Hello")) }}',
    ],
)
def test_words_in_a_template_are_found(template):
    """Wherever a template hides a word of its own, it is found."""
    assert words_in(jinja2.Environment().parse(template)) == ["Hello"]


CODE = {"export default "}
FAULTS = ("raise RuntimeError(", "raise TypeError(", "raise ValueError(")


def sentences(tree):
    """Texts of two words and more in a module's code, but for documentation and faults of its caller."""
    found = []

    def visit(node):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.Raise) and ast.unparse(node).startswith(FAULTS):
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.extend(
                text for text in re.findall(r"[A-Za-z]+ [a-z]+[^=]*$", node.value) if text not in CODE
            )
        for each in ast.iter_child_nodes(node):
            visit(each)

    visit(tree)
    return found


def test_modules_have_no_sentences_of_their_own():
    """What a screen says, and what keeps a request from being answered, comes from the table."""
    assert sentences(ast.parse('"""Doc string."""\nmessage(f"Not {x} here it is")')) == ["here it is"]
    for path in MODULES:
        if path.name not in NO_PAGES:
            assert sentences(ast.parse(path.read_text(encoding="utf-8"))) == [], path.name


OWN_WORDS = re.compile(
    r"""(?:\bsay\(|textContent\ =\ |"aria-label"[:,]\ |\blabel:\ |[?:]\ )["'`](?=[A-Za-z]{2,}\ )[^"'`]*""",
    re.VERBOSE,
)


def test_scripts_have_no_sentences_of_their_own():
    """What scripts announce, write and label comes from the table."""
    planted = 'say("Two words"); a.textContent = `Region ${x}`; b ? "No region" : c'
    assert len(OWN_WORDS.findall(planted)) == len(("Two words", "Region", "No region"))
    for path in SCRIPTS:
        assert OWN_WORDS.findall(path.read_text(encoding="utf-8")) == [], path.name
