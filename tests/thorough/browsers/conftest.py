"""Chromium, outputs to report on, and a console are at hand."""

from console_rig.fixtures import console, visitor
from report_rig import browser, compared, deduped, make_products, make_rows, make_run, opened, searched

__all__ = [
    "browser",
    "compared",
    "console",
    "deduped",
    "make_products",
    "make_rows",
    "make_run",
    "opened",
    "searched",
    "visitor",
]
