"""From pairs to tonight's clusters, and their tables."""
