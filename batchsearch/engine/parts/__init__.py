"""Outcomes to sealed parts, and all parts exchanged at once."""
