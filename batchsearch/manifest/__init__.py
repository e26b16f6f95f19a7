"""The input table: finding its files, what its columns may be, streaming its rows, and their keys."""
