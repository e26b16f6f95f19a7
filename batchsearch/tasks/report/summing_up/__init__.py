"""What a report says first: how the job ended by its own account, who is needed, what words mean."""
