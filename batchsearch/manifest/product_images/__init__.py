"""Products with several images: each image becomes a row of its own."""
