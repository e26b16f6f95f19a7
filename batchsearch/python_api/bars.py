"""The bar of a run in a notebook, and which bar suits a program.

In a notebook it is plain HTML that its output shows: no widgets are needed, and nothing is printed.
"""

from __future__ import annotations

import html
import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from batchsearch.telemetry.progress import surfaces_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.telemetry.progress import Surface, View

_EVERY: Final = 0.5


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel; IPython on a terminal is none."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return hasattr(shell, "kernel")


def bar_for(*, wanted: bool | None) -> list[Surface]:
    """The bar that suits where a program runs.

    Args:
        wanted: True for one anywhere, False for none, None for one in a notebook.
    """
    if in_notebook():
        return [] if wanted is False else [NotebookBar(_display)]
    return surfaces_for() if wanted else []


def _notebook() -> Any:
    """What shows things in a notebook: a part of the kernel, and no dependency."""
    return importlib.import_module("IPython.display")


def show_html(page: str) -> None:
    """Show HTML in a notebook's output."""
    shown = _notebook()
    shown.display(shown.HTML(page))


def _display(page: str) -> Callable[[str], object]:
    """Show HTML in a notebook's output; what shows another in its place."""
    shown = _notebook()
    handle = shown.display(shown.HTML(page), display_id=True)
    return lambda other: handle.update(shown.HTML(other))


class NotebookBar:
    """A bar of plain HTML, renewed in its place about twice a second; when it is over it goes away.

    Args:
        display: Shows a page; what shows another in its place.
    """

    every = _EVERY
    at_once = True

    def __init__(self, display: Callable[[str], Callable[[str], object]]) -> None:
        self._display = display
        self._renew: Callable[[str], object] | None = None

    def begin(self) -> None:
        """The first view makes it."""

    def show(self, view: View) -> None:
        """Show it in the place of what was shown before."""
        if self._renew is None:
            self._renew = self._display(_page(view))
        else:
            self._renew(_page(view))

    def end(self) -> None:
        """Take it away."""
        if self._renew is not None:
            self._renew("")
            self._renew = None


def _page(view: View) -> str:
    size = f' value="{view.done}" max="{view.total}"' if view.total else ""
    count = f"{view.done:,} of {view.total:,}" if view.total else f"{view.done:,}" if view.done else ""
    below = "".join(f"<br><small>{html.escape(line)}</small>" for line in view.lines)
    return f"<div>{html.escape(view.what)} <progress{size}></progress> {count}{below}</div>"
