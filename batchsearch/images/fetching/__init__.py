"""An image's bytes from where the manifest says: files, addresses, object stores."""
