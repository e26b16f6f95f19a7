"""A SQLite file as another program finds it, or changes it."""

import sqlite3
from contextlib import closing


def executed(path, statement, values=()):
    """What one statement gives, committed; the file is closed again."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()
