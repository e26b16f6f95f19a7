"""Whether a job's instances can be called as the job says, found out before anything is spent."""
