"""Candidates looked at on the images themselves."""
