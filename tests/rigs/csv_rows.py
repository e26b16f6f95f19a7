"""Rows as the CSV files that tests give to batchsearch."""

import csv


def write_rows(path, rows):
    """Dictionaries under a header; all have the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
