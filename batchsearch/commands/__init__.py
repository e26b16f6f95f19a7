"""One module for each command of the command line; each has `command`, and is imported when it is called."""
