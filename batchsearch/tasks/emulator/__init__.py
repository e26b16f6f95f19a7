"""The embedded instance, served until it is told to stop."""
