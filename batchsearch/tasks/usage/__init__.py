"""What was spent and what was spared."""
