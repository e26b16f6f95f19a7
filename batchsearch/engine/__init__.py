"""The pipeline: what to do with an answer, what a row became, and the run seen whole."""
