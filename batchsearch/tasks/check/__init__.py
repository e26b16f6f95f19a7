"""What would become of each image of a manifest, without a call."""
