"""One folder for the work of each command."""
