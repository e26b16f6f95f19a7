"""The sections of the job file, a module each."""
