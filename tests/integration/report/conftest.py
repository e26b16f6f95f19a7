"""Outputs to report on are at hand."""

from report_rig import compared, deduped, make_products, make_rows, make_run, searched

__all__ = ["compared", "deduped", "make_products", "make_rows", "make_run", "searched"]
