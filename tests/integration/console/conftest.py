"""A console about a product instance that holds the sample catalogue is at hand."""

from console_rig.fixtures import console, visitor

__all__ = ["console", "visitor"]
