"""The version: what packaging reads, and what services are told."""

__version__ = "0.1.0"
