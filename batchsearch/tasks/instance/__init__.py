"""What an instance holds: its details, an export of its items, and how they differ from the catalogue."""
