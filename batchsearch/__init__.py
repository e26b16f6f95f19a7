"""Spends the call slots of an Alibaba Cloud Image Search instance well."""

__version__ = "0.1.0"
