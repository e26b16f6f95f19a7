"""Object stores, opened in one way for images, manifests and outputs alike."""
