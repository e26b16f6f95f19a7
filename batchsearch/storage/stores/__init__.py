"""Object stores, opened in one way for pictures, manifests and outputs alike."""
