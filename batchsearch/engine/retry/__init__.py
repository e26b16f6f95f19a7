"""What an answer means: for the pace, for the health of the run, and for its row."""
