"""The search half of the embedded instance: images to vectors, items on disk, the most similar items."""
