"""What a job is, what of it may change from run to run, and what that touches."""
