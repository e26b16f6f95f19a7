"""Batch tasks of an instance: images taken in from a bucket by a list, and all it holds written out."""
