"""What differs between two outputs."""
