"""What people and schedulers are told: logs, progress, the summary."""
