"""The pipeline: what a job is, one row on its way, what an answer means, and the run seen whole."""
