"""What an output folder and an object store hold, and how files get there whole."""
