"""The protocol's half of the embedded instance: requests in, signed answers out."""
