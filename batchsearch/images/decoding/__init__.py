"""Pixels out of bytes, and bytes of an image that the rules allow."""
