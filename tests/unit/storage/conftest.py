"""A ledger is at hand."""

from parts_rig import ledger

__all__ = ["ledger"]
