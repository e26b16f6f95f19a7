"""Which pairs of products may be the same: hits of the search, the pre-check, what people said."""
