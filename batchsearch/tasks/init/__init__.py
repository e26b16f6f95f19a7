"""A first job file: a manifest is looked at, its columns are guessed, and a commented job file is written."""
