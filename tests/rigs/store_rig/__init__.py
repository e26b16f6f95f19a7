"""An object store whose clock has gone on."""

from dataclasses import replace
from datetime import timedelta


class DayLater:
    """A store a day later, by its own clock: what nobody has renewed since has lapsed."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def facts(self, address):
        found = self._store.facts(address)
        if found is None or "/clock-" not in address.path:
            return found
        return replace(found, modified=found.modified + timedelta(days=1))
