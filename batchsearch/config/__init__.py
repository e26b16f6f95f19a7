"""The job file: its settings, how they are read, overridden, checked and shown."""
