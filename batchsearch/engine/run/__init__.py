"""One run from its opening to its summary, and the pipeline in between."""
