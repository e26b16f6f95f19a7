"""One reader for each format of a table."""
