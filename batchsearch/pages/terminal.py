"""Pages for people on a terminal: wrapped to its width, with colours where it has them.

A page is plain text: a heading, and below it lines that begin with a label. What is too long for the
terminal goes on below where the text after the label began, so that labels stand alone on the left. Words
are never broken: a path or a command can be copied whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text

Mood = Literal["good", "mixed", "bad", "plain"]
"""How a page's heading is meant."""

_MOOD_STYLES: Final[dict[Mood, str]] = {
    "good": "bold green",
    "mixed": "bold yellow",
    "bad": "bold red",
    "plain": "bold",
}
_LABELLED: Final = re.compile(r" *\S+(?: \S+)*?  +(?=\S)")
_FURTHEST: Final = 24
"""A gap that ends after this column is none between a label and its text."""
_LONGEST: Final = 100
"""A page is no wider than this, however wide the terminal: long lines are hard to read."""
_NARROWEST: Final = 30
_WORD: Final = re.compile(r"\S+")
_COUNTED: Final = re.compile(r"^ {4,}(?P<count>[\d,]+)  (?P<code>[A-Z][\w.*-]*)(?=[: ]|$)")
_PROGRAM: Final = "batchsearch "
"""A line that begins so is a command: it is never cut."""
_COMMAND: Final = re.compile(r"\bbatchsearch [a-z]+(?: [^\s,;)]+)*")
_PLAINER: Final = str.maketrans({"→": "->", "…": "...", "±": "+/-", "·": "*", "�": "?"})


def hang_of(line: str) -> int:
    """The column at which what is too long for a line goes on (pure)."""
    found = _LABELLED.match(line)
    if found is not None and found.end() <= _FURTHEST:
        return found.end()
    indent = len(line) - len(line.lstrip(" "))
    return indent + (2 if line[indent : indent + 1] in ("→", "-") else 0)


def show_page(page: str, stream: TextIO, mood: Mood = "plain") -> None:
    """Write a page to a terminal.

    Args:
        page: Its text, as it would go into a file.
        stream: The terminal. `NO_COLOR` and a dumb one are respected; signs that its encoding lacks are
            written with plainer ones.
        mood: How the headings are meant.
    """
    from rich.console import Console

    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    for line in lines_on(page, console, mood):
        console.print(line, overflow="ignore", no_wrap=True, crop=False, soft_wrap=True)


def lines_on(page: str, console: Console, mood: Mood = "plain") -> list[Text]:
    """A page's lines as a terminal shows them: wrapped to its width, with their colours.

    Args:
        page: Its text.
        console: The terminal.
        mood: How the headings are meant.
    """
    if not (console.encoding or "").lower().startswith("utf"):
        page = page.translate(_PLAINER)
    width = max(min(console.width, _LONGEST), _NARROWEST)
    lines, before = [], ""
    for line in page.split("\n"):
        heads = bool(line[:1].strip()) and not before.strip()
        before = line
        lines += _wrapped(line, width, _MOOD_STYLES[mood] if heads else None)
    return lines


def _wrapped(line: str, width: int, heading: str | None) -> list[Text]:
    """A line as lines of the terminal; `heading` is its style where it is one."""
    from rich.text import Text

    text = _styled(line, heading)
    hang = min(hang_of(line), width // 2)
    if text.cell_len <= width or line[hang:].lstrip().startswith(_PROGRAM):
        return [text]
    head, rest = text[:hang], text[hang:]
    pieces = rest.divide(_breaks(rest.plain, width - hang))
    for piece in pieces:
        piece.rstrip()
    return [head + pieces[0], *(Text(" " * hang) + piece for piece in pieces[1:])]


def _breaks(text: str, width: int) -> list[int]:
    """Where a text goes on in another line: before words, as late as they fit."""
    from rich.cells import cell_len

    places, begin = [], 0
    for word in _WORD.finditer(text):
        if word.start() > begin and cell_len(text[begin : word.end()]) > width:
            begin = word.start()
            places.append(begin)
    return places


def _styled(line: str, heading: str | None) -> Text:
    """A line with its colours: headings, labels, codes, commands."""
    from rich.text import Text

    text = Text(line)
    if heading is not None:
        text.stylize(heading)
        return text
    if counted := _COUNTED.match(line):
        text.stylize("bold", *counted.span("count"))
        text.stylize("red", *counted.span("code"))
    elif (found := _LABELLED.match(line)) and found.end() <= _FURTHEST and line[:2] == "  ":
        text.stylize("cyan", 0, found.end())
    for command in _COMMAND.finditer(line):
        text.stylize("bold", *command.span())
    return text
